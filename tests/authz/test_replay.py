"""Deciding again what the log says was decided."""

import hashlib
from functools import cache
from itertools import pairwise
from random import Random

import orjson
import pytest

from audit.entry import Entry
from authz.bundle import Bundle, build
from authz.decide import DECISION_ERROR
from authz.decision import CHANGE_IMPOSSIBLE
from authz.errors import BundleError
from authz.product import DMP
from authz.replay import Difference, Outcome, Replayed, Why, replay, restored
from authz.workbench.scenarios import read_scenarios, run
from tests.authz.workbench.world import edited, files
from tests.authz.worlds import aimed_vector, our_bundle, our_world

SAME = Replayed(outcome=Outcome.SAME)


@cache
def stored() -> Bundle:
    """Our bundle, from nothing but its stored content."""
    return restored(our_bundle().content, our_bundle().digest)


@cache
def recorded() -> tuple[tuple[str, bytes], ...]:
    """An entry of each scenario, with what makes it a kind of its own."""
    found, mistakes = read_scenarios(files(), our_bundle().vocabulary)
    assert not mistakes
    entries = []
    for scenario in found:
        outcome = run(our_bundle(), scenario)
        verdict = outcome.verdict
        assert verdict is not None
        entry = {
            "kind": "change" if scenario.query.change else "decision",
            "action": scenario.query.action,
            "facts": outcome.vector,
            "effect": verdict.effect.value,
            "reason_code": verdict.reason,
            "rules": verdict.rules,
            "obligations": verdict.obligations,
            "bundle": our_bundle().digest,
        }
        entries.append((scenario.query.action, orjson.dumps(entry)))
    return tuple(entries)


def entry_of(action: str = "document.read", effect: str = "allow", **changes: object) -> Entry:
    """The first entry with this action and effect, as the log gives it back, but for `changes`."""
    for name, data in recorded():
        entry: Entry = orjson.loads(data)
        if name == action and entry["effect"] == effect:
            return {**entry, **changes}  # type: ignore[typeddict-item]  # what is wrong is wrong on purpose
    raise AssertionError(f"no scenario has {effect} {action}")


def with_fact(entry: Entry, name: str, value: object) -> Entry:
    """The entry with one fact changed, as a number."""
    facts = list(entry["facts"])
    facts[our_bundle().vocabulary.index[name]] = value  # type: ignore[call-overload]  # as above
    return {**entry, "facts": facts}


def test_every_scenario_comes_out_the_same():
    """What was decided under our policies is decided again from entry and stored content alone."""
    found = {replay(orjson.loads(data), stored()) for _, data in recorded()}

    assert found == {SAME}
    assert len(recorded()) > 800


def test_a_list_is_judged_as_a_list():
    """An entry of kind `filter` has no document; it is compared with what its condition comes to."""
    facts = entry_of("document.list")["facts"]
    vector = tuple(tuple(f) if isinstance(f, list) else f for f in facts)
    verdict = our_bundle().judge(vector).verdict
    entry = entry_of(
        "document.list",
        kind="filter",
        effect=verdict.effect.value,
        reason_code=verdict.reason,
        rules=list(verdict.rules),
        obligations=list(verdict.obligations),
    )

    assert replay(entry, stored()) == SAME
    assert replay({**entry, "rules": ["made-up"]}, stored()).outcome is Outcome.DIFFERENT


def test_a_list_is_judged_by_what_is_equal_alone():
    """With other identifiers in the same places, the verdict on a list is the same."""
    rng, bundle = Random(1), our_bundle()
    place = bundle.vocabulary.index["action.name"]
    listing = bundle.vocabulary.fact("action.name").encode("document.list")
    vectors = [aimed_vector(our_world(), rng) for _ in range(300)]
    facts = [[*v[:place], listing, *v[place + 1 :]] for v in vectors]
    facts += [orjson.loads(data)["facts"] for name, data in recorded() if name == "document.list"]
    entries = []
    for one in facts:
        verdict = bundle.judge(tuple(tuple(f) if isinstance(f, list) else f for f in one)).verdict
        told = (verdict.effect.value, verdict.reason, verdict.rules, verdict.obligations)
        named = dict(zip(("effect", "reason_code", "rules", "obligations"), told, strict=True))
        entries.append(entry_of("document.list", kind="filter", facts=one) | named)

    again = [replay(entry, stored()) for entry in entries]

    assert {one.outcome for one in again} == {Outcome.SAME}
    assert len({entry["reason_code"] for entry in entries}) > 10


