"""Conditions become boxes that hold exactly when the condition does, and what is a trap is refused."""

from itertools import pairwise, product
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from py_abac.policy.conditions.schema import ConditionSchema

from authz.conditions import (
    ACCEPTED,
    LOGIC,
    MAX_BOXES,
    REFUSED,
    TooManyBoxesError,
    conjoin,
    every,
    opposite,
    simplify,
)
from authz.model import Effect, Has, In, Kind, Member, Same, holds
from tests.authz.worlds import (
    any_condition,
    any_vector,
    any_vocabulary,
    any_world,
    fact_document,
    read_rules,
    rule_document,
    vocabulary_of,
)
from tests.reference import evaluator

COLOURS = ("red", "green", "blue")
VOCABULARY = vocabulary_of(
    fact_document("subject.colour", Kind.CHOICE, COLOURS),
    fact_document("subject.id", Kind.IDENTIFIER),
    fact_document("subject.other", Kind.IDENTIFIER),
    fact_document("subject.colours", Kind.CHOICES, COLOURS),
    fact_document("subject.owners", Kind.IDENTIFIERS),
)
SEE = {"action_id": "thing.see"}
VALUES = {
    "$.colour": COLOURS,
    "$.id": ("", "x", "y"),
    "$.other": ("", "x", "y"),
    "$.colours": [
        tuple(c for c, taken in zip(COLOURS, bits, strict=True) if taken)
        for bits in product((False, True), repeat=3)
    ],
    "$.owners": ((), ("x",), ("", "y"), ("x", "y")),
}


def compiled(condition, path="$.colour"):
    """The boxes of a condition on one fact of the subject; a mistake is an error of the test."""
    document = rule_document("r", Effect.ALLOW, SEE, {"subject": {path: condition}})
    reader, wrong = read_rules(VOCABULARY, document)
    assert wrong in ([], ["the rule can never apply: its conditions contradict each other"])
    return reader.rules[0].boxes if reader.rules else ()


def wrong(condition, path="$.colour", element="subject"):
    """What is wrong with a condition on one fact."""
    return read_rules(
        VOCABULARY, rule_document("r", Effect.ALLOW, SEE, {element: {path: condition}})
    )[1]


def hints(condition, path="$.colour"):
    """What would be right in its place."""
    document = rule_document("r", Effect.ALLOW, SEE, {"subject": {path: condition}})
    reader, _ = read_rules(VOCABULARY, document)
    return [mistake.hint for mistake in reader._mistakes.found]


def compare(name, path):
    return {"condition": name, "ace": "subject", "path": path}


def value(name, one):
    return {"condition": name, "value": one}


def values(name, *several):
    return {"condition": name, "values": list(several)}


def alone(name):
    return {"condition": name}


ON_COLOUR = [
    value("Equals", "red"),
    value("NotEquals", "red"),
    values("IsIn", "red", "blue"),
    values("IsNotIn", "red", "blue"),
    value("RegexMatch", "^.*e.*$"),
    value("RegexMatch", "^(red)$"),
    value("RegexMatch", "^[rb][el]..?$"),
]
ON_ID = [
    compare("EqualsAttribute", "$.other"),
    compare("NotEqualsAttribute", "$.other"),
    compare("IsInAttribute", "$.owners"),
    compare("IsNotInAttribute", "$.owners"),
]
ON_COLOURS = [
    values("AnyIn", "red", "blue"),
    values("AllIn", "red", "blue"),
    values("AnyIn", *COLOURS),
    values("AnyIn", "red"),
    alone("IsEmpty"),
    alone("IsNotEmpty"),
]
PLAIN = [
    (path, condition)
    for path, conditions in (("$.colour", ON_COLOUR), ("$.id", ON_ID), ("$.colours", ON_COLOURS))
    for condition in conditions
]


def everywhere():
    """Every request that differs in what conditions on the subject can see."""
    paths = list(VALUES)
    for chosen in product(*(VALUES[path] for path in paths)):
        facts = {"action.name": "thing.see"}
        yield facts | {f"subject.{p[2:]}": v for p, v in zip(paths, chosen, strict=True)}


