"""Clinical documents (HL7 CDA R2, French profile): read safely, checked, never changed.

`read` gives the header of a document or everything that is wrong with it; `check_about` says whether it
belongs into a patient's record, and where. `validation` holds documents against official schemas, for
operators who have them. All but `validation` is pure.
"""

from dossier.cda.about import ROOTS, check_about
from dossier.cda.body import MEDIA_TYPES
from dossier.cda.header import (
    STRUCTURED,
    Author,
    Body,
    Confidentiality,
    Custodian,
    Header,
    Identifier,
    Traits,
)
from dossier.cda.markup import MAX_BYTES
from dossier.cda.moment import Precision
from dossier.cda.read import read

__all__ = [
    "MAX_BYTES",
    "MEDIA_TYPES",
    "ROOTS",
    "STRUCTURED",
    "Author",
    "Body",
    "Confidentiality",
    "Custodian",
    "Header",
    "Identifier",
    "Precision",
    "Traits",
    "check_about",
    "read",
]
