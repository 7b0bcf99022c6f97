"""Open doors: rules that would let someone in because nothing is known of a fact."""

from random import Random

import pytest

from authz.conditions import conjoin
from authz.model import Effect, Kind, facts_of
from authz.safety import OpenDoor, open_doors
from tests.authz.worlds import (
    World,
    any_value,
    any_vector,
    any_world,
    fact_document,
    make_true,
    our_world,
    rule_document,
    vocabulary_of,
    world_of,
)

VOCABULARY = vocabulary_of(
    fact_document("subject.rank", Kind.CHOICE, ("unknown", "low", "high")),
    fact_document("subject.id", Kind.IDENTIFIER),
    fact_document("subject.blocked", Kind.CHOICE, ("no", "yes")),
    fact_document("resource.tags", Kind.CHOICES, ("public", "secret")),
    fact_document("resource.owners", Kind.IDENTIFIERS),
    fact_document("resource.author", Kind.IDENTIFIER),
    fact_document("context.weather", Kind.CHOICE, ("snow", "rain", "sun")),
)


def equals(value: str) -> dict[str, object]:
    return {"condition": "Equals", "value": value}


def unless(condition: dict[str, object]) -> dict[str, object]:
    return {"condition": "Not", "value": condition}


def sees(rules: dict[str, object], effect: Effect, uid: str) -> dict[str, object]:
    return rule_document(uid, effect, {"action_id": "thing.see"}, rules)


OWN = {"$.id": {"condition": "IsInAttribute", "ace": "resource", "path": "$.owners"}}
WROTE = {"$.id": {"condition": "EqualsAttribute", "ace": "resource", "path": "$.author"}}
PUBLIC = {"$.tags": {"condition": "AnyIn", "values": ["public"]}}
SECRET = {"$.tags": {"condition": "AnyIn", "values": ["secret"]}}
HIGH, LOW, UNKNOWN = ({"$.rank": equals(rank)} for rank in ("high", "low", "unknown"))
NOT_HIGH = {"$.rank": {"condition": "NotEquals", "value": "high"}}
WET = {"$.weather": {"condition": "IsIn", "values": ["snow", "rain"]}}
BRIGHT = {"$.weather": {"condition": "IsIn", "values": ["snow", "sun"]}}
BLOCKED = {"$.blocked": equals("yes")}


def other(conditions: dict[str, dict[str, object]]) -> dict[str, object]:
    """The opposite of a mapping with one condition."""
    return {path: unless(condition) for path, condition in conditions.items()}


def doors(allows: list[dict[str, object]], denies: list[dict[str, object]]) -> list[OpenDoor]:
    """The open doors of some rules that allow and some that deny."""
    documents = [sees(rules, Effect.ALLOW, f"allow-{n}") for n, rules in enumerate(allows)]
    documents += [sees(rules, Effect.DENY, f"deny-{n}") for n, rules in enumerate(denies)]
    world = world_of(VOCABULARY, *documents)
    return list(open_doors(world.vocabulary, world.rules))


@pytest.mark.parametrize(
    ("allows", "denies"),
    [
        ([{"subject": HIGH}], []),
        ([{"subject": OWN}], []),
        ([{"subject": WROTE}], [{"resource": other(PUBLIC), "subject": NOT_HIGH}]),
        ([{"resource": SECRET}], []),
        ([{"subject": NOT_HIGH}, {"subject": HIGH}, {}], []),
        ([{"subject": NOT_HIGH}], [{"subject": UNKNOWN}]),
        ([{}], [{"subject": NOT_HIGH}]),
        ([{}], [{"subject": other(OWN)}]),
        ([{"subject": HIGH}], [{"subject": LOW}]),
        ([{"subject": HIGH}], [{"subject": other(OWN) | HIGH}]),
        ([{"resource": other(SECRET)}], [{"resource": other(SECRET)}]),
    ],
)
def test_shut(allows, denies):
    """What a missing fact cannot open is not reported: it is covered, excluded or denied anyway."""
    found = doors(allows, denies)

    assert found == []


