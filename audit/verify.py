"""Verifies the log from nothing but its stored bytes.

The caller's transaction must see one state of the database: any does on SQLite, `REPEATABLE READ` on
PostgreSQL.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from audit.entry import GENESIS, Entry, batch_hash, handle
from audit.erased import Bygone, Purges
from audit.errors import Damage, LogDamagedError
from audit.reader import Batch, batches
from audit.retention import RETENTION
from audit.tables import log_head, log_patients


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found intact: so many entries, the first ones erased, under this last link of the chain."""

    count: int
    hash: bytes
    erased: int = 0


@dataclass(frozen=True, slots=True)
class Last:
    """The last entry of a patient, as the entries have it."""

    seq: int
    commitment: bytes
    index: int


def verify(conn: Connection, origin: str) -> Verified:
    """Derives a whole log again from its stored bytes.

    1. Each batch begins where the one before it ended.
    2. Its bytes are as many entries as it says.
    3. Its hash is that of its entries' commitments, and it chains to the batch before it.
    4. Each entry says its own index and the instant of its batch.
    5. Each patient's entries count 1, 2, 3... and name the commitment of the one before.
    6. The head says where the last batch ended and what it hashed to.
    7. The writer's table of patients says what the entries say.
    8. What is erased is the beginning of the log, and the log of retention, which is verified too, says so.

    Of erased entries their commitments are verified, and that whatever follows on them names one of these.

    A log that was removed together with its head, or rewritten from some entry to its end, is only
    noticed by who kept an earlier `Verified`.

    Raises:
        LogDamagedError: the first thing that does not hold.
    """
    end, link = 0, GENESIS
    patients: dict[str, Last] = {}
    purges, bygone = Purges(conn), Bygone(conn, origin)
    for batch in batches(conn, origin):
        found = check(batch, first_index=end, previous=link)
        if batch.erased is not None:
            if not bygone.end:
                check_retention(conn, origin, batch.first_index)
            purges.justify(origin, batch.first_index, batch.end, batch.erased)  # (8)
            bygone.add(batch.first_index, batch.end)
        for entry, digest in found:
            if entry is not None:
                _follow(origin, entry, digest, patients, bygone)  # (5)
        end, link = batch.end, batch.hash
    head = conn.execute(select(log_head).where(log_head.c.origin == origin)).one_or_none()
    if head is None:
        raise LogDamagedError(origin, end, Damage.HEAD, f"there is no head, but {end} entries")
    check_end(origin, (end, link), (head.next_index, head.hash))  # (6)
    check_patients(conn, origin, head.handle_key, patients, bygone)  # (7)
    bygone.settle()
    return Verified(end, link, bygone.end)


def check_retention(conn: Connection, origin: str, index: int) -> None:
    """Verifies the log of retention, on which a log stands whose entry at `index` is erased.

    Raises:
        LogDamagedError: it is damaged; of that entry.
    """
    try:
        if origin != RETENTION and next(batches(conn, RETENTION), None) is not None:
            verify(conn, RETENTION)
    except LogDamagedError as exc:
        what = f"it is erased, and whether that was logged can't be told: {exc}"
        raise LogDamagedError(origin, index, Damage.ERASED, what) from exc


def check(batch: Batch, *, first_index: int, previous: bytes) -> list[tuple[Entry | None, bytes]]:
    """Verifies one batch against the end of the one before it: steps 1 to 4 of `verify`.

    Whether it may be erased is not looked at here.

    Returns:
        The entries, None where they are erased, and their commitments.

    Raises:
        LogDamagedError: one of the steps failed.
    """
    origin, here = batch.origin, batch.first_index
    if here > first_index:  # (1)
        what = f"entries {first_index} to {here - 1} are gone"
        raise LogDamagedError(origin, first_index, Damage.MISSING, what)
    if here < first_index:
        what = f"a batch begins here, but entries stand before it up to {first_index - 1}"
        raise LogDamagedError(origin, here, Damage.DUPLICATED, what)
    found = batch.stored()  # (2)
    entries = [stored.entry for stored in found if stored.erased is None]
    digests = [stored.commitment for stored in found]
    if batch_hash(batch.previous, here, digests) != batch.hash:  # (3)
        raise _blame(batch, entries)
    if batch.previous != previous:
        what = "its batch does not chain to the one before, or that one was rewritten"
        raise LogDamagedError(origin, here, Damage.ALTERED, what)
    for index, entry in enumerate(entries, here):  # (4)
        if entry.get("index") != index or entry.get("at") != batch.at:
            what = f"it says index {entry.get('index')} and `{entry.get('at')}`, not `{batch.at}`"
            raise LogDamagedError(origin, index, Damage.ALTERED, what)
    there: Sequence[Entry | None] = entries or [None] * batch.count
    return list(zip(there, digests, strict=True))


