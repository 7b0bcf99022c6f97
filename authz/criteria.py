"""What may be asked of a document's label, and the few laws by which such questions combine.

A *criterion* asks for values of one field, a set of them holds when each of its criteria does. A label is a
`Document`; `type`, `author_structure` and `status` have one value at most, `authors` and `visibility`
any number. Whatever is said here of two sets is exact: there is a label that shows it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from authz.query import Document

TYPE: Final = "type"
AUTHORS: Final = "authors"
AUTHOR_STRUCTURE: Final = "author_structure"
VISIBILITY: Final = "visibility"
STATUS: Final = "status"

_SEVERAL: Final = frozenset({AUTHORS, VISIBILITY})

_MAX_TRIES: Final = 10_000
"""Our rules need some ten; whatever needs more is taken for possible."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """The field has one of the values, or, if `negated`, none of them. "" is no value."""

    field: str
    negated: bool
    values: frozenset[str]

    @property
    def opposite(self) -> "Criterion":
        """The criterion that a label meets exactly when it does not meet this one."""
        return Criterion(self.field, not self.negated, self.values)

    def meets(self, document: Document) -> bool:
        """Whether a label is so."""
        found = getattr(document, self.field)
        if self.field in _SEVERAL:
            return self.values.isdisjoint(found) is self.negated
        return (found in self.values) is not self.negated


Criteria = frozenset[Criterion]
"""Criteria that hold together; none at all hold for every label."""

EVERYTHING: Final[Criteria] = frozenset()


def has(field: str, values: Iterable[str]) -> Criteria:
    """The field has one of the values."""
    return frozenset({Criterion(field, negated=False, values=frozenset(values))})


def has_none(field: str, values: Iterable[str]) -> Criteria:
    """The field has none of the values."""
    unwanted = frozenset(values)
    return frozenset({Criterion(field, negated=True, values=unwanted)}) if unwanted else EVERYTHING


def meets(criteria: Criteria, document: Document) -> bool:
    """Whether a label meets all of the criteria."""
    return all(criterion.meets(document) for criterion in criteria)


def both(left: Criteria, right: Criteria) -> Criteria | None:
    """The criteria of both, as few as possible; None when no label meets them together."""
    if left <= right or right <= left:
        return left | right
    joined = left | right
    shared = {c.field for c in left}.intersection([c.field for c in right])
    if not shared:
        return joined
    found = {c for c in joined if c.field not in shared}
    for field in shared:
        merged = _merged(field, [c for c in joined if c.field == field])
        if merged is None:
            return None
        found |= merged
    return frozenset(found)


def implies(left: Criteria, right: Criteria) -> bool:
    """Whether each label that meets `left` meets `right`."""
    return all(criterion in left or _excludes(left, criterion.opposite) for criterion in right)


def possible(wanted: Criteria, unwanted: Iterable[Criteria]) -> bool:
    """Whether some label meets what is wanted, and nothing of what is not."""
    apart = list(unwanted)
    todo, tries = [(wanted, 0)], 0
    while todo:
        reached, place = todo.pop()
        tries += 1
        if place == len(apart) or tries > _MAX_TRIES:
            return True
        if any(_excludes(reached, criterion) for criterion in apart[place]):
            todo.append((reached, place + 1))
            continue
        for criterion in apart[place]:
            escaped = both(reached, frozenset({criterion.opposite}))
            if escaped is not None:
                todo.append((escaped, place + 1))
    return False


def _excludes(criteria: Criteria, criterion: Criterion) -> bool:
    """Whether no label meets the criteria and this one too."""
    same = [c for c in criteria if c.field == criterion.field]
    return bool(same) and _merged(criterion.field, [*same, criterion]) is None


def _merged(field: str, parts: Sequence[Criterion]) -> set[Criterion] | None:
    """What the criteria of one field come to."""
    without = frozenset[str]().union(*(c.values for c in parts if c.negated))
    having = {c.values - without for c in parts if not c.negated}
    if field not in _SEVERAL and having:
        having, without = {frozenset.intersection(*having)}, frozenset()
    if not all(having):
        return None
    least = [h for h in having if not any(other < h for other in having)]
    found = {Criterion(field, negated=False, values=h) for h in least}
    if without:
        found.add(Criterion(field, negated=True, values=without))
    return found
