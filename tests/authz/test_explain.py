"""Explanations: what decided, what came nearest, and what would have made it yes - which is then true."""

from collections import Counter
from dataclasses import replace
from itertools import combinations
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz import explain as explaining
from authz.explain import MAX_CHANGES, MAX_REMEDIES, explain, remedies
from authz.model import ACTION, Effect, Kind, facts_of, holds
from tests.authz.worlds import (
    World,
    aimed_vector,
    any_value,
    any_vector,
    fact_document,
    our_world,
    rule_document,
    vectors,
    vocabulary_of,
    world_of,
    worlds,
)

SEEDS = st.integers(0, 2**32)
small = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def changed(vector, changes):
    """A request with other values for some facts."""
    return tuple(changes.get(place, value) for place, value in enumerate(vector))


def denials(world: World, rng: Random, count: int):
    """Denied requests, most of them near to an allowed one by what people can change."""
    changeable = [p for p, fact in enumerate(world.vocabulary.facts) if fact.changeable]
    found = []
    while len(found) < count:
        vector = aimed_vector(world, rng)
        for place in rng.sample(changeable, rng.randint(0, min(4, len(changeable)))):
            vector = changed(vector, {place: any_value(world.vocabulary.facts[place], rng)})
        if world.decide(vector).effect is Effect.DENY:
            found.append(vector)
    return found


def check_remedies(world: World, vector) -> int:
    """Each remedy is true, the least of its kind, and within what people can change; their number."""
    found = remedies(world, vector)
    assert len(found) <= MAX_REMEDIES
    for changes in found:
        assert world.decide(changed(vector, changes)).effect is Effect.ALLOW
        assert 1 <= len(changes) <= MAX_CHANGES
        for place, value in changes.items():
            assert value in world.vocabulary.facts[place].changeable
            assert value != vector[place]
        for size in range(len(changes)):
            for some in combinations(changes.items(), size):
                assert world.decide(changed(vector, dict(some))).effect is Effect.DENY
    assert len({frozenset(changes.items()) for changes in found}) == len(found)
    return len(found)


# What would have made it yes.


def test_our_remedies_are_true():
    """Under our rules, each remedy makes an allow of the denial, and no part of it would do."""
    world = our_world()

    counts = Counter(check_remedies(world, vector) for vector in denials(world, Random(3), 500))

    assert counts.total() - counts[0] >= 100


@small
@given(worlds(), SEEDS)
def test_remedies_are_true(world, seed):
    """Under random rules, each remedy makes an allow of the denial, and no part of it would do."""
    for vector in vectors(world, Random(seed), 8):
        if world.decide(vector).effect is Effect.DENY:
            check_remedies(world, vector)


def test_one_change_away():
    """A denial that one value someone can bring about would turn into an allow always has a remedy."""
    world, rng = our_world(), Random(4)
    missing, tried = [], 0
    for _ in range(400):
        vector = aimed_vector(world, rng)
        if world.decide(vector).effect is Effect.DENY:
            continue
        for place, fact in enumerate(world.vocabulary.facts):
            spoilt = changed(vector, {place: any_value(fact, rng)})
            if vector[place] in fact.changeable and world.decide(spoilt).effect is Effect.DENY:
                tried += 1
                if not remedies(world, spoilt):
                    missing.append((fact.name, world.vocabulary.decode(spoilt)))

    assert missing == []
    assert tried >= 100


def test_least():
    """Where two changes only undo each other's harm, neither is named."""
    facts = [fact_document(f"context.{x}", Kind.CHOICE, ("no", "yes")) for x in ("a", "b", "c")]

    def when(**values):
        return {
            "context": {f"$.{x}": {"condition": "Equals", "value": v} for x, v in values.items()}
        }

    see = {"action_id": "thing.see"}
    world = world_of(
        vocabulary_of(*facts),
        rule_document("all", Effect.ALLOW, see, when(a="yes", b="yes", c="yes")),
        rule_document("alone", Effect.ALLOW, see, when(a="yes", b="no", c="no")),
        rule_document("b-needs-c", Effect.DENY, see, when(b="yes", c="no")),
        rule_document("c-needs-b", Effect.DENY, see, when(c="yes", b="no")),
    )
    vector = world.vocabulary.encode({ACTION: "thing.see"})

    found = remedies(world, vector)

    assert found == [{world.vocabulary.index["context.a"]: 1}]
    search = explaining._Search(world, vector)
    assert search.least({1: 1, 2: 1, 3: 1}) == {1: 1}


