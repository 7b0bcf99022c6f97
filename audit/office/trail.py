"""The trail of one patient: what was decided about the record, from the index and the log, for one reader.

The index says where the entries are and in which order; what is shown stands in the log and nowhere else. An
entry is compared again with what was asked for, since the index knows patients by a number only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    literal_column,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.sql.functions import count

from audit.office import besides, view
from audit.office.besides import Besides, Key, Seen
from audit.office.casebook import ACCESS
from audit.office.handles import Handles
from audit.office.places import Place, fetch, log_names
from audit.office.policies import Shelf
from audit.office.steps import State
from audit.office.tables import case_steps, cases, entries, words
from audit.office.view import Hiding, Reader
from audit.v1 import audit_pb2 as pb

_PORTION: Final = 100
"""Entries looked at together."""

_LOOKED_AT: Final = 32
"""Entries about a document that are looked at for what it is."""

_e, _s, _c = entries.c, case_steps.c, cases.c
_ORDER: Final = (_e.at, _e.log, _e.place)
_NONE: Final[ColumnElement[int]] = literal_column("0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What of a trail is asked for; what is empty does not narrow.

    Attributes:
        since: from this instant on, microseconds since 1970.
        until: before this instant.
        who: idNat_PS, or idNat_Struct.
        refused: refused attempts only.
        emergency: what was done in an emergency only.
    """

    since: int | None = None
    until: int | None = None
    who: str = ""
    refused: bool = False
    emergency: bool = False


