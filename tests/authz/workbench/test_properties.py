"""Properties: sentences about all rules together, proved or contradicted by a request."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz.compile import compile_rules
from authz.conditions import action_box
from authz.model import ACTION, Effect, In, Wording, holds
from authz.workbench.properties import FILE, Property, read_properties
from authz.workbench.verify import draws, sample, verify
from tests.authz.workbench.world import bundle, files, words
from tests.authz.worlds import ACTIONS, OBLIGATIONS, vectors, worlds

TEXTS = 'id: try, fr: "Essai.", en: "Try.", source: test'
MASKED = "when: {resource: {$.masked: {condition: Equals, value: 'yes'}}}"


def read(line):
    """Reads one property, a flow mapping without its texts: the properties and the mistakes."""
    text = f"properties:\n  - {{{TEXTS}, {line}}}\n"
    return read_properties({FILE: text.encode()}, words()[0])


def one(line):
    """The one property, read without mistake."""
    found, mistakes = read(line)
    assert mistakes == ()
    return found[0]


def ours():
    """The properties of the project."""
    found, mistakes = read_properties(files(), bundle().vocabulary)
    assert mistakes == ()
    return found


def without(*uids):
    """The project's bundle without some of its rules."""
    kept = tuple(rule for rule in bundle().rules if rule.uid not in uids)
    assert len(kept) == len(bundle().rules) - len(uids)
    return with_rules(bundle(), kept)


def with_rules(one_bundle, rules):
    """A bundle with other rules."""
    return replace(one_bundle, rules=rules, decide=compile_rules(one_bundle.vocabulary, rules))


# The project's properties.


def test_the_project_keeps_its_promises():
    """Each of the project's sentences, twenty at least, holds for every request there can be."""
    findings = [verify(bundle(), stated) for stated in ours()]

    assert len(findings) >= 24
    assert [f.stated.id for f in findings if not f.holds] == []
    assert all(finding.exact and finding.checked for finding in findings)


@pytest.mark.parametrize(
    ("uid", "broken"),
    [
        ("caller-refused", "refused-service"),
        ("excluded-category", "excluded-categories"),
        ("profession-unlisted", "unlisted-profession"),
        ("document-masked", "masked-stays-masked"),
        ("emergency-masked", "masked-in-emergency-needs-consent"),
        ("emergency-matrix-denied", "matrix-closes"),
        ("dossier-closed", "closed-is-shut"),
        ("document-deleted", "deleted-is-gone"),
        ("blocked", "blocked-never-reads"),
        ("not-the-holder", "only-ones-own-dossier"),
        ("patient-of-age", "no-representative-of-adults"),
        ("feeding-opposed", "feeding-respects-opposition"),
        ("visibility-cumulated", "masked-and-hidden-never-together"),
        ("block-treating-doctor", "treating-doctor-is-not-blocked"),
        ("grant-treating-doctor-profession", "treating-doctor-is-a-physician"),
        ("trace-holder", "holder-reads-trace"),
        ("deposit-professional", "deposit-needs-no-authorisation"),
    ],
)
def test_promises_need_their_rules(uid, broken):
    """Whoever takes out a rule that a sentence rests on is shown a request that contradicts the sentence."""
    stated = next(p for p in ours() if p.id == broken)

    finding = verify(without(uid), stated)

    assert not finding.holds
    assert stated.breaks(finding.verdict)
    request = finding.counterexample.witness
    assert any(all(holds(li, request) for li in box) for box in stated.boxes)


def test_lost_obligation():
    """A rule that loses an obligation breaks the sentence that promises it."""
    stated = next(p for p in ours() if p.id == "emergency-is-told-and-reviewed")
    lax = tuple(
        replace(rule, obligations=tuple(o for o in rule.obligations if o != "review"))
        if rule.uid == "centre-15"
        else rule
        for rule in bundle().rules
    )

    finding = verify(with_rules(bundle(), lax), stated)

    assert not finding.holds
    assert (finding.verdict.effect, finding.verdict.reason) == (Effect.ALLOW, "CENTRE_15")


def test_each_sentence_is_its_own():
    """No two sentences of the project say the same of the same requests."""
    said = Counter((p.boxes, p.kind, p.effect, p.among, p.obligations) for p in ours())

    assert said.most_common(1)[0][1] == 1


# Reading.