def test_search_is_bounded(monkeypatch):
    """The search for remedies ends after so many tries, however many denials stand in the way."""
    letters = [f"x_{letter}" for letter in "abcdefghijklmno"]
    facts = [fact_document(f"context.{x}", Kind.CHOICE, ("no", "yes", "maybe")) for x in letters]
    rng = Random(8)
    denying = [
        rule_document(
            f"deny-{n}",
            Effect.DENY,
            {"action_id": "thing.see"},
            {
                "context": {
                    f"$.{x}": {"condition": "IsIn", "values": rng.sample(["no", "yes", "maybe"], 2)}
                    for x in rng.sample(letters, 4)
                }
            },
        )
        for n in range(300)
    ]
    allowing = [
        rule_document(
            f"allow-{x[2:]}", Effect.ALLOW, {"action_id": "thing.see"}, {"context": [{f"$.{x}": c}]}
        )
        for x in letters
        for c in [{"condition": "Equals", "value": "yes"}]
    ]
    built = world_of(vocabulary_of(*facts), *denying, *allowing)
    asked = 0

    def decide(vector):
        nonlocal asked
        asked += 1
        return built.decide(vector)

    world = replace(built, decide=decide)
    vector = world.vocabulary.encode({ACTION: "thing.see"})

    remedies(world, vector)
    free, asked = asked, 0
    monkeypatch.setattr(explaining, "_MAX_TRIES", 30)
    remedies(world, vector)

    assert asked <= 30 < free


# What decided, and what came nearest.


def check_explanation(world: World, vector, language: str):
    """Whatever is said of a decision is so."""
    told = explain(world, vector, language=language)
    assert told.verdict == world.decide(vector)
    assert tuple(finding.rule.uid for finding in told.deciding) == told.verdict.rules
    for finding in told.deciding:
        assert finding.rule.effect is told.verdict.effect
        assert finding.rule.applies(vector)
        assert all(condition.holds for condition in finding.conditions)
    if told.verdict.effect is Effect.ALLOW:
        assert (told.nearest, told.remedies) == (None, ())
        return told
    action = world.vocabulary.index[ACTION]
    possible = {
        rule.uid
        for rule in world.rules
        if rule.effect is Effect.ALLOW
        for box in rule.boxes
        if all(holds(literal, vector) for literal in box if action in facts_of(literal))
    }
    assert (told.nearest.rule.uid in possible) if told.nearest else not possible
    assert len(told.remedies) == len(remedies(world, vector))
    for remedy in told.remedies:
        facts = world.vocabulary.decode(vector)
        assert all(facts[name] == before for name, before, _ in remedy.changes)
        known = facts | {name: after for name, _, after in remedy.changes}
        assert world.decide(world.vocabulary.encode(known)).effect is Effect.ALLOW
    return told


def texts(told) -> list[str]:
    """All that an explanation says."""
    findings = [*told.deciding, *([told.nearest] if told.nearest else [])]
    said = [condition.text for finding in findings for condition in finding.conditions]
    return [*said, *(remedy.text for remedy in told.remedies)]


def test_our_explanations():
    """Under our rules, whatever is explained is so, in both languages alike, and nothing is left unsaid."""
    world, rng = our_world(), Random(5)
    for vector in [*denials(world, rng, 150), *vectors(world, rng, 300)]:
        french, english = (check_explanation(world, vector, language) for language in ("fr", "en"))

        assert len(texts(french)) == len(texts(english))
        assert [r.changes for r in french.remedies] == [r.changes for r in english.remedies]
        for ours, theirs in zip(texts(french), texts(english), strict=True):
            assert ours != theirs
            assert not any(
                bad in said
                for bad in ("None", "?", "`", "frozenset", "<")
                for said in (ours, theirs)
            )


@small
@given(worlds(), SEEDS)
def test_explanations(world, seed):
    """Under random rules, whatever is explained is so, and nothing raises."""
    for vector in vectors(world, Random(seed), 8):
        told = check_explanation(world, vector, "en")

        assert all(texts(told))


@small
@given(worlds(), SEEDS)
def test_malformed(world, seed):
    """Of a request that could not be decided there is nothing to explain but the error."""
    vector = any_vector(world.vocabulary, Random(seed))

    for malformed in ((), vector[:-1], (*vector, 0), (-1, *vector[1:])):
        told = explain(world, malformed, language="fr")
        assert told.verdict.error
        assert (told.deciding, told.nearest, told.remedies) == ((), None, ())


def test_everything_has_words():
    """Every fact, value, action and obligation of ours has a wording in French and in English."""
    vocabulary = our_world().vocabulary
    wordings = [
        *((fact.name, fact.wording) for fact in vocabulary.facts),
        *((f"{f.name}={v}", f.value_wordings.get(v)) for f in vocabulary.facts for v in f.values),
        *((name, action.wording) for name, action in vocabulary.actions.items()),
        *vocabulary.obligations.items(),
        *vocabulary.services.items(),
        *((rule.uid, rule.told) for rule in our_world().rules),
    ]

    found = [name for name, w in wordings if not (w and w.fr.strip() and w.en.strip())]

    assert found == []


def test_sentences_of_rules_differ_by_language():
    """No rule tells the French sentence in English, and each sentence ends."""
    rules = our_world().rules

    assert [rule.uid for rule in rules if rule.told.fr == rule.told.en] == []
    assert [rule.uid for rule in rules if not (rule.told.fr + rule.told.en).endswith(".")] == []


