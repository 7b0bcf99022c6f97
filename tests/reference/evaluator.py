"""Rules decided the slow and obvious way: document by document, condition by condition, in words.

It takes py-abac documents as they are written and facts as `name: value`, a set being a list or tuple and
an absent identifier "". It shares no code with the engine and knows nothing of boxes, so that of three
readings (ours, py-abac's, this one) two can name the culprit.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Value = str | Sequence[str]
Facts = Mapping[str, Value]
Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Answer:
    """`allow` or `deny`, and the rules that carry it: none, when no rule allowed."""

    effect: str
    rules: frozenset[str]


def decide(documents: Mapping[str, Json], facts: Facts) -> Answer:
    """A rule that denies wins; else one that allows; else it is no."""
    applying = {uid: doc for uid, doc in documents.items() if applies(doc, facts)}
    for effect in ("deny", "allow"):
        carrying = frozenset(uid for uid, doc in applying.items() if doc["effect"] == effect)
        if carrying:
            return Answer(effect, carrying)
    return Answer("deny", frozenset())


def applies(document, facts: Facts) -> bool:
    """Whether the request is one of the targets, and every element is as the rule says."""
    return targeted(document["targets"], facts) and all(
        as_said(element, said, facts) for element, said in document["rules"].items()
    )


def targeted(targets, facts: Facts) -> bool:
    """A target is `*`, an action or a list of actions; subjects and resources are never named."""
    for key, named in targets.items():
        names = named if isinstance(named, list) else [named]
        if names != ["*"] and not (key == "action_id" and facts["action.name"] in names):
            return False
    return True


def as_said(element: str, said, facts: Facts) -> bool:
    """A mapping asks for all its conditions, a list for one of its mappings."""
    for conditions in said if isinstance(said, list) else [said]:
        named = {f"{element}.{path.removeprefix('$.')}": c for path, c in conditions.items()}
        if all(met(condition, facts[name], facts) for name, condition in named.items()):
            return True
    return False


def met(condition, value: Value, facts: Facts) -> bool:
    """Whether a value is as one condition says."""
    match condition:
        case {"condition": "Not", "value": inner}:
            return not met(inner, value, facts)
        case {"condition": "AllOf", "values": parts}:
            return all(met(part, value, facts) for part in parts)
        case {"condition": "AnyOf", "values": parts}:
            return any(met(part, value, facts) for part in parts)
        case {"condition": name, "ace": element, "path": path}:
            return compared(name, value, facts[f"{element}.{path.removeprefix('$.')}"])
    return PLAIN[condition["condition"]](value, condition.get("value", condition.get("values")))


PLAIN = {
    "Equals": lambda value, wanted: value == wanted,
    "NotEquals": lambda value, unwanted: value != unwanted,
    "RegexMatch": lambda value, pattern: re.fullmatch(pattern, value) is not None,
    "IsIn": lambda value, listed: value in listed,
    "IsNotIn": lambda value, listed: value not in listed,
    "AnyIn": lambda values, listed: any(value in listed for value in values),
    "AllIn": lambda values, listed: all(value in listed for value in values),
    "IsEmpty": lambda values, _: len(values) == 0,
    "IsNotEmpty": lambda values, _: len(values) > 0,
}


def compared(name: str, identifier: Value, other: Value) -> bool:
    """An absent identifier equals nothing and is in no set, so that every `Not...` of it holds."""
    match name:
        case "EqualsAttribute":
            return identifier != "" and identifier == other
        case "NotEqualsAttribute":
            return not compared("EqualsAttribute", identifier, other)
        case "IsInAttribute":
            return identifier != "" and identifier in other
        case "IsNotInAttribute":
            return not compared("IsInAttribute", identifier, other)
    raise ValueError(f"no comparison of the accepted ones: {name}")
