"""What is erased from a log goes from the index as well, in whatever order the index learns of it."""

from sqlalchemy import select

from audit.entry import uuid7
from audit.office.handles import Handles
from audit.office.tables import entries, positions
from audit.retention import RETENTION, draft
from tests.audit import aged
from tests.audit.office.world import KEY, follow, index_of, rows
from tests.audit.world import BOB, ORIGIN, START_MS, opened
from tests.audit.world import draft as entry

NEVER = "2026-11-20T00:00:00.000000Z"


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


def test_lines_go_with_the_bytes(conn, url, index_engine, monkeypatch):
    """Between the word of a purge and the end of the bytes nothing is lost; then both are gone."""
    aged.age(conn)
    index = index_of(index_engine, told := Told())
    with monkeypatch.context() as patch:
        patch.setattr("audit.purging._erase", lambda *_args, **_more: None)
        aged.purge(url)
    follow(index, url)
    assert aged.ERASED == places(index_engine, below=aged.ERASED)
    assert not told.dropped

    aged.purge(url)
    follow(index, url)
    assert not places(index_engine, below=aged.ERASED)
    assert told.dropped[-1] == (number(index_engine, ORIGIN), 0, aged.ERASED)


def test_purge_that_was_never_carried_out_hides_nothing(conn, url, index_engine):
    """Whoever may only add to the log can add a purge, and no entry is forgotten for it, now or later."""
    log = aged.age(conn)
    index = index_of(index_engine)
    follow(index, url)
    before = places(index_engine)
    id_ = uuid7(START_MS, bytes(10))
    forged = draft(
        id_, log=ORIGIN, first=0, end=2**53 - 1, before=NEVER, retention="P6Y", by="B. Martin"
    )
    aged.write(conn, opened(conn, RETENTION), "2026-11-20T04:05:06.000000Z", forged)
    follow(index, url)
    aged.write(conn, log, "2026-11-20T04:05:07.000000Z", entry())
    follow(index, url)
    assert places(index_engine) == before + 1


def places(engine, below=1_000):
    """How many entries of the log stand in the index."""
    with engine.connect() as conn:
        of = select(entries.c.place).join(positions, positions.c.log == entries.c.log)
        return len(
            conn.execute(of.where(positions.c.origin == ORIGIN, entries.c.place < below)).all()
        )
