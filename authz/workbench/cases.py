"""Splits requests into cases: parts of the space of facts in which the same rules apply.

The space of all requests has more points than could ever be tried, but rules look at it through few
literals. So a space (a `Box`) is split along the literals of the rules that may still apply, one literal
at a time, until what matters is settled: then every request of the case is decided alike, and one of them,
the witness, stands for all. No request is left out, and no two cases share one.

A literal is taken for independent of the others. Where literals about identifiers cannot hold together
(a = b, b = c, a is not c) the case has no witness, and no request.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from authz.conditions import conjoin, opposite
from authz.errors import Error
from authz.model import (
    Box,
    Effect,
    FactValue,
    Has,
    In,
    Kind,
    Literal,
    Member,
    Rule,
    Same,
    Vector,
    Vocabulary,
    holds,
)

MAX_CASES: Final = 50_000
"""A few seconds' work; a bundle of 150 rules has some hundred cases an action."""

Standing = tuple[Rule, Box]
"""A rule with what is still open of one of its boxes."""


class TooManyError(Error):
    """There are more cases than were asked for."""


@dataclass(frozen=True, slots=True)
class Case:
    """A part of the space, one request of it, and the rules that apply to each (others may, to some)."""

    box: Box
    witness: Vector
    rules: tuple[str, ...] = ()


def cases(
    vocabulary: Vocabulary,
    rules: Iterable[Rule],
    space: Box,
    *,
    detail: Iterable[Effect] = (),
    most: int = MAX_CASES,
) -> Iterator[Case]:
    """All cases of a space.

    Args:
        vocabulary: the facts.
        rules: the rules that decide.
        space: the requests that are meant.
        detail: the effects of which it matters which rules carry them, and not only that one does.
        most: so many cases at most.

    Raises:
        TooManyError: there are more than `most`.
    """
    exact = frozenset(detail)
    start = [(rule, box) for rule in rules for box in rule.boxes]
    stack: list[tuple[Box, Sequence[Standing]]] = [(space, start)]
    found = 0
    while stack:
        box, before = stack.pop()
        standing = _standing(box, before)
        literal = _next(standing, exact)
        if literal is not None:
            for side in (literal, negation(literal, vocabulary)):
                part = conjoin(box, frozenset({side}))
                if part is not None:
                    stack.append((part, standing))
            continue
        found += 1
        if found > most:
            raise TooManyError(f"more than {most} cases")
        request = witness(vocabulary, box)
        if request is not None:
            yield Case(box, request, tuple({rule.uid: None for rule, rest in standing if not rest}))


def negation(literal: Literal, vocabulary: Vocabulary) -> Literal:
    """The literal that holds exactly when this one does not."""
    if isinstance(literal, In):
        values = frozenset(range(len(vocabulary.facts[literal.fact].values)))
        return In(literal.fact, values - literal.allowed)
    return opposite(literal)


def _standing(box: Box, before: Sequence[Standing]) -> list[Standing]:
    """What is still open of each box; those that cannot hold any more are gone."""
    ranges = {li.fact: li.allowed for li in box if isinstance(li, In)}
    found = []
    for rule, rest in before:
        left = _left(rest, box, ranges)
        if left is not None:
            found.append((rule, left))
    return found


def _left(rest: Box, box: Box, ranges: Mapping[int, frozenset[int]]) -> Box | None:
    left: set[Literal] = set()
    for literal in rest:
        if isinstance(literal, In):
            known = ranges.get(literal.fact)
            if known is None or not known <= literal.allowed:
                if known is not None and not known & literal.allowed:
                    return None
                left.add(literal)
        elif literal not in box:
            if opposite(literal) in box:
                return None
            left.add(literal)
    return frozenset(left)


def _next(standing: Sequence[Standing], exact: frozenset[Effect]) -> Literal | None:
    """The literal to split along; None when all that matters is settled.

    Denials come first, the shortest before all: they decide whatever else may apply.
    """
    denies = [rest for rule, rest in standing if rule.effect is Effect.DENY]
    allows = [rest for rule, rest in standing if rule.effect is Effect.ALLOW]
    denied = frozenset() in denies
    if denied or not allows:
        undecided = denies if Effect.DENY in exact else []
    elif denies:
        undecided = denies
    else:
        undecided = allows if Effect.ALLOW in exact or frozenset() not in allows else []
    shortest = min((rest for rest in undecided if rest), key=len, default=None)
    return min(shortest, key=repr) if shortest is not None else None


def witness(vocabulary: Vocabulary, box: Box) -> Vector | None:
    """A request of a box, as plain as can be; None when no request is like this.

    Identifiers that need not be equal are told apart, and none that is compared is absent.
    """
    vector: list[FactValue] = list(vocabulary.defaults())
    for literal in box:
        if isinstance(literal, In) and vector[literal.fact] not in literal.allowed:
            vector[literal.fact] = min(literal.allowed)
        elif isinstance(literal, Has):
            value = vector[literal.fact]
            bits = value if isinstance(value, int) else 0
            bit = 1 << literal.bit
            vector[literal.fact] = bits | bit if literal.wanted else bits & ~bit
    names = _names(vocabulary, box)
    for place, name in names.items():
        vector[place] = name
    for literal in box:
        if isinstance(literal, Member) and literal.wanted:
            members = vector[literal.group]
            kept = members if isinstance(members, tuple) else ()
            vector[literal.group] = tuple(sorted({*kept, names[literal.item]}))
    request = tuple(vector)
    return request if all(holds(literal, request) for literal in box) else None


def _names(vocabulary: Vocabulary, box: Box) -> dict[int, str]:
    """An identifier for each place that is compared: one for all that must be the same."""
    same: dict[int, int] = {}

    def first(place: int) -> int:
        while same.setdefault(place, place) != place:
            place = same[place]
        return place

    for literal in box:
        if isinstance(literal, Same):
            left, right = sorted((first(literal.left), first(literal.right)))
            if literal.wanted:
                same[right] = left
        elif isinstance(literal, Member):
            first(literal.item)
    identifiers = (p for p in same if vocabulary.facts[p].kind is Kind.IDENTIFIER)
    return {place: vocabulary.facts[first(place)].name for place in identifiers}
