"""What the record is made of: labels of documents, what they tell, people. Values without behaviour.

A *label* is what policy judges and lists are searched by; it holds nothing clinical and is stored in the
clear. What a document tells beyond that (its title, the names of its authors) are *particulars*, and are
stored sealed like its bytes.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final

MASKED: Final = "MASQUE_PS"
HIDDEN_FROM_PATIENT: Final = "INVISIBLE_PATIENT"
HIDDEN_FROM_REPRESENTATIVES: Final = "INVISIBLE_REPRESENTANTS_LEGAUX"

PERSONS: Final = ("patient", "representative")
"""The kinds of those who act as persons: for themselves, or for a child."""


class Status(StrEnum):
    """The availability of a document (XDS availabilityStatus)."""

    APPROVED = "approved"
    DEPRECATED = "deprecated"
    ARCHIVED = "archived"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """From whom a document is kept (TRE_A07)."""

    masked: bool = False
    hidden_from_patient: bool = False
    hidden_from_representatives: bool = False

    @property
    def codes(self) -> tuple[str, ...]:
        """The visibility codes of JDV_J08."""
        given = {
            MASKED: self.masked,
            HIDDEN_FROM_PATIENT: self.hidden_from_patient,
            HIDDEN_FROM_REPRESENTATIVES: self.hidden_from_representatives,
        }
        return tuple(code for code, is_set in given.items() if is_set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What policy judges of a document, and what it is found by.

    Attributes:
        id: ours, constant over all changes of metadata, another for each version (XDS logicalID).
        entry: changes with each change of metadata (XDS entryUUID).
        patient: INS.
        unique_id: the producer's, constant (XDS uniqueId).
        type: typeCode (JDV_J07).
        class_code: derived from the type (ASS_X04, ASS_X16).
        space: 1 to 8, derived from the type.
        status: its availability.
        visibility: from whom it is kept.
        confidentiality: N, R or V.
        authors: idNat_PS of each; INS for a deposit of the holder or a representative.
        structure: idNat_Struct of the structure that deposited it.
        system: the software it comes from (EHDS annex II 3.2 e).
        made_at: when it was made.
        act_from: when the act that it tells of began; when it was made, if it does not say.
        act_to: when that act ended, if it says so.
        deposited_at: when it was deposited.
        by_patient: whether the holder or a representative deposited it.
        version: 1, and one more for each replacement.
        replaces: id of the version before.
        replaced_by: id of the version after.
        media_type: of its body; "" for a structured one.
        size: of its content, in bytes.
        secret: whether it was deposited in a secret connection.
    """

    id: str
    entry: str
    patient: str
    unique_id: str
    type: str
    class_code: str
    space: str
    status: Status
    visibility: Visibility
    confidentiality: str
    authors: tuple[str, ...]
    structure: str
    system: str
    made_at: datetime
    act_from: datetime
    act_to: datetime | None
    deposited_at: datetime
    by_patient: bool
    version: int
    replaces: str
    replaced_by: str
    media_type: str
    size: int
    secret: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who made a document or did something, as it was named then.

    Attributes:
        id: idNat_PS, or INS of the holder or a representative.
        name: in words.
        profession: TRE_G15.
        structure: idNat_Struct.
        structure_name: in words.
    """

    id: str
    name: str = ""
    profession: str = ""
    structure: str = ""
    structure_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Particulars:
    """What a document tells of itself beyond its label."""

    title: str
    authors: tuple[Person, ...] = ()
    structure_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A document that is to be deposited: its label, what it tells, and its bytes.

    `names` are the unique ids of the documents that it says itself to replace.
    """

    label: Label
    particulars: Particulars
    content: bytes
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A document in a list: its label, what it tells, and what must be shown beside it."""

    label: Label
    particulars: Particulars
    banners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a list is narrowed to; what is empty does not narrow.

    Attributes:
        spaces: 1 to 8.
        types: type codes.
        since: the first day of act, in France.
        until: the last day of act, in France.
        author: idNat_PS or INS.
        statuses: of those that can be shown; approved alone if empty.
    """

    spaces: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    author: str = ""
    statuses: tuple[Status, ...] = (Status.APPROVED,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """How a person is reached; `phone` as E.164."""

    address: tuple[str, ...] = ()
    postal_code: str = ""
    city: str = ""
    phone: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Administrative:
    """A person, as the carte Vitale or the patient names them; `sex` is M, F or ""."""

    family_name: str
    given_names: str
    usage_name: str = ""
    birth_date: date | None = None
    sex: str = ""
    birth_place: str = ""
    contact: Contact = field(default_factory=Contact)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardian:
    """A legal representative: their identifier, relation (FTH, MTH...), name, and how they are reached."""

    id: str
    relation: str
    family_name: str = ""
    given_names: str = ""
    contact: Contact = field(default_factory=Contact)


class Act(StrEnum):
    """What can be done to a document without touching its bytes, by the action that policy knows."""

    MASK = "document.mask"
    UNMASK = "document.unmask"
    SHOW_TO_PATIENT = "document.show_to_patient"
    SHOW_TO_REPRESENTATIVES = "document.show_to_representatives"
    HIDE_FROM_PATIENT = "document.hide_from_patient"
    ARCHIVE = "document.archive"
    UNARCHIVE = "document.unarchive"
    DELETE = "document.delete"
