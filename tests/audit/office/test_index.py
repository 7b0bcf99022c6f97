"""The index follows the log: each entry once, in order, whatever happens in between."""

import pytest
from sqlalchemy import delete, func, select

from audit.database import reader, snapshot
from audit.errors import IndexAheadError, LogDamagedError
from audit.office import index as module
from audit.office.handles import Handles
from audit.office.tables import entries, metadata, positions, shapes, words
from audit.tables import log_batches
from tests.audit.office.world import KEY, follow, index_of, rows
from tests.audit.world import ALICE, BOB, START_MS, append, draft, fill, opened


def count(engine, *conditions):
    with engine.connect() as conn:
        return conn.scalar(select(func.count()).select_from(entries).where(*conditions))


def test_all_entries_are_taken_in(conn, url, index_engine):
    """Twelve entries in the log are twelve lines in the index, by patient too."""
    fill(conn)
    assert follow(index_of(index_engine), url) == 12
    assert count(index_engine) == 12
    handles = Handles(KEY)
    for patient in (ALICE, BOB):
        assert count(index_engine, entries.c.patient == handles.person(patient)) == 4
    assert count(index_engine, entries.c.patient == 0) == 4


def test_nothing_new_is_nothing_taken(conn, url, index_engine):
    """A second look at the same log takes in nothing."""
    fill(conn)
    index = index_of(index_engine)
    follow(index, url)
    assert follow(index, url) == 0
    assert count(index_engine) == 12


def test_goes_on_where_it_was(conn, url, index_engine):
    """Another process goes on behind what the first took in."""
    log = fill(conn)
    follow(index_of(index_engine), url)
    append(conn, log, draft(ALICE, ms=START_MS + 9000), batch=9)
    assert follow(index_of(index_engine), url) == 1
    assert count(index_engine) == 13


@pytest.mark.parametrize("most", [1, 2, 5])
def test_steps_may_end_within_a_batch(conn, url, index_engine, most, monkeypatch):
    """However small the steps are, each entry is taken in once."""
    monkeypatch.setattr(module, "MOST", most)
    fill(conn)
    assert follow(index_of(index_engine), url) == 12
    assert count(index_engine) == 12


def test_several_logs_are_followed(conn, url, index_engine):
    """Each log has a position of its own."""
    fill(conn, "one")
    fill(conn, "two")
    assert follow(index_of(index_engine), url) == 24
    with index_engine.connect() as index:
        assert dict(index.execute(select(positions.c.origin, positions.c.next_index)).all()) == {
            "one": 12,
            "two": 12,
        }


def test_what_fails_is_not_taken_in_by_half(conn, url, index_engine):
    """When something that follows from the entries can't be written, nothing is; then everything."""

    class Failing:
        def take(self, _conn, _entries):
            raise RuntimeError("no")

    fill(conn)
    with pytest.raises(RuntimeError):
        follow(index_of(index_engine, Failing()), url)
    assert count(index_engine) == 0
    assert follow(index_of(index_engine), url) == 12


def test_what_a_failed_step_has_named_is_named_again(conn, url, index_engine):
    """The index that failed once goes on: words and shapes that were taken back stand there in the end."""
    failing = [True]

    class FailingOnce:
        def take(self, _conn, _entries):
            if failing.pop() if failing else False:
                raise RuntimeError("no")

    fill(conn)
    index = index_of(index_engine, FailingOnce())
    with pytest.raises(RuntimeError):
        follow(index, url)
    assert follow(index, url) == 12
    with index_engine.connect() as made:
        named = set(made.scalars(select(shapes.c.number)))
        assert set(made.scalars(select(entries.c.shape))) == named
        texts = set(made.scalars(select(words.c.number)))
        assert set(made.scalars(select(entries.c.action))) <= texts


def test_made_again_it_is_the_same(conn, url, index_engine):
    """Emptied and made again, the index holds the same lines."""
    fill(conn, "one")
    index = index_of(index_engine)
    follow(index, url)
    append(conn, fill(conn, "two"), draft(BOB), batch=7)
    follow(index, url)
    before = rows(index_engine, *metadata.sorted_tables)
    index.clear()
    assert count(index_engine) == 0
    follow(index, url)
    assert rows(index_engine, entries, positions) == {
        name: before[name] for name in ("entries", "positions")
    }
    assert {text for _, text in rows(index_engine, words)["words"]} == {
        text for _, text in before["words"]
    }


def test_log_that_was_taken_back_is_told(conn, url, engine, index_engine):
    """An older copy of the log in its place is an error, and changes nothing."""
    fill(conn)
    index = index_of(index_engine)
    follow(index, url)
    with engine.begin() as owner:
        owner.execute(delete(log_batches).where(log_batches.c.first_index >= 9))
    with pytest.raises(IndexAheadError, match="holds 12 entries"):
        follow(index, url)
    assert count(index_engine) == 12


def test_batch_that_does_not_follow_is_told(conn, url, engine, index_engine):
    """A batch that chains to nothing that was taken in is damage."""
    log = fill(conn)
    index = index_of(index_engine)
    follow(index, url)
    append(conn, log, draft(ALICE), batch=8)
    with engine.begin() as owner:
        c = log_batches.c
        owner.execute(log_batches.update().where(c.first_index == 12).values(previous=bytes(32)))
    with pytest.raises(LogDamagedError, match="does not chain"):
        follow(index, url)
    assert count(index_engine) == 12


def test_empty_log_is_followed(conn, url, index_engine):
    """A log without entries is at its beginning."""
    opened(conn)
    with snapshot(reader(url)) as log:
        taken = index_of(index_engine).step(log)
    assert [one.next for one in taken.positions.values()] == [0]
