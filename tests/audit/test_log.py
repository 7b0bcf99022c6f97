"""The writer: one row a commit, nothing ahead of the disk, one writer at a time."""

import os
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest
from pysqlite3 import dbapi2
from sqlalchemy import func, select, update

from audit import reader
from audit.entry import GENESIS, Entry, canonical, commitment
from audit.errors import Damage, EntryError, FencedError, LogDamagedError, StateError
from audit.log import Log
from audit.tables import log_batches, log_head, log_patients
from audit.verify import verify
from tests.audit.world import ALICE, BOB, CAROL, ORIGIN, append, draft, fill, instant, opened
from tests.databases import before_statements


def stored(conn):
    """All entries of the log, as bytes."""
    return [one.bytes for one in reader.read(conn, origin=ORIGIN)]


def count_rows(conn, table):
    """How many rows a table has."""
    return conn.execute(select(func.count()).select_from(table)).scalar_one()


def test_an_entry_is_read_back_byte_for_byte(conn):
    """What was committed to is what stands in the log: the draft, and what the log fills in."""
    log = opened(conn)
    given = draft(BOB)

    [recorded] = append(conn, log, given)

    [line] = stored(conn)
    entry = orjson.loads(line)
    filled = {
        "v": 1,
        "index": 0,
        "at": instant(0),
        "salt": entry["salt"],
        "patient_seq": 1,
        "patient_prev": "",
    }
    assert given | filled == entry
    assert canonical(entry) == line
    assert (0, given["id"], commitment(line)) == (
        recorded.index,
        recorded.id,
        recorded.commitment,
    )


def test_a_commit_is_one_row(conn):
    """However many decisions a batch holds, it is one row."""
    log = opened(conn)

    append(conn, log, *(draft() for _ in range(50)))

    assert count_rows(conn, log_batches) == 1
    assert reader.count(conn) == 50


def test_salts_differ(conn):
    """Two entries of the same content have different commitments."""
    log = opened(conn)
    same = draft("")

    one, two = append(conn, log, same, same)

    assert one.commitment != two.commitment
    assert all(len(orjson.loads(line)["salt"]) == 64 for line in stored(conn))


def test_batches_chain(conn):
    """Each batch names the hash of the one before it, and the head that of the last."""
    fill(conn)

    rows = list(reader.batches(conn, ORIGIN))

    links = [GENESIS, *(batch.hash for batch in rows)]
    head = conn.execute(select(log_head)).one()
    assert links[:-1] == [batch.previous for batch in rows]
    assert (12, links[-1]) == (head.next_index, head.hash)


def test_an_empty_batch_writes_nothing(conn):
    """A batch without drafts leaves no row and needs no settling."""
    log = opened(conn)

    recorded = append(conn, log)

    assert recorded == []
    assert count_rows(conn, log_batches) == 0


def test_nothing_is_seen_of_a_batch_that_was_rolled_back(conn):
    """After a rollback the log goes on as if the batch had never been, without a hole."""
    log = opened(conn)
    append(conn, log, draft(ALICE))
    log.append(conn, [draft(ALICE), draft(BOB)], at=instant(1), random=os.urandom)
    conn.rollback()
    log.rolled_back()

    [recorded] = append(conn, log, draft(ALICE), batch=2)

    assert recorded.index == 1
    assert [orjson.loads(line)["patient_seq"] for line in stored(conn)] == [1, 2]
    assert verify(conn, ORIGIN).count == 2


def test_a_commit_in_doubt_that_was_durable_is_found_again(conn):
    """When a commit fails for the caller but was durable, the next batch goes on behind it."""
    log = opened(conn)
    append(conn, log, draft(ALICE))
    log.append(conn, [draft(ALICE)], at=instant(1), random=os.urandom)
    conn.commit()
    log.rolled_back()

    [recorded] = append(conn, log, draft(ALICE), batch=2)

    assert recorded.index == 2
    assert verify(conn, ORIGIN).count == 3


def test_a_batch_is_settled_before_the_next(conn):
    """A caller that forgets to settle a batch is told so, and writes nothing more."""
    log = opened(conn)
    log.append(conn, [draft()], at=instant(0), random=os.urandom)

    with pytest.raises(StateError, match="a batch is pending"):
        log.append(conn, [draft()], at=instant(0), random=os.urandom)


def test_a_log_is_opened_first(conn):
    """Nothing is written to a log that was not opened."""
    with pytest.raises(StateError, match="is not open"):
        Log(ORIGIN).append(conn, [draft()], at=instant(0), random=os.urandom)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"revision": 1.5}, r"^draft 1: `revision`: `float`"),
        ({"id": None}, r"^draft 1: `id`"),
        ({"patient": 7}, r"^draft 1: `patient`"),
        ({"patient": "\ud800"}, r"^draft 1: `patient`: holds a lone surrogate"),
    ],
)
def test_a_draft_without_canonical_form_writes_nothing(conn, fields, message):
    """A bad draft is named, nothing of its batch is written, and the log goes on."""
    log = opened(conn)

    with pytest.raises(EntryError, match=message):
        log.append(conn, [draft(), draft(**fields)], at=instant(0), random=os.urandom)

    [recorded] = append(conn, log, draft())
    assert recorded.index == 0


