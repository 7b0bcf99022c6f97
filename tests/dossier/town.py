"""Patients and professionals around a record. No decision point: permits are made here."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from uuid import uuid4

from sqlalchemy import Engine, insert, select

from clients.sdk import Denied, Effect, Query, Told
from clients.sdk.values import NORMAL, Context, Decision, Document, Reason, Subject
from dossier import tables
from dossier.accounts import Cost
from dossier.gate import Refused
from dossier.mint import Mint
from dossier.model import Administrative, Contact, Guardian, Label
from dossier.people import People
from dossier.permit import Permit, Turnstile
from dossier.records import Records
from tests.dossier.world import DOCTOR, JEAN, PHILIPPE, SECRET, Clock

CHEAP = Cost(n=16, r=1, p=1)
HOLDER = Subject(kind="patient", id=JEAN)
MOTHER = Subject(kind="representative", id=PHILIPPE)
OTHER_DOCTOR = Subject(kind="professional", id="899700218904", profession="10", name="Dr AUTRE")
BREAK_GLASS = Context(mode="bris_de_glace", reason=Reason(code="VITAL", text="coma"))
CENTRE_15 = Context(mode="centre_15")
SECRETLY = Context(secret_connection=True)
EMAIL = "jean.essai@example.org"
MOBILE = "+33612345678"
URGENT = ("notify_holder", "notify_treating_doctor", "review", "show_mode")


@dataclass
class Town:
    """People and records over one database, and all that happens there."""

    writer: Engine
    reader: Engine
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        """Opens the gates."""
        self.mint = Mint(SECRET, clock=self.clock.monotonic)
        self.people, self.records = self.others()

    def others(self) -> tuple[People, Records]:
        """The same as another process has them, that has not seen any permit yet."""
        turnstile = Turnstile(SECRET, clock=self.clock.monotonic)
        where = (self.writer, self.reader, turnstile, self.clock.now)
        return People(*where, cost=CHEAP), Records(*where)

    def permit(
        self,
        action: str,
        patient: str = JEAN,
        *,
        subject: Subject = DOCTOR,
        context: Context = NORMAL,
        obligations: tuple[str, ...] = (),
        decision: str = "",
        document: str = "",
    ) -> Permit:
        """A permit of the gate, as it would be after a decision."""
        return self.mint.issue(
            subject=subject,
            action=action,
            patient=patient,
            document=document,
            context=context,
            decision=decision or str(uuid4()),
            reason_code="AUTHORISED",
            obligations=obligations,
        )

    def create(self, patient: str = JEAN, **changes: object) -> None:
        """A dossier, with its notice of creation out of the way."""
        self.people.create(self.permit("dossier.create", patient), patient, person(**changes))
        with self.writer.begin() as conn:
            conn.execute(tables.notices.delete())
            conn.execute(tables.acts.delete())

    def refused(
        self,
        query: Query,
        *,
        reason: str = "DENIED",
        label: Label | None = None,
        obligations: tuple[str, ...] = (),
        decision: str = "",
    ) -> str:
        """A denial as the gate reports it; the id of its decision."""
        made = Decision(
            id=decision or str(uuid4()),
            effect=Effect.DENY,
            reason_code=reason,
            told=Told(fr="non", en="no"),
            rules=(),
            obligations=obligations,
            remarks=(),
            bundle="",
            revision=0,
            at=self.clock.now(),
        )
        self.records.refused(Refused(denied=Denied(query, made), label=label))
        return made.id

    def notices(self) -> list[tuple[str, str, str]]:
        """Kind, recipient and channel of every notice, in this order."""
        n = tables.notices.c
        with self.writer.connect() as conn:
            rows = conn.execute(select(n.kind, n.recipient, n.channel))
            return sorted(tuple(row) for row in rows)

    def acts(self) -> list[tuple[str, str]]:
        """Action and effect of what is on record, the earliest first."""
        a = tables.acts.c
        with self.writer.connect() as conn:
            rows = conn.execute(select(a.action, a.effect).order_by(a.at, a.decision))
            return [tuple(row) for row in rows]

    def rows(self, name: str) -> list[dict[str, object]]:
        """All rows of a table."""
        with self.writer.connect() as conn:
            return [
                dict(row._mapping) for row in conn.execute(select(tables.metadata.tables[name]))
            ]

    def keep(self, label: Label) -> None:
        """Puts the label of a document into the record, without its bytes."""
        visibility = label.visibility
        row = {
            column.name: getattr(label, column.name)
            for column in tables.documents.columns
            if hasattr(label, column.name)
        }
        row |= {
            "status": label.status.value,
            "masked": visibility.masked,
            "hidden_from_patient": visibility.hidden_from_patient,
            "hidden_from_representatives": visibility.hidden_from_representatives,
            "particulars": b"",
        }
        with self.writer.begin() as conn:
            conn.execute(insert(tables.documents), row)


def person(**changes: object) -> Administrative:
    """The standard test patient, with an e-mail address and a mobile phone."""
    plain: dict[str, object] = {
        "family_name": "PAT-TROIS",
        "given_names": "DOMINIQUE MARIE-LOUISE",
        "birth_date": date(1979, 3, 28),
        "sex": "F",
        "birth_place": "51215",
        "contact": contact(),
    }
    return Administrative(**{**plain, **changes})  # type: ignore[arg-type]


def contact(**changes: object) -> Contact:
    """How the standard test patient is reached."""
    plain: dict[str, object] = {
        "address": ("1 rue de l'Essai",),
        "postal_code": "86000",
        "city": "POITIERS",
        "phone": MOBILE,
        "email": EMAIL,
    }
    return Contact(**{**plain, **changes})  # type: ignore[arg-type]


def guardian(**changes: object) -> Guardian:
    """A mother."""
    plain: dict[str, object] = {
        "id": PHILIPPE,
        "relation": "MTH",
        "family_name": "ESSAI",
        "given_names": "MARIE",
    }
    return Guardian(**{**plain, **changes})  # type: ignore[arg-type]


def at(hour: int, minute: int = 0) -> datetime:
    """An instant of the day of the tests; UTC."""
    return datetime(2026, 5, 4, hour, minute, tzinfo=UTC)


def query(action: str, subject: Subject = DOCTOR, document: str = "", **others: object) -> Query:
    """What is asked of the decision point."""
    asked = Document(id=document, type="11488-4") if document else None
    return Query(subject=subject, action=action, patient=JEAN, document=asked, **others)  # type: ignore[arg-type]
