"""Cases: no request is left out, none is in two, and all of a case are decided alike."""

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz.conditions import action_box
from authz.model import ACTION, Effect, In, Kind, holds
from authz.workbench.cases import TooManyError, cases, negation, witness
from tests.authz.worlds import (
    ACTIONS,
    any_vector,
    fact_document,
    our_bundle,
    read_rules,
    rule_document,
    vectors,
    vocabulary_of,
    worlds,
)

SPACES = st.sampled_from(ACTIONS)
SEEDS = st.integers(min_value=0, max_value=2**32)


def space_of(world, action):
    """All requests for one action."""
    return action_box(world.vocabulary, [action])


def asking(world, action, vector):
    """The request with its action."""
    place = world.vocabulary.index[ACTION]
    asked = world.vocabulary.fact(ACTION).values.index(action)
    return (*vector[:place], asked, *vector[place + 1 :])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), SPACES, SEEDS)
def test_each_request_is_in_one_case(world, action, seed):
    """Every request of a space is in exactly one of its cases."""
    found = list(cases(world.vocabulary, world.rules, space_of(world, action)))

    for vector in vectors(world, Random(seed), 20):
        request = asking(world, action, vector)
        homes = [case for case in found if all(holds(li, request) for li in case.box)]
        assert len(homes) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), SPACES, SEEDS)
def test_a_case_has_one_effect(world, action, seed):
    """All requests of a case get the effect that its witness gets."""
    found = list(cases(world.vocabulary, world.rules, space_of(world, action)))

    for vector in vectors(world, Random(seed), 20):
        request = asking(world, action, vector)
        home = next(case for case in found if all(holds(li, request) for li in case.box))
        assert world.decide(request).effect is world.decide(home.witness).effect


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), SPACES, SEEDS)
def test_a_case_in_detail_has_one_verdict(world, action, seed):
    """Where detail is asked for, all requests of a case get the verdict of its witness, rules and all."""
    space = space_of(world, action)
    found = list(cases(world.vocabulary, world.rules, space, detail=Effect))

    for vector in vectors(world, Random(seed), 20):
        request = asking(world, action, vector)
        home = next(case for case in found if all(holds(li, request) for li in case.box))
        assert world.decide(request) == world.decide(home.witness)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), SPACES)
def test_a_witness_is_of_its_case(world, action):
    """A witness is a request of its case, each fact with a value that it may have."""
    facts = world.vocabulary.facts

    for case in cases(world.vocabulary, world.rules, space_of(world, action)):
        assert all(holds(literal, case.witness) for literal in case.box)
        assert all(fact.holds(v) for fact, v in zip(facts, case.witness, strict=True))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), SEEDS)
def test_negation(world, seed):
    """A literal holds exactly when its negation does not."""
    request = any_vector(world.vocabulary, Random(seed))

    for rule in world.rules:
        for literal in frozenset().union(*rule.boxes):
            against = negation(literal, world.vocabulary)
            assert holds(against, request) is not holds(literal, request)


def test_what_cannot_be_has_no_witness():
    """A case in which a is b, b is c, and a is not c has no request."""
    names = (fact_document(f"subject.{name}", Kind.IDENTIFIER) for name in ("a", "b", "c"))
    vocabulary = vocabulary_of(*names)
    same = [
        {"condition": "EqualsAttribute", "ace": "subject", "path": path} for path in ("$.b", "$.c")
    ]
    other = {"condition": "NotEqualsAttribute", "ace": "subject", "path": "$.c"}
    rules = {"subject": {"$.a": {"condition": "AllOf", "values": [same[0], other]}, "$.b": same[1]}}
    reader, wrong = read_rules(vocabulary, rule_document("r", "deny", {"action_id": "*"}, rules))

    found = [witness(vocabulary, box) for box in reader.rules[0].boxes]

    assert wrong == []
    assert found == [None]


def test_too_many():
    """More cases than were asked for are refused, and not cut short."""
    bundle = our_bundle()
    space = action_box(bundle.vocabulary, ["document.read"])

    with pytest.raises(TooManyError, match="more than 10 cases"):
        list(cases(bundle.vocabulary, bundle.rules, space, most=10))


def test_ours_are_few():
    """Our policies have so few cases that each can be decided in no time."""
    bundle = our_bundle()
    place = bundle.vocabulary.index[ACTION]
    actions = range(1, len(bundle.vocabulary.actions) + 1)

    counts = [
        sum(
            1
            for _ in cases(bundle.vocabulary, bundle.rules, frozenset({In(place, frozenset({a}))}))
        )
        for a in actions
    ]

    assert max(counts) < 1_000
