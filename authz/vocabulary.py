"""Reads `policies/vocabulary.yaml`: the facts, actions and other names that policies may speak of."""

import re
from dataclasses import replace
from typing import Final

from authz.conditions import ELEMENTS
from authz.mistake import suggest
from authz.model import ACTION, UNKNOWN_ACTION, Action, Fact, FactValue, Kind, Vocabulary, Wording
from authz.source import Mistakes, Node

ORIGINS: Final = ("caller", "token", "registry", "matrix", "clock")
NEEDS: Final = ("patient", "document", "target", "about")

_NAME: Final = re.compile(rf"(?:{'|'.join(ELEMENTS)})\.[a-z][a-z_]*")
_RESERVED: Final = frozenset(
    {"n", "t", "f", "or", "and", "is", "in", "not", "matches"}
    | {"none", "null", "nil", "true", "false"}
)
"""Words of the ObjectPath grammar, which py-abac cannot read as names."""


def wording(mistakes: Mistakes, node: Node, where: str) -> Wording:
    """The `fr` and `en` of a mapping."""
    fr, en = (mistakes.text(node.items.get(lang), where, lang) for lang in ("fr", "en"))
    return Wording(fr=fr, en=en)


def read_vocabulary(root: Node, mistakes: Mistakes) -> Vocabulary | None:
    """Reads the vocabulary; None when a mistake in it would only cause others elsewhere."""
    before = len(mistakes.found)
    if not mistakes.keys(
        root,
        "vocabulary",
        required=("facts", "actions", "obligations", "services"),
        optional=("themes",),
    ):
        return None
    actions = _actions(root.items["actions"], mistakes)
    facts = [_action_fact(actions)]
    for node in root.items["facts"].sequence:
        fact = _fact(node, mistakes)
        if fact is None:
            continue
        if any(fact.name == other.name for other in facts):
            mistakes.at(node, f"fact {fact.name}", "declared twice", "keep one of the two")
        facts.append(fact)
    obligations, services = (
        _named(root.items[key], key, mistakes) for key in ("obligations", "services")
    )
    if len(mistakes.found) > before:
        return None
    return Vocabulary(
        facts=tuple(facts), actions=actions, obligations=obligations, services=services
    )


def _named(root: Node, where: str, mistakes: Mistakes) -> dict[str, Wording]:
    """A list of names with their wording."""
    named: dict[str, Wording] = {}
    for node in root.sequence:
        if mistakes.keys(node, where, required=("name", "fr", "en")):
            name = mistakes.text(node.items["name"], where, "name")
            if name in named:
                mistakes.at(node, where, f"declared twice: `{name}`", "keep one of the two")
            named[name] = wording(mistakes, node, f"{where} {name}")
    return named


def _actions(root: Node, mistakes: Mistakes) -> dict[str, Action]:
    actions: dict[str, Action] = {}
    for node in root.sequence:
        if not mistakes.keys(node, "actions", required=("name", "fr", "en"), optional=("needs",)):
            continue
        name = mistakes.text(node.items["name"], "actions", "name")
        where = f"action {name}"
        if not re.fullmatch(r"[a-z_]+\.[a-z_]+", name):
            mistakes.at(node.items["name"], where, "a name reads `resource.verb`, in lower case")
        if name in actions:
            mistakes.at(node, where, "declared twice", "keep one of the two")
        needs = node.items["needs"].sequence if "needs" in node.items else []
        named = tuple(mistakes.one_of(n, where, "need", NEEDS) for n in needs)
        actions[name] = Action(name=name, needs=named, wording=wording(mistakes, node, where))
    return actions


def _action_fact(actions: dict[str, Action]) -> Fact:
    """The fact that says which action is asked for; each vocabulary has it."""
    unknown = Wording(fr="acte inconnu", en="unknown action")
    words = {UNKNOWN_ACTION: unknown} | {name: action.wording for name, action in actions.items()}
    return Fact(
        name=ACTION,
        kind=Kind.CHOICE,
        values=tuple(words),
        default=0,
        origin="caller",
        changeable=(),
        wording=Wording(fr="l'acte demandé", en="the action asked for"),
        value_wordings=words,
        source="",
    )


