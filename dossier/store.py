"""The documents: every read and write of one costs a permit, and leaves a row that says so.

* A permit is spent before anything is asked of the database, and what is touched must still be as it was when
  it was judged: a document whose metadata changed since raises `StaleError`, and the caller asks again.
* What is done and its record are one transaction: no answer without a row of `acts`, no row without an act.
* Bytes are written once. What is done to a document later changes its label, and its entry with it.
* What can't be unsealed whole is not shown at all.

Errors of the database itself come through as SQLAlchemy's; nothing was done then.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import Column, Connection, Engine, select
from sqlalchemy.exc import IntegrityError

from dossier import cursor, listing, records, rows, submission, tables, transaction
from dossier.cursor import Position
from dossier.errors import (
    ListingError,
    PermitError,
    SealError,
)
from dossier.judged import as_document
from dossier.keys.keyring import Keyring
from dossier.keys.sealing import Key, Purpose, Random
from dossier.model import Act, Draft, Label, Particulars, Search, Shown, Status
from dossier.permit import Permit, Turnstile
from dossier.transitions import changed

READ: Final = "document.read"
LIST: Final = "document.list"
LOCATE: Final = "document.locate"
DEPOSIT: Final = "document.deposit"
REPLACE: Final = "document.replace"

KEEPING: Final = (Act.MASK, Act.HIDE_FROM_PATIENT)
"""The acts that keep a document from somebody."""

_documents: Final = tables.documents.c
_CURRENT: Final = (Status.APPROVED,)

_log = structlog.get_logger("dossier.store")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Part of a list.

    Attributes:
        shown: the newest act first.
        next: the cursor of the next page; "" on the last.
        partial: whether there are more.
    """

    shown: tuple[Shown, ...]
    next: str = ""
    partial: bool = False


