"""What was done, or refused: the form in which it is traced, and told of. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from clients.sdk import Denied
from clients.sdk.values import Context, Subject
from dossier.model import Label
from dossier.permit import Permit

ALLOW: Final = "allow"
DENY: Final = "deny"
EMERGENCIES: Final = ("bris_de_glace", "centre_15")
"""The modes of access in an emergency (TRE_R248)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One use of a decision, or one denial.

    Attributes:
        decision: its id in the log.
        at: when.
        effect: allow or deny.
        reason_code: why.
        action: what was done, such as `document.read`.
        patient: INS of whose dossier; "" for what concerns none.
        subject: who did it.
        context: in which circumstances.
        document: to which document; "" for none, or many.
        label: of that document, where there is one.
        obligations: what must be done because of it.
        shown: how many documents a list showed.
    """

    decision: str
    at: datetime
    effect: str
    reason_code: str
    action: str
    patient: str
    subject: Subject
    context: Context
    document: str
    label: Label | None
    obligations: tuple[str, ...]
    shown: int = 0

    @property
    def emergency(self) -> bool:
        """Whether it was done in an emergency (CSP L.1111-17 I)."""
        return self.context.mode in EMERGENCIES

    @property
    def secret(self) -> bool:
        """Whether it is kept from a minor's legal representatives.

        So is whatever is done to a document that is: its trace would tell them that there is one.
        """
        label = self.label
        hidden = label is not None and (
            label.secret or label.visibility.hidden_from_representatives
        )
        return self.context.secret_connection or hidden

    @property
    def reason(self) -> str:
        """The reason given for break-glass, as "CODE: text"; "" where none was needed."""
        given = self.context.reason
        return f"{given.code}: {given.text}" if given else ""

    @property
    def actor(self) -> str:
        """Who did it, as it is stored."""
        return storable(self.subject.id)

    @property
    def row(self) -> dict[str, Any]:
        """The columns of `tables.acts`."""
        subject, label = self.subject, self.label
        return {
            "decision": self.decision,
            "at": self.at,
            "patient": self.patient,
            "action": self.action,
            "effect": self.effect,
            "reason_code": self.reason_code,
            "actor_kind": subject.kind,
            "actor": self.actor,
            "actor_name": storable(subject.name),
            "profession": storable(subject.profession),
            "structure": storable(subject.structure),
            "structure_name": storable(subject.structure_name),
            "document": storable(self.document),
            "type": label.type if label else "",
            "space": label.space if label else "",
            "origin": (label.structure or label.system) if label else "",
            "mode": self.context.mode,
            "reason": storable(self.reason),
            "secret": self.secret,
            "shown": self.shown,
        }


def storable(text: str) -> str:
    """A text as both databases can store it: PostgreSQL refuses NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def of_permit(permit: Permit, *, at: datetime, label: Label | None, shown: int = 0) -> Deed:
    """The use of a permit."""
    return Deed(
        decision=permit.decision,
        at=at,
        effect=ALLOW,
        reason_code=permit.reason_code,
        action=permit.action,
        patient=permit.patient,
        subject=permit.subject,
        context=permit.context,
        document=permit.document,
        label=label,
        obligations=permit.obligations,
        shown=shown,
    )


def of_denial(denied: Denied, *, at: datetime, label: Label | None) -> Deed:
    """An attempt that was refused; also one that was allowed on terms nobody here can keep."""
    query = denied.query
    return Deed(
        decision=denied.decision.id,
        at=at,
        effect=DENY,
        reason_code=denied.reason_code,
        action=query.action,
        patient=query.patient,
        subject=query.subject,
        context=query.context,
        document=query.document.id if query.document else "",
        label=label,
        obligations=denied.decision.obligations,
    )
