"""What a service did, held against what it was permitted."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from audit.commands import audit as app
from audit.completeness import Fault, acts, compare
from audit.database import reader, snapshot
from audit.errors import UnreachableError
from tests.audit.world import ALICE, BOB, START_MS, append, draft, opened

LATER = datetime.fromtimestamp(START_MS / 1000, UTC) + timedelta(hours=1)
DOCUMENT = "1.2.250.1.99.1"


def act(entry, **other):
    """What the service would have written of a decision."""
    said = {
        "patient": entry["patient"],
        "action": entry["action"],
        "effect": entry["effect"],
        "document": DOCUMENT,
    } | other
    return {entry["id"]: tuple(said.values())}


def faults(found, entries, settled=LATER):
    checked = compare(found, entries, service="dossier", settled=settled)
    return [(finding.fault, finding.decision) for finding in checked.faults]


def test_act_with_its_decision_is_complete():
    """An act that its one decision permits is counted as decided."""
    entry = draft()
    checked = compare(act(entry), [entry], service="dossier", settled=LATER)
    assert (checked.acts, checked.decided, checked.unused, checked.holds) == (1, 1, 0, True)


def test_act_without_decision_is_told():
    """An act that nobody permitted is a fault."""
    entry = draft()
    assert faults(act(entry), []) == [(Fault.UNDECIDED, entry["id"])]


def test_decision_of_another_service_permits_nothing():
    """What was permitted to another service is no decision of this one's act."""
    entry = draft(caller="archive")
    assert faults(act(entry), [entry]) == [(Fault.UNDECIDED, entry["id"])]


@pytest.mark.parametrize(
    "other", [{"patient": BOB}, {"action": "x"}, {"effect": "deny"}, {"document": "y"}]
)
def test_act_that_says_something_else_is_told(other):
    """An act must say what its decision says: whose, what, which, and whether."""
    entry = draft()
    assert faults(act(entry, **other), [entry]) == [(Fault.DIFFERENT, entry["id"])]


def test_two_decisions_under_one_id_are_told():
    """An id stands for one decision."""
    entry = draft()
    assert faults(act(entry), [entry, entry]) == [(Fault.DOUBLE, entry["id"])]


def test_denial_that_was_not_recorded_is_told():
    """A refused attempt belongs into the record of the service."""
    entry = draft(effect="deny")
    assert faults({}, [entry]) == [(Fault.UNRECORDED, entry["id"])]


def test_denial_beside_an_act_of_the_same_call_is_told_by_it():
    """Of one call with two questions, the act tells."""
    entry = draft()
    beside = draft(effect="deny", call=entry["call"])
    assert faults(act(entry), [entry, beside]) == []


def test_permission_that_was_not_used_is_no_fault():
    """Between a permission and its use a service may stop."""
    checked = compare({}, [draft()], service="dossier", settled=LATER)
    assert (checked.unused, checked.holds) == (1, True)


def test_what_is_too_young_is_not_judged():
    """A denial of this moment may be about to be recorded."""
    checked = compare(
        {}, [draft(effect="deny")], service="dossier", settled=LATER - timedelta(days=1)
    )
    assert (checked.recent, checked.holds) == (1, True)


@pytest.fixture
def record(tmp_path):
    """A service's database, and what adds an act to it."""
    engine = create_engine(f"sqlite:///{tmp_path}/dossier.db")
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE acts (decision, patient, action, effect, document)"))

    def add(found):
        with engine.begin() as conn:
            for decision, said in found.items():
                values = dict(zip(("p", "a", "e", "d"), said, strict=True)) | {"id": decision}
                conn.execute(text("INSERT INTO acts VALUES (:id, :p, :a, :e, :d)"), values)

    yield f"sqlite:///{tmp_path}/dossier.db", add
    engine.dispose()


@pytest.fixture
def filled(url, conn):
    """A log with two entries, and what they say."""
    entries = [draft(), draft(BOB)]
    append(conn, opened(conn), *entries)
    return url, entries


def run(url, record):
    """The command on a log and a record: its exit code and what it says."""
    done = CliRunner().invoke(
        app, ["completeness", "--json", "--database", url, "--dossier", record]
    )
    return done.exit_code, json.loads(done.output) if done.exit_code < 2 else done.output


def test_command_tells_both_ways(filled, record):
    """The command says what is missing, on real databases, by its exit code as well."""
    url, entries = filled
    place, add = record
    add({entry["id"]: (entry["patient"], entry["action"], "allow", DOCUMENT) for entry in entries})
    code, said = run(url, place)
    assert (code, said["holds"], said["decided"]) == (0, True, len(entries))

    add({"0190f1b0-0000-7000-8000-000000000000": (ALICE, "document.read", "allow", "x")})
    code, said = run(url, place)
    assert (code, said["faults"][0]["fault"]) == (1, "undecided")


def test_a_database_without_acts_is_told(filled):
    """Any other database is no record."""
    url, _ = filled
    with snapshot(reader(url)) as conn, pytest.raises(UnreachableError, match="holds no acts"):
        acts(conn)
