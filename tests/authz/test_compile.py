"""The compiled function: total, fast by structure, and true to the rules it was made of."""

import re
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz import compile as compiler
from authz.decide import DECISION_ERROR
from authz.model import ACTION, Effect, Kind, facts_of, holds
from tests.authz.worlds import (
    aimed_vector,
    any_vector,
    fact_document,
    our_world,
    rule_document,
    vectors,
    vocabulary_of,
    world_of,
    worlds,
)

COLOURS = ("red", "green", "blue")
VOCABULARY = vocabulary_of(
    fact_document("subject.colour", Kind.CHOICE, COLOURS),
    fact_document("subject.id", Kind.IDENTIFIER),
    fact_document("subject.other", Kind.IDENTIFIER),
    fact_document("resource.colours", Kind.CHOICES, COLOURS),
    fact_document("resource.owners", Kind.IDENTIFIERS),
    fact_document("context.weather", Kind.CHOICE, ("sun", "rain")),
)
WORLD = world_of(
    VOCABULARY,
    rule_document(
        "all-kinds",
        Effect.ALLOW,
        {"action_id": "thing.see"},
        {
            "subject": {
                "$.colour": {"condition": "IsIn", "values": ["green", "blue"]},
                "$.id": {"condition": "EqualsAttribute", "ace": "subject", "path": "$.other"},
                "$.other": {"condition": "IsInAttribute", "ace": "resource", "path": "$.owners"},
            },
            "resource": {"$.colours": {"condition": "AnyIn", "values": ["red"]}},
        },
    ),
)
ALLOWED = VOCABULARY.encode(
    {
        ACTION: "thing.see",
        "subject.colour": "blue",
        "subject.id": "x",
        "subject.other": "x",
        "resource.colours": ["red"],
        "resource.owners": ["x"],
    }
)


def changed(vector, **values):
    """A vector with other values for some facts, `subject_id` standing for `subject.id`."""
    places = {VOCABULARY.index[name.replace("_", ".", 1)]: v for name, v in values.items()}
    return tuple(places.get(place, value) for place, value in enumerate(vector))


def test_allowed_at_all():
    """The request that the next tests spoil is allowed, also when the weather changes."""
    found = [WORLD.decide(v).effect for v in (ALLOWED, changed(ALLOWED, context_weather=1))]

    assert found == [Effect.ALLOW, Effect.ALLOW]


@pytest.mark.parametrize(
    "vector",
    [
        (),
        ALLOWED[:-1],
        (*ALLOWED, 0),
        None,
        7,
        *(changed(ALLOWED, action_name=v) for v in (-1, 4, 99, "thing.see", None, 0.5, (1,), [])),
        *(changed(ALLOWED, subject_colour=v) for v in (-1, -2, 3, 2**70, "blue", None, ("x",), [])),
        *(changed(ALLOWED, resource_colours=v) for v in (-1, 8, 9, 2**70, "red", None, (1,), 0.5)),
        *(changed(ALLOWED, subject_id=v, subject_other=v) for v in (None, 0, 5, (), (1,), b"x")),
        *(
            changed(ALLOWED, resource_owners=v)
            for v in ("x", "xyz", ["x"], None, 5, frozenset("x"))
        ),
    ],
    ids=repr,
)
def test_malformed_vectors(vector):
    """A vector of the wrong length, or with a value out of range or of the wrong type, is denied by name."""
    verdict = WORLD.decide(vector)

    assert (verdict.effect, verdict.reason) == (Effect.DENY, DECISION_ERROR)
    assert re.fullmatch(r"\w+Error: .+", verdict.error)


GARBAGE = (-1, 10**9, 0.5, None, "no such value", b"x", (1,), ["x"], {}, object())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.integers(0, 2**32))
def test_garbage_in_random_worlds(world, seed):
    """A value that no fact can have is an error, or as if absent, or stands where no rule looks."""
    rng = Random(seed)
    vector = aimed_vector(world, rng)
    before = world.decide(vector)
    seen = looked_at(world, vector)

    for place, fact in enumerate(world.vocabulary.facts):
        junk = rng.choice(GARBAGE)
        if fact.kind is Kind.IDENTIFIER and isinstance(junk, str):
            continue
        after = world.decide((*vector[:place], junk, *vector[place + 1 :]))

        if place not in seen:
            assert after == before
        elif fact.kind in (Kind.IDENTIFIER, Kind.IDENTIFIERS):
            absent = "" if fact.kind is Kind.IDENTIFIER else ()
            assert after.error or after == world.decide(
                (*vector[:place], absent, *vector[place + 1 :])
            )
        else:
            assert (after.effect, after.reason) == (Effect.DENY, DECISION_ERROR)