def _fact(node: Node, mistakes: Mistakes) -> Fact | None:
    required = ("name", "type", "origin", "fr", "en", "source")
    optional = ("values", "default", "changeable", "words")
    if not mistakes.keys(node, "facts", required=required, optional=optional):
        return None
    name = mistakes.text(node.items["name"], "facts", "name")
    where = f"fact {name}"
    before = len(mistakes.found)
    if not _NAME.fullmatch(name) or name.partition(".")[2] in _RESERVED or name == ACTION:
        hint = f"a name reads `element.word`, the element one of {', '.join(ELEMENTS)}"
        mistakes.at(node.items["name"], where, f"not a name for a fact: `{name}`", hint)
    kind = mistakes.one_of(node.items["type"], where, "type", [k.value for k in Kind])
    origin = mistakes.one_of(node.items["origin"], where, "origin", ORIGINS)
    text = wording(mistakes, node, where)
    source = mistakes.text(node.items["source"], where, "source")
    values = _values(node, where, kind, mistakes)
    reachable = node.items["changeable"].sequence if "changeable" in node.items else []
    changeable = [
        mistakes.one_of(item, where, "value in `changeable`", values) for item in reachable
    ]
    words = _words(node, where, values, mistakes)
    if len(mistakes.found) > before:
        return None
    fact = Fact(
        name=name,
        kind=Kind(kind),
        values=values,
        default=0,
        origin=origin,
        changeable=tuple(values.index(value) for value in changeable),
        wording=text,
        value_wordings=words,
        source=source,
    )
    return _with_default(fact, node, where, mistakes)


def _values(node: Node, where: str, kind: str, mistakes: Mistakes) -> tuple[str, ...]:
    """The closed list of a choice; identifiers have none."""
    listed = "values" in node.items
    if kind in (Kind.IDENTIFIER, Kind.IDENTIFIERS):
        for key in ("values", "default"):
            if key in node.items:
                mistakes.at(node, where, f"`{key}`: an identifier is absent or compared", key=key)
        return ()
    if not listed or not node.items["values"].sequence:
        mistakes.at(node, where, "a choice needs its closed list of `values`")
        return ()
    values = [mistakes.text(item, where, "value") for item in node.items["values"].sequence]
    for item, value in zip(node.items["values"].sequence, values, strict=True):
        if values.count(value) > 1:
            mistakes.at(item, where, f"value listed twice: `{value}`", "keep one of the two")
    return tuple(values)


def _words(
    node: Node, where: str, values: tuple[str, ...], mistakes: Mistakes
) -> dict[str, Wording]:
    words: dict[str, Wording] = {}
    for value, text in (node.items["words"].items if "words" in node.items else {}).items():
        if value not in values:
            hint = suggest(value, values)
            mistakes.at(node.items["words"], where, f"unknown value: `{value}`", hint, key=value)
        if mistakes.keys(text, where, required=("fr", "en")):
            words[value] = wording(mistakes, text, where)
    return words


def _with_default(fact: Fact, node: Node, where: str, mistakes: Mistakes) -> Fact | None:
    """Gives the fact its default: absent for identifiers, a listed value for a choice."""
    if not fact.values:
        default: FactValue = "" if fact.kind is Kind.IDENTIFIER else ()
    elif "default" not in node.items:
        mistakes.at(node, where, "missing key: `default`", "name the most restrictive value")
        return None
    else:
        named = node.items["default"].sequence
        read = [mistakes.one_of(item, where, "default", fact.values) for item in named]
        if not all(read) or (fact.kind is Kind.CHOICE and len(read) != 1):
            mistakes.at(node.items["default"], where, "`default` must be of the listed values")
            return None
        default = fact.encode(read[0] if fact.kind is Kind.CHOICE else read)
    return replace(fact, default=default)
