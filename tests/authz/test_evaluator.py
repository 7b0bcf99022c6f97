"""The evaluator decides as py-abac does and as a slow reading does, and keeps its promises.

Three readings of the same documents: compiled, py-abac's decision point, and `tests.reference.evaluator`.
"""

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random
from threading import Barrier

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz.compile import compile_rules
from authz.model import Effect, facts_of
from authz.safety import open_doors
from tests.authz.oracle_abac import Oracle
from tests.authz.worlds import (
    World,
    aimed_vector,
    any_rule,
    any_value,
    make_true,
    our_world,
    read_rules,
    vectors,
    worlds,
)
from tests.reference import evaluator

LEAST = 0.1
"""So large a part of a corpus must be allowed, and so large a part denied."""

SEEDS = st.integers(0, 2**32)
random_worlds = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def disagreements(world: World, requests, oracle: Oracle) -> list[object]:
    """The requests on which the three readings differ, with what each says."""
    found = []
    for vector in requests:
        facts = world.vocabulary.decode(vector)
        ours, slow = world.decide(vector), evaluator.decide(world.documents, facts)
        theirs = oracle.decide(facts)
        if (ours.effect, set(ours.rules)) != (slow.effect, slow.rules) or ours.effect != theirs:
            found.append((facts, ours, slow, theirs))
    return found


def balanced(effects: Counter[str]) -> bool:
    """Whether a corpus has enough of both outcomes to prove anything."""
    return min(effects[effect] for effect in Effect) >= LEAST * effects.total()


# One answer of three readings.


def test_our_rules_agree():
    """On our rules, the compiled function, py-abac and the slow reading give the same answers."""
    world, rng = our_world(), Random(20110401)
    requests = vectors(world, rng, 1000)

    found = disagreements(world, requests, Oracle(world.documents))

    assert found == []
    assert balanced(Counter(world.decide(vector).effect for vector in requests))


def test_each_of_our_rules_agrees():
    """Each way in which each of our rules can apply is found by all three readings."""
    world, rng = our_world(), Random(1)
    requests, applied = [], set()
    for rule in world.rules:
        for box in rule.boxes:
            vector = list(aimed_vector(world, rng))
            for literal in box:
                make_true(literal, vector, rng)
            requests.append(tuple(vector))
            applied |= {rule.uid} if rule.applies(tuple(vector)) else set()

    found = disagreements(world, requests, Oracle(world.documents))

    assert found == []
    assert applied == {rule.uid for rule in world.rules}


def test_random_rules_agree():
    """On random rules over random vocabularies, the three readings give the same answers."""
    effects: Counter[str] = Counter()

    @random_worlds
    @given(worlds(), SEEDS)
    def agree(world, seed):
        requests = vectors(world, Random(seed), 10)
        effects.update(world.decide(vector).effect for vector in requests)

        assert disagreements(world, requests, Oracle(world.documents)) == []

    agree()
    assert balanced(effects)


# What is promised of every set of rules.


@random_worlds
@given(worlds(), SEEDS)
def test_deny_wins(world, seed):
    """What a deny rule applies to is denied, by all the deny rules that apply; else an allow rule decides."""
    for vector in vectors(world, Random(seed), 8):
        applying = [rule for rule in world.rules if rule.applies(vector)]

        verdict = world.decide(vector)

        denying = {rule.uid for rule in applying if rule.effect is Effect.DENY}
        expected = denying or {rule.uid for rule in applying}
        assert set(verdict.rules) == expected
        assert (verdict.effect is Effect.ALLOW) == bool(applying and not denying)


@random_worlds
@given(worlds(), st.randoms(use_true_random=False), SEEDS)
def test_order_of_rules_does_not_matter(world, shuffler, seed):
    """Rules in another order give the same verdict to the letter."""
    shuffled = list(world.rules)
    shuffler.shuffle(shuffled)
    decide = compile_rules(world.vocabulary, shuffled)

    for vector in vectors(world, Random(seed), 8):
        assert decide(vector) == world.decide(vector)


