"""Worlds to decide in: random vocabularies, rules in py-abac's format, and requests.

Vocabularies and rules go through the readers that real policies go through, so a world is all that an
officer could write (in the accepted conditions) and nothing else. Everything is drawn from a generator of
random numbers: hypothesis gives one that shrinks, for worlds; requests take a seeded one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import TypeVar

from hypothesis import strategies as st

from authz.bundle import Bundle, build, read_folder
from authz.compile import Decide, compile_rules
from authz.conditions import opposite
from authz.model import (
    Box,
    Effect,
    Fact,
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
    facts_of,
    holds,
)
from authz.product import DMP
from authz.rules import RuleReader
from authz.source import Mistakes, node_of
from authz.vocabulary import read_vocabulary
from tests.shared import ROOT

ACTIONS = ("thing.see", "thing.change", "thing.drop")
VALUES = ("no", "yes", "10", "true", "a b", "é", "*", "[a]", "x.y")
NAMES = ("", "x", "y")
OBLIGATIONS = ("notify", "review", "show")
ELEMENTS = ("subject", "resource", "context")
NEVER = "the rule can never apply"
ALWAYS = "a rule without condition and without target"
T = TypeVar("T")


@dataclass(frozen=True, repr=False)
class World:
    """A vocabulary, the rules that are possible in it, and their py-abac documents."""

    vocabulary: Vocabulary
    rules: tuple[Rule, ...]
    documents: Mapping[str, Mapping[str, object]]
    decide: Decide

    def __repr__(self) -> str:
        """What is needed to see what a world is."""
        facts = {f.name: (f.values, f.decode(f.default)) for f in self.vocabulary.facts}
        said = [(d["effect"], d["targets"], d["rules"]) for d in self.documents.values()]
        return f"World({facts}, {said})"

    def rule(self, uid: str) -> Rule | None:
        """The rule called `uid`."""
        return next((rule for rule in self.rules if rule.uid == uid), None)


@cache
def our_bundle() -> Bundle:
    """The bundle of the project."""
    return build(read_folder(Path(ROOT, "policies")), DMP)


def our_world() -> World:
    """The rules of the project."""
    bundle = our_bundle()
    return World(bundle.vocabulary, bundle.rules, bundle.documents, bundle.decide)


# Vocabularies.


def fact_document(name: str, kind: Kind, values: Sequence[str] = (), default: object = None):
    """The entry of one fact, as in vocabulary.yaml; its default is its first value, or none."""
    entry = {"name": name, "type": kind.value, "origin": "caller", "fr": "f", "en": "e"}
    if values:
        first = values[0] if kind is Kind.CHOICE else []
        entry |= {"values": list(values), "default": first if default is None else default}
    return entry | {"source": "s", "changeable": list(values)}


def vocabulary_of(*facts: dict[str, object], actions: Sequence[str] = ACTIONS) -> Vocabulary:
    """A vocabulary of these facts; a mistake in it is an error of the test."""
    document = {
        "facts": list(facts),
        "actions": [{"name": name, "fr": "f", "en": "e"} for name in actions],
        "obligations": [{"name": name, "fr": "f", "en": "e"} for name in OBLIGATIONS],
        "services": [{"name": "caller", "fr": "f", "en": "e"}],
    }
    mistakes = Mistakes()
    vocabulary = read_vocabulary(node_of(document, "vocabulary.yaml"), mistakes)
    assert vocabulary is not None, [str(mistake) for mistake in mistakes.found]
    return vocabulary


def any_vocabulary(rng: Random) -> Vocabulary:
    """A small vocabulary with facts of all four kinds, in any order."""
    facts = []
    for kind, most in (
        (Kind.CHOICE, 4),
        (Kind.IDENTIFIER, 3),
        (Kind.CHOICES, 2),
        (Kind.IDENTIFIERS, 1),
    ):
        for number in range(rng.randint(1, most)):
            name = f"{rng.choice(ELEMENTS)}.{kind.value}_{'abcd'[number]}"
            values: list[str] = []
            default: object = None
            if kind in (Kind.CHOICE, Kind.CHOICES):
                values = some(VALUES, rng, least=2, most=4)
                default = rng.choice(values)
                if kind is Kind.CHOICES:
                    default = some(values, rng, least=0, most=2)
            facts.append(fact_document(name, kind, values, default))
    return vocabulary_of(*rng.sample(facts, len(facts)))


def some(values: Sequence[T], rng: Random, *, least: int = 1, most: int) -> list[T]:
    """Some of the values, in any order, none twice."""
    return rng.sample(list(values), rng.randint(least, min(most, len(values))))


# Rules.


def rule_document(uid: str, effect: Effect | str, targets: object, rules: object, **more: object):
    """A whole entry of a rule file."""
    told = {"fr": "Dit.", "en": "Told."}
    entry = {"uid": uid, "description": "d", "effect": str(effect), "priority": 0}
    entry |= {"targets": targets, "rules": rules, "reason": "R", "told": told, "source": "s"}
    return entry | more


def read_rules(
    vocabulary: Vocabulary, *documents: dict[str, object]
) -> tuple[RuleReader, list[str]]:
    """Reads rules without parameters: the reader, and what is wrong."""
    mistakes = Mistakes()
    reader = RuleReader(vocabulary, {}, mistakes)
    theme = {"fr": "t", "en": "t"}
    reader.read(node_of({"theme": theme, "rules": list(documents)}, "rules/a.yaml"))
    return reader, [mistake.message for mistake in mistakes.found]


def world_of(vocabulary: Vocabulary, *documents: dict[str, object]) -> World:
    """The world of these rules, each of which must be possible."""
    reader, wrong = read_rules(vocabulary, *documents)
    assert wrong == []
    rules = tuple(reader.rules)
    return World(vocabulary, rules, reader.documents, compile_rules(vocabulary, rules))


def any_world(rng: Random, most: int = 7) -> World:
    """A vocabulary with up to `most` rules, allowing and denying ones."""
    vocabulary = any_vocabulary(rng)
    kept = []
    for number in range(rng.randint(1, most)):
        document = any_rule(vocabulary, f"rule-{number}", rng)
        _, wrong = read_rules(vocabulary, document)
        if not wrong:
            kept.append(document)
        else:  # by chance, a rule may contradict itself or say nothing; nothing else may be wrong
            assert all(message.startswith((NEVER, ALWAYS)) for message in wrong), wrong
    return world_of(vocabulary, *kept)


def worlds(most: int = 7) -> st.SearchStrategy[World]:
    """Random worlds, that shrink."""
    return st.randoms(use_true_random=False).map(lambda rng: any_world(rng, most))


def any_rule(vocabulary: Vocabulary, uid: str, rng: Random) -> dict[str, object]:
    """A rule in the accepted conditions."""
    actions = some(ACTIONS, rng, most=3)
    targets: dict[str, object] = {"action_id": rng.choice(["*", actions[0], actions, actions])}
    if rng.random() < 0.3:
        targets |= {"subject_id": "*", "resource_id": "*"}
    said: dict[str, object] = {}
    for element in some([*ELEMENTS, "action"], rng, least=0, most=2):
        facts = [f for f in vocabulary.facts if f.element == element and leaves(vocabulary, f)]
        if facts:
            mappings = [
                {
                    fact.path: any_condition(vocabulary, fact, rng)
                    for fact in some(facts, rng, most=2)
                }
                for _ in range(rng.choice((1, 1, 1, 2, 3)))
            ]
            said[element] = mappings if len(mappings) > 1 else mappings[0]
    return rule_document(
        uid,
        rng.choice((Effect.ALLOW, Effect.ALLOW, Effect.DENY)),
        targets,
        said,
        priority=rng.randint(0, 3),
        reason=rng.choice(("R_ONE", "R_TWO")),
        obligations=some(OBLIGATIONS, rng, least=0, most=2),
    )


def any_condition(
    vocabulary: Vocabulary, fact: Fact, rng: Random, depth: int = 3
) -> dict[str, object]:
    """A condition on one fact, others nested in it up to a depth."""
    if depth == 0 or rng.random() < 0.6:
        condition = dict(rng.choice(leaves(vocabulary, fact)))
        if condition.get("values") == ():
            condition["values"] = some(fact.values, rng, most=3)
        return condition
    parts = [
        any_condition(vocabulary, fact, rng, depth - 1) for _ in range(rng.choice((1, 2, 2, 3)))
    ]
    name = rng.choice(("Not", "AllOf", "AnyOf"))
    return {"condition": name} | ({"value": parts[0]} if name == "Not" else {"values": parts})


def leaves(vocabulary: Vocabulary, fact: Fact) -> list[dict[str, object]]:
    """The conditions without others inside, `()` standing for some values; none where none fits."""
    if fact.kind is Kind.CHOICE:
        single = [
            {"condition": name, "value": value}
            for value in fact.values
            for name in ("Equals", "NotEquals")
        ]
        patterns = {f"^{re.escape(value)}$" for value in fact.values}
        patterns |= {f"^{re.escape(value[0])}.*$" for value in fact.values}
        matched = [{"condition": "RegexMatch", "value": pattern} for pattern in sorted(patterns)]
        return [
            *single,
            *matched,
            *(2 * [{"condition": n, "values": ()} for n in ("IsIn", "IsNotIn")]),
        ]
    if fact.kind is Kind.CHOICES:
        empty = [{"condition": name} for name in ("IsEmpty", "IsNotEmpty")]
        return [*empty, *(2 * [{"condition": name, "values": ()} for name in ("AnyIn", "AllIn")])]
    if fact.kind is Kind.IDENTIFIERS:
        return []
    names = {
        Kind.IDENTIFIER: ("EqualsAttribute", "NotEqualsAttribute"),
        Kind.IDENTIFIERS: ("IsInAttribute", "IsNotInAttribute"),
    }
    return [
        {"condition": name, "ace": other.element, "path": other.path}
        for other in vocabulary.facts
        if other is not fact
        for name in names.get(other.kind, ())
    ]


# Requests.


def any_value(fact: Fact, rng: Random) -> FactValue:
    """A value that the fact may have."""
    match fact.kind:
        case Kind.CHOICE:
            return rng.randrange(len(fact.values))
        case Kind.CHOICES:
            return rng.randrange(1 << len(fact.values))
        case Kind.IDENTIFIER:
            return rng.choice(("", *NAMES))
        case Kind.IDENTIFIERS:
            return tuple(rng.sample(NAMES, rng.randint(0, len(NAMES))))


def any_vector(vocabulary: Vocabulary, rng: Random) -> Vector:
    """A request, every value as likely as another."""
    return tuple(any_value(fact, rng) for fact in vocabulary.facts)


def aimed_vector(world: World, rng: Random) -> Vector:
    """A request to which a rule drawn by lot applies, most of what denies it often out of the way."""
    vector = list(any_vector(world.vocabulary, rng))
    if not world.rules:
        return tuple(vector)
    allowing = [rule for rule in world.rules if rule.effect is Effect.ALLOW]
    aim = rng.choice(rng.choice(allowing or world.rules).boxes)
    for literal in aim:
        make_true(literal, vector, rng)
    kept = {place for literal in aim for place in facts_of(literal)}
    for _ in range(rng.choice((0, 5, 60, 60))):
        against = _denying_box(world, vector)
        loose = [li for li in against or () if not kept & set(facts_of(li))]
        if not loose:
            break
        make_true(_not(rng.choice(loose), world.vocabulary), vector, rng)
    return tuple(vector)


def vectors(world: World, rng: Random, count: int) -> list[Vector]:
    """Requests of both sorts."""
    makers = (lambda: any_vector(world.vocabulary, rng), lambda: aimed_vector(world, rng))
    return [makers[number % 2]() for number in range(count)]


def make_true(literal: Literal, vector: list[FactValue], rng: Random) -> None:
    """Changes a request so that a literal holds; another one may no longer."""
    if holds(literal, tuple(vector)):
        return
    match literal:
        case In(fact, allowed):
            vector[fact] = rng.choice(sorted(allowed))
        case Has(fact, bit):
            value = vector[fact]
            assert isinstance(value, int)
            vector[fact] = value ^ (1 << bit)
        case Same(left, right, wanted):
            vector[left] = "x" if wanted else ""
            vector[right] = "x"
        case Member(item, group, wanted):
            vector[item] = "x"
            vector[group] = ("x",) if wanted else ()


def _not(literal: Literal, vocabulary: Vocabulary) -> Literal:
    if isinstance(literal, In):
        every = frozenset(range(len(vocabulary.facts[literal.fact].values)))
        return In(literal.fact, every - literal.allowed) if literal.allowed != every else literal
    return opposite(literal)


def _denying_box(world: World, vector: list[FactValue]) -> Box | None:
    request = tuple(vector)
    for rule in world.rules:
        if rule.effect is Effect.DENY:
            for box in rule.boxes:
                if all(holds(literal, request) for literal in box):
                    return box
    return None
