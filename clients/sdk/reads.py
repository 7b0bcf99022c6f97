"""Patients, events and policies on the wire: what is asked, and what comes back, as values.

As `clients.sdk.wire`: what is no proper answer is an error, never a permit, and never somebody else's data.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final, TypeVar

from authz.v1 import authz_pb2 as pb
from clients.sdk.changes import Grantee, Representative
from clients.sdk.condition import LabelField
from clients.sdk.errors import FailedError, InvalidError
from clients.sdk.policies import Bundle, Mistake
from clients.sdk.registry import (
    Authorisation,
    AuthorisationState,
    AuthorisedPatient,
    DossierStatus,
    Event,
    Patient,
)
from clients.sdk.values import Decision, Effect, Query, Subject
from clients.sdk.wire import decision, fill, instant, text

MAX_PAGE: Final = 1_000
_MAX_REVISION: Final = (1 << 63) - 1

Asking = TypeVar("Asking", pb.FilterRequest, pb.GetPatientRequest, pb.ListPatientsRequest)
Choice = TypeVar("Choice", LabelField, DossierStatus, AuthorisationState)


def patient_request(query: Query) -> pb.GetPatientRequest:
    """The state of a patient's dossier.

    Raises:
        InvalidError: something in it can't be sent; so for all requests here.
    """
    message = asked_by(pb.GetPatientRequest(), query)
    message.patient = text("patient", query.patient)
    return message


def patients_request(query: Query, after: str, page_size: int) -> pb.ListPatientsRequest:
    """A page of the patients on whose dossiers somebody is authorised; 0 for the largest."""
    if not (_is_whole(page_size) and 0 <= page_size <= MAX_PAGE):
        raise InvalidError.of(
            "page_size", f"`{page_size}`: give 1 to {MAX_PAGE}, or 0 for {MAX_PAGE}"
        )
    message = pb.ListPatientsRequest(after=text("after", after), page_size=page_size)
    return asked_by(message, query)


def watch_request(after: int) -> pb.WatchRequest:
    """What happens after a revision."""
    if not (_is_whole(after) and 0 <= after <= _MAX_REVISION):
        raise InvalidError.of("after", f"`{after}`: give 0 or a revision")
    return pb.WatchRequest(after_revision=after)


def asking(subject: Subject) -> pb.Subject:
    """Who asks about the policies."""
    message = pb.Subject()
    fill(message, subject, "subject")
    return message


@dataclass(frozen=True, slots=True)
class PatientAnswer:
    """The decision, the one on listing, and the patient when the first is an allow."""

    decision: Decision
    listing: Decision | None
    patient: Patient | None


def patient_answer(message: pb.GetPatientResponse, asked: str) -> PatientAnswer:
    """The state of the patient that was asked for.

    Raises:
        FailedError: it is not a proper answer; so for all answers here.
    """
    decided = decision(message.decision)
    if decided.effect is not Effect.ALLOW:
        # Nothing is listed either, but a second denial may have its own obligations.
        denied = message.listing.effect == pb.EFFECT_DENY
        return PatientAnswer(decided, decision(message.listing) if denied else None, None)
    listing = decision(message.listing)
    if message.patient.id != asked:
        raise FailedError("the answer is not about the patient that was asked for: it is not used")
    listed = listing.effect is Effect.ALLOW
    return PatientAnswer(decided, listing, _patient(message.patient, listed=listed))


@dataclass(frozen=True, slots=True)
class PatientsAnswer:
    """A decision, the patients of a page, and where the next begins."""

    decision: Decision
    patients: tuple[AuthorisedPatient, ...]
    next: str


def patients_answer(message: pb.ListPatientsResponse, after: str) -> PatientsAnswer:
    """A page of patients."""
    decided = decision(message.decision)
    if decided.effect is not Effect.ALLOW:
        return PatientsAnswer(decided, (), "")
    if message.next and message.next == after:
        raise FailedError("the answer says that the next page is this one: it is not used")
    return PatientsAnswer(decided, tuple(map(_authorised, message.patients)), message.next)


@dataclass(frozen=True, slots=True)
class BundleAnswer:
    """A decision and, when it is an allow, the policies that decide."""

    decision: Decision
    bundle: Bundle | None

    def told(self) -> Bundle:
        """The policies, for who has been permitted to know them."""
        if self.bundle is None:
            raise FailedError("the answer names no policies")
        return self.bundle


def bundle_answer(message: pb.GetBundleResponse | pb.ActivateBundleResponse) -> BundleAnswer:
    """The policies that decide."""
    decided, found = decision(message.decision), message.bundle
    if decided.effect is not Effect.ALLOW:
        return BundleAnswer(decided, None)
    if not found.digest:
        raise FailedError("the answer names no policies")
    bundle = Bundle(
        digest=found.digest,
        activated_at=instant(found.activated_at),
        rules=found.rules,
        facts=found.facts,
        matrix_cells=found.matrix_cells,
        refused=tuple(map(_mistake, found.refused)),
        decision=decided,
    )
    return BundleAnswer(decided, bundle)


def event(message: pb.Event) -> Event:
    """Something that happened."""
    return Event(
        revision=message.revision,
        patient=message.patient,
        action=message.action,
        decision_id=message.decision_id,
        at=instant(message.at),
    )


def _mistake(message: pb.Mistake) -> Mistake:
    return Mistake(
        path=message.path,
        line=message.line,
        column=message.column,
        where=message.where,
        message=message.message,
        hint=message.hint,
    )


def asked_by(message: Asking, query: Query) -> Asking:
    """The message, with who asks in which circumstances."""
    fill(message.subject, query.subject, "subject")
    fill(message.context, query.context, "context")
    return message


def _patient(message: pb.Patient, *, listed: bool) -> Patient:
    return Patient(
        id=message.id,
        dossier=chosen(DossierStatus, message.dossier, "dossier"),
        birth_date=_day(message.birth_date),
        opened_at=instant(message.opened_at) if message.HasField("opened_at") else None,
        closed_at=instant(message.closed_at) if message.HasField("closed_at") else None,
        closure_reason=message.closure_reason,
        samu=message.samu,
        break_glass=message.break_glass,
        masked_in_emergency=message.masked_in_emergency,
        feeding=message.feeding,
        authorisations=tuple(map(_authorisation, message.authorisations)) if listed else None,
        treating_doctors=tuple(message.treating_doctors),
        blocks=tuple(map(_grantee, message.blocks)) if listed else None,
        representatives=tuple(
            Representative(id=one.id, relation=one.relation) for one in message.representatives
        ),
    )


def _authorisation(message: pb.Authorisation) -> Authorisation:
    return Authorisation(
        grantee=_grantee(message.grantee),
        granted_at=instant(message.granted_at),
        expires_at=instant(message.expires_at),
        state=chosen(AuthorisationState, message.state, "authorisation"),
    )


def _authorised(message: pb.AuthorisedPatient) -> AuthorisedPatient:
    if not message.patient:
        raise FailedError("the answer lists a patient without a number: it is not used")
    return AuthorisedPatient(
        patient=message.patient,
        birth_date=_day(message.birth_date),
        treating_doctor=message.treating_doctor,
        expires_at=instant(message.expires_at),
    )


def _grantee(message: pb.Grantee) -> Grantee:
    return Grantee(id=message.id, kind=message.kind, profession=message.profession)


def _day(written: str) -> date | None:
    try:
        return date.fromisoformat(written) if written else None
    except ValueError:
        # Not `from` it, which would tell the birth date.
        raise FailedError("the answer has a day that is none: it is not used") from None


def chosen(kind: type[Choice], value: str, of: str) -> Choice:
    """A word of a closed list."""
    try:
        return kind(value)
    except ValueError as exc:
        raise FailedError(f"the answer has a {of} that is not known here: `{value[:20]}`") from exc


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
