"""`dmp audit purge`, and what the other commands say of what it erased."""

import shutil

import orjson
import pytest
from typer.testing import CliRunner

from audit import purge_commands, reader
from audit.commands import app, audit
from audit.evidence import Evidence
from audit.retention import RETENTION
from audit.verify import verify
from tests.audit import harm
from tests.audit.aged import ERASED, NAMES, NOW, age, purges, seal
from tests.audit.world import ORIGIN


@pytest.fixture
def dmp(url, tmp_path, monkeypatch):
    """Runs `dmp`; its exit code and what it says."""
    monkeypatch.setattr(purge_commands, "utc_now", lambda: NOW)

    def run(group, *words):
        more = ["--database", url]
        if group == "audit" and words[0] != "completeness":
            more += ["--evidence", str(tmp_path / "evidence")]
        if words[0] == "keys":
            more = more[2:]
        done = CliRunner().invoke({"audit": audit, "log": app}[group], [*words, *more])
        return done.exit_code, done.output

    return run


@pytest.fixture
def sealed(url, conn, tmp_path, dmp):
    """A log of which much is old, sealed, and a key for the log of retention."""
    age(conn)
    found = {origin: Evidence(tmp_path / "evidence", origin) for origin in NAMES}
    for origin, name in NAMES.items():
        assert dmp("audit", "keys", "make", origin, "--name", name)[0] == 0
    seal(url, found[ORIGIN])
    return found


PURGE = ("audit", "purge", "--origin", ORIGIN, "--keep", "P6Y")


def test_a_purge_from_its_plan_to_its_proof(dmp, url, conn, sealed):
    """It says what would go, erases it, and everything verifies and says so."""
    code, plan = dmp(*PURGE, "--dry-run")
    assert (0, {}) == (code, purges(url))
    assert "entries 0 to 11, all before 2020-11-19T04:05:06.000000Z: 12 would be erased" in plan

    code, told = dmp(*PURGE, "--by", "B. Martin")
    seal(url, sealed[RETENTION])

    assert code == 0
    assert "12 erased, as entry 0 of log `retention` says" in told
    assert "B. Martin" == purges(url)[0].by
    assert (0, f"log `{ORIGIN}`: nothing to erase") == (
        dmp(*PURGE)[0],
        dmp(*PURGE)[1].partition(" that")[0],
    )
    for command in (("log", "verify"), ("audit", "verify")):
        code, said = dmp(*command)
        assert code == 0
        assert "the first 12 of them erased as was logged" in said.replace("\n", " ")
        assert [12, 0] == [
            orjson.loads(line)["erased"] for line in dmp(*command, "--json")[1].splitlines()
        ]
    assert ERASED == reader.kept_from(conn, ORIGIN)
    assert verify(conn, ORIGIN).erased == 12


def test_erased_entries_say_so(dmp, conn, sealed):  # noqa: ARG001 - it has to be sealed
    """Whoever looks is told when it went and why, in words and for machines."""
    gone = next(reader.read(conn, origin=ORIGIN)).entry["id"]
    conn.rollback()
    dmp(*PURGE)
    said = "erased on 2026-11-23 under retention P6Y"

    code, shown = dmp("log", "show", "1")
    assert (0, True) == (code, said in shown)
    assert "entry 0 of log `retention`" in shown
    line = orjson.loads(dmp("log", "show", "1", "--json")[1].splitlines()[0])
    assert {"at": f"{NOW:%Y-%m-%dT%H:%M:%S}.000000Z", "retention": "P6Y", "purge": 0} == line[
        "erased"
    ]
    assert (ORIGIN, 1, 64) == (line["log"], line["index"], len(line["commitment"]))
    code, missing = dmp("log", "show", gone)
    assert (1, True) == (code, "those up to 2014-02-03T04:05:06.000000Z are erased" in missing)
    code, receipt = dmp("audit", "receipt", "1", "-o", "/nonexistent/x", "--origin", ORIGIN)
    assert (1, True) == (code, f"`1`: {said}: there is nothing to prove" in receipt)


def test_the_table_says_so_too(dmp, sealed):  # noqa: ARG001 - as above
    """In `tail` an erased entry is a line with its place, its time and its fate."""
    dmp(*PURGE)

    code, told = dmp("log", "tail", "-n", "18")

    assert code == 0
    assert "2014-02-03 04:05:06" in told
    assert "erased on 2026-11-23" in told
    lines = dmp("log", "tail", "-n", "18", "--json")[1].splitlines()
    assert 11 == sum("erased" in orjson.loads(line) for line in lines)


REFUSED = [
    (("--keep", "P2Y"), 2, "the law (EHDS art. 9) keeps entries for P3Y"),
    (("--keep", "ten years"), 2, "no duration"),
    (("--before", "2025-01-01"), 2, "nothing after 2023-11-19 may be erased"),
    (("--before", "yesterday"), 2, "give an instant like"),
    (("--keep", "P6Y", "--before", "2020-01-01"), 2, "give one of them"),
    ((), 2, "give --keep"),
]


@pytest.mark.parametrize("refused", REFUSED, ids=str)
def test_what_is_not_allowed(dmp, url, sealed, refused):  # noqa: ARG001 - as above
    """Too early, or not understood: nothing is erased, and it is said what is allowed."""
    words, expected, said = refused

    code, told = dmp("audit", "purge", "--origin", ORIGIN, *words)

    assert (expected, {}) == (code, purges(url))
    assert said in told


def test_logs_that_can_not_be_purged(dmp, sealed):
    """One that is not there, the log of retention itself, one without key: each is told."""
    for origin, said in (("x", "no log `x`"), (RETENTION, "nothing in it ever is")):
        code, told = dmp("audit", "purge", "--origin", origin, "--keep", "P6Y")
        assert (2, True) == (code, said in told)
    shutil.rmtree(sealed[RETENTION].folder)
    code, told = dmp(*PURGE)
    assert (3, True) == (code, "make one with `dmp audit keys make retention`" in told)
    shutil.rmtree(sealed[ORIGIN].folder)
    code, told = dmp(*PURGE)
    assert (3, True) == (code, "seal it first, or say --unsealed" in told)
    code, told = dmp(*PURGE, "--unsealed")
    assert (0, True) == (code, "12 erased" in told)


def test_a_damaged_log_is_not_purged(dmp, url, conn, sealed):  # noqa: ARG001 - as above
    """What was altered stays where it is, and is named."""
    harm.altered(conn, 4)

    code, told = dmp(*PURGE)

    assert (1, {}) == (code, purges(url))
    assert "entry 4: altered" in told


def test_an_unreachable_database(tmp_path):
    """No database, no purge: exit 3."""
    words = ["purge", "--origin", "x", "--keep", "P6Y", "--unsealed"]
    done = CliRunner().invoke(audit, [*words, "--database", f"sqlite:///{tmp_path}/none.db"])

    assert done.exit_code == 3
