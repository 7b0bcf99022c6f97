"""The reader: what it finds, and every damage that it must name."""

import os
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, select, update

from audit import reader
from audit.entry import GENESIS, batch_hash, commitment, uuid7
from audit.errors import Damage, EntryError, LogDamagedError
from audit.tables import log_batches, log_head, log_patients
from audit.verify import Verified, verify
from tests.audit.world import ALICE, ORIGIN, START_MS, append, draft, fill, opened

COLUMNS = ("count", "at", "previous", "hash", "entries")


def at(conn, index):
    """The row of the batch that begins at `index`."""
    return dict(
        conn.execute(select(log_batches).where(log_batches.c.first_index == index)).mappings().one()
    )


def put(conn, index, **values):
    """Changes the row of the batch that begins at `index`."""
    conn.execute(update(log_batches).where(log_batches.c.first_index == index).values(**values))


def alter(conn):
    """One byte of one entry becomes another."""
    put(conn, 3, entries=at(conn, 3)["entries"].replace(b"biology", b"biologY", 1))


def alter_index(conn):
    """An entry claims another place."""
    put(conn, 3, entries=at(conn, 3)["entries"].replace(b'"index":4', b'"index":9', 1))


def alter_type(conn):
    """The place of an entry is no longer a number."""
    put(conn, 3, entries=at(conn, 3)["entries"].replace(b'"index":4', b'"index":"4"', 1))


def alter_framing(conn):
    """An entry is torn in two."""
    put(conn, 3, entries=at(conn, 3)["entries"].replace(b",", b"\n", 1))


def alter_to_garbage(conn):
    """An entry is no longer JSON."""
    put(conn, 3, entries=at(conn, 3)["entries"].replace(b"{", b"\xff", 1))


def alter_to_a_list(conn):
    """An entry is JSON, but no object."""
    put(conn, 3, entries=b"[]\n[]\n[]\n")


def alter_time(conn):
    """A row tells another time than its entries."""
    put(conn, 3, at="2020-01-01T00:00:00.000000Z")


def rewrite(conn):
    """A batch is altered and its own hash made to fit again."""
    row = at(conn, 3)
    entries = row["entries"].replace(b'"allow"', b'"never"')
    digests = [commitment(line) for line in entries.splitlines()]
    put(conn, 3, entries=entries, hash=batch_hash(row["previous"], 3, digests))


def empty(conn):
    """A batch loses all its entries, and says so."""
    put(conn, 3, entries=b"", count=0, hash=batch_hash(at(conn, 3)["previous"], 3, []))


def delete_middle(conn):
    """A batch in the middle is gone."""
    conn.execute(delete(log_batches).where(log_batches.c.first_index == 3))


def delete_first(conn):
    """The first batch is gone."""
    conn.execute(delete(log_batches).where(log_batches.c.first_index == 0))


def swap(conn):
    """Two batches stand in each other's place."""
    one, other = at(conn, 3), at(conn, 6)
    put(conn, 3, **{name: other[name] for name in COLUMNS})
    put(conn, 6, **{name: one[name] for name in COLUMNS})


def swap_entries(conn):
    """Two entries of one batch stand in each other's place."""
    one, two, three = at(conn, 3)["entries"].splitlines(keepends=True)
    put(conn, 3, entries=two + one + three)


def cut(conn):
    """The last batch is gone."""
    conn.execute(delete(log_batches).where(log_batches.c.first_index == 9))


def duplicate_at_the_end(conn):
    """A batch stands a second time at the end."""
    conn.execute(insert(log_batches).values(**at(conn, 6) | {"first_index": 12}))
    conn.execute(update(log_head).values(next_index=15))


def duplicate_between(conn):
    """A batch stands a second time within the indexes of another."""
    conn.execute(insert(log_batches).values(**at(conn, 3) | {"first_index": 4}))


def duplicate_before(conn):
    """A batch stands a second time before the first."""
    conn.execute(insert(log_batches).values(**at(conn, 3) | {"first_index": -3}))


