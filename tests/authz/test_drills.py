"""Drills: small faults put into the engine on purpose, each of which the comparisons must notice.

A fault is a change of a line of source. The changed module is compiled under a name of its own and decides
beside the sound one, so nothing else of the process sees it.
"""

import importlib
from collections import Counter
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from authz import compile as compiler
from authz import conditions, decide, explain, safety
from authz.model import Effect
from authz.source import Mistakes, node_of
from tests.authz.worlds import World, any_world, our_world, vectors
from tests.reference import evaluator

WORLDS = 60


def faulty(module: ModuleType, sound: str, fault: str, **names: object) -> ModuleType:
    """The module with one line other than it is, and other names for what it imports."""
    assert module.__file__ is not None
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert source.count(sound) >= 1, f"the drill no longer fits: `{sound}` is gone"
    spoilt = ModuleType(module.__name__)
    exec(compile(source.replace(sound, fault), "<drill>", "exec"), spoilt.__dict__)
    spoilt.__dict__.update(names)
    return spoilt


@pytest.fixture(scope="module")
def corpus() -> list[tuple[World, list[tuple[object, evaluator.Answer]]]]:
    """Random worlds and ours, each with requests and what the slow reading answers."""
    found = []
    for seed in range(WORLDS):
        rng = Random(seed)
        world = any_world(rng)
        found.append((world, vectors(world, rng, 15)))
    found.append((our_world(), vectors(our_world(), Random(0), 150)))
    return [
        (w, [(v, evaluator.decide(w.documents, w.vocabulary.decode(v))) for v in requests])
        for w, requests in found
    ]


def noticed(corpus, compile_rules, rules_of=lambda world: world.rules) -> Counter[str]:
    """How many answers differ from the slow reading, in effect or in the rules that carry it."""
    counts: Counter[str] = Counter()
    for world, requests in corpus:
        judge = compile_rules(world.vocabulary, rules_of(world))
        for vector, expected in requests:
            verdict = judge(vector)
            counts["effect"] += verdict.effect != expected.effect
            counts["rules"] += set(verdict.rules) != expected.rules
    return counts


def test_sound(corpus):
    """Without a fault, nothing is noticed."""
    assert noticed(corpus, compiler.compile_rules) == {"effect": 0, "rules": 0}


@pytest.mark.parametrize(
    ("sound", "fault"),
    [
        ("' & '.join(terms)", "' | '.join(terms)"),
        ("others = ~(1 << bit)", "others = ~0"),
        ("if value not in literal.allowed:", "if value in literal.allowed:"),
        (
            "tests[_question(literal)][not literal.wanted]",
            "tests[_question(literal)][literal.wanted]",
        ),
        ("mask ^= 1 << bit", "mask = 0"),
        ("verdicts[mask] = verdict", "verdicts[mask & 7] = verdict"),
        (" > ''\"", " >= ''\""),
        ("f[{item}] in f[{group}] + ()", "f[{item}] not in f[{group}] + ()"),
        ("f[{fact}] >> {bit} & 1", "f[{fact}] >> {bit}"),
        ("every_action.intersection(*named)", "every_action"),
        ("for box in rule.boxes:", "for box in rule.boxes[:1]:"),
        ("(Y{number} if {question} else N{number})", "(N{number} if {question} else Y{number})"),
        ("rest = frozenset(li for li in box if not (", "rest = frozenset(li for li in box if ("),
    ],
)
def test_compile_drills(corpus, sound, fault):
    """A fault in the compiled function changes an answer of the corpus."""
    found = noticed(corpus, faulty(compiler, sound, fault).compile_rules)

    assert found["effect"] > 0


@pytest.mark.parametrize(
    ("sound", "fault"),
    [
        ("(Effect.DENY, Effect.ALLOW)", "(Effect.ALLOW, Effect.DENY)"),
        ("rule.effect is effect]", "rule.effect is not effect]"),
        (
            "return Verdict(effect=Effect.DENY, reason=NO_RULE",
            "return Verdict(effect=Effect.ALLOW, reason=NO_RULE",
        ),
        ("for effect in (Effect.DENY, Effect.ALLOW):", "for effect in (Effect.ALLOW,):"),
    ],
)
def test_decide_drills(corpus, sound, fault):
    """A fault in the combining rule changes an answer of the corpus."""
    combine = faulty(decide, sound, fault).combine

    found = noticed(corpus, faulty(compiler, "", "", combine=combine).compile_rules)

    assert found["effect"] > 0


