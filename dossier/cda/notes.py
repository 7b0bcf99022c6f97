"""The mistakes of one document, noted while it is read on."""

import re
from collections.abc import Iterable
from typing import Final

from dossier.cda.markup import Element
from dossier.errors import CdaError
from dossier.mistake import Mistake

MAX_MISTAKES: Final = 200
"""So many are told of one document."""

_PUBLIC: Final = re.compile(r"[0-9]{1,7}-[0-9]|2\.16\.840\.1\.113883(\.[0-9]{1,6}){1,8}")


class Notes:
    """Collects mistakes; says where they are without saying what stands there."""

    def __init__(self) -> None:
        self._found: list[Mistake] = []

    def __len__(self) -> int:
        """How many there are so far."""
        return len(self._found)

    def at(self, element: Element, wrong: str, remedy: str, attribute: str = "") -> None:
        """Notes a mistake of an element; `attribute` (`@code`) is named when the element has it."""
        path = element.path
        if attribute.removeprefix("@") in element.attributes:
            path = f"{path}/{attribute}"
        self._found.append(Mistake(xpath=path, wrong=wrong, remedy=remedy, line=element.line))

    def one(self, parent: Element, name: str, *, why: str) -> Element | None:
        """The one child of that name; None after noting that there is none, or the first of several."""
        found = list(parent.all(name))
        if not found:
            self.at(parent, f"has no {name}", f"add it: {why}")
            return None
        if len(found) > 1:
            self.at(found[1], f"a second {name}", f"keep one: {why}")
        return found[0]

    def raise_any(self) -> None:
        """Raises what was noted.

        Raises:
            CdaError: With all mistakes, but no more than `MAX_MISTAKES`, if there is one.
        """
        if self._found:
            raise CdaError(self._found[:MAX_MISTAKES])


def public(code: str, known: Iterable[str] = ()) -> str:
    """The code in backticks if it is one of a public nomenclature, else words that say nothing of it.

    A field for codes may hold a name by mistake, and mistakes are logged.
    """
    return f"`{code}`" if code in known or _PUBLIC.fullmatch(code) else "what stands here"