class Store:
    """The documents of all patients. Safe under threads.

    All methods that take a permit raise:
        PermitError: it is not for this; nothing was read or written.
        StaleError: the document changed since it was judged; nothing was done.
        KeysError: the patient's key, or what it sealed, can't be used; nothing was done.
    """

    def __init__(
        self,
        writer: Engine,
        reader: Engine,
        keyring: Keyring,
        turnstile: Turnstile,
        *,
        clock: Callable[[], datetime],
        random: Random = os.urandom,
    ) -> None:
        """A store over migrated tables.

        Args:
            writer: the database of the record.
            reader: the same, to read from.
            keyring: the keys of patients.
            turnstile: takes permits.
            clock: the instant.
            random: where nonces and entries come from.
        """
        self._writer = writer
        self._reader = reader
        self._keyring = keyring
        self._turnstile = turnstile
        self._clock = clock
        self._random = random

    def label(self, patient: str, document: str) -> Label | None:
        """What policy judges of a document of this patient; None when there is none."""
        return self._label(patient, _documents.id, document)

    def label_by_unique_id(self, patient: str, unique_id: str) -> Label | None:
        """The same, by the id that its producer gave it."""
        return self._label(patient, _documents.unique_id, unique_id)

    def body(self, permit: Permit, patient: str, document: str) -> tuple[Label, Particulars, bytes]:
        """A document, byte for byte as it was deposited."""
        self._turnstile.spend(permit, action=READ, patient=patient, document=document)
        key, at = self._keyring.key_of(patient), self._clock()

        def work(conn: Connection) -> tuple[Label, Particulars, bytes]:
            records.refuse_spent(conn, permit)
            label, particulars = rows.judged(conn, permit)
            records.record(conn, permit, at=at, label=label)
            body = select(tables.bodies.c.content).where(tables.bodies.c.document == label.id)
            content = conn.scalar(body)
            if content is None:
                raise SealError("`body` is not there: restore the record from a backup")
            return (
                label,
                _particulars(key, label, particulars),
                key.unseal(content, rows.place(Purpose.BODY, label)),
            )

        return transaction.run(self._writer, work)

    def submit(
        self, permits: Sequence[Permit], patient: str, drafts: Sequence[Draft]
    ) -> tuple[Label, ...]:
        """Deposits all drafts, or none.

        Args:
            permits: one for each draft: to deposit it, or to replace what its label says it replaces.
            patient: INS.
            drafts: at least one. Those that replace get the next version of what they replace.

        Raises:
            DuplicateError: a unique id is in the record already.
            ReplacedError: what is to be replaced was replaced or deleted already.
            KeyMissingError: the patient has documents but no key; a new one would split the dossier.
        """
        if not drafts or len(permits) != len(drafts):
            raise PermitError(
                f"`{len(permits)}` permits for `{len(drafts)}` deposits: want one for each"
            )
        for permit, draft in zip(permits, drafts, strict=True):
            self._spend_on(permit, patient, draft.label)
        submission.refuse_twice([draft.label for draft in drafts])
        with self._reader.connect() as conn:
            records.refuse_spent(conn, *permits)
            has_documents = rows.has_any(conn, patient)
        # Made with the first document, and never beside documents that had another.
        key = self._keyring.key_of(patient) if has_documents else self._keyring.make(patient)
        at = self._clock()
        sealed = [
            submission.seal(place, permit, draft, key, random=self._random)
            for place, (permit, draft) in enumerate(zip(permits, drafts, strict=True))
        ]

        def work(conn: Connection) -> tuple[Label, ...]:
            submission.refuse_known(conn, [one.label.unique_id for one in sealed])
            return tuple(submission.write(conn, one, at, entry=self._entry()) for one in sealed)

        try:
            return transaction.run(self._writer, work)
        except IntegrityError:
            # Another one deposited the same id meanwhile; this time it is found and named.
            return transaction.run(self._writer, work)

    def list(
        self, permit: Permit, patient: str, search: Search, *, size: int, after: str = ""
    ) -> Page:
        """One page of the documents that the permit's condition admits, the newest act first.

        Args:
            permit: to list this patient's documents.
            patient: INS.
            search: without statuses, those in force are shown. Deleted ones never are.
            size: how many at most.
            after: the cursor that the page before gave.

        Raises:
            RequestError: the cursor is of another list.
            ConditionError: the condition asks for what the record does not know.
            ListingError: the database found what the condition does not admit; nothing is shown.
        """
        self._turnstile.spend(permit, action=LIST, patient=patient)
        who = permit.subject
        of = (patient, search, who.kind, who.id, who.structure)
        position = cursor.read(after, of=of)
        narrowed = replace(search, statuses=search.statuses or _CURRENT)
        page = self._page(permit, patient, narrowed, size=size, after=position)
        if not page.partial:
            return page
        last = page.shown[-1].label
        return replace(page, next=cursor.write(Position(at=last.act_from, id=last.id), of=of))

    def pathway(self, permit: Permit, patient: str, search: Search, limit: int) -> Page:
        """The same for the care pathway: in one piece, and in all statuses unless the search names some."""
        self._turnstile.spend(permit, action=LIST, patient=patient)
        return self._page(permit, patient, search, size=limit, after=None)

    def change(self, permit: Permit, patient: str, document: str, act: Act) -> Label:
        """Does something to a document that leaves its bytes alone; its label afterwards.

        Its entry is another one then. What is so already stays as it is, and is on record all the same.

        Raises:
            TransitionError: it makes no sense in the document's status.
        """
        self._turnstile.spend(permit, action=act.value, patient=patient, document=document)
        at = self._clock()

        def work(conn: Connection) -> Label:
            records.refuse_spent(conn, permit)
            old, _ = rows.judged(conn, permit)
            new = changed(old, act)
            if new is not old:
                new = replace(new, entry=self._entry())
                rows.alter(conn, old, new)
            if act in KEEPING:
                self._keep_earlier(conn, new, act)
            records.record(conn, permit, at=at, label=new)
            return new

        return transaction.run(self._writer, work)

    def _keep_earlier(self, conn: Connection, label: Label, act: Act) -> None:
        """What a document is kept from now, its earlier versions are, too: they say much the same."""
        for earlier in rows.earlier_versions(conn, label):
            kept = changed(earlier, act)
            if kept is not earlier:
                rows.alter(conn, earlier, replace(kept, entry=self._entry()))

    def locate(self, permit: Permit, patient: str, document: str) -> str:
        """The id of a document of one's own, for who knew its unique id only (TD3.1b)."""
        self._turnstile.spend(permit, action=LOCATE, patient=patient, document=document)
        at = self._clock()

        def work(conn: Connection) -> str:
            records.refuse_spent(conn, permit)
            label, _ = rows.judged(conn, permit)
            records.record(conn, permit, at=at, label=label)
            return label.id

        return transaction.run(self._writer, work)

    def _label(self, patient: str, column: Column[str], value: str) -> Label | None:
        if "\0" in value:
            return None  # no document has it, and PostgreSQL would not even look
        with self._reader.connect() as conn:
            found = rows.find(conn, _documents.patient == patient, column == value)
        return found[0] if found else None

    def _spend_on(self, permit: Permit, patient: str, label: Label) -> None:
        """Spends the permit of a draft."""
        action = REPLACE if label.replaces else DEPOSIT
        document = label.replaces or label.id
        self._turnstile.spend(permit, action=action, patient=patient, document=document)
        if label.patient != patient:
            raise PermitError("for the dossier of one patient, not for a document about another")
        if action == DEPOSIT and permit.entry != label.entry:
            raise PermitError("for a deposit of something else")

    def _page(
        self, permit: Permit, patient: str, search: Search, *, size: int, after: Position | None
    ) -> Page:
        """Reads a page and then records it, before anyone sees it: a long list keeps no writer waiting."""
        condition = permit.condition
        if condition is None:
            raise PermitError("says nothing of which documents may be listed")
        query = listing.page(patient, condition, search, size=size + 1, after=after)
        with self._reader.connect() as conn:
            records.refuse_spent(conn, permit)
            found = conn.execute(query).all()
            authors = rows.authors_of(conn, [row.id for row in found[:size]])
        key = self._keyring.key_of(patient) if found else None
        shown = []
        for row in found[:size]:
            label = rows.label_of(row, authors.get(row.id, ()))
            admission = condition.admits(as_document(label))
            if admission is None or key is None or label.patient != patient:
                _log.error(
                    "listing", found=len(found), problem="the condition does not admit a row"
                )
                raise ListingError(
                    "the database found a document that the decision does not admit: nothing is shown"
                )
            told, banners = _particulars(key, label, row.particulars), admission.obligations
            shown.append(Shown(label=label, particulars=told, banners=banners))
        at = self._clock()
        transaction.run(
            self._writer, lambda conn: records.record(conn, permit, at=at, shown=len(shown))
        )
        return Page(shown=tuple(shown), partial=len(found) > size)

    def _entry(self) -> str:
        return str(UUID(bytes=self._random(16), version=4))


def _particulars(key: Key, label: Label, sealed: bytes) -> Particulars:
    return rows.unpack(key.unseal(sealed, rows.place(Purpose.PARTICULARS, label)))