def test_facts_of_a_list_that_do_not_fit_are_told():
    """Nothing is judged that is no fact of the vocabulary."""
    for value in ("me", [1], [["a"]], 9_999, None):
        entry = with_fact(entry_of("document.list", kind="filter"), "resource.authors", value)

        assert replay(entry, stored()).why is Why.FACTS_UNFIT


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"effect": "deny"}, Difference(field="effect", recorded="deny", replayed="allow")),
        (
            {"reason_code": "HOLDER"},
            Difference(field="reason_code", recorded="HOLDER", replayed="BREAK_GLASS"),
        ),
        ({"rules": []}, Difference(field="rules", recorded="", replayed="break-glass")),
        (
            {"obligations": ["review"]},
            Difference(
                field="obligations",
                recorded="review",
                replayed="show_mode, notify_holder, notify_treating_doctor, review",
            ),
        ),
        (
            {"action": "document.list"},
            Difference(field="action", recorded="document.list", replayed="dossier.read"),
        ),
    ],
)
def test_each_field_that_differs_is_named(changes, difference):
    """A field that was not decided so is told with what stands in the entry, and what comes out."""
    entry = next(
        found
        for action, data in recorded()
        if action == "dossier.read"
        and (found := orjson.loads(data))["reason_code"] == "BREAK_GLASS"
    )

    assert replay({**entry, **changes}, stored()) == Replayed(
        outcome=Outcome.DIFFERENT, differences=(difference,)
    )


def test_a_fact_that_was_altered_shows():
    """With another authorisation in the facts, the same policies say something else."""
    entry = next(
        found
        for action, data in recorded()
        if action == "document.read"
        and (found := orjson.loads(data))["reason_code"] == "AUTHORISED"
    )
    forbidden = our_bundle().vocabulary.fact("subject.authorisation").encode("forbidden")

    again = replay(with_fact(entry, "subject.authorisation", forbidden), stored())

    told = {d.field: (d.recorded, d.replayed) for d in again.differences}
    assert again.outcome is Outcome.DIFFERENT
    assert told["effect"] == ("allow", "deny")
    assert told["reason_code"] == ("AUTHORISED", "BLOCKED")


@pytest.mark.parametrize("kind", ["activation", "start", "", "whatever"])
def test_what_is_no_decision_is_not_decided_again(kind):
    """Starts and activations of policies hold no decision."""
    assert replay(entry_of(kind=kind), stored()).why is Why.NO_DECISION


def test_what_is_missing_is_told():
    """An erased entry, unknown policies and an entry without facts are told apart."""
    other = build(edited("parameters.yaml", "value: PT4H", "value: PT5H"), DMP)

    assert replay(None, stored()).why is Why.ERASED
    assert replay(entry_of(), None).why is Why.UNKNOWN_BUNDLE
    assert replay(entry_of(), other).why is Why.UNKNOWN_BUNDLE
    assert replay(entry_of(facts=[]), stored()).why is Why.NO_FACTS
    assert replay(None, None).outcome is Outcome.NOT_REPLAYED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("action.name", 9_999),
        ("action.name", "document.read"),
        ("action.name", -1),
        ("subject.kind", -1),
        ("subject.kind", "professional"),
        ("resource.patient", 3),
        ("resource.authors", "me"),
        ("resource.authors", [1]),
    ],
)
def test_facts_that_do_not_fit_are_told(name, value):
    """A number outside the list, or a value of another type, is no fact of the vocabulary."""
    entry = with_fact(entry_of(effect="deny"), name, value)

    again = replay({**entry, "reason_code": "SOMETHING_ELSE"}, stored())

    assert again == Replayed(outcome=Outcome.NOT_REPLAYED, why=Why.FACTS_UNFIT)