@pytest.mark.parametrize(
    ("sound", "fault"),
    [
        ("-rule.priority", "rule.priority"),
        ("(-rule.priority, rule.uid)", "rule.uid"),
        ("for o in rule.obligations)", "for o in deciding[0].obligations)"),
        ("reason=deciding[0].reason", "reason=deciding[-1].reason"),
    ],
)
def test_reason_drills(corpus, sound, fault):
    """A fault in who gives the reason, or in what is due, changes a verdict of the corpus."""
    combine = faulty(decide, sound, fault).combine
    compile_rules = faulty(compiler, "", "", combine=combine).compile_rules

    changed = 0
    for world, requests in corpus:
        judge = compile_rules(world.vocabulary, world.rules)
        changed += sum(judge(vector) != world.decide(vector) for vector, _ in requests)

    assert changed > 0


@pytest.mark.parametrize(
    ("sound", "fault"),
    [
        ('positive = wanted is not (name.startswith(("Not", "IsNot")))', "positive = wanted"),
        ("wanted=not wanted)", "wanted=wanted)"),
        ('if (name == "AllOf") is wanted:', 'if name == "AllOf":'),
        ('listed if name == "AnyIn" else bits - listed', "listed"),
        ('holds_when_without = name != "AnyIn"', "holds_when_without = True"),
        ("allowed = listed if wanted else", "allowed = listed or"),
        ("literal.allowed) & literal.allowed", "literal.allowed)"),
        ("if not any(other <= box for other in kept):", "if not kept:"),
        ("return Member(item, group, not wanted)", "return Member(item, group, wanted)"),
    ],
)
def test_conditions_drills(corpus, sound, fault):
    """A fault in how conditions are read changes an answer of the corpus, or what can be read at all."""
    spoilt = faulty(conditions, sound, fault)
    rules = importlib.import_module("authz.rules")

    def read_again(world: World):
        reader = faulty(rules, "", "", Conditions=spoilt.Conditions).RuleReader(
            world.vocabulary, {}, Mistakes()
        )
        told = {"theme": "t", "reason": "R", "told": {"fr": "f", "en": "e"}, "source": "s"}
        documents = [
            {**document, **{key: told[key] for key in ("reason", "told", "source")}}
            for document in world.documents.values()
        ]
        theme = {"fr": "t", "en": "t"}
        reader.read(node_of({"theme": theme, "rules": documents}, "a.yaml"))
        return reader.rules

    found = noticed(corpus, compiler.compile_rules, read_again)

    assert found["effect"] > 0


@pytest.mark.parametrize(
    ("sound", "fault"),
    [
        ("if rest != box and not", "if not box and not"),
        ("and box & lost:", "and not box:"),
        ("values[place][fact.default]", "0"),
        ("is literal.wanted", "is not literal.wanted"),
        ("return not literal.wanted", "return literal.wanted"),
        ("any(not cover & ~box for", "any(cover & box for"),
        ("ruled_out & those == those for", "ruled_out & those for"),
        ("_covered(box, kept[rule.effect])", "kept[rule.effect]"),
        (
            "denies = {rest for rule, _, rest in still if rule.effect is Effect.DENY}",
            "denies = [b for _, b, _ in still]",
        ),
    ],
)
def test_safety_drills(corpus, sound, fault):
    """A fault in the search for open doors leaves one unseen that a request of the corpus walks through."""
    open_doors = faulty(safety, sound, fault).open_doors
    unseen = 0
    for world, requests in corpus:
        seen = {door.fact.name for door in open_doors(world.vocabulary, world.rules)}
        for vector, expected in requests:
            for place, fact in enumerate(world.vocabulary.facts):
                missing = (*vector[:place], fact.default, *vector[place + 1 :])
                if expected.effect == "deny" and fact.name not in seen:
                    unseen += world.decide(missing).effect is Effect.ALLOW

    assert unseen > 0


@pytest.mark.parametrize(
    ("sound", "fault"),
    [
        (
            "        if verdict.effect is Effect.ALLOW:\n            yield",
            "        if True:\n            yield",
        ),
        ("fact.changeable if", "range(len(fact.values)) if"),
    ],
)
def test_explain_drills(corpus, sound, fault):
    """A fault in the search for remedies gives one that is untrue, too long or out of reach."""
    remedies = faulty(explain, sound, fault).remedies
    wrong = 0
    for world, requests in corpus:
        for vector, expected in requests:
            if expected.effect == "deny":
                wrong += [dict(c) for c in remedies(world, vector)] != [
                    dict(c) for c in explain.remedies(world, vector)
                ]

    assert wrong > 0
