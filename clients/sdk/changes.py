"""What can be changed in the registry: the changes of `authz.v1.ChangeRequest`, as values."""

from dataclasses import dataclass
from datetime import date
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Base of all changes; `action` is the one that policy decides."""

    action: ClassVar[str]
    field: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grantee:
    """A professional or a structure (`kind`); the profession is needed for treating doctors."""

    id: str
    kind: str
    profession: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Representative:
    """A legal representative; the relation is such as FTH, MTH, RESPRSN."""

    id: str
    relation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDossier(Change):
    """The answers of the consent screen; creating at all is `context.agreement`."""

    action: ClassVar[str] = "dossier.create"
    field: ClassVar[str] = "open_dossier"

    birth_date: date | None = None
    authorise: bool = False
    treating_doctor: bool = False
    samu: bool = False
    break_glass: bool = False
    masked_in_emergency: bool = False
    representatives: tuple[Representative, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReopenDossier(OpenDossier):
    """The same answers, for a dossier that was closed."""

    action: ClassVar[str] = "dossier.reopen"
    field: ClassVar[str] = "reopen_dossier"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseDossier(Change):
    """Reasons are FERMETURE_DEMANDE_PATIENT and DECES."""

    action: ClassVar[str] = "dossier.close"
    field: ClassVar[str] = "close_dossier"

    reason: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetConsents(Change):
    """What is None stays as it is."""

    action: ClassVar[str] = "consent.update"
    field: ClassVar[str] = "set_consents"

    samu: bool | None = None
    break_glass: bool | None = None
    masked_in_emergency: bool | None = None
    feeding: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAuthorisation(Change):
    """What a professional or structure records for itself."""

    action: ClassVar[str] = "authorisation.grant"
    field: ClassVar[str] = "own_authorisation"

    authorise: bool
    treating_doctor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantAuthorisation(Change):
    """Authorises a professional or structure."""

    action: ClassVar[str] = "authorisation.grant"
    field: ClassVar[str] = "grant_authorisation"

    grantee: Grantee
    treating_doctor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewAuthorisation(Change):
    """Prolongs an authorisation."""

    action: ClassVar[str] = "authorisation.renew"
    field: ClassVar[str] = "renew_authorisation"

    grantee: Grantee


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeAuthorisation(Change):
    """Ends an authorisation."""

    action: ClassVar[str] = "authorisation.revoke"
    field: ClassVar[str] = "revoke_authorisation"

    grantee: Grantee


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTreatingDoctor(Change):
    """Names a treating doctor."""

    action: ClassVar[str] = "treating_doctor.set"
    field: ClassVar[str] = "set_treating_doctor"

    professional: Grantee


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawTreatingDoctor(Change):
    """Ends that."""

    action: ClassVar[str] = "treating_doctor.withdraw"
    field: ClassVar[str] = "withdraw_treating_doctor"

    professional: Grantee


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBlock(Change):
    """Shuts a professional or structure out; a treating doctor only with the withdrawal as well."""

    action: ClassVar[str] = "block.set"
    field: ClassVar[str] = "set_block"

    grantee: Grantee
    withdraw_treating_doctor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftBlock(Change):
    """Ends a block."""

    action: ClassVar[str] = "block.lift"
    field: ClassVar[str] = "lift_block"

    grantee: Grantee


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRepresentative(Change):
    """Registers a legal representative."""

    action: ClassVar[str] = "representative.add"
    field: ClassVar[str] = "add_representative"

    representative: Representative


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRepresentative(Change):
    """Takes a legal representative out, by id."""

    action: ClassVar[str] = "representative.remove"
    field: ClassVar[str] = "remove_representative"

    representative: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetReviewStanding(Change):
    """Tells what reviews have left a professional with: none, overdue, misuse; of no patient."""

    action: ClassVar[str] = "standing.set"
    field: ClassVar[str] = "set_review_standing"

    professional: str
    standing: str
    why: str = ""
