"""The index follows the log: whatever is committed there is taken in here, once and in order.

How far it is stands beside what was taken in, in one transaction: killed at any instant, it goes on
from there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Final

from sqlalchemy import Connection, Engine, delete, insert, select, update

from audit import reader
from audit.entry import GENESIS, Entry
from audit.errors import Damage, IndexAheadError, LogDamagedError
from audit.office.gained import NORMAL, Derivation, Gained, micros, moment
from audit.office.handles import Handles
from audit.office.policies import Policies, Shelf
from audit.office.tables import entries, metadata, positions, purges
from audit.office.words import SHAPE, Shapes, Words
from audit.retention import KIND, RETENTION, Purge
from storage.errors import ConflictError
from storage.statements import run

MOST: Final = 4096
"""Entries taken in at once, and a batch of each log more: bounds memory, and the time of a step."""

_COLUMNS: Final = tuple(column.name for column in entries.columns)
_ADD: Final = f"INSERT INTO entries ({', '.join(_COLUMNS)}) VALUES (:{', :'.join(_COLUMNS)})"  # noqa: S608
_LAST: Final = 2**63 - 1
_p, _e = positions.c, entries.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a log is in the index.

    Attributes:
        log: its number in the index.
        next: the index behind the last entry.
        link: the hash of the last batch.
        at: the instant of the last entry, microseconds since 1970.
    """

    log: int
    next: int
    link: bytes
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a step took in.

    Attributes:
        entries: how many.
        positions: how far each log is now.
    """

    entries: int
    positions: Mapping[str, Position]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the logs have gained.

    Attributes:
        entries: how many, with those that are erased.
        new: logs that the index does not know yet.
        before: how far each log was.
        after: how far it will be.
        taken: the entries that are not erased.
        told: the purges among them.
        gone: logs of which more is erased by now than the index has forgotten, and up to where.
    """

    entries: int
    new: tuple[str, ...]
    before: Mapping[str, Position]
    after: Mapping[str, Position]
    taken: Sequence[Gained]
    told: Sequence[Purge]
    gone: Mapping[str, int]

    @property
    def more(self) -> bool:
        """Whether there is anything to be written."""
        return bool(self.new or self.entries or self.gone)


