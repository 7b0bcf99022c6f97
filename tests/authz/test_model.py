"""Facts, vectors and literals: what they may be, and what they mean."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.model import (
    ACTION,
    Effect,
    Has,
    In,
    Kind,
    Member,
    Rule,
    Same,
    Wording,
    facts_of,
    holds,
)
from tests.authz.worlds import any_vector, any_vocabulary, fact_document, vocabulary_of

COLOURS = ("red", "green", "blue")
VOCABULARY = vocabulary_of(
    fact_document("subject.colour", Kind.CHOICE, COLOURS, "green"),
    fact_document("subject.id", Kind.IDENTIFIER),
    fact_document("resource.colours", Kind.CHOICES, COLOURS, ["red", "blue"]),
    fact_document("resource.owners", Kind.IDENTIFIERS),
    fact_document("context.id", Kind.IDENTIFIER),
)
COLOUR, ID, LIKED, OWNERS, OTHER = 1, 2, 3, 4, 5


def test_defaults():
    """Of a request of which nothing is known, every fact is at its default and identifiers are absent."""
    expected = {
        ACTION: "unknown",
        "subject.colour": "green",
        "subject.id": "",
        "resource.colours": ("red", "blue"),
        "resource.owners": (),
        "context.id": "",
    }

    found = VOCABULARY.decode(VOCABULARY.defaults())

    assert found == expected
    assert VOCABULARY.encode({}) == VOCABULARY.defaults()


def test_encode():
    """Choices become places, sets of choices masks; the order in a set of choices does not count."""
    known = {"subject.colour": "blue", "resource.colours": ["blue", "green", "blue"]}

    vector = VOCABULARY.encode({**known, "resource.owners": ["b", "a"], "subject.id": "a"})

    assert vector == (0, 2, "a", 0b110, ("b", "a"), "")


@given(st.integers(0, 2**32))
def test_decode_inverts_encode(seed):
    """A vector in words is the same vector again when it is put back."""
    rng = Random(seed)
    vocabulary = any_vocabulary(rng)
    vector = any_vector(vocabulary, rng)

    again = vocabulary.encode(vocabulary.decode(vector))

    assert again == vector


@given(st.integers(0, 2**32))
def test_every_value_holds(seed):
    """Whatever a fact may be may stand in a vector, and so may its default."""
    rng = Random(seed)
    vocabulary = any_vocabulary(rng)
    vector = any_vector(vocabulary, rng)

    found = [
        f.holds(v) and f.holds(f.default) for f, v in zip(vocabulary.facts, vector, strict=True)
    ]

    assert all(found)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("subject.colour", "pink", ValueError),
        ("subject.colour", ["red"], ValueError),
        ("subject.id", ["a"], ValueError),
        ("resource.colours", "red", ValueError),
        ("resource.colours", ["pink"], ValueError),
        ("resource.owners", "a", ValueError),
        ("resource.size", "1", KeyError),
    ],
)
def test_encode_refuses(name, value, error):
    """A value that is not of its fact's list or type, or a fact that is none, has no place in a vector."""
    with pytest.raises(error):
        VOCABULARY.encode({name: value})


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((COLOUR, value) for value in (-1, 3, True, 1.0, "red", None, (0,))),
        *((ID, value) for value in (0, None, ("a",), b"a")),
        *((LIKED, value) for value in (-1, 0b1000, True, "red", None, (0,))),
        *((OWNERS, value) for value in ("a", ["a"], ("a", 1), None, frozenset("a"))),
    ],
)
def test_fact_refuses(place, value):
    """A value of another type or out of range may not stand in a vector."""
    found = VOCABULARY.facts[place].holds(value)

    assert found is False


def test_action_comes_first():
    """Each vocabulary begins with the action, which is unknown unless it is stated."""
    action = VOCABULARY.facts[0]

    assert (action.name, action.values[0], action.default) == (ACTION, "unknown", 0)
    assert set(action.values[1:]) == set(VOCABULARY.actions)


def test_fact_names():
    """A fact is found by its name, which tells its element and its path in py-abac."""
    fact = VOCABULARY.fact("resource.owners")

    assert (fact.element, fact.path) == ("resource", "$.owners")
    with pytest.raises(KeyError):
        VOCABULARY.fact("resource.owner")


def test_wording():
    """French is told to who asks for it, English to everyone else."""
    wording = Wording(fr="oui", en="yes")

    assert [wording.text(language) for language in ("fr", "en")] == ["oui", "yes"]


@pytest.mark.parametrize(
    ("literal", "true_of", "false_of"),
    [
        (In(COLOUR, frozenset({0, 2})), {COLOUR: 2}, {COLOUR: 1}),
        (Has(LIKED, 1, wanted=True), {LIKED: 0b010}, {LIKED: 0b101}),
        (Has(LIKED, 1, wanted=False), {LIKED: 0b101}, {LIKED: 0b010}),
        (Same(ID, OTHER, wanted=True), {ID: "a", OTHER: "a"}, {ID: "a", OTHER: "b"}),
        (Same(ID, OTHER, wanted=True), {ID: "a", OTHER: "a"}, {ID: "", OTHER: ""}),
        (Same(ID, OTHER, wanted=False), {ID: "", OTHER: ""}, {ID: "a", OTHER: "a"}),
        (Same(ID, OTHER, wanted=False), {ID: "a", OTHER: ""}, {ID: "a", OTHER: "a"}),
        (Member(ID, OWNERS, wanted=True), {ID: "a", OWNERS: ("b", "a")}, {ID: "a", OWNERS: ("b",)}),
        (Member(ID, OWNERS, wanted=True), {ID: "a", OWNERS: ("a",)}, {ID: "", OWNERS: ("",)}),
        (Member(ID, OWNERS, wanted=False), {ID: "", OWNERS: ("",)}, {ID: "a", OWNERS: ("a",)}),
        (Member(ID, OWNERS, wanted=False), {ID: "a", OWNERS: ()}, {ID: "a", OWNERS: ("a",)}),
    ],
)
def test_literals(literal, true_of, false_of):
    """A literal holds as it reads; an absent identifier equals nothing and is in no set."""
    places = range(len(VOCABULARY.facts))
    defaults = VOCABULARY.defaults()

    found = [
        holds(literal, tuple(changes.get(p, defaults[p]) for p in places))
        for changes in (true_of, false_of)
    ]

    assert found == [True, False]
    assert set(facts_of(literal)) == set(true_of)


def test_rule_applies():
    """A rule applies when one of its boxes holds as a whole."""
    red, named = In(COLOUR, frozenset({0})), Member(ID, OWNERS, wanted=True)
    told = Wording(fr="", en="")
    rule = Rule(
        uid="r",
        theme="t",
        effect=Effect.ALLOW,
        priority=0,
        reason="R",
        description="d",
        told=told,
        source="s",
        obligations=(),
        boxes=(frozenset({red, named}), frozenset({In(COLOUR, frozenset({2}))})),
        place="a.yaml:1",
    )
    base = {"subject.id": "a", "resource.owners": ["a"]}

    found = [
        rule.applies(VOCABULARY.encode(base | {"subject.colour": colour})) for colour in COLOURS
    ]

    assert found == [True, False, True]
    assert not rule.applies(VOCABULARY.encode({"subject.colour": "red"}))
