"""Finds rules that would open a door when a fact is missing.

A fact of which nothing is known has its default. The promise is: *setting a fact to its default never
turns deny into allow.* For the set of boxes in which rules are kept, this is decided exactly enough to be
sound: a bundle in which nothing is found here keeps the promise for every request.

For a fact set to its default, a box either cannot hold any more, or what remains of it (its other
literals) decides. A denial could turn into an allow in two ways, for an allow box A that can still hold:

1. A did not hold before, because of the fact. Harmless when another allow box that does not speak of the
   fact covers what remains of A, or a deny box that can still hold does.
2. A deny box D held before and cannot hold any more. Harmless when A and what remains of D contradict each
   other, or a deny box that can still hold covers both.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from authz.conditions import conjoin
from authz.model import (
    ACTION,
    Box,
    Effect,
    Fact,
    Has,
    In,
    Literal,
    Rule,
    Vocabulary,
    facts_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDoor:
    """A rule whose effect is lost (deny) or gained (allow) when a fact is missing."""

    rule: Rule
    fact: Fact
    beside: Rule | None
    """For a deny rule: the allow rule that would then prevail."""


def open_doors(vocabulary: Vocabulary, rules: Sequence[Rule]) -> Iterator[OpenDoor]:
    """All open doors of a set of rules, one a rule and fact."""
    seen: set[tuple[str, str]] = set()
    for group in _by_action(vocabulary, rules):
        for place, fact in enumerate(vocabulary.facts):
            for door in _doors(place, fact, group):
                key = (door.rule.uid, fact.name)
                if key not in seen:
                    seen.add(key)
                    yield door


Entry = tuple[Rule, Box]


def _by_action(vocabulary: Vocabulary, rules: Iterable[Rule]) -> list[list[Entry]]:
    """The boxes that can apply to each action; groups that are alike are looked at once."""
    place = vocabulary.index[ACTION]
    groups: Mapping[int, list[Entry]] = defaultdict(list)
    everything = frozenset(range(len(vocabulary.facts[place].values)))
    for rule in rules:
        for box in rule.boxes:
            named = [li.allowed for li in box if isinstance(li, In) and li.fact == place]
            for action in everything.intersection(*named):
                groups[action].append((rule, box))
    unlike = {tuple((rule.uid, box) for rule, box in group): group for group in groups.values()}
    return list(unlike.values())


def _doors(place: int, fact: Fact, group: Sequence[Entry]) -> Iterator[OpenDoor]:
    remains = [(rule, box, _at_default(box, place, fact)) for rule, box in group]
    still = [(rule, box, rest) for rule, box, rest in remains if rest is not None]
    denies = [rest for rule, _, rest in still if rule.effect is Effect.DENY]
    allows = [(rule, box, rest) for rule, box, rest in still if rule.effect is Effect.ALLOW]
    silent = [box for _, box, rest in allows if rest == box]
    for rule, box, rest in allows:
        if rest != box and not _covered(rest, silent) and not _covered(rest, denies):
            yield OpenDoor(rule=rule, fact=fact, beside=None)
    lost = [(r, box) for r, box, rest in remains if r.effect is Effect.DENY and rest is None]
    for rule, box in lost:
        others = frozenset(li for li in box if place not in facts_of(li))
        for allow, _, allow_rest in allows:
            both = conjoin(others, allow_rest)
            if both is not None and not _covered(both, denies):
                yield OpenDoor(rule=rule, fact=fact, beside=allow)
                break


def _at_default(box: Box, place: int, fact: Fact) -> Box | None:
    """What remains of a box when the fact is at its default; None when it cannot hold."""
    if all(_true_at_default(li, fact) for li in box if place in facts_of(li)):
        return frozenset(li for li in box if place not in facts_of(li))
    return None


def _true_at_default(literal: Literal, fact: Fact) -> bool:
    if isinstance(literal, In):
        return fact.default in literal.allowed
    if isinstance(literal, Has):
        return (
            isinstance(fact.default, int)
            and bool(fact.default >> literal.bit & 1) is literal.wanted
        )
    return not literal.wanted  # an absent identifier equals nothing and is in no set


def _covered(box: Box, covers: Iterable[Box]) -> bool:
    return any(all(_implied(literal, box) for literal in cover) for cover in covers)


def _implied(literal: Literal, box: Box) -> bool:
    if isinstance(literal, In):
        return any(
            isinstance(li, In) and li.fact == literal.fact and li.allowed <= literal.allowed
            for li in box
        )
    return literal in box
