"""What a CDA R2 document says of itself before its body: the header, as the rest of the room knows it.

The words are those of HL7 CDA R2 and of the French profile of it (CI-SIS, volet structuration minimale).
All of it is as written in the document; whether it is true is not known here. What names people shows nothing
of itself when it is printed, so that it gets into no log by mistake.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from dossier.cda.moment import Precision

STRUCTURED: Final = "structured"
"""The kind of a body that is CDA markup; any other kind is a media type."""


class Confidentiality(StrEnum):
    """How confidential a document is; what more there is to hide is said beside it, never in it."""

    NORMAL = "N"
    RESTRICTED = "R"
    VERY_RESTRICTED = "V"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """An instance identifier (HL7 II): who gave it, and what; `extension` may be ""."""

    root: str
    extension: str = ""

    def __str__(self) -> str:
        """As XDS writes it in metadata: `root^extension`, or the root alone."""
        return f"{self.root}^{self.extension}" if self.extension else self.root


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Traits:
    """The patient as the document names her; each part may be empty.

    * `family_name` is that of birth, `usage_name` the one in use where it is told.
    * `given_names`: all as told, the first one first; `used_name` is the one in use.
    * `birth_date`: ISO 8601, as precise as told: `1979-03-28`, `1979-03`, `1979`.
    * `sex`: the code of HL7 (F, M, UN).
    """

    family_name: str = ""
    usage_name: str = ""
    given_names: tuple[str, ...] = ()
    used_name: str = ""
    birth_date: str = ""
    sex: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Author:
    """Who made the document, or with a `device`, what made it.

    * `id_nat`: the national number of the professional (idNat_PS), "" when none is told.
    * `role` is profession and specialty (`G15_10/SM26`) or another kind of author (`EXP_PATIENT`).
    * `structure`: the national number of the organisation (idNat_Struct), "" when none is told.
    * `time` is None where the document has none that can be read.
    """

    ids: tuple[Identifier, ...]
    id_nat: str = ""
    family_name: str = ""
    given_name: str = ""
    role: str = ""
    role_system: str = ""
    device: str = ""
    structure: str = ""
    organisation_ids: tuple[Identifier, ...] = ()
    organisation: str = ""
    time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Custodian:
    """The organisation that keeps the original."""

    id: Identifier
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What the document carries: `structured`, or the media type of the one file in it.

    `size` counts bytes: of the file when decoded, else of the markup.
    """

    kind: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Header:
    """The header of a document that has passed every check of `dossier.cda.read`.

    * `unique_id` and `set_id` are written `root^extension` or `root`, as in XDS; `set_id` may be "".
    * `version_number` is 0 when the document does not tell it.
    * `type_code` and `type_system` are as written; `dossier.types` knows today's code of an old one.
    * `effective_time` is where the time that is written begins: `2026-03` is the first of March, 00:00;
      `effective_precision` is how much of it was written.
    * `replaces` and `appends` are the documents that this one names as replaced or completed.
    * `service_start` and `service_stop`: of the care that is documented, None when not told.
    """

    unique_id: str
    set_id: str
    version_number: int
    type_code: str
    type_system: str
    title: str
    language: str
    confidentiality: Confidentiality
    effective_time: datetime
    effective_precision: Precision
    patient_ids: tuple[Identifier, ...]
    patient: Traits
    authors: tuple[Author, ...]
    custodian: Custodian
    service_start: datetime | None
    service_stop: datetime | None
    replaces: tuple[str, ...]
    appends: tuple[str, ...]
    template_ids: tuple[str, ...]
    body: Body
