"""What is wrong in a policy file: where, what, and how to put it right.

Every loader reports its findings as `Mistake`s and goes on reading, so that an officer sees all of
them at once. Sorted, they stand in the order of the file.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

FEW: Final = 12
"""So many known words may be listed in a hint."""

LONG: Final = 200
"""So long a word is no misspelling of any; comparing it would only take time."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Mistake:
    """One finding in one file; `line` and `column` count from 1.

    * `where` names the thing that is wrong: a rule, a fact, a kind of line.
    * `message` says what is wrong, `hint` what would be right; the hint may be empty.
    """

    path: str
    line: int
    column: int
    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """`path:line:column: where: message (hint)`, which editors know how to follow."""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.path}:{self.line}:{self.column}: {self.where}: {self.message}{hint}"


def suggest(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word: the nearest known one, else all of them when they are few."""
    words = sorted(known)
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.6) if len(word) < LONG else []
    if near:
        return f"did you mean `{near[0]}`?"
    return f"known: {', '.join(f'`{w}`' for w in words)}" if 0 < len(words) <= FEW else ""