class Trail:
    """The trail for one reader, on one state of the index and one of the log."""

    def __init__(
        self,
        index: Connection,
        log: Connection,
        reader: Reader,
        *,
        handles: Handles,
        shelf: Shelf,
    ) -> None:
        """Reads where the logs are.

        Args:
            index: the index.
            log: the log's database.
            reader: who sees it, and whose trail it is.
            handles: the numbers of persons, structures and documents in the index.
            shelf: policies in words.
        """
        self._index = index
        self._log = log
        self._reader = reader
        self._handles = handles
        self._shelf = shelf
        self._origins = log_names(index)
        self._patient = handles.person(reader.patient)
        self._mine = and_(_e.patient == self._patient, _e.patient != _NONE)
        self._hidings: dict[tuple[str, str], Hiding] = {}
        self._besides = Besides(self._of_person)

    def place(self, id_: str, question: Question) -> Key | None:
        """Where an entry that this reader is shown stands; None if there is none with this id."""
        asked = and_(self._mine, _e.id == UUID(id_).bytes, self._asked(question))
        seen = self._seen(self._index.execute(select(*_ORDER, _e.id).where(asked)).all())
        return seen[0].key if seen and self._is_shown(seen[0], question) else None

    def lines(
        self, question: Question, *, after: Key | None, size: int
    ) -> tuple[list[pb.Access], bool]:
        """The next lines, the latest first, and whether there are more.

        Args:
            question: what is asked for.
            after: behind which entry; None at the beginning.
            size: how many at most.
        """
        found: list[Seen] = []
        for seen in self._walk(question, after):
            if self._is_shown(seen, question):
                found.append(seen)
            if len(found) > size:
                break
        return [self._line(seen) for seen in found[:size]], len(found) > size

    def _walk(self, question: Question, after: Key | None) -> Iterator[Seen]:
        condition = and_(self._mine, self._asked(question))
        while True:
            behind = (
                true()
                if after is None
                else and_(tuple_(*_ORDER) < tuple_(*after), _e.at <= after[0])
            )
            ordered = select(*_ORDER, _e.id).where(condition, behind)
            rows = self._index.execute(
                ordered.order_by(*(column.desc() for column in _ORDER)).limit(_PORTION)
            ).all()
            yield from self._seen(rows)
            if len(rows) < _PORTION:
                return
            after = (rows[-1].at, rows[-1].log, rows[-1].place)

    def _asked(self, question: Question) -> ColumnElement[bool]:
        asked: list[ColumnElement[bool]] = [true()]
        if question.since is not None:
            asked.append(_e.at >= question.since)
        if question.until is not None:
            asked.append(_e.at < question.until)
        if question.who:
            person, structure = (
                self._handles.person(question.who),
                self._handles.structure(question.who),
            )
            asked.append(or_(_e.subject == person, _e.structure == structure))
        if question.refused:
            refused = select(words.c.number).where(words.c.text == view.DENY)
            asked.append(_e.effect == refused.scalar_subquery())
        if question.emergency:
            asked.append(_e.emergency == 1)
        return and_(*asked)

    def _seen(self, rows: Sequence[Any]) -> list[Seen]:
        """The entries at these places, in their order; without what is erased, or somebody else's."""
        places = [Place(origin=self._origins[row.log], index=row.place, at=row.at) for row in rows]
        stored = fetch(self._log, places)
        found: list[Seen] = []
        for row, place in zip(rows, places, strict=True):
            one = stored.get(place)
            if one is None or one.erased is not None:
                continue
            entry = one.entry
            if entry.get("patient") == self._reader.patient and UUID(entry["id"]).bytes == row.id:
                policies = self._shelf.get(self._log, entry.get("bundle", ""))
                key = (row.at, row.log, row.place)
                found.append(Seen(key=key, entry=entry, policies=policies))
        return found

    def _is_shown(self, seen: Seen, question: Question) -> bool:
        """Whether an entry is a line of its own."""
        if not view.meets(seen.entry, question.who, self._reader) or self._is_withheld(seen):
            return False
        if self._besides.has_owner(seen):
            return False
        # What was asked besides of something that is withheld would tell of it.
        return not (self._reader.withholds and besides.is_probe(seen.entry))

    def _is_withheld(self, seen: Seen) -> bool:
        """Whether this reader learns nothing of an entry."""
        if not self._reader.withholds:
            return False
        if view.is_secret(seen.entry, seen.policies):
            return True
        if document := seen.entry.get("document", {}).get("id", ""):
            return self._was_deposited_secretly(document)
        if about := seen.entry.get("about", ""):
            rows = self._index.execute(
                select(*_ORDER, _e.id).where(self._mine, _e.id == UUID(about).bytes)
            ).all()
            others = self._seen(rows)
            return not others or any(map(self._is_withheld, others))
        return False

    def _was_deposited_secretly(self, document: str) -> bool:
        meant = {"action": view.DEPOSIT, "effect": view.ALLOW}
        conditions = [
            _e[name] == select(words.c.number).where(words.c.text == text).scalar_subquery()
            for name, text in meant.items()
        ]
        of = _e.document == self._handles.document(document), _e.document != _NONE
        found = select(count()).where(*of, self._mine, _e.secret == 1, *conditions)
        return bool(self._index.execute(found).scalar_one())

    def _line(self, seen: Seen) -> pb.Access:
        entry, named = seen.entry, True
        if "document" in entry:
            now = self._hiding(entry["document"]["id"], entry.get("caller", ""))
            named = view.may_name(entry, seen.policies, now, self._reader)
        return view.line(
            entry,
            seen.policies,
            self._reader,
            named=named,
            review=self._review(entry["id"]),
            further=self._besides.of(seen),
        )

    def _hiding(self, document: str, caller: str) -> Hiding:
        """From whom a document of a service is kept by now, as far as the log tells."""
        if (document, caller) not in self._hidings:
            of = and_(_e.document == self._handles.document(document), _e.document != _NONE)
            ordered = select(*_ORDER, _e.id).where(of, _e.patient == self._patient)
            rows = self._index.execute(
                ordered.order_by(*(column.desc() for column in _ORDER)).limit(_LOOKED_AT)
            ).all()
            found = (
                view.hiding(one.entry, one.policies)
                for one in self._seen(rows)
                if one.entry.get("document", {}).get("id") == document
                and one.entry.get("caller", "") == caller
            )
            known = next((one for one in found if one is not None), view.HIDDEN)
            self._hidings[document, caller] = known
        return self._hidings[document, caller]

    def _of_person(self, person: str, begin: int, end: int) -> Iterator[Seen]:
        """All that somebody asked about this patient from an instant to before another, in order."""
        found = and_(self._mine, _e.at >= begin, _e.at < end)
        ordered = select(*_ORDER, _e.id).where(found, _e.subject == self._handles.person(person))
        after: Key | None = None
        while True:
            behind = true() if after is None else tuple_(*_ORDER) > tuple_(*after)
            page = ordered.where(behind).order_by(*_ORDER).limit(_PORTION)
            rows = self._index.execute(page).all()
            yield from self._seen(rows)
            if len(rows) < _PORTION:
                return
            after = (rows[-1].at, rows[-1].log, rows[-1].place)

    def _review(self, id_: str) -> str:
        """What became of the case that an access belongs to; "" for one that belongs to none."""
        of = select(_c.state).join(case_steps, and_(_c.id == _s.about, _c.log == _s.log))
        found = self._index.execute(of.where(_s.id == UUID(id_).bytes, _s.kind == ACCESS)).scalar()
        return "" if found is None else State(found).name.lower()
