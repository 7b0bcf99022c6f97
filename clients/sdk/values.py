"""What is asked, and what comes back. Frozen values; no message of the wire leaves this package.

Codes are those of `policies/vocabulary.yaml`. What is left empty was not stated, and counts as unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final, NoReturn


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who asks.

    Attributes:
        kind: professional, employee, structure, patient, representative, auditor, compliance_officer;
            `service` for the calling service on its own behalf (see `oneself`).
        id: idNat_PS of a professional, INS of a patient, the name of a service.
        profession: TRE_G15.
        structure: idNat_Struct of the structure it acts for.
        structure_kind: JDV_J04; `SAMU_SMUR` for a centre 15.
        authentication: individual_card, reinforced_indirect, patient_code, and so on.
        capacity: `care`, or in which other activity the person acts.
        regulator: the regulation flag of the assertion.
        name: for the record only.
        structure_name: for the record only.
    """

    kind: str
    id: str
    profession: str = ""
    structure: str = ""
    structure_kind: str = ""
    authentication: str = ""
    capacity: str = ""
    regulator: bool = False
    name: str = ""
    structure_name: str = ""


def oneself(service: str) -> Subject:
    """The calling service itself, when it asks on its own behalf; it can name no other."""
    return Subject(kind="service", id=service, authentication="service_channel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document's label, without clinical content.

    Attributes:
        id: yours.
        type: typeCode, JDV_J07.
        authors: idNat_PS or INS of each.
        author_structure: idNat_Struct of the structure that deposited it.
        visibility: confidentiality codes, JDV_J08: N, MASQUE_PS, INVISIBLE_PATIENT, and so on.
        status: approved, deprecated, archived, deleted.
        system: where it comes from; for the record only.
    """

    id: str
    type: str
    authors: tuple[str, ...] = ()
    author_structure: str = ""
    visibility: tuple[str, ...] = ()
    status: str = ""
    system: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom an act aims at, or whose access is reviewed; `kind` is professional, structure or person."""

    id: str
    kind: str
    profession: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why, as a code and words.

    The code is one of the parameter `break_glass.reason_codes` for break-glass, a verdict for its review
    (`justified`, `misuse`), the obligation for the report that it was carried out, your own for a look at the
    log.
    """

    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The circumstances.

    Attributes:
        mode: normal, bris_de_glace, centre_15.
        reason: needed for break-glass, its review, and the report of an obligation.
        declared_at: when the emergency was declared; now if left out.
        secret_connection: the care of a minor kept from the legal representatives.
        agreement: the patient agreed to this act or asked for it, collected and ticked.
        announced: the announcement has taken place.
        closure: patient_request, death.
        claims: facts of origin `caller` that have no field of their own, by name.
    """

    mode: str = "normal"
    reason: Reason | None = None
    declared_at: datetime | None = None
    secret_connection: bool = False
    agreement: bool = False
    announced: bool = False
    closure: str = ""
    claims: Mapping[str, str] = field(default_factory=dict)


NORMAL: Final = Context()
"""Normal access, nothing else stated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """May this subject do this to that, in these circumstances?

    Attributes:
        subject: who asks.
        action: such as `document.read`.
        patient: INS of whose dossier it is.
        document: which document, for actions on documents.
        target: whom the act aims at, for acts of management.
        context: the circumstances.
        about: the id of an earlier decision that this one is about, such as the one that is reviewed.
    """

    subject: Subject
    action: str
    patient: str = ""
    document: Document | None = None
    target: Target | None = None
    context: Context = NORMAL
    about: str = ""


class Effect(Enum):
    """What was decided. It has no truth value: `if effect:` would let everyone in."""

    ALLOW = "allow"
    DENY = "deny"

    def __bool__(self) -> NoReturn:
        """Raises TypeError."""
        raise TypeError("an effect has no truth value: compare with `is Effect.ALLOW`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A sentence for people."""

    fr: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided, already on durable record. It has no truth value.

    Attributes:
        id: under which it is on record.
        effect: allow or deny.
        reason_code: stable, such as `DOCUMENT_MASKED`.
        told: the sentence of the deciding rule.
        rules: the rules that carried the effect.
        obligations: what must be done, allowed or not.
        remarks: claims that could not be used: field, problem, remedy.
        bundle: digest of the policies it was decided under.
        revision: of the registry; a later decision sees at least this one.
        at: when; UTC.
    """

    id: str
    effect: Effect
    reason_code: str
    told: Told
    rules: tuple[str, ...]
    obligations: tuple[str, ...]
    remarks: tuple[str, ...]
    bundle: str
    revision: int
    at: datetime

    def __bool__(self) -> NoReturn:
        """Raises TypeError."""
        raise TypeError(
            "a decision has no truth value: compare `decision.effect is Effect.ALLOW`, "
            "or ask with `require`, which raises when it is denied"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One condition of a rule, in words, and whether it holds."""

    text: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFinding:
    """What one rule had to say."""

    uid: str
    effect: Effect
    told: str
    source: str
    conditions: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactChange:
    """A fact that would have had to be otherwise."""

    fact: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What would have made it yes."""

    text: str
    changes: tuple[FactChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A decision, and why.

    Attributes:
        decision: on record as any other.
        deciding: the deciding rules.
        nearest: for a denial, the rule that came nearest to allowing it.
        remedies: for a denial, what would have made it yes; the shortest first.
        facts: as they were judged, by name.
    """

    decision: Decision
    deciding: tuple[RuleFinding, ...]
    nearest: RuleFinding | None
    remedies: tuple[Remedy, ...]
    facts: Mapping[str, str]