@random_worlds
@given(worlds(), st.randoms(use_true_random=False), SEEDS)
def test_one_more_deny_rule(world, rng, seed):
    """A deny rule more never allows more; an allow rule more never takes an allow away."""
    reader, _ = read_rules(world.vocabulary, any_rule(world.vocabulary, "one-more", rng))
    more = {
        effect: compile_rules(
            world.vocabulary,
            [*world.rules, *(replace(rule, effect=effect) for rule in reader.rules)],
        )
        for effect in Effect
    }

    for vector in vectors(world, Random(seed), 8):
        before = world.decide(vector).effect
        stricter, wider = (more[e](vector).effect for e in (Effect.DENY, Effect.ALLOW))
        assert (before, stricter) != (Effect.DENY, Effect.ALLOW)
        assert (before, wider) != (Effect.ALLOW, Effect.DENY)


@random_worlds
@given(worlds(most=4), SEEDS)
def test_what_no_rule_names_changes_nothing(world, seed):
    """A fact that no rule names changes nothing, not even the reason."""
    rng = Random(seed)
    named = {p for r in world.rules for box in r.boxes for li in box for p in facts_of(li)}
    unnamed = [p for p in range(len(world.vocabulary.facts)) if p not in named]

    for vector in vectors(world, rng, 4):
        for place in unnamed:
            value = any_value(world.vocabulary.facts[place], rng)
            other = (*vector[:place], value, *vector[place + 1 :])
            assert world.decide(other) == world.decide(vector)


# A fact that is missing never opens a door.


def opened(world: World, vector) -> list[str]:
    """The facts of a denied request that would allow it if nothing were known of them."""
    if world.decide(vector).effect is Effect.ALLOW:
        return []
    return [
        fact.name
        for place, fact in enumerate(world.vocabulary.facts)
        if world.decide((*vector[:place], fact.default, *vector[place + 1 :])).effect
        is Effect.ALLOW
    ]


def test_missing_facts_never_open_our_doors():
    """Under our rules, no fact that goes missing turns a denial into an allow."""
    world = our_world()
    requests = vectors(world, Random(7), 3000)

    found = [(world.vocabulary.decode(vector), opened(world, vector)) for vector in requests]

    assert [(facts, names) for facts, names in found if names] == []
    assert balanced(Counter(world.decide(vector).effect for vector in requests))


def test_missing_facts_never_open_doors_that_were_checked():
    """Where no open door is found, none is there; where one is found, it can often be walked through."""
    counts: Counter[str] = Counter()

    @settings(random_worlds, max_examples=150)
    @given(worlds(), SEEDS)
    def never_open(world, seed):
        doors = list(open_doors(world.vocabulary, world.rules))
        found = [name for v in vectors(world, Random(seed), 16) for name in opened(world, v)]

        counts["safe" if not doors else "walked" if found else "shut"] += 1
        assert set(found) <= {door.fact.name for door in doors}

    never_open()
    assert counts["safe"] >= LEAST * counts.total()
    assert counts["walked"] >= (counts["walked"] + counts["shut"]) / 4


# Threads.


def test_threads_agree():
    """Sixteen threads that decide at once, from the first verdict on, answer like one thread."""
    world, rng = our_world(), Random(16)
    requests = vectors(world, rng, 400)
    expected = [world.decide(vector) for vector in requests]
    decide = compile_rules(world.vocabulary, world.rules)  # it has no verdict yet
    start = Barrier(16)

    def ask(seed):
        order = list(range(len(requests)))
        Random(seed).shuffle(order)
        start.wait()
        return [
            (place, verdict)
            for _ in range(3)
            for place in order
            if (verdict := decide(requests[place])) != expected[place]
        ]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(16) as pool:
            wrong = [found for answers in pool.map(ask, range(16)) for found in answers]
    finally:
        sys.setswitchinterval(interval)

    assert wrong == []
    assert balanced(Counter(verdict.effect for verdict in expected))