def looked_at(world, vector):
    """The places of the facts that rules for the action of a vector look at."""
    return {0} | {
        place
        for rule in world.rules
        for box in rule.boxes
        if all(holds(literal, vector) for literal in box if facts_of(literal) == (0,))
        for literal in box
        for place in facts_of(literal)
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    worlds(), st.lists(st.one_of(st.sampled_from(GARBAGE), st.integers(), st.text()), max_size=9)
)
def test_three_outcomes(world, junk):
    """There are three outcomes and no other: allowed, denied, and denied because of a named error."""
    rng = Random(len(junk))
    requests = [tuple(junk), *(any_vector(world.vocabulary, rng) for _ in range(5))]

    outcomes = {
        (v.effect, v.reason == DECISION_ERROR, bool(v.error)) for v in map(world.decide, requests)
    }

    allowed, denied = (Effect.ALLOW, False, False), (Effect.DENY, False, False)
    assert outcomes <= {allowed, denied, (Effect.DENY, True, True)}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.integers(0, 2**32))
def test_remembered_verdicts_stay_true(world, seed):
    """A verdict is the same the first time, when it is remembered, and when there is no room to."""
    requests = vectors(world, Random(seed), 8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "_VERDICTS_KEPT", 1)
        forgetful = compiler.compile_rules(world.vocabulary, world.rules)

        expected = [forgetful(request) for request in requests]

    for _ in range(2):
        assert [world.decide(request) for request in requests] == expected


def test_unknown_action_has_rules_too():
    """An action that nobody knows is judged like any other: only a rule for it could allow it."""
    vector = changed(ALLOWED, action_name=0)

    verdict = WORLD.decide(vector)

    assert (verdict.effect, verdict.rules, verdict.error) == (Effect.DENY, (), "")


def test_no_rules():
    """Without rules everything is denied, and nothing is an error."""
    decide = compiler.compile_rules(VOCABULARY, ())

    verdict = decide(ALLOWED)

    assert (verdict.effect, verdict.rules, verdict.error) == (Effect.DENY, (), "")


# How time grows, told by the structure of what is generated, not by a clock.


def sources(monkeypatch, world):
    """The source of the function of each action."""
    found = []

    def spy(source, *args):
        found.append(source)
        return compile(source, *args)

    monkeypatch.setattr(compiler, "compile", spy, raising=False)
    compiler.compile_rules(world.vocabulary, world.rules)
    return found


def many_rules(count):
    """Rules for one action that speak of three facts, each rule with values of its own."""
    rng = Random(count)
    comparison = {"condition": "EqualsAttribute", "ace": "subject", "path": "$.other"}
    return [
        rule_document(
            f"rule-{number}",
            rng.choice(list(Effect)),
            {"action_id": "thing.see"},
            {
                "subject": {
                    "$.colour": {"condition": "Equals", "value": rng.choice(COLOURS)},
                    "$.id": rng.choice([comparison, {"condition": "Not", "value": comparison}]),
                },
                "context": {
                    "$.weather": {"condition": "Equals", "value": rng.choice(("sun", "rain"))}
                },
            },
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [10, 100, 1000])
def test_look_ups_do_not_grow(monkeypatch, count):
    """A decision looks up two tables and asks one question, be there ten rules or a thousand."""
    world = world_of(VOCABULARY, *many_rules(count))

    found = sources(monkeypatch, world)

    see = found[1]
    assert (see.count("T"), see.count(" if ")) == (2, 1)
    assert all("T" not in source for place, source in enumerate(found) if place != 1)


def test_our_look_ups(monkeypatch):
    """For our rules, a decision looks at each fact that the action's rules name once, and no more."""
    world = our_world()

    found = sources(monkeypatch, world)

    for action, source in enumerate(found):
        seen = looked_at(world, (action, *world.vocabulary.defaults()[1:])) - {0}
        questions = {
            facts_of(literal)
            for rule in world.rules
            for box in rule.boxes
            for literal in box
            if len(facts_of(literal)) > 1
        }
        assert len(re.findall(r"T\d+\[", source)) <= len(seen)
        assert source.count(" if ") <= len(questions)