def test_read():
    """A property has its space, what it says of it, and its place."""
    stated = one(
        "kind: always, among: allow, obligations: [review], reason: BREAK_GLASS, "
        f"actions: '*', except: [log.query], {MASKED}"
    )

    vocabulary = words()[0]
    actions = next(li.allowed for box in stated.boxes for li in box if li.fact == 0)
    assert (stated.kind, stated.among, stated.effect) == ("always", Effect.ALLOW, None)
    assert (stated.obligations, stated.reason) == (("review",), "BREAK_GLASS")
    assert (stated.id, stated.wording.en, stated.place) == ("try", "Try.", f"{FILE}:2")
    assert len(actions) == len(vocabulary.actions) - 1
    assert vocabulary.fact(ACTION).values.index("log.query") not in actions


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        (
            "kind: nevr, effect: allow, actions: '*'",
            "unknown kind: `nevr`",
            "did you mean `never`?",
        ),
        (
            "kind: never, effect: allowz, actions: '*'",
            "unknown effect: `allowz`",
            "did you mean `allow`?",
        ),
        ("kind: never, actions: '*'", "`never` needs `effect`, and takes nothing else", ""),
        (
            "kind: never, effect: allow, among: allow, actions: '*'",
            "`never` needs `effect`, and takes nothing else",
            "",
        ),
        ("kind: always, actions: '*'", "`always` needs `effect`, `reason` or `obligations`", ""),
        (
            "kind: always, obligations: [reviewz], actions: '*'",
            "unknown obligation: `reviewz`",
            "did you mean `review`?",
        ),
        (
            "kind: never, effect: allow, actions: [document.reads]",
            "unknown action: `document.reads`",
            "did you mean `document.read`?",
        ),
        ("kind: never, effect: allow, actions: []", "`actions` names no action", ""),
        (
            "kind: never, effect: allow, actions: [log.query], except: [log.query]",
            "`actions` names no action",
            "",
        ),
        ("kind: never, effect: allow", "missing key: `actions`", ""),
        (
            "kind: never, effect: allow, actions: '*', when: {subject: {$.knd: {condition: Any}}}",
            "unknown fact: `subject.$.knd`",
            "did you mean `$.kind`?",
        ),
        (
            "kind: never, effect: allow, actions: '*', wen: {}",
            "unknown key: `wen`",
            "did you mean `when`?",
        ),
        (
            (
                "kind: never, effect: allow, actions: '*', when: {subject: {$.kind: {condition: AllOf, "
                "values: [{condition: Equals, value: patient}, {condition: Equals, value: auditor}]}}}"
            ),
            "no request can be like this: the conditions contradict each other",
            "",
        ),
    ],
)
def test_mistake(line, message, hint):
    """A property that can't be read is told with its place and what would be right."""
    found, mistakes = read(line)

    assert found == ()
    assert (FILE, 2, message, hint) in [(m.path, m.line, m.message, m.hint) for m in mistakes]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("properties: [{id: No Id, kind: never}]", "missing key: `fr`"),
        (
            f"properties: [{{{TEXTS.replace('try', 'No Id')}, kind: never, effect: allow, actions: '*'}}]",
            "not an id: `No Id`",
        ),
        ("proprieties: []", "missing key: `properties`"),
        ("", "empty file"),
    ],
)
def test_file(text, message):
    """A file that is no list of properties is a mistake."""
    _, mistakes = read_properties({FILE: text.encode()}, words()[0])

    assert message in [m.message for m in mistakes]


def test_declared_twice():
    """An id stands for one property."""
    line = f"{{{TEXTS}, kind: never, effect: allow, actions: '*'}}"
    text = f"properties:\n  - {line}\n  - {line}\n"

    found, mistakes = read_properties({FILE: text.encode()}, words()[0])

    assert [(m.line, m.message) for m in mistakes] == [(3, "declared twice")]
    assert len(found) == 1


def test_no_properties():
    """A folder without properties has none, which is no mistake."""
    assert read_properties({}, words()[0]) == ((), ())


# Vacuous properties.


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            # No rule allows hiding after the deposit, so nothing is said by forbidding it.
            f"kind: never, effect: allow, actions: [document.hide_from_patient], {MASKED}",
            "no rule comes near to allowing this: it would hold whatever `when` says",
        ),
        (
            "kind: always, effect: deny, actions: [document.hide_from_patient]",
            "no rule comes near to allowing this: it would hold whatever `when` says",
        ),
        (
            (
                "kind: always, among: allow, obligations: [review], actions: [document.read], "
                "when: {subject: {$.kind: {condition: Equals, value: auditor}}}"
            ),
            "no request like this gets `allow`: nothing was checked",
        ),
        (
            (
                "kind: always, effect: allow, actions: [document.read], when: {subject: {$.id: "
                "{condition: AllOf, values: ["
                '{condition: EqualsAttribute, ace: resource, path: "$.patient"}, '
                '{condition: EqualsAttribute, ace: resource, path: "$.target"}]}, '
                "$.structure: {condition: AllOf, values: ["
                '{condition: EqualsAttribute, ace: resource, path: "$.patient"}, '
                '{condition: NotEqualsAttribute, ace: resource, path: "$.target"}]}}}'
            ),
            "no request is like this",
        ),
    ],
)
def test_vacuous(line, why):
    """A sentence that holds of nothing in particular says so, and does not count as holding."""
    finding = verify(bundle(), one(line))

    assert not finding.holds
    assert finding.counterexample is None
    assert finding.vacuous == why


