"""The closed set of changes of the registry; what each does to a patient's state is in `apply`.

Every change is itself an action: policy decides whether it may happen, and the log holds its words
(`to_document`).
"""

from dataclasses import dataclass, fields
from datetime import date

from authz.errors import ChangeError
from authz.registry.state import Grantee, GranteeKind, ReviewStanding


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRepresentative:
    """Names a legal representative, or gives the one named another relation (FTH, MTH, RESPRSN)."""

    representative: str
    relation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRepresentative:
    """Takes a legal representative off; nothing happens when there is no such one."""

    representative: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answers:
    """The answers of the consent screen; the first one, to create at all, is the change itself."""

    birth_date: date | None = None
    samu: bool
    break_glass: bool
    masked_in_emergency: bool = False
    authorise: Grantee | None = None
    treating_doctor: bool = False
    representatives: tuple[AddRepresentative, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDossier(_Answers):
    """Creates the dossier with the patient's consent; feeding is permitted from then on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReopenDossier(_Answers):
    """Re-activates a closed dossier (TD1.2) with a fresh consent.

    As the consent is asked for anew, the old consents, authorisations and treating doctors do not
    come back. An opposition to feeding stays, as nobody asks about it, and so do blocks,
    representatives, the first opening and the birth date. After a death nothing is re-activated.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseDossier:
    """Closes the dossier (TD1.4) for a coded reason; all else is kept as it was."""

    reason: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetConsents:
    """Permits (True) or opposes (False); None leaves as it is.

    Opposing both emergency accesses ends `masked_in_emergency` too.
    """

    samu: bool | None = None
    break_glass: bool | None = None
    masked_in_emergency: bool | None = None
    feeding: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _OnGrantee:
    grantee: str
    kind: GranteeKind

    @property
    def whom(self) -> Grantee:
        """The professional or structure that is meant."""
        return Grantee(identifier=self.grantee, kind=self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantAuthorisation(_OnGrantee):
    """Authorises for the whole term from now on; may name the treating doctor in the same step."""

    treating_doctor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewAuthorisation(_OnGrantee):
    """Lets a valid authorisation run the whole term again, even in the patient's absence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeAuthorisation(_OnGrantee):
    """Ends an authorisation, and with it the treating doctor's status; nothing if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTreatingDoctor:
    """Names one who has a valid authorisation of their own as treating doctor."""

    professional: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawTreatingDoctor:
    """Ends the treating doctor's status; the authorisation stays."""

    professional: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBlock(_OnGrantee):
    """Shuts out a professional or a structure, and ends their authorisation."""

    withdraw_treating_doctor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftBlock(_OnGrantee):
    """Ends a block; the old authorisation does not come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetReviewStanding:
    """Tells what reviews of emergency accesses have left a professional with, and why; of no patient."""

    professional: str
    standing: ReviewStanding
    why: str = ""


PatientChange = (
    OpenDossier
    | ReopenDossier
    | CloseDossier
    | SetConsents
    | GrantAuthorisation
    | RenewAuthorisation
    | RevokeAuthorisation
    | SetTreatingDoctor
    | WithdrawTreatingDoctor
    | SetBlock
    | LiftBlock
    | AddRepresentative
    | RemoveRepresentative
)
"""What changes the state of one patient."""

Change = PatientChange | SetReviewStanding


def own_authorisation(
    *, authorise: bool, treating_doctor: bool, grantee: Grantee
) -> GrantAuthorisation | RevokeAuthorisation | WithdrawTreatingDoctor:
    """The change that a professional or structure asks for itself, by the table of TD0.3.

    =========  ===============  ====================================================
    authorise  treating doctor  effect
    =========  ===============  ====================================================
    yes        no               grants access
    yes        yes              grants access and names the treating doctor
    no         no               ends access, and the treating doctor's status with it
    no         yes              ends the treating doctor's status, keeps access
    =========  ===============  ====================================================

    Raises:
        ChangeError: when a structure gives up being treating doctor, which it can't be.
    """
    who, kind = grantee.identifier, grantee.kind
    if authorise:
        return GrantAuthorisation(grantee=who, kind=kind, treating_doctor=treating_doctor)
    if not treating_doctor:
        return RevokeAuthorisation(grantee=who, kind=kind)
    if kind is not GranteeKind.PROFESSIONAL:
        raise ChangeError(
            field="treating_doctor", value=kind, problem="must be a person", remedy="name a doctor"
        )
    return WithdrawTreatingDoctor(professional=who)


def to_document(change: Change) -> dict[str, str | list[str] | list[list[str]]]:
    """The change for its log entry: strings and lists only, what was not given is left out."""
    document: dict[str, str | list[str] | list[list[str]]] = {"change": type(change).__name__}
    for field in fields(change):
        match getattr(change, field.name):
            case None | ():
                pass
            case bool(answer):
                document[field.name] = "yes" if answer else "no"
            case date() as day:
                document[field.name] = day.isoformat()
            case Grantee() as grantee:
                document[field.name] = [str(grantee.kind), grantee.identifier]
            case tuple() as entries:
                document[field.name] = [[e.representative, e.relation] for e in entries]
            case text:
                document[field.name] = str(text)
    return document
