"""What the registry knows of patients, as values, and what happens in it.

Changes of it are in `clients.sdk.changes`.
"""

from dataclasses import dataclass, field, fields
from datetime import date, datetime
from enum import StrEnum

from clients.sdk.changes import Grantee, Representative
from clients.sdk.errors import FailedError
from clients.sdk.permit import Denied, Permit
from clients.sdk.values import Decision


class DossierStatus(StrEnum):
    """Whether there is a dossier; `destroyed` is one that was closed for ten years."""

    NONE = "none"
    OPEN = "open"
    CLOSED = "closed"
    DESTROYED = "destroyed"


class AuthorisationState(StrEnum):
    """Whether an authorisation still lasts."""

    VALID = "valid"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorisation:
    """A professional or structure that the patient has authorised, from when to when (UTC)."""

    grantee: Grantee
    granted_at: datetime
    expires_at: datetime
    state: AuthorisationState = AuthorisationState.VALID


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """The state of a patient's dossier.

    Attributes:
        id: INS.
        dossier: whether there is one.
        birth_date: None if unknown.
        opened_at: UTC; None if it never was.
        closed_at: UTC; None if it is not closed.
        closure_reason: FERMETURE_DEMANDE_PATIENT, DECES; "" if it is not closed.
        samu: a SAMU or centre 15 may access it.
        break_glass: break-glass is permitted.
        masked_in_emergency: masked documents may be shown in an emergency.
        feeding: documents may be added.
        authorisations: who is authorised; None for who may not know that.
        treating_doctors: idNat_PS of each.
        blocks: who is blocked; None for who may not know that.
        representatives: the legal representatives.
    """

    id: str
    dossier: DossierStatus = DossierStatus.NONE
    birth_date: date | None = None
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    closure_reason: str = ""
    samu: bool = False
    break_glass: bool = False
    masked_in_emergency: bool = False
    feeding: bool = False
    authorisations: tuple[Authorisation, ...] | None = ()
    treating_doctors: tuple[str, ...] = ()
    blocks: tuple[Grantee, ...] | None = ()
    representatives: tuple[Representative, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRecord(Patient):
    """The same, as somebody got to read it.

    Attributes:
        permit: to read it (`dossier.read`); settle it where something is left to do.
        listing: to know who is authorised and who is blocked (`authorisation.list`), or the denial.
    """

    permit: Permit = field(compare=False, repr=False)
    listing: Permit | Denied = field(compare=False, repr=False)

    @property
    def decision(self) -> Decision:
        """Under which it was read."""
        return self.permit.decision


def as_read(
    patient: Patient | None, permit: Permit, listing: Permit | Denied | None
) -> PatientRecord:
    """The record of a patient, without who is authorised or blocked when that is denied.

    Raises:
        FailedError: there is a permit, and nothing to read.
    """
    if patient is None or listing is None:
        raise FailedError("the answer allows, and holds no patient")
    known = {one.name: getattr(patient, one.name) for one in fields(Patient)}
    if isinstance(listing, Denied):
        known |= {"authorisations": None, "blocks": None}
    return PatientRecord(**known, permit=permit, listing=listing)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorisedPatient:
    """A patient on whose open dossier somebody is authorised.

    Attributes:
        patient: INS.
        birth_date: None if unknown.
        treating_doctor: whether they are a treating doctor of this patient.
        expires_at: of the authorisation that lasts longest; UTC.
    """

    patient: str
    birth_date: date | None
    treating_doctor: bool
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of the patients on whose dossiers somebody is authorised, by INS.

    Attributes:
        patients: of this page.
        next: what to give as `after` for the next page; "" on the last.
        permit: to read this page; settle it where something is left to do.
    """

    patients: tuple[AuthorisedPatient, ...]
    next: str
    permit: Permit = field(compare=False, repr=False)

    @property
    def decision(self) -> Decision:
        """Under which this page was read."""
        return self.permit.decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What moved the registry to a revision.

    Attributes:
        revision: consecutive over all events.
        patient: INS; "" when policies were activated, which may change the answer for anyone.
        action: such as `authorisation.revoke`, `policy.activate`.
        decision_id: of the decision that permitted it.
        at: UTC.
    """

    revision: int
    patient: str
    action: str
    decision_id: str
    at: datetime
