"""The types of documents: which exist, in which class and space they stand, and what old codes became.

The table is policy data (`policies/matrix/types.csv`), so that officers change it. Classes and spaces are
always derived from the type (tables ASS_X04 and ASS_X16); nobody asserts them.

Documents live long: those of 2012 bear codes that the list of today has not. A document keeps the code that
it bears, byte for byte; what the record files, searches and asks permission under is its successor.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from authz.matrix import DocumentType, read_types
from authz.mistake import suggest
from dossier.errors import TypesError

LOINC: Final = "2.16.840.1.113883.6.1"

SUCCESSORS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "10213-7": "77436-4",
        "11493-4": "34112-3",
        "11526-1": "60568-3",
        "11528-7": "18748-4",
        "24611-6": "85208-7",
        "27899-4": "70004-7",
        "29550-1": "60593-1",
        "29551-9": "57833-6",
        "29554-3": "75482-0",
        "39256-3": "75492-9",
        "46241-6": "67851-6",
        "52063-5": "57828-6",
        "52521-2": "57832-8",
    }
)
"""LOINC codes of the list of 2012-11-12 that ended, with the code of today that has the same French label.

`INSCR_RCP`, which ended on 2017-10-13, has none.
"""


class DocumentTypes:
    """The types that are known, by code."""

    def __init__(self, types: Mapping[str, DocumentType]) -> None:
        self._types = MappingProxyType(dict(types))

    @classmethod
    def read(cls, text: str, *, path: str = "types.csv") -> "DocumentTypes":
        """The types that the text of the table says.

        Raises:
            TypesError: With every mistake in it.
        """
        types, mistakes = read_types(text, path=path)
        if mistakes:
            raise TypesError("; ".join(map(str, mistakes)))
        return cls(types)

    def __iter__(self) -> Iterator[DocumentType]:
        """All types of today."""
        return iter(self._types.values())

    def today(self, code: str) -> DocumentType | None:
        """The type that a code of today or of 2012 stands for now; None when it is unknown."""
        return self._types.get(SUCCESSORS.get(code, code))

    def find(self, code: str, system: str) -> DocumentType | None:
        """The same, for a code with its system as a document writes it; None also for another system."""
        return self.today(code) if system and system == self.system(code) else None

    def system(self, code: str) -> str:
        """The code system of a known code, old ones included; "" when it is unknown."""
        known = self.today(code)
        if known is None:
            return ""
        return LOINC if code in SUCCESSORS else known.system

    def hint(self, code: str) -> str:
        """The known code that a misspelt one is nearest to, as a sentence; "" when none is near.

        LOINC codes have none: near numbers mean things far apart.
        """
        words = [known for known in self._types if not known[0].isdigit()]
        near = "" if code[:1].isdigit() else suggest(code, words)
        return near if near.startswith("did you mean") else ""