def check_end(origin: str, end: tuple[int, bytes], head: tuple[int, bytes]) -> None:
    """Compares where the batches end (next index and hash) with what the head says.

    Raises:
        LogDamagedError: they differ.
    """
    (index, link), (next_index, head_link) = end, head
    if next_index > index:
        what = f"entries {index} to {next_index - 1} are gone from the end"
        raise LogDamagedError(origin, index, Damage.CUT, what)
    if next_index < index:
        what = f"the head was set back: it says {next_index} entries, there are {index}"
        raise LogDamagedError(origin, next_index, Damage.HEAD, what)
    if head_link != link:
        what = "the head names another hash than the last batch has"
        raise LogDamagedError(origin, index, Damage.HEAD, what)


def _blame(batch: Batch, entries: list[Entry]) -> LogDamagedError:
    """Names why a batch has not its hash: other entries stand there, or these were altered."""
    here = batch.first_index
    found: list[object] = [entry.get("index") for entry in entries]
    indexes = [index if isinstance(index, int) else -1 for index in found]
    if indexes and sorted(indexes) == list(range(min(indexes), min(indexes) + len(indexes))):
        for place, index in enumerate(indexes, here):
            if index != place:
                moved = Damage.DUPLICATED if max(indexes) < here else Damage.REORDERED
                what = f"entry {index} stands in its place"
                return LogDamagedError(batch.origin, place, moved, what)
    what = f"entries {here} to {batch.end - 1} do not have the hash of their batch"
    return LogDamagedError(batch.origin, here, Damage.ALTERED, what)


def _follow(
    origin: str, entry: Entry, digest: bytes, patients: dict[str, Last], bygone: Bygone
) -> None:
    """Step 5 for one entry: it follows the last one of its patient, which may be erased."""
    patient: object = entry.get("patient", "")
    if patient == "":
        return
    index = entry["index"]
    if not isinstance(patient, str):
        raise LogDamagedError(origin, index, Damage.PATIENT, f"its patient is `{patient!r}`")
    last = patients.get(patient)
    due = (last.seq + 1, last.commitment.hex()) if last else (1, "")
    said = entry.get("patient_seq"), entry.get("patient_prev")
    if said != due:
        wrong = misfit(origin, index, said, due)
        if last is not None:
            raise wrong
        follow_bygone(bygone, said, wrong)
    patients[patient] = Last(entry["patient_seq"], digest, index)


def follow_bygone(bygone: Bygone, said: tuple[object, object], otherwise: LogDamagedError) -> None:
    """Sees to it that the first entry of a patient that is left follows one that was erased.

    Args:
        bygone: what is named of erased entries.
        said: the number and the commitment before it, as the entry says.
        otherwise: the error if it does not.

    Raises:
        LogDamagedError: that one.
    """
    seq, previous = said
    if not (isinstance(seq, int) and isinstance(previous, str) and 1 < seq <= bygone.end + 1):
        raise otherwise
    try:
        named = bytes.fromhex(previous)
    except ValueError:
        raise otherwise from None
    if named.hex() != previous:
        raise otherwise
    bygone.name(named, otherwise)


def misfit(
    origin: str, index: int, said: tuple[object, object], due: tuple[int, str]
) -> LogDamagedError:
    """The error for an entry that does not follow the last one of its patient.

    Args:
        origin: the log.
        index: of the entry.
        said: the number and the commitment before it, as the entry says.
        due: as they should be.
    """
    what = f"it says it is number {said[0]} of its patient after `{said[1]}`, "
    what += f"but is number {due[0]} after `{due[1]}`"
    return LogDamagedError(origin, index, Damage.PATIENT, what)


def check_patients(
    conn: Connection, origin: str, key: bytes, patients: dict[str, Last], bygone: Bygone
) -> None:
    """Step 7: the writer would go on from where the entries end, of which a patient's last may be erased."""
    derived = {handle(key, patient): last for patient, last in patients.items()}
    wrong = []
    query = select(log_patients).where(log_patients.c.origin == origin)
    with conn.execute(query.execution_options(yield_per=1000)) as rows:
        for row in rows:
            last = derived.pop(row.handle, None)
            if last is None:
                what = f"the table of patients has one without entries: `{row.handle.hex()}`"
                bygone.name(row.commitment, LogDamagedError(origin, 0, Damage.PATIENT, what))
                continue
            if (row.seq, row.commitment) != (last.seq, last.commitment):
                wrong.append(last.index)
    wrong += [last.index for last in derived.values()]
    if wrong:
        what = "it is the last of its patient, but the table of patients says otherwise"
        raise LogDamagedError(origin, min(wrong), Damage.PATIENT, what)
