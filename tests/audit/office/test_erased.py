"""What is erased from a log goes from the index as well, in whatever order the index learns of it."""

from sqlalchemy import select

from audit.office.handles import Handles
from audit.office.tables import entries, positions
from audit.retention import RETENTION
from tests.audit import aged
from tests.audit.office.world import KEY, follow, index_of, rows
from tests.audit.world import BOB, ORIGIN


class Told:
    """A derivation that keeps what it is told."""

    def __init__(self):
        self.taken, self.dropped = [], []

    def take(self, _conn, entries):
        self.taken += [(one.origin, one.index) for one in entries]

    def drop(self, _conn, log, begin, end):
        self.dropped.append((log, begin, end))


def number(engine, origin):
    with engine.connect() as conn:
        return conn.scalar(select(positions.c.log).where(positions.c.origin == origin))


def test_lines_of_erased_entries_go(conn, url, index_engine):
    """Twelve entries are erased: their lines go, whatever follows from them is told, the rest stays."""
    aged.age(conn)
    told = Told()
    index = index_of(index_engine, told)
    follow(index, url)
    aged.purge(url)

    follow(index, url)

    with index_engine.connect() as found:
        log = number(index_engine, ORIGIN)
        places = found.scalars(select(entries.c.place).where(entries.c.log == log)).all()
        bob = entries.c.patient == Handles(KEY).person(BOB)
        assert not found.scalars(select(entries.c.place).where(bob)).all()
    assert [*range(aged.ERASED, aged.ERASED + 6)] == sorted(places)
    assert [(log, 0, aged.ERASED)] == told.dropped


def test_made_again_after_a_purge_it_is_the_same(conn, url, index_engine):
    """An index that saw the entries before they were erased holds what one holds that never did."""
    aged.age(conn)
    index = index_of(index_engine)
    follow(index, url)
    aged.purge(url)
    follow(index, url)
    before = rows(index_engine, entries)["entries"]
    logs = {origin: number(index_engine, origin) for origin in (ORIGIN, RETENTION)}

    index.clear()
    follow(index, url)

    assert {name: number(index_engine, name) for name in logs} == logs
    assert [one[:4] for one in before] == [
        one[:4] for one in rows(index_engine, entries)["entries"]
    ]


def test_bytes_that_are_still_there_are_not_taken_in(conn, url, index_engine, monkeypatch):
    """Between the word of a purge and the end of the bytes, an index takes in neither."""
    aged.age(conn)
    monkeypatch.setattr("audit.purging._erase", lambda *_args, **_more: None)
    aged.purge(url)
    told = Told()

    follow(index_of(index_engine, told), url)

    assert not [place for origin, place in told.taken if origin == ORIGIN and place < aged.ERASED]
