"""Cedar, by its Python binding: a `permit` or `forbid` a rule, the facts in the request's context.

The policies are parsed once and handed over as a `PolicySet`; the actions of a rule are a group, which
Cedar finds more than twice as fast as a list. A request has to cross into Rust and back as JSON each time:
that is the binding's interface.
"""

import json
from collections.abc import Iterable, Sequence

import cedarpy

from authz.model import (
    ACTION,
    Box,
    Effect,
    Has,
    In,
    Literal,
    Member,
    Rule,
    Same,
    Vector,
    Vocabulary,
    facts_of,
)
from bench.peers import Policies, flat, words

Request = dict[str, str]


class Cedar:
    """All rules as one policy set; called one by one, or for all requests at once."""

    def __init__(self, policies: Policies, *, batch: bool) -> None:
        self.name = "cedarpy, in a batch" if batch else "cedarpy, one by one"
        self._batch = batch
        self._vocabulary = policies.vocabulary
        self._named = _named(policies)
        text = "\n".join(_policy(policies.vocabulary, rule) for rule in policies.rules)
        self._policies = cedarpy.PolicySet.from_str(text)
        self._entities = cedarpy.Entities.from_json_str(_actions(policies))

    def prepare(self, vectors: Sequence[Vector]) -> list[Request]:
        """Requests whose context is JSON already, of the facts that some rule names."""
        return [self._request(vector) for vector in vectors]

    def decide(self, requests: Sequence[Request]) -> list[bool]:
        """Decides; a batch is one call for all requests."""
        policies, entities = self._policies, self._entities
        if self._batch:
            results = cedarpy.is_authorized_batch(list(requests), policies, entities)
            return [result.allowed for result in results]
        return [cedarpy.is_authorized(r, policies, entities).allowed for r in requests]

    def _request(self, vector: Vector) -> Request:
        known = words(self._vocabulary, vector)
        context = {
            flat(self._vocabulary.facts[p]): known[self._vocabulary.facts[p].name]
            for p in self._named
        }
        return {
            "principal": 'Subject::"asker"',
            "action": f'Action::"{known[ACTION]}"',
            "resource": 'Resource::"asked"',
            "context": json.dumps(context),
        }


def _named(policies: Policies) -> list[int]:
    """The places of the facts that rules look at, but for the action."""
    places = {
        place
        for rule in policies.rules
        for box in rule.boxes
        for literal in box
        for place in facts_of(literal)
    }
    return sorted(places - {policies.vocabulary.index[ACTION]})


def _policy(vocabulary: Vocabulary, rule: Rule) -> str:
    """One statement a box, the target in its scope, which Cedar looks at first."""
    word = "permit" if rule.effect is Effect.ALLOW else "forbid"
    found = []
    for box in rule.boxes:
        group = _group(vocabulary, box)
        scope = f'action in Action::"{group}"' if group else "action"
        found.append(f"{word} (principal, {scope}, resource) {_when(vocabulary, box)};")
    return "\n".join(found)


def _group(vocabulary: Vocabulary, box: Box) -> str:
    """The action of a box, or the group of those it is about; "" when it is about all."""
    place = vocabulary.index[ACTION]
    names = [
        vocabulary.facts[place].values[value]
        for literal in box
        if isinstance(literal, In) and literal.fact == place
        for value in sorted(literal.allowed)
    ]
    return " ".join(names)


def _actions(policies: Policies) -> str:
    """The actions as entities, each below the groups that it belongs to."""
    groups = {_group(policies.vocabulary, box) for rule in policies.rules for box in rule.boxes}
    names = {name for group in groups for name in group.split()}

    def entity(name: str, parents: Iterable[str]) -> object:
        above = [{"type": "Action", "id": parent} for parent in sorted(parents)]
        return {"uid": {"type": "Action", "id": name}, "attrs": {}, "parents": above}

    found = [entity(n, {g for g in groups if n in g.split()} - {n}) for n in sorted(names)]
    return json.dumps(found + [entity(group, ()) for group in sorted(groups - names - {""})])


def _when(vocabulary: Vocabulary, box: Box) -> str:
    place = vocabulary.index[ACTION]
    terms = sorted(_term(vocabulary, literal) for literal in box if place not in facts_of(literal))
    return f"when {{ {' && '.join(terms)} }}" if terms else ""


def _term(vocabulary: Vocabulary, literal: Literal) -> str:
    def name(place: int) -> str:
        return "context." + flat(vocabulary.facts[place])

    match literal:
        case In(fact, allowed):
            values = [json.dumps(vocabulary.facts[fact].values[value]) for value in sorted(allowed)]
            if len(values) == 1:
                return f"{name(fact)} == {values[0]}"
            return f"[{', '.join(values)}].contains({name(fact)})"
        case Has(fact, bit, wanted):
            value = json.dumps(vocabulary.facts[fact].values[bit])
            return f"{'' if wanted else '!'}{name(fact)}.contains({value})"
        case Same(left, right, wanted):
            return f"{name(left)} {'==' if wanted else '!='} {name(right)}"
        case Member(item, group, wanted):
            return f"{'' if wanted else '!'}{name(group)}.contains({name(item)})"
