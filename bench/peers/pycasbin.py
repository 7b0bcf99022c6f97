"""pycasbin: a line a rule and action, its conditions in `eval`; `FastEnforcer` indexes by action.

Without that index each request would evaluate every line, at many times the cost.
"""

from collections.abc import Sequence
from types import SimpleNamespace

import casbin
from casbin.model import FastModel

from authz.model import ACTION, Box, Has, In, Literal, Member, Rule, Same, Vector, Vocabulary
from bench.peers import Policies, flat, words

_KEYS = (0, 1)  # casbin's index has exactly two levels: the second is the same for all
_RULE = "rule"

MODEL = """
[request_definition]
r = act, kind, f

[policy_definition]
p = act, kind, rule, eft

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = eval(p.rule)
"""


class _Facts(SimpleNamespace):
    """The facts of a request; casbin writes each request to its log, so that is kept short."""

    def __str__(self) -> str:
        return "request"


class PyCasbin:
    """Attribute-based rules, deny overrides."""

    name = "pycasbin"

    def __init__(self, policies: Policies) -> None:
        self._vocabulary = policies.vocabulary
        model = FastModel(_KEYS)
        model.load_model_from_text(MODEL)
        self._enforcer = casbin.FastEnforcer(model, cache_key_order=_KEYS)
        lines = [line for rule in policies.rules for line in _lines(policies.vocabulary, rule)]
        for line in lines:
            # `add_policy` counts all lines each time, which takes minutes for 10,000 rules.
            model["p"]["p"].policy.append(line)
        self._ruled = {action for action, *_ in lines}

    def prepare(self, vectors: Sequence[Vector]) -> list[tuple[str, _Facts]]:
        """The action, and the facts as one object."""
        return [self._request(vector) for vector in vectors]

    def decide(self, requests: Sequence[tuple[str, _Facts]]) -> list[bool]:
        """Decides one by one; its batch is a loop over the same. An action without line is denied."""
        enforce, ruled = self._enforcer.enforce, self._ruled
        return [action in ruled and enforce(action, _RULE, facts) for action, facts in requests]

    def _request(self, vector: Vector) -> tuple[str, _Facts]:
        known = words(self._vocabulary, vector)
        facts = {flat(fact): known[fact.name] for fact in self._vocabulary.facts}
        return str(known[ACTION]), _Facts(**facts)


def _lines(vocabulary: Vocabulary, rule: Rule) -> list[tuple[str, str, str, str]]:
    """The policy lines of a rule: one for each action that one of its boxes speaks of."""
    place = vocabulary.index[ACTION]
    by_action: dict[str, list[str]] = {}
    for box in rule.boxes:
        actions = frozenset(range(len(vocabulary.facts[place].values)))
        rest = set()
        for literal in box:
            if isinstance(literal, In) and literal.fact == place:
                actions &= literal.allowed
            else:
                rest.add(literal)
        for action in sorted(actions):
            name = vocabulary.facts[place].values[action]
            by_action.setdefault(name, []).append(_conjunction(vocabulary, frozenset(rest)))
    return [(name, _RULE, " || ".join(some), str(rule.effect)) for name, some in by_action.items()]


def _conjunction(vocabulary: Vocabulary, box: Box) -> str:
    terms = sorted(_term(vocabulary, literal) for literal in box)
    return f"({' && '.join(terms)})" if terms else "1 == 1"


def _term(vocabulary: Vocabulary, literal: Literal) -> str:
    def name(place: int) -> str:
        return "r.f." + flat(vocabulary.facts[place])

    match literal:
        case In(fact, allowed):
            values = [repr(vocabulary.facts[fact].values[value]) for value in sorted(allowed)]
            if len(values) == 1:
                return f"{name(fact)} == {values[0]}"
            return f"{name(fact)} in ({', '.join(values)})"
        case Has(fact, bit, wanted):
            value = repr(vocabulary.facts[fact].values[bit])
            return f"{value} {'in' if wanted else 'not in'} {name(fact)}"
        case Same(left, right, wanted):
            return f"{name(left)} {'==' if wanted else '!='} {name(right)}"
        case Member(item, group, wanted):
            return f"{name(item)} {'in' if wanted else 'not in'} {name(group)}"