@pytest.mark.parametrize(("path", "condition"), PLAIN)
@pytest.mark.parametrize(
    "wrapped",
    [
        lambda c: c,
        lambda c: {"condition": "Not", "value": c},
        lambda c: {"condition": "Not", "value": {"condition": "Not", "value": c}},
        lambda c: {"condition": "AllOf", "values": [c, c]},
        lambda c: {"condition": "Not", "value": {"condition": "AnyOf", "values": [c]}},
    ],
    ids=["plain", "not", "not-not", "all-of", "none-of"],
)
def test_conditions_mean_what_they_say(path, condition, wrapped):
    """A condition holds of a request exactly when the slow reading says so, and so does its negation."""
    boxes = compiled(wrapped(condition), path)

    for facts in everywhere():
        vector = VOCABULARY.encode(facts)
        found = any(
            all(holds(li, vector) for li in box if li.__class__ is not In or li.fact)
            for box in boxes
        )
        name = f"subject.{path[2:]}"
        assert found == evaluator.met(wrapped(condition), facts[name], facts)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False))
def test_nested_conditions(rng):
    """Conditions nested in each other hold exactly when the slow reading says so."""
    vocabulary = any_vocabulary(rng)
    fact = rng.choice([f for f in vocabulary.facts if f.kind in (Kind.CHOICE, Kind.CHOICES)])
    condition = any_condition(vocabulary, fact, rng, depth=4)
    document = rule_document("r", Effect.ALLOW, SEE, {fact.element: {fact.path: condition}})

    reader, _ = read_rules(vocabulary, document)

    place = vocabulary.index[fact.name]
    start = vocabulary.encode({"action.name": "thing.see"})
    count = len(fact.values) if fact.kind is Kind.CHOICE else 1 << len(fact.values)
    for number in range(count):
        vector = (*start[:place], number, *start[place + 1 :])
        facts = vocabulary.decode(vector)
        if fact.name == "action.name" and facts[fact.name] != "thing.see":
            continue
        found = any(rule.applies(vector) for rule in reader.rules)
        assert found == evaluator.met(condition, facts[fact.name], facts), (condition, facts)


# What is refused.


def test_each_condition_of_py_abac():
    """Each condition that py-abac knows is accepted for some kind of fact, or refused with a remedy."""
    known = set(ConditionSchema.type_schemas)
    accepted = {name for names in ACCEPTED.values() for name in names} | set(LOGIC)

    assert accepted | set(REFUSED) == known
    assert accepted & set(REFUSED) == set()
    assert all(REFUSED.values())


@pytest.mark.parametrize("name", sorted(REFUSED))
@pytest.mark.parametrize("path", ["$.colour", "$.id", "$.colours"])
def test_refused(name, path):
    """A condition that is a trap, or speaks of what facts are not, is refused with the safe way to say it."""
    condition = {"condition": name, "value": "red", "values": ["red"]}

    assert wrong(condition, path) == [f"`{name}` is refused"]
    assert hints(condition, path) == [REFUSED[name]]


