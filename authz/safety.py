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

A box is taken here for the set of what it rules out: each value of a choice that it does not allow, and
the opposite of each other literal. Then one box covers another when it rules out no more, and two boxes
together rule out the union. A set is the bits of an integer, which is what makes thousands of rules no
matter.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from authz.conditions import opposite
from authz.model import (
    ACTION,
    Box,
    Effect,
    Fact,
    Has,
    In,
    Kind,
    Literal,
    Member,
    Rule,
    Same,
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
    masks = _Masks(vocabulary, rules)
    for group in _by_action(masks, rules):
        widest = _widest(group)
        for place, fact in enumerate(vocabulary.facts):
            # Where the widest boxes leave no door open, none does: the others allow and deny less.
            if not any(_doors(place, widest, masks)):
                continue
            for rule, beside in _doors(place, group, masks):
                key = (rule.uid, fact.name)
                if key not in seen:
                    seen.add(key)
                    yield OpenDoor(rule=rule, fact=fact, beside=beside)


Entry = tuple[Rule, int]
"""A rule with what one of its boxes rules out."""


class _Masks:
    """Numbers everything that boxes rule out; a mask is a set of such numbers.

    * `of`: what each literal rules out.
    * `about`: what speaks of a fact; `lost`: what of it rules out its default.
    * `impossible`: sets that no request escapes: all values of a fact, a literal and its opposite.
    * `actions`: what rules out each action.
    """

    def __init__(self, vocabulary: Vocabulary, rules: Iterable[Rule]) -> None:
        self.of: dict[Literal, int] = {}
        self.about = [0 for _ in vocabulary.facts]
        self.lost = [0 for _ in vocabulary.facts]
        self.impossible: list[int] = []
        values: dict[int, list[int]] = {}
        size = 0
        for place, fact in enumerate(vocabulary.facts):
            if fact.kind is Kind.CHOICE:
                values[place] = [1 << size + value for value in range(len(fact.values))]
                size += len(fact.values)
                self.about[place] = sum(values[place])
                self.lost[place] = values[place][fact.default]  # type: ignore[index]  # a choice's is a place
                self.impossible.append(self.about[place])
        self.actions = values[vocabulary.index[ACTION]]
        for literal in {li: None for rule in rules for box in rule.boxes for li in box}:
            if isinstance(literal, In):
                bits = values[literal.fact]
                self.of[literal] = sum(b for v, b in enumerate(bits) if v not in literal.allowed)
                continue
            self.of[literal] = 1 << size
            size += 1
            for place in facts_of(literal):
                self.about[place] |= self.of[literal]
                if not _true_at_default(literal, vocabulary.facts[place]):
                    self.lost[place] |= self.of[literal]
            if opposite(literal) in self.of:
                self.impossible.append(self.of[literal] | self.of[opposite(literal)])

    def box(self, box: Box) -> int:
        """What a box rules out."""
        return reduce(or_, (self.of[literal] for literal in box), 0)

    def contradict(self, ruled_out: int) -> bool:
        """Whether nothing is left that is not ruled out."""
        return any(ruled_out & those == those for those in self.impossible)


def _by_action(masks: _Masks, rules: Iterable[Rule]) -> Iterator[list[Entry]]:
    """The boxes that can apply to each action; groups that are alike are looked at once."""
    entries = [(rule, masks.box(box)) for rule in rules for box in rule.boxes]
    groups = (
        tuple(number for number, (_, box) in enumerate(entries) if not box & action)
        for action in masks.actions
    )
    for group in dict.fromkeys(groups):
        yield [entries[number] for number in group]


def _widest(group: Iterable[Entry]) -> list[Entry]:
    """The boxes that no other box of the same effect covers."""
    kept: dict[Effect, dict[int, Rule]] = {effect: {} for effect in Effect}
    for rule, box in sorted(group, key=lambda entry: entry[1].bit_count()):
        if not _covered(box, kept[rule.effect]):
            kept[rule.effect][box] = rule
    return [(rule, box) for boxes in kept.values() for box, rule in boxes.items()]


def _doors(place: int, group: Sequence[Entry], masks: _Masks) -> Iterator[tuple[Rule, Rule | None]]:
    about, lost = masks.about[place], masks.lost[place]
    still = [(rule, box, box & ~about) for rule, box in group if not box & lost]
    denies = {rest for rule, _, rest in still if rule.effect is Effect.DENY}
    allows = [(rule, box, rest) for rule, box, rest in still if rule.effect is Effect.ALLOW]
    silent = {box for _, box, rest in allows if rest == box}
    for rule, box, rest in allows:
        if rest != box and not _covered(rest, silent) and not _covered(rest, denies):
            yield rule, None
    for rule, box in group:
        if rule.effect is Effect.DENY and box & lost:
            for allow, _, rest in allows:
                both = box & ~about | rest
                if not _covered(both, denies) and not masks.contradict(both):
                    yield rule, allow
                    break


def _true_at_default(literal: Has | Same | Member, fact: Fact) -> bool:
    if isinstance(literal, Has):
        return (
            isinstance(fact.default, int)
            and bool(fact.default >> literal.bit & 1) is literal.wanted
        )
    return not literal.wanted  # an absent identifier equals nothing and is in no set


def _covered(box: int, covers: Iterable[int]) -> bool:
    return any(not cover & ~box for cover in covers)