def test_the_older_writer_is_fenced_off(engine):
    """Of two writers of one log the older one can write nothing more."""
    with engine.connect() as conn:
        older = opened(conn)
        append(conn, older, draft())
        younger = opened(conn)

    with engine.connect() as conn, pytest.raises(FencedError, match="epoch 1"):
        older.append(conn, [draft(CAROL)], at=instant(1), random=os.urandom)
    with engine.connect() as conn:
        conn.commit()
        append(conn, younger, draft(), batch=2)
        assert verify(conn, ORIGIN).count == 2


def test_a_log_is_taken_over_from_a_writer_at_work(engine):
    """A new writer waits for the batch that is being written, and goes on behind it."""
    with engine.connect() as conn, engine.connect() as other, ThreadPoolExecutor(1) as thread:
        older = opened(conn)
        older.append(conn, [draft(), draft()], at=instant(0), random=os.urandom)
        waiting = thread.submit(opened, other)
        with pytest.raises(TimeoutError):
            waiting.result(0.2)
        conn.commit()

        younger = waiting.result()

        assert younger.next_index == 2
        append(other, younger, draft(), batch=1)
        assert verify(other, ORIGIN).count == 3


def test_touching_proves_nothing_but_the_disk(conn):
    """A touched log is as it was, and the touch is something to commit."""
    log, other = opened(conn), opened(conn, "other")
    before = set(conn.execute(select(log_head)).all())
    conn.commit()

    log.touch(conn)
    conn.commit()

    assert before == set(conn.execute(select(log_head)).all())
    append(conn, other, draft())


def test_a_fenced_writer_can_not_even_touch(conn):
    """A writer that was fenced off is told so when it looks whether it can write."""
    older, _ = opened(conn), opened(conn)

    with pytest.raises(FencedError):
        older.touch(conn)


def test_a_fenced_writer_writes_nothing_even_when_committed(conn):
    """Even if its transaction is committed by mistake, a fenced writer has changed nothing."""
    older, _ = opened(conn), opened(conn)
    with pytest.raises(FencedError):
        older.append(conn, [draft()], at=instant(0), random=os.urandom)

    conn.commit()

    assert [count_rows(conn, table) for table in (log_batches, log_patients)] == [0, 0]


def test_a_fenced_writer_stays_out(conn):
    """Reading the head again does not let a fenced writer back in."""
    older, _ = opened(conn), opened(conn)
    older.rolled_back()

    with pytest.raises(FencedError):
        older.append(conn, [draft()], at=instant(0), random=os.urandom)


def test_a_writer_whose_log_is_gone_is_fenced_off(conn):
    """A writer does not begin a log again that somebody removed under it."""
    log = opened(conn)
    conn.execute(log_head.delete())
    log.rolled_back()

    with pytest.raises(FencedError):
        log.append(conn, [draft()], at=instant(0), random=os.urandom)


def test_logs_do_not_meet(conn):
    """Two logs in one database have their own indexes, chains and patients."""
    one, other = opened(conn, "a"), opened(conn, "b")
    append(conn, one, draft(), draft())

    [recorded] = append(conn, other, draft())

    assert recorded.index == 0
    assert [verify(conn, origin).count for origin in ("a", "b")] == [2, 1]


def test_patients_are_followed_over_restarts(conn):
    """A patient's entries count on and chain over restarts of the service."""
    for batch in range(3):
        append(conn, opened(conn), draft(ALICE), draft(BOB), draft(ALICE), batch=batch)

    alice = [one for one in reader.read(conn) if one.entry["patient"] == ALICE]

    assert [one.entry["patient_seq"] for one in alice] == [1, 2, 3, 4, 5, 6]
    before = ["", *(commitment(one.bytes).hex() for one in alice)]
    assert before[:-1] == [one.entry["patient_prev"] for one in alice]


def test_patients_are_followed_when_memory_is_small(conn):
    """A patient whose last entry is no longer in memory is looked up in the table."""
    log = opened(conn, patients_cached=1)
    patients = [f"{number:022}" for number in range(700)]
    append(conn, log, *map(draft, patients))
    append(conn, log, *map(draft, reversed(patients)), batch=1)

    append(conn, log, *map(draft, patients), batch=2)

    assert len(log._patients) == 1
    assert verify(conn, ORIGIN).count == 2100


def test_no_patient_number_stands_in_an_index(conn):
    """The number of a patient is in the entry only, never in a table that is searched."""
    fill(conn)

    rows = conn.execute(select(log_patients)).all()

    assert len(rows) == 2
    assert not any(ALICE.encode() in row.handle for row in rows)


