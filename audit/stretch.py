"""Derives a stretch of a log from its stored bytes, apart from what stands before it.

So several processes verify one log at once: whether the stretches fit together is for whoever asked to
see (`audit.inspection`). This is the loop that decides how fast a log is verified.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Connection, select

from audit.database import reader, snapshot
from audit.entry import batch_hash
from audit.errors import Damage, LogDamagedError
from audit.reader import Batch
from audit.tables import log_batches
from audit.verify import check, misfit

SPAN: Final = 1 << 16
"""Indexes of one stretch."""

_CHUNK: Final = 64  # batches fetched at once: bounds memory


Run = tuple[int, int, object, int, int, bytes]
"""The entries of one patient in a stretch, each of which follows the one before.

Of the first one: its index, the number that it says it has, the commitment that it says the one before it
has. Of the last one: its index, number and commitment. A plain tuple: there are as many as patients, and
they travel between processes.
"""


class Stretch(NamedTuple):
    """What the batches of a stretch say, each of them and each behind the other being sound.

    Attributes:
        first: the index of the first entry; None if there is no batch.
        previous: the hash that the first batch chains to.
        end: the index behind the last entry.
        link: the hash of the last batch.
        commitments: of all entries, one behind the other.
        erased: which entries are, as first index, index behind the last, and place of the purge.
        patients: by INS.
        damage: where the stretch is not sound, how, and in words; it ends before that batch.
    """

    first: int | None
    previous: bytes
    end: int
    link: bytes
    commitments: bytes
    patients: dict[str, Run]
    erased: tuple[tuple[int, int, int], ...]
    damage: tuple[int, Damage, str] | None


def derive_at(url: str, origin: str, begin: int, stop: int) -> Stretch:
    """The same as `derive`, on a connection of its own.

    Raises:
        AddressError: the database has no usable address.
        UnreachableError: it can't be read.
    """
    with snapshot(reader(url)) as conn:
        return derive(conn, origin, begin, stop)


def derive(conn: Connection, origin: str, begin: int, stop: int) -> Stretch:
    """Derives the batches whose first index is at least `begin` and less than `stop`."""
    first: int | None = None
    previous = link = b""
    end = begin
    commitments: list[bytes] = []
    patients: dict[str, Run] = {}
    erased: list[tuple[int, int, int]] = []
    damage: tuple[int, Damage, str] | None = None
    for batch in _batches(conn, origin, begin, stop):
        if first is None:
            first = end = batch.first_index
            previous = link = batch.previous
        try:
            commitments += _sound(batch, end, link, patients)
        except LogDamagedError as exc:
            damage = exc.index, exc.damage, exc.what
            break
        end, link = batch.end, batch.hash
        if batch.erased is not None:
            begin = batch.first_index
            if erased and erased[-1][1:] == (begin, batch.erased):
                begin = erased.pop()[0]
            erased.append((begin, batch.end, batch.erased))
    every = b"".join(commitments)
    return Stretch(first, previous, end, link, every, patients, (*erased,), damage)


def _sound(batch: Batch, index: int, link: bytes, patients: dict[str, Run]) -> list[bytes]:
    """The commitments of a batch that is sound and follows another; adds what it says of patients.

    Raises:
        LogDamagedError: as `verify.check`, or an entry does not follow the last one of its patient.
    """
    if batch.erased is not None:
        return [digest for _, digest in check(batch, first_index=index, previous=link)]
    lines = batch.entries.split(b"\n")
    whole = not lines.pop() and len(lines) == batch.count
    digest = hashlib.sha256
    digests = [digest(line).digest() for line in lines]
    hashed = batch_hash(batch.previous, batch.first_index, digests) == batch.hash
    if not (whole and hashed and (batch.first_index, batch.previous) == (index, link)):
        raise _blame(batch, index, link)
    try:
        entries = [orjson.loads(line) for line in lines]
        said = [(entry["index"], entry["at"]) for entry in entries]
    except (orjson.JSONDecodeError, KeyError, TypeError) as exc:
        raise _blame(batch, index, link) from exc
    if said != [(place, batch.at) for place in range(index, batch.end)]:
        raise _blame(batch, index, link)
    for entry, made in zip(entries, digests, strict=True):
        patient = entry.get("patient", "")
        if patient:
            run = patients.get(patient) if type(patient) is str else None
            patients[patient] = _followed(batch.origin, entry, made, run)
    return digests


def _followed(origin: str, entry: dict[str, Any], digest: bytes, run: Run | None) -> Run:
    """The entries of a patient with one more."""
    index, seq, previous = entry["index"], entry.get("patient_seq"), entry.get("patient_prev")
    if run is not None:
        due = run[4] + 1, run[5].hex()
        if (seq, previous) == due:
            return (run[0], run[1], run[2], index, due[0], digest)
        raise misfit(origin, index, (seq, previous), due)
    if type(entry["patient"]) is not str or type(seq) is not int:
        kinds = type(entry["patient"]).__name__, type(seq).__name__
        what = f"its patient and number are `{kinds[0]}` and `{kinds[1]}`"
        raise LogDamagedError(origin, index, Damage.PATIENT, what)
    return (index, seq, previous, index, seq, digest)


def _blame(batch: Batch, index: int, link: bytes) -> LogDamagedError:
    """What `verify.check` finds wrong with a batch."""
    try:
        check(batch, first_index=index, previous=link)
    except LogDamagedError as exc:
        return exc
    what = "an entry says no index or no instant"
    return LogDamagedError(batch.origin, batch.first_index, Damage.ALTERED, what)


def _batches(conn: Connection, origin: str, begin: int, stop: int) -> Iterator[Batch]:
    c = log_batches.c
    query = select(log_batches).where(c.origin == origin, c.first_index < stop)
    query = query.order_by(c.first_index).limit(_CHUNK)
    after = begin - 1
    while rows := conn.execute(query.where(c.first_index > after)).all():
        yield from (Batch(*row) for row in rows)
        after = rows[-1].first_index