# Checking.


@pytest.mark.parametrize(
    ("line", "holds_true"),
    [
        (
            (
                "kind: always, effect: deny, reason: AUDITORS_ONLY, actions: [log.query], "
                "when: {subject: {$.kind: {condition: Equals, value: patient}, "
                "$.authentication: {condition: Equals, value: individual_card}}, "
                "context: {$.caller: {condition: Equals, value: permitted}, "
                "$.subject_proof: {condition: Equals, value: asserted}}}"
            ),
            True,
        ),
        (
            (
                "kind: always, effect: deny, reason: AUDITORS_ONLY, actions: [log.query], "
                "when: {subject: {$.kind: {condition: Equals, value: patient}}}"
            ),
            False,
        ),
        ("kind: always, reason: AUDITOR, among: allow, actions: [log.query]", True),
        ("kind: always, reason: AUDITOR, actions: [log.query]", False),
        ("kind: never, effect: deny, actions: [log.query]", False),
    ],
)
def test_reason(line, holds_true):
    """A property may promise the reason, among those allowed or among all."""
    assert verify(bundle(), one(line)).holds is holds_true


STATED = Property(
    id="try",
    wording=Wording(fr="Essai.", en="Try."),
    source="test",
    kind="never",
    effect=Effect.ALLOW,
    among=None,
    reason="",
    obligations=(),
    boxes=(),
    place="properties.yaml:1",
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    worlds(),
    st.sampled_from(ACTIONS),
    st.sampled_from(
        [
            {"kind": "never", "effect": Effect.ALLOW},
            {"kind": "never", "effect": Effect.DENY},
            {"kind": "always", "effect": Effect.DENY, "reason": "R_ONE"},
            {"kind": "always", "effect": None, "reason": "R_ONE"},
            {"kind": "always", "effect": Effect.ALLOW, "obligations": OBLIGATIONS[:1]},
            {
                "kind": "always",
                "effect": None,
                "among": Effect.ALLOW,
                "obligations": OBLIGATIONS[:1],
            },
        ]
    ),
    st.integers(min_value=0, max_value=2**32),
)
def test_what_holds_holds_of_every_request(world, action, said, seed):
    """Where a property is found to hold, no request contradicts it; else the one shown does."""
    place = world.vocabulary.index[ACTION]
    asked = world.vocabulary.fact(ACTION).values.index(action)
    space = action_box(world.vocabulary, [action])
    stated = replace(STATED, boxes=(space,), **said)
    rules = with_rules(replace(bundle(), vocabulary=world.vocabulary), world.rules)

    finding = verify(rules, stated)

    requests = [
        (*vector[:place], asked, *vector[place + 1 :])
        for vector in vectors(world, Random(seed), 20)
    ]
    broken = [request for request in requests if stated.breaks(world.decide(request))]
    assert not (finding.holds and broken)
    if finding.counterexample is not None:
        assert stated.breaks(world.decide(finding.counterexample.witness))


# Samples.


def test_sample_when_cases_are_too_many():
    """Where there are too many cases, as many random requests as wanted are decided, and it says so."""
    stated = next(p for p in ours() if p.id == "masked-stays-masked")

    finding = verify(bundle(), stated, most=0, samples=200)

    assert (finding.holds, finding.exact, finding.checked) == (True, False, 200)


def test_sample_finds_counterexamples():
    """A sample of a few hundred requests finds a contradiction that is common."""
    stated = one("kind: always, effect: allow, actions: [document.read]")

    finding = verify(bundle(), stated, most=1, samples=50)

    assert not finding.holds
    assert stated.breaks(finding.verdict)


def test_sample_is_of_the_space():
    """Random requests are of the space, identifiers included."""
    stated = next(p for p in ours() if p.id == "author-may-delete")
    vocabulary = bundle().vocabulary

    found = list(sample(vocabulary, stated.boxes, 100, draws("x")))

    assert len(found) == 100
    assert all(holds(li, case.witness) for case in found for li in stated.boxes[0])
    assert len({case.witness for case in found}) > 50


def test_draws():
    """The same seed gives the same numbers, each below its bound, and another seed gives others."""
    first, again, other = ([draw(1_000) for _ in range(100)] for draw in map(draws, "aab"))

    assert first == again
    assert first != other
    assert all(0 <= number < 1_000 for number in first)


def test_sample_has_all_kinds():
    """A sample gives each kind of fact a value that it may have."""
    vocabulary = words()[0]
    space = frozenset({In(vocabulary.index[ACTION], frozenset({1}))})

    for case in sample(vocabulary, (space,), 20, draws("x")):
        assert all(f.holds(v) for f, v in zip(vocabulary.facts, case.witness, strict=True))
