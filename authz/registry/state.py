"""What is true of one patient, and the questions that rules ask about it.

Plain frozen values: no clock, no database. The law behind them is CSP L.1111-14 to L.1111-24.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class DossierStatus(StrEnum):
    """Where a dossier stands; a closed one is kept ten years, then destroyed (L.1111-18)."""

    NONE = "none"
    OPEN = "open"
    CLOSED = "closed"
    DESTROYED = "destroyed"


class GranteeKind(StrEnum):
    """Who may be authorised or blocked: a person, or a structure with all who work there."""

    PROFESSIONAL = "professional"
    STRUCTURE = "structure"


class AuthorisationState(StrEnum):
    """The states of an authorisation: NON_EXISTE, VALIDE, EXPIRE, INTERDIT."""

    NONE = "none"
    VALID = "valid"
    EXPIRED = "expired"
    FORBIDDEN = "forbidden"


class ReviewStanding(StrEnum):
    """What reviews of emergency accesses have left a professional with, whoever the patients were."""

    NONE = "none"
    OVERDUE = "overdue"
    MISUSE = "misuse"


Standings = Mapping[str, ReviewStanding]
"""By idNat_PS; who is not in it has `ReviewStanding.NONE`."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Grantee:
    """A professional (idNat_PS) or a structure (idNat_Struct)."""

    identifier: str
    kind: GranteeKind

    def matches(self, entry: "Authorisation | Block") -> bool:
        """Whether an authorisation or a block is about this one."""
        return (entry.grantee, entry.kind) == (self.identifier, self.kind)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Authorisation:
    """The recorded right to consult ("autorisation d'accès"); feeding needs none."""

    grantee: str
    kind: GranteeKind
    granted_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Block:
    """The patient shuts out one professional or structure ("blocage")."""

    grantee: str
    kind: GranteeKind
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class TreatingDoctor:
    """A doctor named inside the dossier, with extra rights ("médecin traitant DMP")."""

    professional: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Representative:
    """Who acts for a minor ("représentant légal"); `relation` is a code such as FTH or MTH."""

    representative: str
    relation: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Consents:
    """What the patient permits: True is permitted, False is an opposition.

    The defaults are the answers that the consent screen of 2011 shows. `samu` and `break_glass` are
    independent (L.1111-17 I); `masked_in_emergency` never stands without one of them; `feeding` is
    the absence of an opposition to deposits (R.1111-47).
    """

    samu: bool = True
    break_glass: bool = True
    masked_in_emergency: bool = False
    feeding: bool = True


NO_CONSENT = Consents(samu=False, break_glass=False, masked_in_emergency=False, feeding=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientState:
    """All that the rules need to know of one patient.

    * The lists hold at most one entry a grantee, doctor or representative, and are kept sorted, so
      that two equal states compare equal.
    * A treating doctor always has an authorisation of their own, though it may have expired.
    * Nobody is blocked and authorised at once.
    """

    patient: str
    status: DossierStatus
    birth_date: date | None = None
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    closure_reason: str = ""
    closure_text: str = ""
    consents: Consents = NO_CONSENT
    authorisations: tuple[Authorisation, ...] = ()
    treating_doctors: tuple[TreatingDoctor, ...] = ()
    blocks: tuple[Block, ...] = ()
    representatives: tuple[Representative, ...] = ()

    def __post_init__(self) -> None:
        """Sorts the lists."""
        for name in ("authorisations", "treating_doctors", "blocks", "representatives"):
            object.__setattr__(self, name, tuple(sorted(getattr(self, name))))

    def authorisation_of(
        self, professional: str | None, structure: str | None, at: datetime
    ) -> AuthorisationState:
        """How a professional who works for a structure stands at an instant.

        A block on either forbids; else one valid authorisation of either is enough. At the very
        instant of its expiry an authorisation has expired. None stands for "not known" and matches
        nothing.
        """
        named = {GranteeKind.PROFESSIONAL: professional, GranteeKind.STRUCTURE: structure}
        if any(block.grantee == named[block.kind] for block in self.blocks):
            return AuthorisationState.FORBIDDEN
        ends = [a.expires_at for a in self.authorisations if a.grantee == named[a.kind]]
        if not ends:
            return AuthorisationState.NONE
        return AuthorisationState.VALID if at < max(ends) else AuthorisationState.EXPIRED

    def is_treating_doctor(self, professional: str | None) -> bool:
        """Whether the dossier names this professional as treating doctor."""
        return any(doctor.professional == professional for doctor in self.treating_doctors)

    def is_representative(self, person: str | None) -> bool:
        """Whether the dossier names this person as legal representative."""
        return any(entry.representative == person for entry in self.representatives)

    def is_minor(self, at: date, majority_age: int) -> bool | None:
        """Whether the patient is below the age of majority, in years, on a day; None if unknown.

        The birthday itself is the first day of majority. Who is born on 29 February comes of age on
        1 March of a common year, the first day on which the full years have passed.
        """
        if self.birth_date is None:
            return None
        birthday_is_ahead = (at.month, at.day) < (self.birth_date.month, self.birth_date.day)
        return at.year - self.birth_date.year - birthday_is_ahead < majority_age


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What of a patient's state is about one who asks; None stands for "not known" and matches nothing.

    `may_treat` tells whether a treating doctor may be of their profession, `treats_anyway` whether a
    treating doctor's rights last without a valid authorisation (parameters mt.professions,
    mt.requires_valid).
    """

    professional: str | None
    structure: str | None
    may_treat: bool
    treats_anyway: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrusted:
    """A patient whose open dossier a professional may consult, in person or through the structure.

    `expires_at` is the end of the authorisation that lasts longest.
    """

    patient: str
    birth_date: date | None
    treating_doctor: bool
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A page of patients, by INS, and after which to go on: "" when there are no more."""

    patients: tuple[Entrusted, ...]
    next: str


def unknown(patient: str) -> PatientState:
    """The state of a patient without dossier: nothing is permitted."""
    return PatientState(patient=patient, status=DossierStatus.NONE)