def roll_head_back(conn):
    """The head is that of an earlier time."""
    conn.execute(update(log_head).values(next_index=6, hash=at(conn, 3)["hash"]))


def alter_head(conn):
    """The head names another hash."""
    conn.execute(update(log_head).values(hash=bytes(32)))


def lose_head(conn):
    """There is no head."""
    conn.execute(delete(log_head))


def alter_patient(conn):
    """The table of patients tells another number."""
    conn.execute(update(log_patients).values(seq=9))


def lose_patients(conn):
    """The table of patients is empty."""
    conn.execute(delete(log_patients))


def add_patient(conn):
    """The table of patients has one more."""
    extra = {"origin": ORIGIN, "handle": bytes(16), "seq": 1, "commitment": bytes(32)}
    conn.execute(insert(log_patients).values(extra))


DAMAGES = [
    (alter, Damage.ALTERED, 3),
    (alter_index, Damage.ALTERED, 3),
    (alter_type, Damage.ALTERED, 3),
    (alter_framing, Damage.ALTERED, 3),
    (alter_to_garbage, Damage.ALTERED, 3),
    (alter_to_a_list, Damage.ALTERED, 3),
    (alter_time, Damage.ALTERED, 3),
    (rewrite, Damage.ALTERED, 6),
    (empty, Damage.ALTERED, 3),
    (delete_middle, Damage.MISSING, 3),
    (delete_first, Damage.MISSING, 0),
    (swap, Damage.REORDERED, 3),
    (swap_entries, Damage.REORDERED, 3),
    (cut, Damage.CUT, 9),
    (duplicate_at_the_end, Damage.DUPLICATED, 12),
    (duplicate_between, Damage.DUPLICATED, 4),
    (duplicate_before, Damage.DUPLICATED, -3),
    (roll_head_back, Damage.HEAD, 6),
    (alter_head, Damage.HEAD, 12),
    (lose_head, Damage.HEAD, 12),
    (alter_patient, Damage.PATIENT, 9),
    (lose_patients, Damage.PATIENT, 9),
    (add_patient, Damage.PATIENT, 0),
]


def test_an_intact_log_is_verified(conn):
    """An intact log verifies, and the answer is what the head says."""
    fill(conn)

    verified = verify(conn, ORIGIN)

    assert Verified(12, conn.execute(select(log_head.c.hash)).scalar_one()) == verified


def test_a_new_log_is_intact(conn):
    """A log that was opened and never written is intact."""
    opened(conn)

    assert Verified(0, GENESIS) == verify(conn, ORIGIN)


@pytest.mark.parametrize(("do", "damage", "index"), DAMAGES, ids=[d[0].__name__ for d in DAMAGES])
def test_damage_is_named(conn, do, damage, index):
    """Each damage is detected, by its kind and the first entry it touches."""
    fill(conn)
    do(conn)

    with pytest.raises(LogDamagedError) as caught:
        verify(conn, ORIGIN)

    assert (damage, index) == (caught.value.damage, caught.value.index)
    assert str(caught.value).startswith(f"log `{ORIGIN}`, entry {index}: {damage}: ")


def test_every_altered_byte_is_found(conn):
    """There is no byte of a batch that can change unnoticed."""
    log = opened(conn)
    append(conn, log, draft())
    entries = at(conn, 0)["entries"]

    for place in range(len(entries)):
        altered = bytearray(entries)
        altered[place] ^= 1
        put(conn, 0, entries=bytes(altered))
        with pytest.raises(LogDamagedError):
            verify(conn, ORIGIN)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"patient_seq":2', b'"patient_seq":3'),
        (b"prev", b"next"),
        (b'"patient":', b'"patient":[],"x":'),
    ],
)
def test_a_hole_in_the_entries_of_a_patient_is_found(conn, old, new):
    """A writer that skips an entry of a patient is found out, though all its hashes fit."""
    log = opened(conn)
    append(conn, log, draft(ALICE))
    append(conn, log, draft(ALICE), batch=1)
    row = at(conn, 1)
    entries = row["entries"].replace(old, new)
    link = batch_hash(row["previous"], 1, [commitment(entries.removesuffix(b"\n"))])
    put(conn, 1, entries=entries, hash=link)
    conn.execute(update(log_head).values(hash=link))

    with pytest.raises(LogDamagedError) as caught:
        verify(conn, ORIGIN)

    assert (caught.value.damage, caught.value.index) == (Damage.PATIENT, 1)