@pytest.mark.parametrize(
    ("path", "condition", "message"),
    [
        ("$.color", value("Equals", "red"), "unknown fact: `subject.$.color`"),
        ("colour", value("Equals", "red"), "unknown fact: `subject.colour`"),
        ("$..colour", value("Equals", "red"), "unknown fact: `subject.$..colour`"),
        ("$.colour-id", value("Equals", "red"), "unknown fact: `subject.$.colour-id`"),
        ("$.colour", value("Equals", "rad"), "unknown value of `subject.colour`: `rad`"),
        ("$.colour", value("Equal", "red"), "unknown condition: `Equal`"),
        ("$.colour", value("equals", "red"), "unknown condition: `equals`"),
        ("$.colour", values("AnyIn", "red"), "`AnyIn` … `subject.colour`"),
        ("$.colour", ON_ID[0], "`EqualsAttribute` … `subject.colour`"),
        ("$.id", value("Equals", "x"), "`Equals` … `subject.id`"),
        ("$.colours", values("IsIn", "red"), "`IsIn` … `subject.colours`"),
        ("$.owners", alone("IsEmpty"), "`IsEmpty` … `subject.owners`"),
        ("$.colour", {"value": "red"}, "a condition needs the key `condition`"),
        ("$.colour", "red", "a condition needs the key `condition`"),
        ("$.colour", {"condition": ["Equals"]}, "a condition needs the key `condition`"),
        ("$.colour", alone("Equals"), "missing key: `value`"),
        ("$.colour", alone("IsIn"), "missing key: `values`"),
        ("$.colour", alone("Not"), "missing key: `value`"),
        ("$.colour", alone("AllOf"), "missing key: `values`"),
        ("$.colours", alone("AnyIn"), "missing key: `values`"),
        ("$.id", alone("EqualsAttribute"), "missing key: `ace`"),
        ("$.colour", value("Equals", "red") | {"case_insensitive": True}, "unknown key: `case_insensitive`"),
        ("$.colours", values("IsEmpty"), "unknown key: `values`"),
        ("$.colour", values("IsIn"), "`values` is empty"),
        ("$.colours", values("AllIn"), "`values` is empty"),
        ("$.colour", values("AnyOf"), "`AnyOf` needs at least one condition"),
        ("$.colour", value("Equals", ["red", "blue"]), "`value` is a list"),
        ("$.colour", {"condition": "IsIn", "values": "red"}, "`values` is not a list"),
        ("$.colour", value("Equals", None), "`value` is empty"),
        ("$.colour", value("Equals", 10), "`value of `subject.colour`` must be a text that is not blank"),
        ("$.colour", value("Not", value("AllNotIn", "red")), "`AllNotIn` is refused"),
        ("$.id", compare("EqualsAttribute", "$.owners"), "`EqualsAttribute` compares … `subject.owners`"),
        ("$.id", compare("IsInAttribute", "$.other"), "`IsInAttribute` compares … `subject.other`"),
        ("$.id", compare("EqualsAttribute", "$.id"), "`subject.id` is compared with itself"),
        ("$.id", compare("EqualsAttribute", "$.colour"), "`EqualsAttribute` compares … `subject.colour`"),
        ("$.id", compare("EqualsAttribute", "$.nobody"), "unknown fact: `subject.$.nobody`"),
        ("$.id", {**ON_ID[0], "ace": "object"}, "unknown element: `object`"),
        ("$.colour", value("RegexMatch", "red"), "pattern is not anchored: `red`"),
        ("$.colour", value("RegexMatch", "^red"), "pattern is not anchored: `^red`"),
        ("$.colour", value("RegexMatch", "^red\\$"), "pattern is not anchored: `^red\\$`"),
        ("$.colour", value("RegexMatch", "^red$|^b"), "pattern is not anchored: `^red$|^b`"),
        ("$.colour", value("RegexMatch", "^(a+)+$"), "nested quantifiers: `^(a+)+$`"),
        ("$.colour", value("RegexMatch", "^((a+))+$"), "nested quantifiers: `^((a+))+$`"),
        ("$.colour", value("RegexMatch", "^((a*)b?){2,}$"), "nested quantifiers: `^((a*)b?){2,}$`"),
        ("$.colour", value("RegexMatch", "^a**$"), "nested quantifiers: `^a**$`"),
        ("$.colour", value("RegexMatch", "^[$"), "not a pattern: `^[$`"),
        ("$.colour", value("RegexMatch", 7), "`value` must be a text that is not blank"),
    ],
)  # fmt: skip
def test_mistakes(path, condition, message):
    """What can't be meant is refused, and the message names what is wrong."""
    parts = message.split(" … ")

    found = wrong(condition, path)

    assert any(all(part in one for part in parts) for one in found), found


@pytest.mark.parametrize(
    ("path", "condition", "hint"),
    [
        ("$.color", value("Equals", "red"), "did you mean `$.colour`?"),
        ("$.colour", value("Equals", "rad"), "did you mean `red`?"),
        ("$.colour", value("equals", "red"), "did you mean `Equals`?"),
        ("$.colour", value("RegexMatch", "red"), "write `^red$`, or list the values with `IsIn`"),
        ("$.colour", value("RegexMatch", "^(a+)+$"), "list the values with `IsIn`"),
        ("$.colour", value("Equals", ["red"]), "one value, or `IsIn` with `values`"),
    ],
)
def test_hints(path, condition, hint):
    """The mistake comes with what would be right."""
    assert hint in hints(condition, path)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({}, "a rule without condition and without target would apply to everything"),
        ({"subject": {}}, "a rule without condition and without target would apply to everything"),
        (
            {"subject": [{}]},
            "a rule without condition and without target would apply to everything",
        ),
        (
            {"subject": [{"$.colour": value("Equals", "red")}, {}]},
            "a rule without condition and without target would apply to everything",
        ),
        (
            {"subject": {"$.colours": values("AllIn", *COLOURS)}},
            "a rule without condition and without target would apply to everything",
        ),
        ({"subject": []}, "`subject` is an empty list: the rule can never apply"),
        ({"subject": None}, "`subject` must map facts to conditions"),
        ({"subject": "red"}, "`subject` must map facts to conditions"),
        ({"subject": ["red"]}, "`subject` must map facts to conditions"),
        ({"object": {}}, "unknown key: `object`"),
        (None, "a mapping of `key: value` is expected here"),
        (
            {
                "subject": {
                    "$.colour": values("AllOf", value("Equals", "red"), value("Equals", "blue"))
                }
            },
            "the rule can never apply: its conditions contradict each other",
        ),
        (
            {"subject": {"$.colour": values("IsNotIn", *COLOURS)}},
            "the rule can never apply: its conditions contradict each other",
        ),
        (
            {
                "subject": {
                    "$.colours": values("AllOf", alone("IsEmpty"), values("AnyIn", "red")),
                },
            },
            "the rule can never apply: its conditions contradict each other",
        ),
    ],
)
def test_all_or_nothing(rules, message):
    """A rule that applies to everything, or to nothing, is refused."""
    _, found = read_rules(VOCABULARY, rule_document("r", Effect.ALLOW, {}, rules))

    assert message in found