@pytest.mark.parametrize(
    ("allows", "denies", "rule", "fact", "beside"),
    [
        ([{"subject": NOT_HIGH}], [], "allow-0", "subject.rank", None),
        ([{"subject": UNKNOWN}], [], "allow-0", "subject.rank", None),
        ([{"subject": other(OWN)}], [], "allow-0", "subject.id", None),
        ([{"subject": other(OWN)}], [], "allow-0", "resource.owners", None),
        ([{"subject": other(WROTE)}], [], "allow-0", "resource.author", None),
        ([{"resource": other(SECRET)}], [], "allow-0", "resource.tags", None),
        ([{}], [{"subject": HIGH}], "deny-0", "subject.rank", "allow-0"),
        ([{}], [{"subject": OWN}], "deny-0", "resource.owners", "allow-0"),
        ([{}], [{"subject": WROTE}], "deny-0", "subject.id", "allow-0"),
        ([{}], [{"resource": SECRET}], "deny-0", "resource.tags", "allow-0"),
        (
            [{"subject": WROTE}],
            [{"resource": SECRET, "subject": NOT_HIGH}],
            "deny-0",
            "resource.tags",
            "allow-0",
        ),
        (
            [{"subject": HIGH}],
            [{"subject": HIGH | BLOCKED}],
            "deny-0",
            "subject.blocked",
            "allow-0",
        ),
        (
            [{"subject": NOT_HIGH, "context": WET}],
            [{"subject": UNKNOWN, "context": BRIGHT}],
            "allow-0",
            "subject.rank",
            None,
        ),
        (
            [{"subject": NOT_HIGH, "resource": SECRET}],
            [{"subject": UNKNOWN | BLOCKED}],
            "allow-0",
            "subject.rank",
            None,
        ),
    ],
)
def test_open(allows, denies, rule, fact, beside):
    """An open door names the rule, the fact, and for a denial that falls the rule that then allows."""
    found = [
        (d.rule.uid, d.fact.name, d.beside.uid if d.beside else None) for d in doors(allows, denies)
    ]

    assert (rule, fact, beside) in found


def test_unknown_action_is_no_door():
    """A rule that allows the unknown action is an open door: the action is a fact as well."""
    document = rule_document("all", Effect.ALLOW, {}, {"subject": HIGH})
    named = rule_document("none", Effect.DENY, {"action_id": "thing.see"}, {})
    world = world_of(VOCABULARY, document, named)

    found = [(d.rule.uid, d.fact.name) for d in open_doors(world.vocabulary, world.rules)]

    assert ("none", "action.name") in found


def test_each_door_once():
    """A rule that stands open for several actions is reported once a fact."""
    document = rule_document("all", Effect.ALLOW, {"action_id": "*"}, {"subject": NOT_HIGH})
    world = world_of(VOCABULARY, document)

    found = [(d.rule.uid, d.fact.name) for d in open_doors(world.vocabulary, world.rules)]

    assert found == [("all", "subject.rank")]


def test_our_rules_have_none():
    """Our rules leave no door open."""
    world = our_world()

    found = list(open_doors(world.vocabulary, world.rules))

    assert found == []


def walked(world: World, found: OpenDoor, rng: Random, tries: int = 40) -> bool:
    """Whether someone gets in: a denied request that is allowed once nothing is known of the fact."""
    place = world.vocabulary.index[found.fact.name]
    for _ in range(tries):
        vector = list(any_vector(world.vocabulary, rng))
        through = found.beside or found.rule
        box = rng.choice(through.boxes)
        if found.beside:
            box = conjoin(box, rng.choice(found.rule.boxes)) or box
        for literal in sorted(box, key=repr):
            if place not in facts_of(literal) or found.beside:
                make_true(literal, vector, rng)
        if not found.beside:
            vector[place] = any_value(found.fact, rng)
        missing = (*vector[:place], found.fact.default, *vector[place + 1 :])
        effects = [world.decide(request).effect for request in (tuple(vector), missing)]
        if effects == [Effect.DENY, Effect.ALLOW]:
            return True
    return False


def test_doors_are_real():
    """A good part of the open doors that are reported in random worlds can be walked through."""
    counts = {True: 0, False: 0}
    for seed in range(200):
        world, rng = any_world(Random(seed)), Random(seed)
        for found in open_doors(world.vocabulary, world.rules):
            counts[walked(world, found, rng)] += 1

    assert counts[True] > 100
    assert counts[True] > counts[False] / 2
