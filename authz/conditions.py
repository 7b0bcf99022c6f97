"""Conditions of py-abac documents, turned into boxes of literals.

Accepted is what keeps its meaning for a fact of the given kind:

=============  ====================================================================
kind           conditions
=============  ====================================================================
`choice`       Equals, NotEquals, IsIn, IsNotIn, RegexMatch (anchored)
`identifier`   EqualsAttribute, NotEqualsAttribute, IsInAttribute, IsNotInAttribute
`choices`      AnyIn, AllIn, IsEmpty, IsNotEmpty
all            Not, AllOf, AnyOf
=============  ====================================================================

Conditions that mean in py-abac 0.4.1 something else than they say are refused, with the safe spelling.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Final

from authz.errors import Error
from authz.mistake import suggest
from authz.model import ACTION, Box, Fact, Has, In, Kind, Literal, Member, Same, Vocabulary
from authz.source import Mistakes, Node

MAX_BOXES: Final = 1024

ACCEPTED: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.CHOICE: ("Equals", "NotEquals", "IsIn", "IsNotIn", "RegexMatch"),
    Kind.IDENTIFIER: (
        "EqualsAttribute",
        "NotEqualsAttribute",
        "IsInAttribute",
        "IsNotInAttribute",
    ),
    Kind.CHOICES: ("AnyIn", "AllIn", "IsEmpty", "IsNotEmpty"),
    Kind.IDENTIFIERS: (),
}
LOGIC: Final = ("Not", "AllOf", "AnyOf")
ELEMENTS: Final = ("subject", "resource", "action", "context")

REFUSED: Final[dict[str, str]] = {
    "AllNotIn": "py-abac swaps it with AnyNotIn; write `Not` around `AnyIn`",
    "AnyNotIn": "py-abac swaps it with AllNotIn; write `Not` around `AllIn`",
    "AllInAttribute": "compare one identifier with `IsInAttribute`",
    "AnyInAttribute": "compare one identifier with `IsInAttribute`",
    "AllNotInAttribute": "compare one identifier with `IsNotInAttribute`",
    "AnyNotInAttribute": "compare one identifier with `IsNotInAttribute`",
    "Exists": "every fact has a value; name the value you mean with `Equals`",
    "NotExists": "every fact has a value; name the default with `Equals`",
    "Any": "it is always true; leave the fact out",
    "EqualsObject": "facts are no objects; use `Equals`",
    "CIDR": "facts are no addresses; declare a choice and let it be computed",
    **dict.fromkeys(
        ("Eq", "Neq", "Gt", "Gte", "Lt", "Lte"),
        "numbers become choices before policy sees them; set the band in parameters.yaml",
    ),
    **dict.fromkeys(
        ("Contains", "NotContains", "StartsWith", "EndsWith"),
        "part of a word is no value; list the values with `IsIn`",
    ),
}
_NESTED_QUANTIFIER: Final = re.compile(r"\)[*+{?]|[*+}][*+{]")
"""A group that repeats, or a repetition that does; stricter than need be, and simple."""


class TooManyBoxesError(Error):
    """A condition has more alternatives than can be kept."""


def conjoin(left: Box, right: Box) -> Box | None:
    """The box in which both hold, or None when they contradict each other."""
    ranges: dict[int, frozenset[int]] = {}
    rest: set[Literal] = set()
    for literal in itertools.chain(left, right):
        if isinstance(literal, In):
            ranges[literal.fact] = ranges.get(literal.fact, literal.allowed) & literal.allowed
            if not ranges[literal.fact]:
                return None
        else:
            if opposite(literal) in rest:
                return None
            rest.add(literal)
    return frozenset(itertools.chain((In(f, allowed) for f, allowed in ranges.items()), rest))


def opposite(literal: Has | Same | Member) -> Literal:
    """The literal that holds exactly when this one does not."""
    match literal:
        case Has(fact, bit, wanted):
            return Has(fact, bit, not wanted)
        case Same(left, right, wanted):
            return Same(left, right, not wanted)
        case Member(item, group, wanted):
            return Member(item, group, not wanted)


def every(alternatives: Iterable[Sequence[Box]]) -> list[Box]:
    """All of several conditions: the boxes in which one box of each holds.

    Raises:
        TooManyBoxesError: there are more than `MAX_BOXES`; none may be left out, least of all a denial's.
    """
    boxes: list[Box] = [frozenset()]
    for choices in alternatives:
        joined = (conjoin(left, right) for left in boxes for right in choices)
        boxes = simplify(box for box in joined if box is not None)
    return boxes


def simplify(boxes: Iterable[Box]) -> list[Box]:
    """Drops the boxes that another, wider one makes needless.

    Raises:
        TooManyBoxesError: there are more than `MAX_BOXES` to begin with.
    """
    unlike: set[Box] = set()
    for box in boxes:
        unlike.add(box)
        if len(unlike) > MAX_BOXES:
            raise TooManyBoxesError(f"more than {MAX_BOXES} alternatives: split the rule in two")
    kept: list[Box] = []
    for box in sorted(unlike, key=lambda b: (len(b), sorted(map(repr, b)))):
        if not any(other <= box for other in kept):
            kept.append(box)
    return kept


class Conditions:
    """Reads the conditions of one rule; mistakes are collected, not raised."""

    def __init__(self, vocabulary: Vocabulary, mistakes: Mistakes, where: str) -> None:
        self._vocabulary = vocabulary
        self._mistakes = mistakes
        self._where = where

    def boxes(self, elements: Node, known: Iterable[Sequence[Box]] = ()) -> list[Box]:
        """The boxes in which the conditions of all elements hold, and one box of each of `known`."""
        try:
            parts = [
                self._element(n, name) for name, n in elements.items.items() if name in ELEMENTS
            ]
            return every([*known, *parts])
        except TooManyBoxesError:
            message = f"too many alternatives: more than {MAX_BOXES}"
            self._mistakes.at(elements, self._where, message, "split it in two")
            return []

    def _element(self, node: Node, element: str) -> list[Box]:
        """The boxes of one element: a mapping (all of them) or a list of mappings (any of them)."""
        if isinstance(node.value, list):
            if not node.value:
                self._mistakes.at(
                    node, self._where, f"`{element}` is an empty list: the rule can never apply"
                )
            return simplify(box for item in node.value for box in self._all(item, element))
        return self._all(node, element)

    def _all(self, node: Node, element: str) -> list[Box]:
        if not isinstance(node.value, dict):
            self._mistakes.at(node, self._where, f"`{element}` must map facts to conditions")
            return []
        return every(
            self._on_fact(node, path, condition, element) for path, condition in node.items.items()
        )

    def _on_fact(self, node: Node, path: str, condition: Node, element: str) -> list[Box]:
        fact = self._named(node, path, element, key=path)
        return [] if fact is None else self._boxes(condition, fact, wanted=True)

    def _named(self, node: Node, path: str, element: str, *, key: str = "") -> Fact | None:
        """The fact that a path of an element names."""
        known = {f.path: f for f in self._vocabulary.facts if f.element == element}
        if path not in known:
            hint = suggest(path, known)
            self._mistakes.at(node, self._where, f"unknown fact: `{element}.{path}`", hint, key=key)
        return known.get(path)

    def _boxes(  # noqa: PLR0911 - each return is one way a condition can be at fault
        self, node: Node, fact: Fact, *, wanted: bool
    ) -> list[Box]:
        """The boxes in which a condition on `fact` holds, or, unless `wanted`, does not."""
        name_node = node.items.get("condition")
        if name_node is None or not isinstance(name_node.value, str):
            self._mistakes.at(node, self._where, "a condition needs the key `condition`")
            return []
        name = name_node.value
        accepted = (*ACCEPTED[fact.kind], *LOGIC)
        if name in REFUSED:
            self._mistakes.at(name_node, self._where, f"`{name}` is refused", REFUSED[name])
            return []
        if name not in accepted:
            every_name = {c for names in ACCEPTED.values() for c in names}
            message = f"unknown condition: `{name}`"
            if name in every_name:
                message = f"`{name}` does not apply to `{fact.name}` ({fact.kind})"
            self._mistakes.at(name_node, self._where, message, suggest(name, accepted))
            return []
        if name in LOGIC:
            return self._logic(node, name, fact, wanted=wanted)
        positive = wanted is not (name.startswith(("Not", "IsNot")))
        if fact.kind is Kind.CHOICE:
            return self._choice(node, name, fact, wanted=positive)
        if fact.kind is Kind.CHOICES:
            return self._choices(node, name, fact, wanted=positive)
        return self._identifier(node, name, fact, wanted=positive)

    def _logic(self, node: Node, name: str, fact: Fact, *, wanted: bool) -> list[Box]:
        key = "value" if name == "Not" else "values"
        if not self._mistakes.keys(node, self._where, required=("condition", key)):
            return []
        if name == "Not":
            return self._boxes(node.items["value"], fact, wanted=not wanted)
        parts = node.items["values"].sequence
        if not parts:
            self._mistakes.at(node, self._where, f"`{name}` needs at least one condition")
        found = [self._boxes(part, fact, wanted=wanted) for part in parts]
        if (name == "AllOf") is wanted:
            return every(found)
        return simplify(itertools.chain.from_iterable(found))

    def _values(self, node: Node, fact: Fact, key: str) -> frozenset[int]:
        """The places of the values that a condition lists."""
        several = isinstance(node.items[key].value, list)
        if several is not (key == "values"):
            message = f"`{key}` is a list" if several else f"`{key}` is not a list"
            hint = "one value, or `IsIn` with `values`" if several else "write `[value]`"
            self._mistakes.at(node.items[key], self._where, message, hint)
        listed = node.items[key].sequence
        if not listed:
            self._mistakes.at(node.items[key], self._where, f"`{key}` is empty: nothing matches")
        places = set()
        for item in listed:
            value = self._mistakes.one_of(item, self._where, f"value of `{fact.name}`", fact.values)
            if value:
                places.add(fact.values.index(value))
        return frozenset(places)

    def _choice(self, node: Node, name: str, fact: Fact, *, wanted: bool) -> list[Box]:
        key = "values" if name in ("IsIn", "IsNotIn") else "value"
        if not self._mistakes.keys(node, self._where, required=("condition", key)):
            return []
        if name == "RegexMatch":
            listed = self._matching(node.items[key], fact)
        else:
            listed = self._values(node, fact, key)
        place = self._vocabulary.index[fact.name]
        allowed = listed if wanted else frozenset(range(len(fact.values))) - listed
        return [frozenset({In(place, allowed)})] if allowed else []

    def _matching(self, node: Node, fact: Fact) -> frozenset[int]:
        """The values that a pattern matches; they are few, so the pattern never runs on a request."""
        pattern = self._mistakes.text(node, self._where, "value")
        anchored = pattern.startswith("^") and pattern.endswith("$") and pattern[-2:] != "\\$"
        if not anchored or "|" in pattern:
            hint = f"write `^{pattern.strip('^$')}$`, or list the values with `IsIn`"
            self._mistakes.at(node, self._where, f"pattern is not anchored: `{pattern}`", hint)
            return frozenset()
        if _NESTED_QUANTIFIER.search(pattern):
            hint = "list the values with `IsIn`"
            self._mistakes.at(node, self._where, f"nested quantifiers: `{pattern}`", hint)
            return frozenset()
        try:
            matcher = re.compile(pattern)
        except re.error as exc:
            self._mistakes.at(node, self._where, f"not a pattern: `{pattern}`: {exc}")
            return frozenset()
        return frozenset(i for i, value in enumerate(fact.values) if matcher.search(value))

    def _choices(self, node: Node, name: str, fact: Fact, *, wanted: bool) -> list[Box]:
        place = self._vocabulary.index[fact.name]
        bits = frozenset(range(len(fact.values)))
        if name in ("IsEmpty", "IsNotEmpty"):
            self._mistakes.keys(node, self._where, required=("condition",))
            none_of = bits
        elif not self._mistakes.keys(node, self._where, required=("condition", "values")):
            return []
        else:
            listed = self._values(node, fact, "values")
            none_of = listed if name == "AnyIn" else bits - listed
        without: Box = frozenset(Has(place, bit, wanted=False) for bit in none_of)
        with_any = [frozenset({Has(place, bit, wanted=True)}) for bit in sorted(none_of)]
        holds_when_without = name != "AnyIn"
        return [without] if holds_when_without is wanted else list(with_any)

    def _identifier(self, node: Node, name: str, fact: Fact, *, wanted: bool) -> list[Box]:
        if not self._mistakes.keys(node, self._where, required=("condition", "ace", "path")):
            return []
        element = self._mistakes.one_of(node.items["ace"], self._where, "element", ELEMENTS)
        path = self._mistakes.text(node.items["path"], self._where, "path")
        other = self._named(node.items["path"], path, element) if element and path else None
        if other is None:
            return []
        expected = (
            Kind.IDENTIFIERS if name in ("IsInAttribute", "IsNotInAttribute") else Kind.IDENTIFIER
        )
        if other.kind is not expected:
            message = f"`{name}` compares with {expected}, not with `{other.name}` ({other.kind})"
            self._mistakes.at(node.items["path"], self._where, message)
            return []
        here, there = (self._vocabulary.index[f.name] for f in (fact, other))
        if expected is Kind.IDENTIFIERS:
            return [frozenset({Member(here, there, wanted)})]
        if here == there:
            self._mistakes.at(node, self._where, f"`{fact.name}` is compared with itself")
            return []
        return [frozenset({Same(min(here, there), max(here, there), wanted)})]


def action_box(vocabulary: Vocabulary, actions: Iterable[str]) -> Box:
    """The box of a target: the action is one of `actions`."""
    fact = vocabulary.fact(ACTION)
    allowed = frozenset(fact.values.index(action) for action in actions)
    return frozenset({In(vocabulary.index[ACTION], allowed)})
