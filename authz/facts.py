"""What is true of a request: registry state, request and instant, turned into the vector that policy judges.

Plain, pure code. It states what is, and judges nothing: whether a masked document may be read is for the
rules. Here alone the parameters that are no switch of a rule come in (ages, durations, proofs).
Claims that are well formed but of no use (an unknown profession, a reason code outside the list) leave the
fact at its restrictive value, and a remark says so.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from authz.bundle import Bundle, Computed
from authz.labels import role_of
from authz.model import FactValue, Kind, Vector
from authz.query import Context, Query, Subject, Target, Voucher
from authz.registry.apply import Terms
from authz.registry.changes import (
    CloseDossier,
    GrantAuthorisation,
    OpenDossier,
    ReopenDossier,
    SetBlock,
    SetConsents,
)
from authz.registry.state import (
    AuthorisationState,
    GranteeKind,
    PatientState,
    Reach,
    ReviewStanding,
    Standings,
)
from authz.value import dataclass
from serving.duration import Duration

SAMU: Final = "SAMU_SMUR"
PHYSICIAN: Final = "10"
CLOSURES: Final = {"FERMETURE_DEMANDE_PATIENT": "patient_request", "DECES": "death"}

_KNOWN: Final = 4_096
"""How many askers are kept with their facts: the same ones come again and again."""

_STRUCTURE: Final = GranteeKind.STRUCTURE
_YES_NO: Final = frozenset({"yes", "no"})
_STATES: Final = frozenset(AuthorisationState)


def _choice(*values: str) -> tuple[Kind, frozenset[str]]:
    return Kind.CHOICE, frozenset(values)


_IDENTIFIER: Final = (Kind.IDENTIFIER, frozenset[str]())
_FLAG: Final = (Kind.CHOICE, _YES_NO)

COMPUTED: Final[Computed] = {
    "subject.kind": _choice(
        "professional",
        "employee",
        "structure",
        "patient",
        "representative",
        "auditor",
        "compliance_officer",
        "service",
    ),
    "subject.id": _IDENTIFIER,
    "subject.structure": _IDENTIFIER,
    "subject.profession": _choice("unlisted"),
    "subject.authentication": _choice("unknown", "service_channel"),
    "subject.capacity": _choice("unknown", "self"),
    "subject.regulator": _FLAG,
    "subject.authorisation": (Kind.CHOICE, _STATES | {"unknown"}),
    "subject.treating_doctor": _FLAG,
    "subject.representative": _FLAG,
    "subject.concerned": _FLAG,
    "resource.patient": _IDENTIFIER,
    "resource.dossier": _choice("none", "open", "closed", "destroyed"),
    "resource.minor": _FLAG,
    "resource.samu_access": _choice("permitted", "opposed"),
    "resource.break_glass_access": _choice("permitted", "opposed"),
    "resource.masked_in_emergency": _choice("permitted", "opposed"),
    "resource.feeding": _choice("accepted", "opposed"),
    "resource.habilitation": _choice("permitted", "denied", "unlisted"),
    "resource.authors": (Kind.IDENTIFIERS, frozenset()),
    "resource.author_structure": _IDENTIFIER,
    "resource.masked": _FLAG,
    "resource.hidden_from_patient": _FLAG,
    "resource.hidden_from_representatives": _FLAG,
    "resource.status": _choice("approved", "deprecated", "archived", "deleted"),
    "resource.signature": _FLAG,
    "resource.target": _IDENTIFIER,
    "resource.target_profession": _choice("unlisted"),
    "resource.target_authorisation": (Kind.CHOICE, _STATES),
    "resource.target_treating_doctor": _FLAG,
    "context.caller": _choice("permitted", "refused"),
    "context.mode": _choice("unknown"),
    "context.reason": _choice("given", "missing"),
    "context.declaration": _choice("current", "lapsed"),
    "context.secret_connection": _FLAG,
    "context.agreement": _choice("given", "missing"),
    "context.asks_authorisation": _FLAG,
    "context.asks_treating_doctor": _FLAG,
    "context.asks_masked_in_emergency": _FLAG,
    "context.keeps_emergency_access": _FLAG,
    "context.withdraws_treating_doctor": _FLAG,
    "context.closure": _choice("missing", "patient_request", "death"),
    "context.announced": _FLAG,
    "context.names_representatives": _FLAG,
    "context.subject_proof": _choice("unproven", "asserted", "token"),
    "subject.review": (Kind.CHOICE, frozenset(ReviewStanding) | {"unknown"}),
    "context.service": _choice("unknown"),
}

PARAMETERS: Final = {
    "authorisation.duration": "duration",
    "authorisation.structure.duration": "duration",
    "break_glass.reason_codes": "list",
    "centre15.requires": "list",
    "emergency.max_duration": "duration",
    "emergency.review.verdicts": "list",
    "minor.majority_age": "integer",
    "minor.zone": "zone",
    "mt.professions": "list",
    "mt.requires_valid": "boolean",
    "subject.proof.required_of": "list",
}
"""The parameters that facts are computed with, and their types; the bundle must have them."""

Words = Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Facts:
    """A vector, and what had to be left out of it: `field: problem; remedy` each."""

    vector: Vector
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Asker:
    """The facts of who asks for what and how, whoever the patient is."""

    vector: list[FactValue]
    remarks: tuple[str, ...]
    role: str
    reach: Reach


@dataclass(frozen=True, slots=True)
class _Scene:
    """The facts of a query but for its document, and what they were computed from."""

    query: Query
    state: PatientState
    at: datetime
    standings: Standings | None
    vector: list[FactValue]
    remarks: tuple[str, ...]
    role: str

    def is_of(
        self, query: Query, state: PatientState, at: datetime, standings: Standings | None
    ) -> bool:
        """Whether these are the facts of this query too: all that counts is the very same."""
        own = self.query
        return (
            state is self.state
            and at is self.at
            and standings is self.standings
            and query.subject is own.subject
            and query.context is own.context
            and query.action == own.action
            and query.patient == own.patient
            and (query.caller, query.rpc) == (own.caller, own.rpc)
            and query.voucher is own.voucher
            and query.target is own.target
            and query.change is own.change
            and query.claims == own.claims
        )


class FactComputer:
    """Computes facts under one bundle; belongs to one thread."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._values = {name: p.value for name, p in bundle.parameters.items()}
        self._base: list[FactValue] = list(bundle.vocabulary.defaults())
        self._codes: dict[str, tuple[int, Mapping[str, int] | None]] = {
            fact.name: (
                place,
                {v: i for i, v in enumerate(fact.values)} if fact.kind is Kind.CHOICE else None,
            )
            for place, fact in enumerate(bundle.vocabulary.facts)
        }
        self.terms = Terms(
            authorisation=self._duration("authorisation.duration"),
            structure_authorisation=self._duration("authorisation.structure.duration"),
        )
        self._emergency = self._duration("emergency.max_duration")
        self._services = frozenset(bundle.vocabulary.fact("context.service").values)
        self._break_glass = self._list("break_glass.reason_codes")
        self._reasons: Mapping[str, tuple[str, ...] | None] = {
            "emergency.review": self._list("emergency.review.verdicts"),
            "obligation.report": tuple(bundle.vocabulary.obligations),
            **dict.fromkeys(_LOOKS),
        }
        self._zone = ZoneInfo(str(self._values["minor.zone"]))
        self._encode(_ASKS_NOTHING, self._base)
        self._asker = lru_cache(_KNOWN)(self._asker_of)
        self._today = lru_cache(1)(lambda at: at.astimezone(self._zone).date())
        self._scene: _Scene | None = None

    def compute(
        self,
        query: Query,
        state: PatientState,
        at: datetime,
        standings: Standings | None = None,
    ) -> Facts:
        """The facts of `query` in the state of its patient at the instant `at`.

        Args:
            query: what is asked.
            state: of its patient.
            at: now.
            standings: of all professionals; None when they are not known.
        """
        scene = self._scene
        if scene is None or not scene.is_of(query, state, at, standings):
            scene = self._scene = self._set(query, state, at, standings)
        if query.document is None:
            return Facts(tuple(scene.vector), scene.remarks)
        vector, remarks = scene.vector.copy(), list(scene.remarks)
        words = self._bundle.labels.facts(
            query.document, role=scene.role, action=query.action, remarks=remarks
        )
        self._encode(words, vector)
        return Facts(tuple(vector), tuple(remarks))

    def reach(self, subject: Subject) -> Reach:
        """What in the state of patients is about this subject."""
        doctors = self._values["mt.professions"]
        return Reach(
            professional=subject.id if subject.kind == "professional" else None,
            structure=subject.structure or None,
            may_treat=isinstance(doctors, tuple) and subject.profession in doctors,
            treats_anyway=not self._values["mt.requires_valid"],
        )

    def _set(
        self, query: Query, state: PatientState, at: datetime, standings: Standings | None
    ) -> "_Scene":
        """Everything but the document: of many documents in one call, it is the same."""
        through = query.caller, query.rpc
        asker = self._asker(query.action, query.subject, query.context, query.voucher, through)
        vector, remarks = asker.vector.copy(), list(asker.remarks)
        self._encode(self._standing(query.subject, asker.reach, state, at, remarks), vector)
        if standings is not None and query.subject.kind == "professional":
            review = standings.get(query.subject.id, ReviewStanding.NONE)
            self._encode({"subject.review": review}, vector)
        self._encode(self._patient(query, state, at), vector)
        if query.target is not None:
            self._encode(self._target(query, query.target, state, at, remarks), vector)
        if not self._current(query.context, at):
            self._encode(_LAPSED, vector)
        self._encode(_change(query, state), vector)
        self._encode(query.claims, vector)
        return _Scene(query, state, at, standings, vector, tuple(remarks), asker.role)

    def _asker_of(
        self,
        action: str,
        subject: Subject,
        context: Context,
        voucher: Voucher | None,
        through: tuple[str, str],
    ) -> _Asker:
        remarks: list[str] = []
        who, vector = self._subject(subject, remarks), self._base.copy()
        self._encode({"action.name": action}, vector)
        self._encode(who, vector)
        self._encode(self._context(action, context, remarks), vector)
        caller, _ = through
        words = {
            "context.caller": self._permission(action, subject, through, remarks),
            "context.service": caller if caller in self._services else "unknown",
            "context.subject_proof": self._proof(action, subject.kind, voucher, through, remarks),
        }
        self._encode(words, vector)
        role = role_of(subject.kind, str(who["subject.profession"]))
        return _Asker(vector, tuple(remarks), role, self.reach(subject))

    def _encode(self, words: Words, vector: list[FactValue]) -> None:
        codes = self._codes
        for name, value in words.items():
            place, numbers = codes[name]
            vector[place] = value if numbers is None else numbers[value]  # type: ignore[index]  # a choice

    def _subject(self, subject: Subject, remarks: list[str]) -> Words:
        capacity = subject.capacity
        if not capacity and subject.kind in ("patient", "representative"):
            capacity = "self"
        return {
            "subject.kind": subject.kind,
            "subject.id": subject.id,
            "subject.structure": subject.structure,
            "subject.profession": self._listed("subject.profession", subject.profession, remarks),
            "subject.authentication": subject.authentication or "unknown",
            "subject.capacity": capacity or "unknown",
            "subject.regulator": _flag(self._regulator(subject)),
        }

    def _standing(
        self,
        subject: Subject,
        reach: Reach,
        state: PatientState,
        at: datetime,
        remarks: list[str],
    ) -> Words:
        """What the subject is to the patient."""
        authorisation: str = state.authorisation_of(reach.professional, reach.structure, at)
        blocks = state.blocks
        if blocks and not subject.structure and any(b.kind is _STRUCTURE for b in blocks):
            # Who does not say for which structure they act may be of one that is blocked.
            authorisation = "unknown"
            remarks.append("subject.structure: missing, and a structure is blocked; give yours")
        lasting = authorisation == AuthorisationState.VALID or reach.treats_anyway
        return {
            "subject.authorisation": authorisation,
            "subject.treating_doctor": _flag(
                lasting and reach.may_treat and state.is_treating_doctor(reach.professional)
            ),
            "subject.representative": _flag(
                subject.kind == "representative" and state.is_representative(subject.id)
            ),
        }

    def _listed(self, fact: str, profession: str, remarks: list[str]) -> str:
        """The profession, if it is one of the fact's values."""
        _, codes = self._codes[fact]
        if codes is not None and profession in codes:
            return profession
        if profession:
            field = fact.replace("_", ".")
            remarks.append(f"{field}: `{profession}` is not listed; give a TRE_G15 code")
        return "unlisted"

    def _regulator(self, subject: Subject) -> bool:
        """Centre 15 is for who *proves* to be a regulator (parameter centre15.requires)."""
        proofs = {
            "profession": subject.profession == PHYSICIAN,
            "flag": subject.regulator,
            "structure": subject.structure_kind == SAMU,
        }
        required = self._values["centre15.requires"]
        return isinstance(required, tuple) and bool(required) and all(map(proofs.get, required))

    def _patient(self, query: Query, state: PatientState, at: datetime) -> Words:
        age, today = self._values["minor.majority_age"], self._today(at)
        change = query.change
        if isinstance(change, OpenDossier | ReopenDossier) and state.birth_date is None:
            state = replace(state, birth_date=change.birth_date)
        consents = state.consents
        return {
            "resource.patient": query.patient,
            "resource.dossier": state.status,
            "resource.minor": _flag(isinstance(age, int) and state.is_minor(today, age)),
            "resource.samu_access": _permitted(consents.samu),
            "resource.break_glass_access": _permitted(consents.break_glass),
            "resource.masked_in_emergency": _permitted(consents.masked_in_emergency),
            "resource.feeding": "accepted" if consents.feeding else "opposed",
        }

    def _target(
        self, query: Query, target: Target, state: PatientState, at: datetime, remarks: list[str]
    ) -> Words:
        person = target.id if target.kind == "professional" else None
        structure = target.id if target.kind == "structure" else None
        oneself = person is not None and person == query.subject.id
        profession = query.subject.profession if oneself else target.profession
        return {
            "resource.target": target.id,
            "resource.target_profession": self._listed(
                "resource.target_profession", profession, remarks
            ),
            "resource.target_authorisation": state.authorisation_of(person, structure, at),
            "resource.target_treating_doctor": _flag(state.is_treating_doctor(person)),
            "subject.concerned": _flag(target.id == query.subject.id),
        }

    def _permission(
        self, action: str, subject: Subject, through: tuple[str, str], remarks: list[str]
    ) -> str:
        """Whether the service may ask for such a subject; on its own behalf it asks for itself alone."""
        caller, _ = through
        if subject.kind == "service" and subject.id != caller:
            remarks.append(f"subject.id: missing, or of another service; give `{caller}`")
            return "refused"
        permitted = self._bundle.services.permits(*through, subject.kind, action)
        return "permitted" if permitted else "refused"

    def _context(self, action: str, context: Context, remarks: list[str]) -> Words:
        return {
            "context.mode": context.mode or "unknown",
            "context.reason": "given" if self._reasoned(action, context, remarks) else "missing",
            "context.declaration": "current",  # unless the instant says otherwise
            "context.secret_connection": _flag(context.secret_connection),
            "context.agreement": "given" if context.agreement else "missing",
            "context.closure": context.closure or "missing",
            "context.announced": _flag(context.announced),
        }

    def _proof(
        self,
        action: str,
        kind: str,
        voucher: Voucher | None,
        through: tuple[str, str],
        remarks: list[str],
    ) -> str:
        """What says who asks: the calling service, or a token by one that could ask the same itself."""
        caller, rpc = through
        if voucher is None:
            required = self._values["subject.proof.required_of"]
            # A service that asks for itself is known by its connection.
            if isinstance(required, tuple) and caller in required and kind != "service":
                remarks.append(f"token: missing; `{caller}` must prove for whom it asks")
                return "unproven"
            return "asserted"
        if voucher.contradicted:
            remarks += (
                f"subject.{name}: not what the token says; leave it out"
                for name in voucher.contradicted
            )
            return "unproven"
        if not self._bundle.services.permits(voucher.issuer, rpc, kind, action):
            cure = "get one from a service that could ask this itself"
            remarks.append(f"token: `{voucher.issuer}` may not vouch for a `{kind}` here; {cure}")
            return "unproven"
        return "token"

    def _reasoned(self, action: str, context: Context, remarks: list[str]) -> bool:
        """A reason is a text with a letter or digit in it and a code of the list that the action has."""
        codes = self._reasons.get(action, self._break_glass)
        if codes is None:
            codes = (context.reason_code,) if context.reason_code else ()
        known = context.reason_code in codes
        if context.reason_code and not known:
            remarks.append(
                f"context.reason.code: `{context.reason_code}` is not listed; "
                f"give one of {', '.join(codes)}"
            )
        # Letters that print as nothing are no reason either.
        return known and any(c.isascii() and c.isalnum() for c in context.reason_text)

    def _current(self, context: Context, at: datetime) -> bool:
        return context.declared_at is None or at < self._emergency.after(context.declared_at)

    def _list(self, name: str) -> tuple[str, ...]:
        value = self._values[name]
        if not isinstance(value, tuple):
            raise TypeError(f"parameter `{name}` is no list")
        return value

    def _duration(self, name: str) -> Duration:
        value = self._values[name]
        if not isinstance(value, Duration):
            raise TypeError(f"parameter `{name}` is no duration")
        return value


