"""Rules compiled into one function: a vector of facts in, a verdict out.

Each action gets a function of its own, over the boxes (conjunctions) of the rules that can apply to it.
Box number *i* owns bit *i* of an integer, a *mask* of boxes. A table for each fact leads from its value
to the boxes that the value leaves standing; what stands after all tables have spoken is what applies.
So the time of a decision grows with the number of facts, hardly with the number of rules.

A value that is none of its fact's list, or of another type, raises as soon as a rule for the action looks
at the fact; what raises is a deny that says so.

The same mask always gives the same verdict, hence verdicts are kept by mask. This is no cache of
decisions: it remembers what a combination of rules means, never who asked.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Final

from authz.decide import combine, failed
from authz.model import (
    ACTION,
    Box,
    Has,
    In,
    Member,
    Rule,
    Same,
    Vector,
    Verdict,
    Vocabulary,
)

Decide = Callable[[Vector], Verdict]
Standing = tuple[Rule, Box]

_VERDICTS_KEPT: Final = 65_536


def compile_rules(vocabulary: Vocabulary, rules: Sequence[Rule]) -> Decide:
    """Compiles `rules` into a function that never raises: what goes wrong is a deny that says so."""
    place = vocabulary.index[ACTION]
    every_action = frozenset(range(len(vocabulary.facts[place].values)))
    indexed: dict[int, list[Standing]] = {action: [] for action in every_action}
    for rule in rules:
        for box in rule.boxes:
            named = [li.allowed for li in box if isinstance(li, In) and li.fact == place]
            rest = frozenset(li for li in box if not (isinstance(li, In) and li.fact == place))
            for action in every_action.intersection(*named):
                indexed[action].append((rule, rest))
    by_action = {action: _compile_action(vocabulary, indexed[action]) for action in every_action}
    width = len(vocabulary.facts)

    def decide(vector: Vector) -> Verdict:
        try:
            if len(vector) != width:
                raise ValueError(f"{len(vector)} facts, where the vocabulary has {width}")  # noqa: TRY301 - as any other
            return by_action[vector[place]](vector)  # type: ignore[index]  # an action is an int
        except Exception as exc:  # noqa: BLE001 - whatever went wrong, the answer is a named deny
            return failed(exc)

    return decide


def _compile_action(vocabulary: Vocabulary, standing: Sequence[Standing]) -> Decide:
    """Builds the tables of one action, and the function that reads them, as Python source."""
    everything = (1 << len(standing)) - 1
    tables: dict[int, list[int]] = {}
    tests: dict[str, dict[bool, int]] = defaultdict(lambda: {True: everything, False: everything})
    for bit, (_, box) in enumerate(standing):
        others = ~(1 << bit)
        for literal in box:
            if isinstance(literal, In):
                values = range(len(vocabulary.facts[literal.fact].values))
                table = tables.setdefault(literal.fact, [everything for _ in values])
                for value in values:
                    if value not in literal.allowed:
                        table[value] &= others
            else:
                tests[_question(literal)][not literal.wanted] &= others

    # Tables are dicts: in a tuple, a negative place would find a value.
    names: dict[str, object] = {f"T{fact}": dict(enumerate(t)) for fact, t in tables.items()}
    terms = [f"T{fact}[f[{fact}]]" for fact in sorted(tables)]
    for fact in sorted({li.fact for _, box in standing for li in box if isinstance(li, Has)}):
        names[f"R{fact}"] = {0: everything}
        terms.append(f"R{fact}[f[{fact}] >> {len(vocabulary.facts[fact].values)}]")
    for number, (question, answers) in enumerate(sorted(tests.items())):
        names |= {f"Y{number}": answers[True], f"N{number}": answers[False]}
        terms.append(f"(Y{number} if {question} else N{number})")

    verdicts: dict[int, Verdict] = {}

    def settle(mask: int) -> Verdict:
        verdict = combine(_applying(mask, standing))
        if len(verdicts) < _VERDICTS_KEPT:
            verdicts[mask] = verdict
        return verdict

    names |= {"known": verdicts.get, "settle": settle, "everything": everything}
    source = (
        "def decide(f):\n"
        f"    mask = {' & '.join(terms) or 'everything'}\n"
        "    return known(mask) or settle(mask)\n"
    )
    exec(compile(source, "<policy>", "exec"), names)  # noqa: S102 - made of our own places and names
    return names["decide"]  # type: ignore[return-value]  # the source above defines it


def _applying(mask: int, standing: Sequence[Standing]) -> Collection[Rule]:
    """The rules with a box in the mask, each once; the time grows with them, not with all rules."""
    found: dict[str, Rule] = {}
    while mask:
        bit = mask.bit_length() - 1
        rule, _ = standing[bit]
        found[rule.uid] = rule
        mask ^= 1 << bit
    return found.values()


def _question(literal: Has | Same | Member) -> str:
    """What a literal asks, whatever answer it wants, as a Python expression over the vector `f`.

    `> ''` says "present", and raises for what is no text; `+ ()` raises for what is no tuple.
    """
    match literal:
        case Has(fact, bit):
            return f"f[{fact}] >> {bit} & 1"
        case Same(left, right):
            return f"f[{left}] == f[{right}] > ''"
        case Member(item, group):
            return f"f[{item}] in f[{group}] + () and f[{item}] > ''"