class Index:
    """The index, for the one process that writes it."""

    def __init__(
        self,
        engine: Engine,
        handles: Handles,
        derivations: Sequence[Derivation] = (),
        *,
        shelf: Shelf | None = None,
    ) -> None:
        """Prepares; reads nothing yet.

        Args:
            engine: from `audit.office.database.opened`.
            handles: the numbers of persons, structures and documents.
            derivations: what else follows from the entries.
            shelf: policies that were read already.
        """
        self._engine = engine
        self._handles = handles
        self._derivations = derivations
        self._shelf = shelf or Shelf()
        self._words = Words()
        self._shapes = Shapes()
        self._missing: set[str] = set()  # digests of policies that this step has not found

    def step(self, log: Connection) -> Taken:
        """Takes in what the logs have gained, up to a bound; call again while there is something.

        Args:
            log: on one state of the log's database; its transaction is ended.

        Raises:
            LogDamagedError: what is new does not follow what was taken in.
            IndexAheadError: the log has lost what was taken in: an older copy was put in its place.
            DBAPIError: nothing was taken in.
        """
        try:
            with self._engine.begin() as conn:
                before = read_positions(conn)
                awaited = _awaited(conn)
            # The log is read, and let go of, before the index is written: neither waits for the other.
            found = self._read(log, before, awaited)
            log.rollback()
            if found.more:
                with self._engine.begin() as conn:
                    self._write(conn, found)
        except BaseException:
            self._forget()
            raise
        return Taken(entries=found.entries, positions=found.after)

    def clear(self) -> None:
        """Empties everything that is derived; the next steps make it again."""
        self._forget()
        with self._engine.begin() as conn:
            for table in reversed(metadata.sorted_tables):
                conn.execute(delete(table))

    def _read(
        self, log: Connection, before: dict[str, Position], awaited: Mapping[str, int]
    ) -> "_Found":
        """What the logs have gained behind these positions, up to a bound, and what they have lost."""
        self._missing.clear()
        logs = reader.origins(log)
        known, new = dict(before), []
        for origin in logs:
            if origin not in known:
                known[origin] = Position(log=len(known) + 1, next=0, link=GENESIS, at=0)
                new.append(origin)
        # Merged by their instants, so that it makes little difference when the index is made.
        each = (self._gained(log, origin, known[origin]) for origin in logs)
        found = list(islice(merge(*each, key=lambda one: (one[2].at, one[2].log)), MOST))
        taken = [one for _, one, _ in found if one is not None]
        told = [Purge.told(one.index, one.entry) for one in taken if _is_purge(one)]
        # A purge is believed once the bytes are gone: who may only add to a log can hide nothing of it.
        forgotten = {**{purge.log: 0 for purge in told if purge.log in known}, **awaited}
        kept = {name: reader.kept_from(log, name, start=end) for name, end in forgotten.items()}
        return _Found(
            entries=len(found),
            new=tuple(new),
            before=known,
            after=known | {origin: behind for origin, _, behind in found},
            taken=taken,
            told=told,
            gone={name: end for name, end in kept.items() if end > forgotten[name]},
        )

    def _write(self, conn: Connection, found: "_Found") -> None:
        """Writes that, in one transaction."""
        for origin in found.new:
            row = {"origin": origin, "log": found.before[origin].log}
            conn.execute(insert(positions), row | {"next_index": 0, "link": GENESIS, "at": 0})
        for origin, after in found.after.items():
            if after != found.before[origin]:
                _move(conn, origin, found.before[origin], after)
        for purge in found.told:
            _await(conn, purge)
        self._add(conn, found.taken)
        for derivation in self._derivations:
            derivation.take(conn, found.taken)
        for origin, end in found.gone.items():
            self._erase(conn, found.after[origin].log, end)
            conn.execute(update(purges).where(purges.c.origin == origin).values(erased=end))

    def _erase(self, conn: Connection, log: int, end: int) -> None:
        """Removes all that follows from the first entries of a log."""
        conn.execute(delete(entries).where(_e.log == log, _e.place < end))
        for derivation in self._derivations:
            derivation.drop(conn, log, 0, end)

    def _gained(
        self, log: Connection, origin: str, since: Position
    ) -> Iterator[tuple[str, Gained | None, Position]]:
        """The entries of a log behind a position, each with the position behind it; None for erased ones."""
        there = not since.next
        link = since.link
        for batch in reader.batches(log, origin, start=since.next):
            if batch.end <= since.next:
                if batch.end < since.next or batch.hash != link:
                    break
                there = True
                continue
            if batch.previous != link:
                what = "its batch does not chain to what was taken in"
                raise LogDamagedError(origin, batch.first_index, Damage.ALTERED, what)
            there, at = True, micros(moment(batch.at))
            for stored in batch.stored():
                if stored.index < since.next:
                    continue
                last = stored.index + 1 == batch.end
                link = batch.hash if last else batch.previous
                behind = Position(log=since.log, next=stored.index + 1, link=link, at=at)
                if stored.erased is not None:
                    yield origin, None, behind
                    continue
                entry = stored.entry
                policies = self._policies(log, entry.get("bundle", ""))
                yield origin, Gained(origin, since.log, stored.index, at, entry, policies), behind
        if not there:
            raise IndexAheadError(origin, since.next)

    def _policies(self, log: Connection, digest: str) -> Policies | None:
        """Those of an entry; what is not there is asked for once a step, for it may come."""
        if digest in self._missing:
            return None
        found = self._shelf.get(log, digest)
        if found is None:
            self._missing.add(digest)
        return found

    def _add(self, conn: Connection, taken: Sequence[Gained]) -> None:
        texts = [_texts(one.entry) for one in taken]
        numbers = self._words.numbers(conn, (text for row in texts for text in row))
        named = [tuple(map(numbers.__getitem__, row)) for row in texts]
        shapes = self._shapes.numbers(conn, named)
        rows = [
            {
                "at": one.at,
                "log": one.log,
                "place": one.index,
                "id": one.id,
                **dict(zip(SHAPE, row, strict=True)),
                "shape": shapes[row],
                **self._handled(one.entry),
                "emergency": int(one.emergency),
                "secret": int(one.secret),
            }
            for one, row in zip(taken, named, strict=True)
        ]
        if rows:
            run(conn, _ADD, rows)

    def _forget(self) -> None:
        self._words.forget()
        self._shapes.forget()

    def _handled(self, entry: Entry) -> dict[str, int]:
        subject, handles = entry.get("subject", {}), self._handles
        return {
            "subject": handles.person(subject.get("id", "")),
            "structure": handles.structure(subject.get("structure", "")),
            "patient": handles.person(entry.get("patient", "")),
            "document": handles.document(entry.get("document", {}).get("id", "")),
        }


def read_positions(conn: Connection) -> dict[str, Position]:
    """How far each log is in the index, by origin."""
    return {
        row.origin: Position(log=row.log, next=row.next_index, link=row.link, at=row.at)
        for row in conn.execute(select(positions))
    }


def _awaited(conn: Connection) -> dict[str, int]:
    """The logs that are to lose entries: up to where the index has forgotten them."""
    c = purges.c
    return {row.origin: row.erased for row in conn.execute(select(purges).where(c.erased < c.end))}


def _await(conn: Connection, purge: Purge) -> None:
    """Remembers that entries of a log are to be erased."""
    c = purges.c
    before = conn.execute(select(c.end, c.erased).where(c.origin == purge.log)).first()
    end = min(max(purge.end, before.end if before else 0), _LAST)
    conn.execute(delete(purges).where(c.origin == purge.log))
    row = {"origin": purge.log, "end": end, "erased": before.erased if before else 0}
    conn.execute(insert(purges), row)


def rule_set(rules: Sequence[str]) -> str:
    """The text that stands for the deciding rules of an entry: sorted, with a blank around each."""
    return f" {' '.join(sorted(rules))} " if rules else ""


def _is_purge(one: Gained) -> bool:
    return one.origin == RETENTION and one.entry.get("kind") == KIND


def _texts(entry: Entry) -> tuple[str, ...]:
    """The words of an entry, in the order of `SHAPE`."""
    return (
        entry.get("kind", ""),
        entry.get("caller", ""),
        entry.get("action", ""),
        entry.get("mode", NORMAL),
        entry.get("effect", ""),
        entry.get("reason_code", ""),
        rule_set(entry.get("rules", ())),
        entry.get("bundle", ""),
    )


def _move(conn: Connection, origin: str, before: Position, after: Position) -> None:
    """Writes how far a log is, unless another process has moved it meanwhile."""
    moved = conn.execute(
        update(positions)
        .where(_p.origin == origin, _p.next_index == before.next)
        .values(next_index=after.next, link=after.link, at=after.at)
    )
    if moved.rowcount != 1:
        raise ConflictError("another process takes entries into this index: stop one of them")