_LOOKS: Final = ("log.query", "log.identify", "trace.read")
"""Looks at the log: their codes are the caller's own."""

_LAPSED: Final[Words] = {"context.declaration": "lapsed"}

_ASKS_NOTHING: Final[Words] = {
    "context.asks_authorisation": "no",
    "context.asks_treating_doctor": "no",
    "context.asks_masked_in_emergency": "no",
    "context.withdraws_treating_doctor": "no",
    "context.names_representatives": "no",
}


def _change(query: Query, state: PatientState) -> Words:
    """What the change that is asked for would bring, as far as rules look at it."""
    change = query.change
    samu, break_glass = state.consents.samu, state.consents.break_glass
    words: dict[str, str] = {}
    match change:
        case OpenDossier() | ReopenDossier():
            samu, break_glass = change.samu, change.break_glass
            words["context.asks_masked_in_emergency"] = _flag(change.masked_in_emergency)
            words["context.asks_authorisation"] = _flag(change.authorise is not None)
            words["context.asks_treating_doctor"] = _flag(change.treating_doctor)
            words["context.names_representatives"] = _flag(bool(change.representatives))
        case SetConsents():
            samu = samu if change.samu is None else change.samu
            break_glass = break_glass if change.break_glass is None else change.break_glass
            words["context.asks_masked_in_emergency"] = _flag(change.masked_in_emergency is True)
        case GrantAuthorisation():
            words["context.asks_authorisation"] = "yes"
            words["context.asks_treating_doctor"] = _flag(change.treating_doctor)
        case SetBlock():
            words["context.withdraws_treating_doctor"] = _flag(change.withdraw_treating_doctor)
        case CloseDossier():
            words["context.closure"] = CLOSURES.get(change.reason, "missing")
        case _:
            pass
    words["context.keeps_emergency_access"] = _flag(samu or break_glass)
    return words


def _flag(value: bool | None) -> str:  # noqa: FBT001 - it names a boolean
    return "yes" if value else "no"


def _permitted(value: bool) -> str:  # noqa: FBT001 - as above
    return "permitted" if value else "opposed"
