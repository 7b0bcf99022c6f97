"""Cerbos: our rules as its resource policies, the facts of a request as attributes.

A policy a kind of resource (`document.read` is an action on `document`), a rule a box; what a rule asks of
`subject.kind` are its roles, which Cerbos looks up before it evaluates anything. Cerbos keeps no registry:
its caller has to know the facts and to send them. They are computed by us, off the clock, and only those
that some rule about the action looks at are sent; facts of the subject and of the context once a call, those
of the resource with each resource. All of that is to Cerbos's advantage.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import grpc

from authz.model import (
    ACTION,
    Box,
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
from bench.peers import Policies, Words, flat, words

messages: Final = grpc.protos("bench/peers/cerbos.proto")
METHOD: Final = "/cerbos.svc.v1.CerbosService/CheckResources"
_ROLE: Final = "subject.kind"


def policies(rules: Policies) -> dict[str, str]:
    """The policy files, by name: JSON, which Cerbos reads as well as YAML."""
    by_kind: dict[str, list[object]] = {}
    for rule in rules.rules:
        for kind, translated in _rules(rules.vocabulary, rule):
            by_kind.setdefault(kind, []).append(translated)
    return {
        f"{kind}.json": json.dumps(
            {
                "apiVersion": "api.cerbos.dev/v1",
                "resourcePolicy": {"resource": kind, "version": "default", "rules": found},
            },
            indent=1,
        )
        for kind, found in by_kind.items()
    }


def _rules(vocabulary: Vocabulary, rule: Rule) -> Iterator[tuple[str, object]]:
    """What a rule says of each kind of resource."""
    for number, box in enumerate(rule.boxes):
        roles = _named(vocabulary, box, _ROLE)
        actions = _named(vocabulary, box, ACTION) or vocabulary.actions
        by_kind: dict[str, list[str]] = {}
        for action in actions:
            by_kind.setdefault(_kind(action), []).append(action)
        for kind, some in by_kind.items():
            translated: dict[str, object] = {
                "name": f"{rule.uid}-{number}",
                "actions": some,
                "effect": f"EFFECT_{rule.effect.upper()}",
                "roles": roles or ["*"],
            }
            terms = sorted(_terms(vocabulary, box))
            if terms:
                translated["condition"] = {"match": {"expr": " && ".join(terms)}}
            yield kind, translated


def _kind(action: str) -> str:
    return action.partition(".")[0]


def _named(vocabulary: Vocabulary, box: Box, fact: str) -> list[str]:
    """The values of a choice that a box is about; none when it is about all."""
    place = vocabulary.index[fact]
    return [
        vocabulary.facts[place].values[value]
        for literal in box
        if isinstance(literal, In) and literal.fact == place
        for value in sorted(literal.allowed)
    ]


def _terms(vocabulary: Vocabulary, box: Box) -> Iterator[str]:
    elsewhere = {vocabulary.index[ACTION], vocabulary.index[_ROLE]}
    for literal in box:
        if not (isinstance(literal, In) and literal.fact in elsewhere):
            yield _term(vocabulary, literal)


def _term(vocabulary: Vocabulary, literal: Literal) -> str:
    def name(place: int) -> str:
        fact = vocabulary.facts[place]
        return f"{'R' if fact.element == 'resource' else 'P'}.attr.{flat(fact)}"

    match literal:
        case In(fact, allowed):
            values = [json.dumps(vocabulary.facts[fact].values[value]) for value in sorted(allowed)]
            if len(values) == 1:
                return f"{name(fact)} == {values[0]}"
            return f"{name(fact)} in [{', '.join(values)}]"
        case Has(fact, bit, wanted):
            value = json.dumps(vocabulary.facts[fact].values[bit])
            return f"{'' if wanted else '!'}({value} in {name(fact)})"
        case Same(left, right, wanted):
            return f"{name(left)} {'==' if wanted else '!='} {name(right)}"
        case Member(item, group, wanted):
            return f"{'' if wanted else '!'}({name(item)} in {name(group)})"


class Asking:
    """Turns facts into the requests of a caller of Cerbos."""

    def __init__(self, rules: Policies) -> None:
        self._vocabulary = rules.vocabulary
        self._looked_at = {action: _looked_at(rules, action) for action in rules.vocabulary.actions}

    def vector(self, vector: Vector) -> bytes:
        """A request about one resource."""
        return self.request([words(self._vocabulary, vector)])

    def request(self, asked: Sequence[Words]) -> bytes:
        """A request about several resources: the first one's subject and circumstances hold for all."""
        made = messages.Request()
        for number, known in enumerate(asked):
            action = str(known[ACTION])
            entry = made.resources.add(actions=[action])
            entry.resource.kind = _kind(action)
            entry.resource.id = f"resource-{number}"
            for name in self._looked_at.get(action, ()):
                resource, attribute = name.startswith("resource."), name.replace(".", "_")
                if resource or not number:
                    attr = entry.resource.attr if resource else made.principal.attr
                    _set(attr[attribute], known[name])
        made.principal.id = "asker"
        made.principal.roles.append(str(asked[0][_ROLE]))
        return bytes(made.SerializeToString())


def _set(value: Any, known: str | tuple[str, ...]) -> None:  # noqa: ANN401 - a class made at run time
    if isinstance(known, str):
        value.string_value = known
    else:
        value.list_value.SetInParent()  # an empty list is a list too
        value.list_value.extend(known)


def _looked_at(rules: Policies, action: str) -> list[str]:
    """The facts that some rule about `action` looks at."""
    vocabulary = rules.vocabulary
    place = vocabulary.index[ACTION]
    value = vocabulary.facts[place].values.index(action)
    found = {
        fact
        for rule in rules.rules
        for box in rule.boxes
        if not any(isinstance(x, In) and x.fact == place and value not in x.allowed for x in box)
        for literal in box
        for fact in facts_of(literal)
    }
    return [vocabulary.facts[f].name for f in sorted(found - {place})]


def allowed(answer: bytes) -> list[bool]:
    """Which of the resources of a request may be acted upon."""
    results = messages.Response.FromString(answer).results
    return [set(result.actions.values()) == {messages.EFFECT_ALLOW} for result in results]
