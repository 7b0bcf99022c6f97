"""Changes that were asked for under an id: asked again, they are told and not done again."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from authz.registry import requests, tables
from authz.registry.requests import KEPT, Answered, find, keep
from tests.authz.registry.samples import NOW
from tests.shared import ROOT

FIRST = Answered(
    caller="dossier",
    request_id="of-today-1",
    digest=bytes(32),
    decision_id="0198c5a0-7e1c-7d3a-9b57-3f5a1c9e2b44",
    at=NOW,
    answer=b'{"effect":"deny"}',
)


def count(engine):
    """How many answers are remembered."""
    with engine.connect() as conn:
        return conn.scalar(select(func.count()).select_from(tables.requests))


def test_answer_is_found_again(engine):
    """What was kept in a committed transaction is found in another, equal."""
    with engine.begin() as conn:
        keep(conn, FIRST)

    with engine.begin() as conn:
        assert find(conn, "dossier", "of-today-1") == FIRST


def test_ids_belong_to_their_caller(engine):
    """Two callers may choose the same id."""
    other = replace(FIRST, caller="portal", digest=bytes([1] * 32))
    with engine.begin() as conn:
        keep(conn, FIRST)
        keep(conn, other)

        found = [find(conn, caller, "of-today-1") for caller in ("dossier", "portal", "audit")]

    assert [FIRST, other, None] == found


def test_answer_is_found_in_its_own_transaction(engine):
    """Of two equal requests in one batch, the second finds the first."""
    with engine.begin() as conn:
        keep(conn, FIRST)

        assert find(conn, "dossier", "of-today-1") == FIRST


def test_rolled_back_answer_is_gone(engine):
    """What was decided in a transaction that did not commit was never answered."""
    with engine.connect() as conn:
        keep(conn, FIRST)
        conn.rollback()

    assert count(engine) == 0


def test_id_is_kept_once(engine):
    """The database itself refuses a second answer under one id."""
    with engine.connect() as conn:
        keep(conn, FIRST)

        with pytest.raises(IntegrityError):
            keep(conn, replace(FIRST, answer=b"another"))


def test_answers_are_kept_long_enough(engine):
    """An answer is still there when the time for which it is promised has just passed, not after."""
    last = replace(FIRST, request_id="last")
    with engine.begin() as conn:
        keep(conn, FIRST)
        keep(conn, replace(last, at=NOW + KEPT))
        at_the_end = find(conn, "dossier", "of-today-1")
        keep(conn, replace(last, request_id="later", at=NOW + KEPT + timedelta(microseconds=1)))

        assert at_the_end == FIRST
        assert find(conn, "dossier", "of-today-1") is None


def test_old_answers_do_not_pile_up(engine):
    """Each new answer takes more old ones away than it adds, and never all at once."""
    with engine.begin() as conn:
        for number in range(25):
            keep(conn, replace(FIRST, request_id=f"old-{number}"))
    left = [count(engine)]
    for number in range(4):
        with engine.begin() as conn:
            keep(conn, replace(FIRST, request_id=f"new-{number}", at=NOW + 2 * KEPT))
        left.append(count(engine))

    assert left == [25, 16, 7, 3, 4]
    assert requests._FORGOTTEN == 10


@pytest.mark.parametrize(
    ("database", "ids"),
    [
        ("sqlite", 15),
        ("postgresql", 200),
        pytest.param("postgresql", 5_000, marks=pytest.mark.slow),
    ],
    indirect=["database"],
)
def test_two_processes_change_once(database, ids):
    """Of two processes that are asked the same at once, one changes and both tell the same."""

    def run(_):
        command = [sys.executable, "-m", "tests.authz.registry.asker", database.url, str(ids)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    with ThreadPoolExecutor(2) as threads:
        one, two = threads.map(run, range(2))

    assert one["told"] == two["told"]
    assert len(one["told"]) == ids
    assert sorted([*one["changed"], *two["changed"]]) == sorted(one["told"])
    if database.kind == "postgresql":  # SQLite lets one process wait for long
        assert one["changed"]
        assert two["changed"]