@pytest.mark.parametrize(
    ("arguments", "indexes"),
    [
        ({}, list(range(12))),
        ({"start": 4}, list(range(4, 12))),
        ({"start": 4, "limit": 3}, [4, 5, 6]),
        ({"start": 12}, []),
        ({"limit": 0}, []),
        ({"origin": "nobody"}, []),
    ],
)
def test_reading_a_range(conn, arguments, indexes):
    """Entries are read from any index on, as many as wanted."""
    fill(conn)

    found = [one.index for one in reader.read(conn, **arguments)]

    assert indexes == found


def test_reading_many_batches(conn):
    """A log of more batches than are fetched at once is read as a whole."""
    log = opened(conn)
    for batch in range(150):
        append(conn, log, draft(""), batch=batch)

    found = [one.index for one in reader.read(conn)]

    assert list(range(150)) == found
    assert verify(conn, ORIGIN).count == 150


@pytest.mark.parametrize("n", [0, 1, 4, 12, 50])
def test_tail(conn, n):
    """The tail is the last entries, oldest first."""
    fill(conn)

    found = [one.index for one in reader.tail(conn, n)]

    assert list(range(12))[max(12 - n, 0) :] == found


def test_tail_of_several_logs(conn):
    """The tail of several logs is merged by time."""
    logs = {name: opened(conn, name) for name in ("a", "b")}
    for batch in range(6):
        append(conn, logs["ab"[batch % 2]], draft(""), batch=batch)

    found = [(one.origin, one.index) for one in reader.tail(conn, 3)]

    assert found == [("b", 1), ("a", 2), ("b", 2)]


def test_find(conn):
    """An entry is found by its id, however the id is written."""
    fill(conn)
    wanted = list(reader.read(conn))[7]
    decision = wanted.entry["id"]

    for spelling in (decision, decision.upper(), UUID(decision).hex):
        assert wanted == reader.find(conn, spelling)


@pytest.mark.parametrize("ms", [0, START_MS + 3_600_000, 2**48 - 1])
def test_find_when_the_clock_was_wrong(conn, ms):
    """An entry is found by its id though the id's time is far from that of its batch."""
    log = fill(conn)
    append(conn, log, draft(ms=ms), batch=4)
    [wanted] = reader.tail(conn, 1)

    found = reader.find(conn, wanted.entry["id"])

    assert wanted == found


def test_find_looks_at_ids_only(conn):
    """An id that stands in another field of an entry is not that entry's id."""
    other = uuid7(START_MS, os.urandom(10))
    append(conn, opened(conn), draft(call=other))

    assert reader.find(conn, other) is None


@pytest.mark.parametrize("text", ["41", "", "4fbaf9f5-0000-4000-8000-000000000000"])
def test_find_refuses_what_is_no_id(conn, text):
    """What cannot be an id is refused, not searched."""
    with pytest.raises(EntryError, match=r"^id: "):
        reader.find(conn, text)


def test_reading_changes_nothing(conn):
    """Reading and verifying write nothing to the database."""
    fill(conn)
    written = {
        "sqlite": "SELECT total_changes()",
        "postgresql": "SELECT pg_current_xact_id_if_assigned()",
    }[conn.dialect.name]
    before = conn.exec_driver_sql(written).scalar()
    names = reader.origins(conn)

    list(reader.read(conn))
    reader.tail(conn, 5)
    verify(conn, names[0])
    reader.count(conn)

    assert before == conn.exec_driver_sql(written).scalar()
