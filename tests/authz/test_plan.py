"""With the document left open, the rules say of every document what they say of it when it is named."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz.compile import compile_rules
from authz.facts import FactComputer
from authz.labels import OPEN
from authz.model import Effect, Kind
from authz.plan import Planner, admits
from authz.query import Context, Document, Query, Subject
from authz.registry.state import Authorisation, Block, DossierStatus, GranteeKind
from authz.wire import condition as written
from authz.workbench.scenarios import read_scenarios
from tests.authz.drawn import DAY, LIKELY_STATES, STATES, labels, likely, queries
from tests.authz.samples import CLINIC, DOCTOR, NOW, STATE, query
from tests.authz.workbench.world import files
from tests.authz.worlds import any_condition, any_vector, our_bundle, read_rules, rule_document
from tests.reference import filter as reference

LEAST = 0.1
PERSON = GranteeKind.PROFESSIONAL
SUBJECT = Subject(
    kind="professional",
    id=DOCTOR,
    profession="10",
    structure=CLINIC,
    authentication="individual_card",
    capacity="care",
)
BUNDLE = our_bundle()
FACTS = FactComputer(BUNDLE)
NEED_DOCUMENTS = sorted(a.name for a in BUNDLE.vocabulary.actions.values() if "document" in a.needs)
AUTHORISED = replace(
    STATE,
    authorisations=(
        Authorisation(grantee=DOCTOR, kind=PERSON, granted_at=NOW, expires_at=NOW + DAY),
    ),
)
BLOCKS = (Block(grantee=DOCTOR, kind=PERSON, since=NOW),)
OWED = ("show_mode", "notify_holder", "notify_treating_doctor", "review")
EMERGENCY = Context(mode="bris_de_glace", reason_code="autre", reason_text="Malaise")


def vector_of(asked: Query, state=STATE, at=NOW):
    """The facts of a request."""
    return FACTS.compute(asked, state, at).vector


def opened(asked: Query) -> Query:
    """The same request with its document left open."""
    return replace(asked, document=None, any_document=True)


def both(asked: Query, state, at=NOW):
    """What is said of a request when its document is left open, and when it is named."""
    judgement = BUNDLE.judge(vector_of(opened(asked), state, at))
    return judgement, BUNDLE.decide(vector_of(asked, state, at))


def agree(judgement, verdict, document: Document) -> bool:
    """Whether the condition says of a document what was decided of it, with reason and obligations."""
    if judgement.condition is None:
        return verdict.effect is Effect.DENY
    shown, due = admits(judgement.condition, document)
    if shown:
        owed = set(verdict.obligations)
        always = set(judgement.verdict.obligations)
        return verdict.effect is Effect.ALLOW and set(due) == owed and always <= owed
    message, label = written(judgement.condition), label_of(document)
    why = reference.why_not(message, label) or "NO_RULE_ALLOWS"
    return (verdict.effect, verdict.reason) == (Effect.DENY, why)


def label_of(document: Document) -> reference.Label:
    """The label, every field a list."""
    return {
        "type": [document.type],
        "authors": document.authors,
        "author_structure": [document.author_structure],
        "visibility": document.visibility,
        "status": [document.status],
    }


# Every request, every document.


def test_two_readings_agree():
    """A label meets the condition exactly when a request with this document is allowed."""
    counts: Counter[str] = Counter()

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def agreed(data):
        asked, state = data.draw(st.tuples(likely(), LIKELY_STATES))
        for place in range(20):
            document = data.draw(labels(asked.subject))
            judgement, verdict = both(replace(asked, document=document), state)
            if place >= 10 and judgement.condition is None:
                break  # what is closed is so for every document
            counts[verdict.effect if judgement.condition else "closed"] += 1

            assert agree(judgement, verdict, document), (judgement, verdict)

    agreed()
    assert min(counts[name] for name in ("allow", "deny", "closed")) >= LEAST * counts.total()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_two_readings_agree_for_every_action(data):
    """So they do for each action that needs a document, whoever asks in whatever state."""
    anyone = data.draw(st.integers(0, 2)) == 0
    asked = data.draw(queries() if anyone else likely())
    action = data.draw(st.sampled_from(NEED_DOCUMENTS))
    asked = replace(asked, action=action, target=None, change=None)
    state = data.draw(STATES if anyone else LIKELY_STATES)
    for _ in range(5):
        document = data.draw(labels(asked.subject))
        judgement, verdict = both(replace(asked, document=document), state)

        assert agree(judgement, verdict, document), (judgement, verdict)


@settings(max_examples=60, deadline=None)
@given(likely(), LIKELY_STATES)
def test_allowed_is_what_can_be_shown(asked, state):
    """It is an allow exactly when some label may be shown; the slow reading of the message finds the same."""
    judgement = BUNDLE.judge(vector_of(opened(asked), state))
    message = written(judgement.condition) if judgement.condition else None

    found = []
    for label in few_labels(asked.subject):
        document = Document(
            id="d",
            type=label["type"][0],
            authors=tuple(label["authors"]),
            author_structure=label["author_structure"][0],
            visibility=tuple(label["visibility"]),
            status=label["status"][0],
        )
        verdict = BUNDLE.decide(vector_of(replace(asked, document=document), state))
        found.append(verdict.effect)
        if message is not None:
            shown = reference.shown(message, label)
            assert shown == (verdict.effect is Effect.ALLOW)
            assert not shown or reference.due(message, label) == set(verdict.obligations)

    assert (judgement.verdict.effect is Effect.ALLOW) == (Effect.ALLOW in found)


def few_labels(who: Subject) -> list[reference.Label]:
    """Labels of all sorts: a type of each cell of the matrix that this one meets."""
    role = who.profession if who.kind == "professional" else who.kind
    cells = {BUNDLE.habilitations.cell(role, code, "read"): code for code in BUNDLE.types}
    return reference.every_label(
        [*cells.values(), "E1762", "00000-0"],
        [who.id],
        ["", who.structure],
        ["approved", "deprecated", "deleted"],
    )


def test_random_rules_agree():
    """Whatever rules ask of documents, in any accepted condition, the two readings agree."""
    counts: Counter[str] = Counter()
    vocabulary = BUNDLE.vocabulary

    @settings(max_examples=120, deadline=None)
    @given(st.data())
    def agreed(data):
        rng = data.draw(st.randoms(use_true_random=False))
        rules = random_rules(rng)
        decide = compile_rules(vocabulary, rules)
        judge = Planner(vocabulary, rules, BUNDLE.labels).judge
        vector = list(any_vector(vocabulary, rng))
        vector[0] = vocabulary.facts[0].values.index(rng.choice(NEED_DOCUMENTS))
        who, where = (vocabulary.index[f"subject.{name}"] for name in ("id", "structure"))
        subject = replace(SUBJECT, id=rng.choice(["", DOCTOR]), structure=rng.choice(["", CLINIC]))
        vector[who], vector[where] = subject.id, subject.structure
        judgement = judge(tuple(vector))
        for _ in range(8):
            document = data.draw(labels(subject))
            kind, profession = (
                vocabulary.fact(n).decode(vector[vocabulary.index[n]])
                for n in ("subject.kind", "subject.profession")
            )
            words = BUNDLE.labels.facts(
                document,
                role=profession if kind == "professional" else kind,
                action=vocabulary.facts[0].decode(vector[0]),
                remarks=[],
            )
            named = list(vector)
            for name in OPEN:
                named[vocabulary.index[name]] = vocabulary.fact(name).default
            for name, word in words.items():
                named[vocabulary.index[name]] = vocabulary.fact(name).encode(word)
            verdict = decide(tuple(named))
            counts[verdict.effect] += 1
            assert not verdict.error
            assert not judgement.verdict.error
            if judgement.condition is None:
                assert verdict.effect is Effect.DENY
            else:
                assert agree(judgement, verdict, document), (judgement, verdict)

    agreed()
    assert min(counts[effect] for effect in Effect) >= LEAST * counts.total()


def random_rules(rng: Random):
    """Up to eight rules on what a label settles and on who asks."""
    vocabulary = BUNDLE.vocabulary
    facts = [vocabulary.fact(name) for name in (*OPEN, "subject.id", "subject.structure")]
    asked = [f for f in facts if f.kind is not Kind.IDENTIFIERS]
    found = []
    for number in range(rng.randint(1, 8)):
        said = {}
        for fact in rng.sample(asked, rng.randint(1, 3)):
            condition = any_condition(vocabulary, fact, rng)
            said.setdefault(fact.element, {})[fact.path] = condition
        document = rule_document(
            f"rule-{number}",
            rng.choice((Effect.ALLOW, Effect.ALLOW, Effect.DENY)),
            {"action_id": NEED_DOCUMENTS},
            said,
            priority=rng.randint(0, 3),
            reason=rng.choice(("R_ONE", "R_TWO")),
            obligations=rng.sample(sorted(vocabulary.obligations), rng.randint(0, 2)),
        )
        reader, _ = read_rules(vocabulary, document)
        for rule in reader.rules:
            literals = [li for box in rule.boxes for li in box if BUNDLE.labels.is_open(li)]
            if all(BUNDLE.labels.has_form(li) for li in literals):
                found.append(rule)
    return found


# Every scenario.


def test_scenarios_agree():
    """Every scenario about a document is decided alike when its document is left open."""
    scenarios, _ = read_scenarios(files(), BUNDLE.vocabulary)
    about = [one for one in scenarios if one.query.action in NEED_DOCUMENTS]

    wrong = []
    for scenario in about:
        judgement, verdict = both(scenario.query, scenario.state, scenario.at)
        document = scenario.query.document
        if judgement.condition is None and judgement.verdict.effect is not scenario.effect:
            wrong.append(f"{scenario.place}: {judgement.verdict}: {scenario.it}")
        if not agree(judgement, verdict, document):
            wrong.append(f"{scenario.place}: {judgement}: {scenario.it}")

    assert len(about) > 300
    assert wrong == []


# What goes wrong.


def test_a_rule_without_form_denies_everything():
    """Where such a rule decides all the same, each request is denied, and the verdict names the error."""
    compared = {"condition": "IsInAttribute", "ace": "resource", "path": "$.authors"}
    document = rule_document(
        "deposited-by-author",
        Effect.DENY,
        {"action_id": "document.read"},
        {"resource": {"$.author_structure": compared}},
    )
    reader, _ = read_rules(BUNDLE.vocabulary, document)
    judge = Planner(BUNDLE.vocabulary, [*BUNDLE.rules, *reader.rules], BUNDLE.labels).judge

    judgement = judge(vector_of(opened(query()), AUTHORISED))

    assert BUNDLE.judge(vector_of(opened(query()), AUTHORISED)).condition is not None
    assert (judgement.verdict.reason, judgement.condition) == ("DECISION_ERROR", None)
    assert judgement.verdict.error.startswith("FormlessError")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda vector: vector[:-1],
        lambda vector: (*vector, 0),
        lambda vector: (-1, *vector[1:]),
        lambda vector: (vector[0], 99, *vector[2:]),
        lambda vector: (*vector[:2], None, *vector[3:]),
        lambda vector: (BUNDLE.vocabulary.facts[0].values.index("policy.read"), *vector[1:]),
    ],
    ids=["short", "long", "negative", "beyond", "none", "no-document"],
)
def test_what_is_no_request_is_denied(spoil):
    """A vector that is none, and an action without documents, get a denial that names the error."""
    judgement = BUNDLE.judge(spoil(vector_of(opened(query()), AUTHORISED)))

    assert (judgement.verdict.effect, judgement.verdict.reason) == (Effect.DENY, "DECISION_ERROR")
    assert judgement.verdict.error
    assert judgement.condition is None


# What is said of all documents together.


@pytest.mark.parametrize(
    ("changes", "state", "reason", "rules", "obligations"),
    [
        ({}, AUTHORISED, "AUTHORISED", ("read-authorised",), ()),
        ({}, STATE, "AUTHOR", None, ()),
        ({}, replace(AUTHORISED, status=DossierStatus.CLOSED), "DOSSIER_CLOSED", None, ()),
        ({}, replace(STATE, blocks=BLOCKS), "BLOCKED", ("blocked",), ()),
        ({"subject__capacity": "bank"}, AUTHORISED, "CATEGORY_EXCLUDED", None, ()),
        ({"subject__capacity": ""}, AUTHORISED, "CAPACITY_UNKNOWN", None, ()),
        ({"caller": "audit"}, AUTHORISED, "CALLER_REFUSED", None, ()),
        ({"subject__kind": "service"}, AUTHORISED, "CALLER_REFUSED", None, ()),
        ({"context": EMERGENCY}, STATE, "BREAK_GLASS", ("break-glass",), OWED),
        (
            {"context": EMERGENCY, "action": "document.list"},
            STATE,
            "BREAK_GLASS",
            ("break-glass",),
            OWED,
        ),
        ({"context": EMERGENCY}, AUTHORISED, "USE_NORMAL_MODE", ("break-glass-needless",), ()),
    ],
)
def test_the_decision_itself(changes, state, reason, rules, obligations):
    """The decision has the reason and obligations that hold whatever the document is."""
    verdict = BUNDLE.judge(vector_of(opened(query(**changes)), state)).verdict

    assert verdict.reason == reason
    assert rules is None or verdict.rules == rules
    assert verdict.obligations == obligations


def test_nobody_s_document_gives_the_reason():
    """Where each document is denied for a reason of its own, that of an ordinary one is told."""
    rules = [rule for rule in BUNDLE.rules if rule.reason != "AUTHOR"]
    judge = Planner(BUNDLE.vocabulary, rules, BUNDLE.labels).judge

    verdict = judge(vector_of(opened(query()), STATE)).verdict

    assert (verdict.reason, verdict.rules) == ("NOT_AUTHORISED", ("not-authorised",))


def test_where_nothing_denies_no_rule_allows():
    """Where no rule denies an ordinary document, and none allows any, it is said that none allows."""
    rules = [rule for rule in BUNDLE.rules if rule.effect is Effect.DENY]
    judge = Planner(BUNDLE.vocabulary, rules, BUNDLE.labels).judge

    verdict = judge(vector_of(opened(query()), AUTHORISED)).verdict

    assert (verdict.reason, verdict.rules) == ("NO_RULE_ALLOWS", ())


def test_a_condition_is_short_and_the_same_each_time():
    """What other clauses make needless is left out; rules in another order give the same condition."""
    vector = vector_of(opened(query(action="document.list")), AUTHORISED)
    other = Planner(BUNDLE.vocabulary, BUNDLE.rules[::-1], BUNDLE.labels)

    condition = BUNDLE.judge(vector).condition

    assert [clause.rule.uid for clause in condition.allow] == ["read-authorised"]
    assert [clause.rule.uid for clause in condition.deny] == [
        "document-deleted",
        "matrix-denied",
        "matrix-unlisted",
        "document-masked",
        "document-masked",
    ]
    assert other.judge(vector).condition == condition
    assert written(other.judge(vector).condition) == written(condition)


def test_what_the_vector_says_of_a_document_is_overlooked():
    """The same condition comes out whatever the vector says of the document."""
    named = vector_of(query(document__visibility=("MASQUE_PS",)), AUTHORISED)

    assert BUNDLE.judge(named) == BUNDLE.judge(vector_of(opened(query()), AUTHORISED))