@pytest.mark.parametrize(
    ("change", "damage"),
    [
        ({"next_index": 9}, Damage.HEAD),
        ({"next_index": 13}, Damage.CUT),
        ({"hash": bytes(32)}, Damage.HEAD),
    ],
)
def test_a_head_that_does_not_fit_is_refused(conn, change, damage):
    """A log whose head and last batch differ is not opened."""
    fill(conn)
    conn.execute(update(log_head).values(**change))
    conn.commit()

    with pytest.raises(LogDamagedError) as caught:
        Log(ORIGIN).open(conn, random=os.urandom)

    assert damage is caught.value.damage


def test_a_lost_head_is_refused(conn):
    """A log that has entries but no head is not begun again."""
    fill(conn)
    conn.execute(log_head.delete())
    conn.commit()

    with pytest.raises(LogDamagedError, match="the head was set back: it says 0 entries"):
        Log(ORIGIN).open(conn, random=os.urandom)


def test_an_altered_tail_is_refused(conn):
    """A log whose last batch was altered is not opened."""
    fill(conn)
    last = log_batches.c.first_index == 9
    entries = conn.execute(select(log_batches.c.entries).where(last)).scalar_one()
    altered = entries.replace(b'"allow"', b'"never"')
    conn.execute(update(log_batches).where(last).values(entries=altered))
    conn.commit()

    with pytest.raises(LogDamagedError, match="entry 9: altered"):
        Log(ORIGIN).open(conn, random=os.urandom)


def test_a_log_that_lost_committed_entries_is_refused(conn):
    """A writer that knows of more entries than are there does not write over the loss."""
    log = opened(conn)
    append(conn, log, draft())
    saved = {t: conn.execute(select(t)).mappings().all() for t in (log_batches, log_head)}
    append(conn, log, draft(), batch=1)
    for table, rows in saved.items():  # as after the restore of a backup
        conn.execute(table.delete())
        conn.execute(table.insert(), [dict(row) for row in rows])
    log.rolled_back()

    with pytest.raises(LogDamagedError, match="2 entries had been committed, 1 are there"):
        log.append(conn, [draft()], at=instant(2), random=os.urandom)


def test_opening_counts_epochs(conn):
    """Each opening is a new epoch."""
    assert [opened(conn).epoch for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_failing_disk_leaves_the_log_as_it_was(conn):
    """After an error in the middle of a batch the log goes on from what was committed."""
    log = opened(conn)
    append(conn, log, draft())
    conn.exec_driver_sql("PRAGMA max_page_count = 1")
    with pytest.raises(Exception, match="full") as caught:
        log.append(conn, [draft(f"{n:022}") for n in range(500)], at=instant(1), random=os.urandom)
    conn.rollback()
    log.rolled_back()
    conn.exec_driver_sql("PRAGMA max_page_count = 100000")
    conn.commit()

    [recorded] = append(conn, log, draft(), batch=2)

    assert isinstance(caught.value.__cause__, dbapi2.OperationalError)
    assert recorded.index == 1
    assert verify(conn, ORIGIN).count == 2


def test_a_batch_that_fails_in_its_middle_leaves_the_log_as_it_was(conn, engine):
    """After an error behind the first statement of a batch the log goes on from what was committed."""
    log = opened(conn)
    append(conn, log, draft())

    def fail(statement):
        if statement.startswith("INSERT INTO log_patients"):
            raise OSError("input/output error")

    with before_statements(engine, fail), pytest.raises(OSError, match="input/output"):
        log.append(conn, [draft()], at=instant(1), random=os.urandom)
    conn.rollback()
    log.rolled_back()

    [recorded] = append(conn, log, draft(), batch=2)

    assert recorded.index == 1
    assert verify(conn, ORIGIN).count == 2


@pytest.mark.parametrize(
    ("letter", "paths"),
    [
        ("a: the organisation", ["subject.structure", "subject.structure_name"]),
        ("b: the natural person", ["subject.id", "subject.name", "subject.profession"]),
        ("c: the categories of data", ["document.type", "document.class", "document.space"]),
        ("d: date and time", ["at"]),
        ("e: the origin of the data", ["origin.author_structure", "origin.authors"]),
    ],
)
def test_what_ehds_asks_is_in_an_entry(conn, letter, paths):
    """Each letter of EHDS annex II 3.2 has its fields in a stored entry."""
    append(conn, opened(conn), draft())

    [one] = reader.read(conn)

    for path in paths:
        value = one.entry
        for step in path.split("."):
            value = value[step]
        assert value, f"{letter}: {path}"


def test_an_entry_has_no_other_fields_than_described(conn):
    """The description of an entry names every field that is stored."""
    append(conn, opened(conn), draft())

    [one] = reader.read(conn)

    assert set(one.entry) <= set(Entry.__annotations__)
