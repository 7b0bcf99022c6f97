"""What a policy is made of, once it has been read: facts, conditions, rules, verdicts.

Everything here is a frozen value. The module knows nothing of health: which facts exist, what they may
be and what they mean is data (`policies/vocabulary.yaml`).

A request is judged as a *vector* of facts, in the order of the vocabulary:

=============  =======================================  ==========================
kind           in the vector                            may be compared with
=============  =======================================  ==========================
`choice`       `int`, the value's place in its list     values of its list
`identifier`   `str`, empty when absent                 other identifiers
`choices`      `int`, a bit mask over its list          values of its list
`identifiers`  `tuple` of `str`                         an identifier (membership)
=============  =======================================  ==========================

An absent identifier equals nothing, not even another absent one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

FactValue = int | str | tuple[str, ...]
Vector = tuple[FactValue, ...]

ACTION: Final = "action.name"
UNKNOWN_ACTION: Final = "unknown"


class Effect(StrEnum):
    """What a rule wants, and what a decision is."""

    ALLOW = "allow"
    DENY = "deny"


class Kind(StrEnum):
    """The types of facts; there are no others."""

    CHOICE = "choice"
    IDENTIFIER = "identifier"
    CHOICES = "choices"
    IDENTIFIERS = "identifiers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """One sentence or name, in the two languages of the people who are told."""

    fr: str
    en: str

    def text(self, language: str) -> str:
        """The wording in `language`, `fr` or `en`."""
        return self.fr if language == "fr" else self.en


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A thing that policy may know about a request.

    * `default` stands in when nothing is known; it is always the restrictive value.
    * `changeable` holds the values (places in the list) that someone could bring about, the likeliest
      first; only they are named in "what would have made it yes". An authorisation can become valid,
      a profession can become nothing else.
    """

    name: str
    kind: Kind
    values: tuple[str, ...]
    default: FactValue
    origin: str
    changeable: tuple[int, ...]
    wording: Wording
    value_wordings: Mapping[str, Wording]
    source: str

    @property
    def element(self) -> str:
        """The access control element: subject, resource, action or context."""
        return self.name.partition(".")[0]

    @property
    def path(self) -> str:
        """The fact as py-abac writes it, e.g. `$.profession`."""
        return "$." + self.name.partition(".")[2]

    def encode(self, value: str | Sequence[str]) -> FactValue:
        """Turns a value in words into its place in the vector.

        Raises:
            ValueError: the value is not of the fact's list or type.
        """
        if self.kind in (Kind.CHOICE, Kind.IDENTIFIER) and not isinstance(value, str):
            raise ValueError(f"{self.name}: one value expected, not a list")
        match self.kind:
            case Kind.CHOICE:
                return self.values.index(str(value))
            case Kind.IDENTIFIER:
                return str(value)
            case Kind.CHOICES:
                if isinstance(value, str):
                    raise ValueError(f"{self.name}: a list of values expected")  # noqa: TRY004 - one error for bad input
                return sum(1 << self.values.index(item) for item in set(value))
            case Kind.IDENTIFIERS:
                if isinstance(value, str):
                    raise ValueError(f"{self.name}: a list of identifiers expected")  # noqa: TRY004 - as above
                return tuple(value)

    def decode(self, value: FactValue) -> str | tuple[str, ...]:
        """Turns a place in the vector back into words; the inverse of `encode`."""
        if isinstance(value, int):
            if self.kind is Kind.CHOICE:
                return self.values[value]
            return tuple(v for bit, v in enumerate(self.values) if value >> bit & 1)
        return value

    def holds(self, value: object) -> bool:
        """Tells whether `value` may stand in the vector for this fact."""
        match self.kind:
            case Kind.CHOICE:
                return type(value) is int and 0 <= value < len(self.values)
            case Kind.IDENTIFIER:
                return isinstance(value, str)
            case Kind.CHOICES:
                return type(value) is int and 0 <= value < 1 << len(self.values)
            case Kind.IDENTIFIERS:
                return isinstance(value, tuple) and all(isinstance(v, str) for v in value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something a subject may want to do, and what a request for it must name."""

    name: str
    needs: tuple[str, ...]
    wording: Wording


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Vocabulary:
    """All facts, actions, obligations and calling services that policies may speak of.

    Equal to itself alone, so that what was found under it can be kept by it.
    """

    facts: tuple[Fact, ...]
    actions: Mapping[str, Action]
    obligations: Mapping[str, Wording]
    services: Mapping[str, Wording]
    index: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        """Numbers the facts."""
        object.__setattr__(self, "index", {f.name: i for i, f in enumerate(self.facts)})

    def fact(self, name: str) -> Fact:
        """The fact called `name`; raises `KeyError` when there is none."""
        return self.facts[self.index[name]]

    def defaults(self) -> Vector:
        """The vector of a request of which nothing is known."""
        return tuple(fact.default for fact in self.facts)

    def encode(self, known: Mapping[str, str | Sequence[str]]) -> Vector:
        """The vector of what is `known`, the default standing for all the rest.

        Raises:
            ValueError: a value is not of its fact's list.
            KeyError: a fact is not in the vocabulary.
        """
        vector = list(self.defaults())
        for name, value in known.items():
            place = self.index[name]
            vector[place] = self.facts[place].encode(value)
        return tuple(vector)

    def decode(self, vector: Vector) -> dict[str, str | tuple[str, ...]]:
        """The vector in words, by fact name."""
        return {f.name: f.decode(v) for f, v in zip(self.facts, vector, strict=True)}


# Conditions in their simplest form: a literal says one thing about one fact or one pair of facts.


@dataclass(frozen=True, slots=True)
class In:
    """The choice `fact` has one of the `allowed` values (places in its list)."""

    fact: int
    allowed: frozenset[int]


@dataclass(frozen=True, slots=True)
class Has:
    """The set of choices `fact` holds (or, unless `wanted`, does not hold) the value at `bit`."""

    fact: int
    bit: int
    wanted: bool


@dataclass(frozen=True, slots=True)
class Same:
    """The identifiers `left` and `right` are present and equal, or, unless `wanted`, are not."""

    left: int
    right: int
    wanted: bool


@dataclass(frozen=True, slots=True)
class Member:
    """The identifier `item` is present in the set `group`, or, unless `wanted`, is not."""

    item: int
    group: int
    wanted: bool


Literal = In | Has | Same | Member
Box = frozenset[Literal]
"""Literals that hold together; a condition is any one of its boxes (disjunctive normal form)."""


def holds(literal: Literal, vector: Vector) -> bool:
    """Tells whether one literal is true of a vector: the definition that every reading must meet."""
    match literal:
        case In(fact, allowed):
            return vector[fact] in allowed
        case Has(fact, bit, wanted):
            value = vector[fact]
            return isinstance(value, int) and bool(value >> bit & 1) is wanted
        case Same(left, right, wanted):
            return (vector[left] == vector[right] != "") is wanted
        case Member(item, group, wanted):
            members = vector[group]
            present = isinstance(members, tuple) and vector[item] in members
            return (present and vector[item] != "") is wanted


def facts_of(literal: Literal) -> tuple[int, ...]:
    """The places of the facts that a literal speaks of."""
    match literal:
        case In(fact) | Has(fact):
            return (fact,)
        case Same(left, right) | Member(left, right):
            return (left, right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One policy document: when it applies, what it wants, why, and what follows from it."""

    uid: str
    theme: str
    effect: Effect
    priority: int
    reason: str
    description: str
    told: Wording
    source: str
    obligations: tuple[str, ...]
    boxes: tuple[Box, ...]
    place: str
    """Where an officer finds it: `file:line`."""

    def applies(self, vector: Vector) -> bool:
        """Tells whether any box of the rule holds; slow and plain, for explanations."""
        return any(all(holds(literal, vector) for literal in box) for box in self.boxes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer to a vector of facts.

    `rules` are the uids of all the rules that carried the effect, the first being the one that gives
    the `reason`; it is empty when nothing allowed the request, or when deciding failed (`error`).
    """

    effect: Effect
    reason: str
    rules: tuple[str, ...]
    obligations: tuple[str, ...]
    error: str = ""
