"""`dmp audit status` and `dmp audit reindex`, and how `dmp serve audit` says that it can't serve."""

import asyncio
import json

import pytest
from sqlalchemy import delete, func, select
from typer.testing import CliRunner

from audit.__main__ import main
from audit.database import reader
from audit.office.database import opened
from audit.office.derived import derivations
from audit.office.handles import Handles
from audit.office.index import Index
from audit.office.tables import entries, positions
from clients.cli.app import app
from tests.audit.office.served import serving, settings_of
from tests.audit.office.world import follow
from tests.audit.world import ORIGIN, fill
from tests.service import until

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def run(*arguments):
    """One command."""
    return CliRunner().invoke(app, ["audit", *arguments])


@pytest.fixture
def settings(conn, url, tmp_path):
    """Of an audit on a log of twelve entries."""
    fill(conn)
    return settings_of(tmp_path, url)


@pytest.fixture
def again(settings):
    """The options of `dmp audit reindex`."""
    key = str(settings.key)
    return ["--index", settings.index, "--index-key", key, "--database", settings.database]


async def told(settings, *arguments):
    """What `dmp audit status` says of a service."""
    async with serving(settings) as (service, _):

        async def well():
            return all(service.told.values())

        await until(well)
        address = ["--address", service.addresses[0]]
        return await asyncio.to_thread(run, "status", *address, *arguments)


async def test_status_is_told_to_people(settings):
    """How far index and seal are, in words; 0 where all is well."""
    done = await told(settings, "--lang", "en")
    assert done.exit_code == 0, done.output
    assert "✓ the index follows the log" in done.output
    assert [ORIGIN, "12", "12", "12", "0/0"] in [line.split() for line in done.output.splitlines()]


async def test_status_is_told_to_programs(settings):
    """The same as JSON."""
    done = await told(settings, "--json")
    said = json.loads(done.output)
    assert (said["logs"][0]["indexed"], said["health"]["dmp.index"]) == ("12", True)


@pytest.mark.usefixtures("settings")
def test_status_of_nobody():
    """Where no audit is, that is told, and what to do."""
    done = run("status", "--address", "127.0.0.1:1")
    assert done.exit_code == 3
    assert "dmp serve audit" in done.output


def test_index_is_made_again(settings, again):
    """Whatever was in the index, afterwards all of the log is, and nothing else."""
    engine = opened(settings.index)
    handles = Handles.kept(settings.key)
    follow(
        Index(engine, handles, derivations(handles, reader(settings.database))), settings.database
    )
    with engine.begin() as conn:
        conn.execute(delete(entries).where(entries.c.place < 5))
        conn.execute(positions.update().values(at=0))
    engine.dispose()
    done = run("reindex", "--json", *again)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["entries"] == 12
    with opened(settings.index).connect() as conn:
        assert conn.scalar(select(func.count()).select_from(entries)) == 12
        assert conn.scalar(select(positions.c.at)) > 0


async def test_index_in_use_is_left_alone(settings, again):
    """While the audit runs, its index is not made again under its hands."""
    async with serving(settings):
        done = await asyncio.to_thread(run, "reindex", *again)
        assert done.exit_code == 3
        assert "stop that first" in done.output


def test_log_that_is_damaged_is_told(again, engine):
    """A log whose batches do not chain is told, with its exit code."""
    with engine.begin() as owner:
        owner.exec_driver_sql(
            "UPDATE log_batches SET previous = zeroblob(32) WHERE first_index = 6"
        )
    done = run("reindex", *again)
    assert done.exit_code == 1
    assert "does not chain" in done.output


WRONG = {
    "no log": (["--database", "sqlite:///none.db"], 3, "no database file"),
    "no address": (["--database", "what"], 2, "no usable database address"),
    "half of TLS": (["--authz-roots", "roots.pem"], 2, "--tls-key"),
    "a listener": (["--listen", "0.0.0.0:7445=operator"], 2, "without TLS only loopback"),
    "witnesses": (["--witnesses", "witnesses.txt"], 2, "no quorum"),
    "no witnesses": (["--witnesses", "none.txt"], 3, "none.txt"),
    "an index": (["--index", "sqlite:///folder"], 3, "folder"),
    "a key": (["--index-key", "witnesses.txt"], 2, "32 bytes expected"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_settings_are_told(settings, tmp_path, capsys, monkeypatch, what):
    """What can't be used ends the start with a sentence that names it."""
    more, code, said = WRONG[what]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "witnesses.txt").write_text("# nobody\n", encoding="utf-8")
    given = {
        "--listen": "127.0.0.1:0=operator",
        "--database": settings.database,
        "--index": settings.index,
        "--index-key": str(settings.key),
        "--evidence": str(settings.evidence),
    } | dict([more])
    assert main([part for pair in given.items() for part in pair]) == code
    assert said in capsys.readouterr().err