@pytest.mark.parametrize("less", [1, 40])
def test_too_few_facts_are_told(less):
    """Facts of another vocabulary do not fit."""
    entry = entry_of()

    assert replay({**entry, "facts": entry["facts"][:-less]}, stored()).why is Why.FACTS_UNFIT


def test_an_impossible_change_was_overridden():
    """Policy allowed it, and the state of the registry, which nobody knows any more, had the last word."""
    bare = {"effect": "deny", "reason_code": CHANGE_IMPOSSIBLE, "rules": [], "obligations": []}
    entry = {**entry_of("consent.update"), **bare}
    denied = {**entry_of("consent.update", "deny"), **bare}
    no_change = {**entry_of(), **bare}

    assert entry["kind"] == "change"
    assert replay(entry, stored()) == Replayed(
        outcome=Outcome.OVERRIDDEN, why=Why.CHANGE_IMPOSSIBLE
    )
    assert replay(denied, stored()).outcome is Outcome.DIFFERENT
    assert replay({**entry, "rules": ["x"]}, stored()).outcome is Outcome.DIFFERENT
    assert replay({**entry, "action": "dossier.close"}, stored()).outcome is Outcome.DIFFERENT
    assert replay(no_change, stored()).outcome is Outcome.DIFFERENT


def test_a_decision_that_failed_has_no_facts():
    """Where facts could not be computed the entry holds the defaults, which say nothing."""
    bare = {"effect": "deny", "reason_code": DECISION_ERROR, "rules": [], "obligations": []}
    failed = {**entry_of(), **bare, "facts": list(our_bundle().vocabulary.defaults())}

    assert replay(failed, stored()).why is Why.DECISION_FAILED
    assert replay({**failed, "facts": entry_of()["facts"]}, stored()).outcome is Outcome.DIFFERENT
    assert replay({**failed, "effect": "allow"}, stored()).outcome is Outcome.DIFFERENT


def test_a_bundle_of_another_digest_is_refused():
    """Content that was altered is not what the entry was decided under."""
    content = our_bundle().content

    for found, digest in [(content, "0" * 64), (content[:-1], our_bundle().digest)]:
        with pytest.raises(BundleError, match="restore the database from a backup"):
            restored(found, digest)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"null", b'{"documents": {}, "tables": {}}']
)
def test_damaged_content_is_refused(content):
    """Content that is no bundle is a clear error, even under its own digest."""
    with pytest.raises(BundleError, match="stored bundle"):
        restored(content, hashlib.sha256(content).hexdigest())


def test_a_bundle_of_an_earlier_version_is_restored():
    """Facts and parameters that the product knows today were unknown to policies of yesterday."""
    document = orjson.loads(our_bundle().content)
    vocabulary = document["documents"]["vocabulary.yaml"]
    vocabulary["facts"] = [f for f in vocabulary["facts"] if f["name"] != "subject.review"]
    listed = document["vocabulary"]
    listed["facts"] = [f for f in listed["facts"] if f["name"] != "subject.review"]
    parameters = document["documents"]["parameters.yaml"]
    unknown = ("emergency.review.verdicts", "emergency.refused_after")
    parameters["parameters"] = [p for p in parameters["parameters"] if p["name"] not in unknown]
    for name, rules in document["documents"].items():
        if name.startswith("rules/"):
            rules["rules"] = [
                r for r in rules["rules"] if not set(r.get("when", {})) & set(unknown)
            ]
    earlier = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)

    bundle = restored(earlier, hashlib.sha256(earlier).hexdigest())

    facts = [f.name for f in our_bundle().vocabulary.facts]
    place = facts.index("subject.review")
    entry = entry_of(bundle=bundle.digest)
    assert len(bundle.vocabulary.facts) == len(facts) - 1
    less = [fact for number, fact in enumerate(entry["facts"]) if number != place]
    assert replay({**entry, "facts": less}, bundle) == SAME


def test_policies_do_not_change_while_they_are_stored():
    """The bundle that was built and the one that is restored are of one digest and decide alike."""
    assert stored().digest == our_bundle().digest
    assert all(a.uid < b.uid for a, b in pairwise(stored().rules))
