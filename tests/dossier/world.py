"""A store with everything that it needs, and documents for it. Permits are made here, without a decision."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Engine, select

from clients.sdk.condition import Clause, Condition
from clients.sdk.values import NORMAL, Context, Subject
from dossier import tables
from dossier.keys.keyring import Keyring
from dossier.keys.masters import Masters
from dossier.mint import Mint
from dossier.model import Draft, Label, Particulars, Person, Status, Visibility
from dossier.permit import Permit, Turnstile
from dossier.store import Store
from storage.database import connect

JEAN = "1541187387477485562488"
PHILIPPE = "0833910461279517589858"
DOCTOR = Subject(kind="professional", id="899700218896", profession="10", structure="10B0193488")
NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
EVERYTHING = Condition(allow=(Clause(),))
SECRET = b"of the mint and the turnstile"

_numbers = count(1)


class Clock:
    """Time, as it is told."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now(self) -> datetime:
        """The instant."""
        return NOW + timedelta(seconds=self.seconds - 1_000)

    def monotonic(self) -> float:
        """The clock of permits."""
        return self.seconds


@dataclass
class World:
    """A store, and what stands around it."""

    writer: Engine
    reader: Engine
    keys: Engine
    folder: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        """Puts the store together."""
        self.masters = Masters(self.folder)
        self.keyring = Keyring.open(self.keys, self.masters)
        self.mint = Mint(SECRET, clock=self.clock.monotonic)
        self.store = self.another_store()

    def another_store(self) -> Store:
        """A store as another process has it, that has not seen any permit yet."""
        turnstile = Turnstile(SECRET, clock=self.clock.monotonic)
        return Store(self.writer, self.reader, self.keyring, turnstile, clock=self.clock.now)

    def another_keyring(self) -> Keyring:
        """A keyring as another process has it, that has not seen any master key yet."""
        return Keyring(self.keys, Masters(self.folder))

    def permit(
        self,
        action: str,
        label: Label | None = None,
        *,
        patient: str = JEAN,
        document: str = "",
        subject: Subject = DOCTOR,
        context: Context = NORMAL,
        condition: Condition | None = None,
        obligations: tuple[str, ...] = (),
    ) -> Permit:
        """A permit of the gate, as it would be after a decision."""
        return self.mint.issue(
            subject=subject,
            action=action,
            patient=label.patient if label else patient,
            document=label.id if label else document,
            entry=label.entry if label else "",
            context=context,
            decision=str(uuid4()),
            reason_code="AUTHORISED",
            obligations=obligations,
            condition=condition,
        )

    def listing(self, condition: Condition = EVERYTHING, **others: object) -> Permit:
        """A permit to list."""
        return self.permit("document.list", condition=condition, **others)

    def deposit(self, *drafts: Draft) -> tuple[Label, ...]:
        """Deposits drafts, each under a permit of its own."""
        permits = [self.permit_for(draft) for draft in drafts]
        return self.store.submit(permits, drafts[0].label.patient, drafts)

    def permit_for(self, draft: Draft) -> Permit:
        """The permit that a draft needs."""
        label = draft.label
        if not label.replaces:
            return self.permit("document.deposit", label)
        standing = self.store.label(label.patient, label.replaces)
        return self.permit("document.replace", standing)

    def read(self, label: Label) -> tuple[Label, Particulars, bytes]:
        """Reads a document."""
        return self.store.body(self.permit("document.read", label), label.patient, label.id)

    def now(self, label: Label) -> Label:
        """A label as it stands now."""
        found = self.store.label(label.patient, label.id)
        assert found is not None
        return found

    def count(self) -> dict[str, int]:
        """How many rows each table has."""
        return {name: len(rows) for name, rows in self.rows().items()}

    def rows(self) -> dict[str, list[tuple[object, ...]]]:
        """All rows of all tables."""
        with self.writer.connect() as conn:
            return {
                table.name: [
                    tuple(row) for row in conn.execute(select(table).order_by(*table.primary_key))
                ]
                for table in tables.metadata.sorted_tables
            }

    def acts(self) -> list[tuple[str, str, int]]:
        """What is on record: action, document, how many were shown; the earliest first."""
        acts = tables.acts.c
        with self.writer.connect() as conn:
            rows = conn.execute(
                select(acts.action, acts.document, acts.shown).order_by(acts.at, acts.decision)
            )
            return [tuple(row) for row in rows]


@contextmanager
def world(url: str, folder: Path) -> Iterator[World]:
    """A world on a migrated database; keys and master keys are kept in `folder`."""
    engines = connect(url), connect(url, read_only=True), connect(f"sqlite:///{folder}/keys.db")
    masters = folder / "masters"
    if not masters.exists():
        Masters(masters).create()
    try:
        yield World(*engines, folder=masters)
    finally:
        for engine in engines:
            engine.dispose()


def label(**changes: object) -> Label:
    """The label of a new document, about JEAN by DOCTOR."""
    number = next(_numbers)
    made = NOW - timedelta(days=number % 1_000)
    plain = Label(
        id=str(uuid4()),
        entry=str(uuid4()),
        patient=JEAN,
        unique_id=f"1.2.250.1.213.9.{number}.{uuid4().int}",
        type="11488-4",
        class_code="10",
        space="3",
        status=Status.APPROVED,
        visibility=Visibility(),
        confidentiality="N",
        authors=(DOCTOR.id,),
        structure=DOCTOR.structure,
        system="test",
        made_at=made,
        act_from=made,
        act_to=None,
        deposited_at=NOW,
        by_patient=False,
        version=1,
        replaces="",
        replaced_by="",
        media_type="",
        size=0,
        secret=False,
    )
    return replace(plain, **changes)


def draft(content: bytes = b"", **changes: object) -> Draft:
    """A draft; unless given, its content is its own."""
    of = label(**changes)
    body = content or f"<ClinicalDocument>{of.id}</ClinicalDocument>".encode()
    particulars = Particulars(
        title="Compte rendu de consultation",
        authors=tuple(
            Person(id=one, name="Dr Élodie MARTIN", profession="10") for one in of.authors
        ),
        structure_name="Centre de santé",
    )
    return Draft(label=replace(of, size=len(body)), particulars=particulars, content=body)


def digests(world: World, labels: Sequence[Label]) -> list[str]:
    """The SHA-256 of each document, as it is read now."""
    return [hashlib.sha256(world.read(world.now(one))[2]).hexdigest() for one in labels]
