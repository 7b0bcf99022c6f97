"""`dmp dossier keys` and `dmp dossier database`: for operators, without a service."""

import json

import pytest
from typer.testing import CliRunner

from clients.cli.record.app import app
from dossier.errors import KeyDestroyedError
from dossier.keys.keyring import Keyring
from dossier.keys.masters import Masters
from storage.database import connect

JEAN = "1541187387477485562488"


@pytest.fixture
def keys(tmp_path):
    """Runs `dmp dossier keys` on a folder and a database of its own."""
    runner = CliRunner(env={"NO_COLOR": "1", "DMP_DOSSIER_KEYS": f"sqlite:///{tmp_path}/keys.db"})
    folder = ("--masters", str(tmp_path / "masters"))
    return lambda *words: runner.invoke(
        app, ["keys", *words, *(folder if words[0] != "migrate" else ())]
    )


def keyring(tmp_path):
    """The keys themselves."""
    return Keyring.open(connect(f"sqlite:///{tmp_path}/keys.db"), Masters(tmp_path / "masters"))


def test_rotation(keys, tmp_path):
    """A new master key is made, wraps all keys, and the old one is retired once it wraps nothing."""
    old = keys("create").stdout.strip()
    secret = keyring(tmp_path).make(JEAN)
    new = keys("create").stdout.strip()
    too_early = keys("retire", old, "--yes")

    rewrapped = keys("rewrap")
    listed = json.loads(keys("list", "--json").stdout)
    retired = keys("retire", old, "--yes")

    assert (too_early.exit_code, "rewrap first" in too_early.stderr) == (2, True)
    assert rewrapped.stdout == "1 keys wrapped anew\n"
    assert listed == {"newest": new, "wraps": {old: 0, new: 1}}
    assert retired.exit_code == 0
    assert keys("list").stdout == f"{new}  wraps 1  newest\n"
    assert isinstance(keyring(tmp_path).key_of(JEAN), type(secret))


def test_nothing_is_retired_by_a_slip(keys, tmp_path):
    """Without --yes nothing is removed."""
    old = keys("create").stdout.strip()
    keys("create")

    refused = keys("retire", old)

    assert (refused.exit_code, "--yes" in refused.stderr) == (2, True)
    assert old in Masters(tmp_path / "masters").ids()


def test_destroying(keys, tmp_path):
    """A patient's key is destroyed when that is meant; there is none to destroy for another number."""
    keys("create")
    keyring(tmp_path).make(JEAN)

    slip, unknown = keys("destroy", JEAN), keys("destroy", "0833910461279517589858", "--yes")
    kept = keys("list").stdout
    done = keys("destroy", JEAN, "--yes")

    assert [slip.exit_code, unknown.exit_code, done.exit_code] == [2, 2, 0]
    assert ("--yes" in slip.stderr, "the number is right" in unknown.stderr) == (True, True)
    assert "wraps 1" in kept
    assert "wraps 0" in keys("list").stdout
    with pytest.raises(KeyDestroyedError):
        keyring(tmp_path).make(JEAN)


def test_errors_of_the_database_quote_nothing(keys, tmp_path):
    """What a database says of a statement is told without its values."""
    keys("create")
    keyring(tmp_path).make(JEAN)
    engine = connect(f"sqlite:///{tmp_path}/keys.db")
    with engine.begin() as conn:
        conn.exec_driver_sql(
            "CREATE TRIGGER no BEFORE UPDATE ON patient_keys BEGIN SELECT raise(ABORT, 'no'); END"
        )
    engine.dispose()

    failed = keys("destroy", JEAN, "--yes")

    assert failed.exit_code == 3
    assert JEAN not in failed.stderr


@pytest.mark.parametrize("words", [("list",), ("rewrap",)])
def test_without_a_master_key(keys, words):
    """Without a master key each command says how to make one."""
    refused = keys(*words)

    assert (refused.exit_code, "dmp dossier keys create" in refused.stderr) == (2, True)


def test_migrate(keys, tmp_path):
    """The tables of keys and record are brought to the newest shape, which a second run finds."""
    runner = CliRunner()
    url = f"sqlite:///{tmp_path}/record.db"

    told = [keys("migrate").stdout, keys("migrate").stdout]
    record = [
        runner.invoke(app, ["database", "migrate", "--database", url]).stdout for _ in range(2)
    ]

    for first, second in (told, record):
        assert first.endswith(", were at none\n")
        assert second == first.replace(", were at none", "")


def test_a_database_that_can_not_be_used(tmp_path):
    """A database that can't be opened ends with 3, in one line."""
    (tmp_path / "folder").mkdir()
    runner = CliRunner()

    failed = runner.invoke(
        app, ["database", "migrate", "--database", f"sqlite:///{tmp_path}/folder"]
    )

    assert failed.exit_code == 3
    assert len(failed.stderr.strip().splitlines()) == 1