# How it is said.

WORDED = vocabulary_of(
    fact_document("subject.rank", Kind.CHOICE, ("low", "middle", "high", "top", "none"))
    | {
        "fr": "le rang",
        "en": "the rank",
        "words": {
            value: {"fr": f"rang {value}", "en": f"rank {value}"}
            for value in ("low", "middle", "high", "top", "none")
        },
    },
    fact_document("subject.id", Kind.IDENTIFIER) | {"fr": "la personne", "en": "the person"},
    fact_document("resource.author", Kind.IDENTIFIER) | {"fr": "l'auteur", "en": "the author"},
    fact_document("resource.owners", Kind.IDENTIFIERS)
    | {"fr": "les titulaires", "en": "the owners"},
    fact_document("resource.tags", Kind.CHOICES, ("secret", "old"))
    | {
        "fr": "les marques",
        "en": "the tags",
        "words": {"secret": {"fr": "le secret", "en": "secrecy"}},
    },
)
KNOWN = {
    ACTION: "thing.see",
    "subject.id": "x",
    "resource.author": "x",
    "resource.tags": ["secret"],
}


def said(path, condition, known):
    """What is said of one condition, in both languages."""
    element, _, attribute = path.partition(".")
    rules = {element: {f"$.{attribute}": condition}}
    world = world_of(WORDED, rule_document("r", Effect.ALLOW, {"action_id": "thing.see"}, rules))
    vector = WORDED.encode(KNOWN | known)
    found = []
    for language in ("fr", "en"):
        told = explain(world, vector, language=language)
        finding = told.nearest or told.deciding[0]
        texts = [one.text for one in finding.conditions]
        found += [text for text in texts if "l'acte" not in text and "the action" not in text]
    return found


@pytest.mark.parametrize(
    ("path", "condition", "known", "french", "english"),
    [
        (
            "subject.rank",
            {"condition": "Equals", "value": "high"},
            {"subject.rank": "high"},
            "le rang : rang high",
            "the rank: rank high",
        ),
        (
            "subject.rank",
            {"condition": "IsIn", "values": ["high", "top"]},
            {},
            "le rang : rang low ; il faudrait : rang high ou rang top",
            "the rank: rank low; wanted: rank high or rank top",
        ),
        (
            "subject.rank",
            {"condition": "NotEquals", "value": "low"},
            {},
            "le rang : rang low ; il faudrait : autre que rang low",
            "the rank: rank low; wanted: other than rank low",
        ),
        (
            "subject.id",
            {"condition": "EqualsAttribute", "ace": "resource", "path": "$.author"},
            {},
            "la personne est l'auteur",
            "the person is the author",
        ),
        (
            "subject.id",
            {"condition": "IsNotInAttribute", "ace": "resource", "path": "$.owners"},
            {},
            "la personne n'est pas parmi les titulaires",
            "the person is not among the owners",
        ),
        (
            "resource.tags",
            {"condition": "AnyIn", "values": ["secret"]},
            {},
            "les marques contient le secret",
            "the tags holds secrecy",
        ),
        (
            "resource.tags",
            {"condition": "Not", "value": {"condition": "AnyIn", "values": ["old"]}},
            {},
            "les marques sans old",
            "the tags without old",
        ),
    ],
)
def test_sentences(path, condition, known, french, english):
    """A condition is told with the words of the vocabulary: how things stand, and what was wanted."""
    found = said(path, condition, known)

    assert found == [french, english]


def test_remedy_sentence():
    """A remedy says in one sentence what would have had to be, and lists it fact by fact."""
    rule = rule_document(
        "r",
        Effect.ALLOW,
        {"action_id": "thing.see"},
        {"subject": {"$.rank": {"condition": "IsIn", "values": ["top", "high"]}}},
    )
    world = world_of(WORDED, rule)

    told = [explain(world, WORDED.encode(KNOWN), language=lang).remedies for lang in ("fr", "en")]

    assert [remedy.text for (remedy,) in told] == [
        "Ce serait oui si : rang high",
        "It would be yes if: rank high",
    ]
    assert told[0][0].changes == (("subject.rank", "low", "high"),)


def test_nearest_looks_past_boxes_of_other_actions():
    """A rule whose nearest alternative is for another action still counts by the one for this action."""
    owned = {"condition": "IsInAttribute", "ace": "resource", "path": "$.owners"}
    named = [
        {"$.name": {"condition": "Equals", "value": f"thing.{verb}"}} for verb in ("drop", "see")
    ]
    rule = rule_document(
        "r",
        Effect.ALLOW,
        {},
        {"action": named, "subject": {"$.id": owned}, "resource": {"$.author": owned}},
    )
    world = world_of(WORDED, rule)

    told = explain(world, WORDED.encode(KNOWN), language="en")

    assert told.nearest is not None
    assert told.nearest.rule.uid == "r"
    assert all(c.holds for c in told.nearest.conditions if "action" in c.text)