# Too many alternatives.

MANY = tuple(f"v{number}" for number in range(36))
WIDE = vocabulary_of(fact_document("subject.many", Kind.CHOICES, MANY))
PRODUCT = values("AllOf", *(values("AnyIn", *MANY[start : start + 12]) for start in (0, 12, 24)))
"""12 * 12 * 12 alternatives."""


@pytest.mark.parametrize(
    "condition",
    [
        PRODUCT,
        values(
            "AllOf", PRODUCT, value("Not", values("AnyIn", *MANY[1:11], *MANY[13:23], *MANY[25:35]))
        ),
        values("AnyOf", PRODUCT, values("AnyIn", "v0")),
    ],
)
def test_too_many_alternatives(condition):
    """Alternatives are never left out: a condition with too many is refused, though few remain in the end."""
    document = rule_document("r", Effect.DENY, SEE, {"subject": {"$.many": condition}})

    reader, found = read_rules(WIDE, document)

    assert found == [f"too many alternatives: more than {MAX_BOXES}"]
    assert reader.rules == []


def test_as_many_as_can_be():
    """As many alternatives as can be kept are kept."""
    halves = (MANY[:8], MANY[8:16], MANY[16:32])
    condition = values("AllOf", *(values("AnyIn", *half) for half in halves))
    document = rule_document("r", Effect.DENY, SEE, {"subject": {"$.many": condition}})

    reader, found = read_rules(WIDE, document)

    assert found == []
    assert len(reader.rules[0].boxes) == MAX_BOXES == 8 * 8 * 16


# Boxes.

A, B, C = In(1, frozenset({0, 1})), In(1, frozenset({1, 2})), In(1, frozenset({2}))
HAS, SAME, MEMBER = Has(2, 0, wanted=True), Same(3, 4, wanted=True), Member(3, 5, wanted=True)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ({A}, {B}, {In(1, frozenset({1}))}),
        ({A}, {C}, None),
        ({HAS}, {Has(2, 0, wanted=False)}, None),
        ({HAS}, {Has(2, 1, wanted=False)}, {HAS, Has(2, 1, wanted=False)}),
        ({SAME, A}, {MEMBER}, {SAME, A, MEMBER}),
        ({SAME}, {opposite(SAME)}, None),
        ({MEMBER}, {opposite(MEMBER)}, None),
        (set(), {A}, {A}),
    ],
)
def test_conjoin(left, right, expected):
    """Two boxes hold together in one box, or contradict each other."""
    found = conjoin(frozenset(left), frozenset(right))

    assert found == (None if expected is None else frozenset(expected))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False), st.integers(0, 2**32))
def test_boxes_of_random_rules(rng, seed):
    """Conjoined, simplified and negated, boxes hold of what they should hold of."""
    world = any_world(rng)
    boxes = [box for rule in world.rules for box in rule.boxes]
    vectors = [any_vector(world.vocabulary, Random(seed + n)) for n in range(20)]

    def held(box, vector):
        return box is not None and all(holds(literal, vector) for literal in box)

    for vector in vectors:
        for left, right in pairwise(boxes):
            both = held(left, vector) and held(right, vector)
            assert held(conjoin(left, right), vector) == both
        for box in boxes:
            for literal in box:
                if not isinstance(literal, In):
                    assert holds(opposite(literal), vector) is not holds(literal, vector)
        found = any(held(box, vector) for box in simplify(boxes))
        assert found == any(held(box, vector) for box in boxes)


def test_simplify():
    """A box that says more than another one is needless beside it."""
    found = simplify(
        [frozenset({SAME, HAS}), frozenset({HAS}), frozenset({SAME}), frozenset({HAS})]
    )

    assert found == [frozenset({HAS}), frozenset({SAME})]


def test_every():
    """Of nothing, all is true; of several, each must be; of none that can be, nothing is."""
    assert every([]) == [frozenset()]
    assert every([[frozenset({A})], []]) == []
    assert every([[frozenset({A})], [frozenset({SAME}), frozenset({C})]]) == [frozenset({A, SAME})]
    with pytest.raises(TooManyBoxesError):
        every([[frozenset({Has(1, n, wanted=True)}) for n in range(MAX_BOXES + 1)]])
