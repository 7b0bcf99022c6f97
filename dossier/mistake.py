"""What is wrong in a document, and where: told so that its maker finds it, and nobody else learns from it."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One finding.

    * `xpath` finds the element that is wrong or, where something is missing, the one that lacks it.
      Its prefix `cda` stands for `urn:hl7-org:v3`; `/*` is the document as a whole.
    * `wrong` and `remedy` repeat nothing of the document but codes of public nomenclatures.
    * `line` counts from 1; 0 where there is none.
    """

    xpath: str
    wrong: str
    remedy: str
    line: int = 0

    def __str__(self) -> str:
        """`xpath (line 12): wrong: remedy`."""
        line = f" (line {self.line})" if self.line else ""
        return f"{self.xpath}{line}: {self.wrong}: {self.remedy}"


def told(mistakes: Iterable[Mistake], of: str) -> str:
    """All of them in one text, after how many there are."""
    found = tuple(mistakes)
    ending = "" if len(found) == 1 else "s"
    return f"{len(found)} mistake{ending} in {of}: " + "; ".join(map(str, found))
