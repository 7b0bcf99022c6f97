"""Properties: what must never happen and what must always, whatever the rules say in detail.

`policies/properties.yaml` holds sentences of the law as data. A property speaks of a space of requests
(`actions`, less `except`, and `when`, written like the conditions of a rule) and of the verdicts there:

=======================  ==========================================================================
`kind: never`            no request of the space gets `effect`
`kind: always`           every request of the space gets `effect`, with `reason` and at least the
                         `obligations`, where these are given
`kind: always`, `among`  the same, but only of the requests that get the effect `among`
=======================  ==========================================================================

`authz.workbench.verify` checks them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from authz.conditions import ELEMENTS, Conditions, action_box
from authz.mistake import Mistake
from authz.model import (
    ACTION,
    UNKNOWN_ACTION,
    Box,
    Effect,
    Verdict,
    Vocabulary,
    Wording,
)
from authz.source import Mistakes, Node, parse
from authz.vocabulary import wording

FILE: Final = "properties.yaml"

KINDS: Final = ("never", "always")
_REQUIRED: Final = ("id", "fr", "en", "source", "kind", "actions")
_OPTIONAL: Final = ("except", "when", "effect", "among", "reason", "obligations")
_ID: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One sentence that has to hold of all the rules together.

    `boxes` are the space it speaks of; `place` is `file:line`.
    """

    id: str
    wording: Wording
    source: str
    kind: str
    effect: Effect | None
    among: Effect | None
    reason: str
    obligations: tuple[str, ...]
    boxes: tuple[Box, ...]
    place: str

    def breaks(self, verdict: Verdict) -> bool:
        """Whether a request of the space with this verdict contradicts the sentence."""
        if verdict.error:
            return True
        if self.kind == "never":
            return verdict.effect is self.effect
        if self.among is not None and verdict.effect is not self.among:
            return False
        return (
            (self.effect is not None and verdict.effect is not self.effect)
            or self.reason not in ("", verdict.reason)
            or not set(self.obligations) <= set(verdict.obligations)
        )

    @property
    def detail(self) -> frozenset[Effect]:
        """The effects of which it matters which rules carry them."""
        if not self.reason and not self.obligations:
            return frozenset()
        effect = self.among or self.effect
        return frozenset(Effect) if effect is None else frozenset({effect})

    @property
    def forbids(self) -> bool:
        """Whether all it says is that something is not allowed, in one way or the other."""
        pair = (self.kind, self.effect)
        more = self.among or self.reason or self.obligations
        return not more and pair in (("never", Effect.ALLOW), ("always", Effect.DENY))


def read_properties(
    files: Mapping[str, bytes], vocabulary: Vocabulary
) -> tuple[tuple[Property, ...], tuple[Mistake, ...]]:
    """Reads `properties.yaml`, if it is there.

    Returns:
        The properties in their order, and every mistake.
    """
    if FILE not in files:
        return (), ()
    root, found = parse(files[FILE], path=FILE)
    mistakes = Mistakes()
    mistakes.found += found
    properties: dict[str, Property] = {}
    if root is not None and mistakes.keys(root, "file", required=("properties",)):
        for node in root.items["properties"].sequence:
            read = _property(node, vocabulary, mistakes)
            if read is not None and read.id in properties:
                mistakes.at(node, f"property {read.id}", "declared twice", "keep one of the two")
            if read is not None:
                properties[read.id] = read
    return tuple(properties.values()), tuple(sorted(set(mistakes.found)))


def _property(node: Node, vocabulary: Vocabulary, mistakes: Mistakes) -> Property | None:
    name = node.items.get("id")
    where = f"property {name.value if name else '?'}"
    before = len(mistakes.found)
    if not mistakes.keys(node, where, required=_REQUIRED, optional=_OPTIONAL):
        return None
    items = node.items
    uid = mistakes.text(items["id"], where, "id")
    if uid and not _ID.fullmatch(uid):
        hint = "small letters, digits and hyphens, e.g. `masked-stays-masked`"
        mistakes.at(items["id"], where, f"not an id: `{uid}`", hint)
    kind = mistakes.one_of(items["kind"], where, "kind", KINDS)
    effect, among = (_effect(items.get(key), where, key, mistakes) for key in ("effect", "among"))
    due = items["obligations"].sequence if "obligations" in items else []
    obligations = [mistakes.one_of(o, where, "obligation", vocabulary.obligations) for o in due]
    reason = mistakes.text(items.get("reason"), where, "reason")
    if kind == "never" and (effect is None or among or reason or obligations):
        mistakes.at(node, where, "`never` needs `effect`, and takes nothing else")
    if kind == "always" and not (effect or reason or obligations):
        mistakes.at(node, where, "`always` needs `effect`, `reason` or `obligations`")
    boxes = _space(node, where, vocabulary, mistakes)
    if len(mistakes.found) == before and not boxes:
        mistakes.at(
            node, where, "no request can be like this: the conditions contradict each other"
        )
    text = wording(mistakes, node, where)
    source = mistakes.text(items["source"], where, "source")
    if len(mistakes.found) > before:
        return None
    return Property(
        id=uid,
        wording=text,
        source=source,
        kind=kind,
        effect=effect,
        among=among,
        reason=reason,
        obligations=tuple(obligations),
        boxes=tuple(boxes),
        place=f"{node.path}:{node.line}",
    )


def _effect(node: Node | None, where: str, key: str, mistakes: Mistakes) -> Effect | None:
    if node is None:
        return None
    effect = mistakes.one_of(node, where, key, [e.value for e in Effect])
    return Effect(effect) if effect else None


def _space(node: Node, where: str, vocabulary: Vocabulary, mistakes: Mistakes) -> list[Box]:
    """The boxes of the requests that are meant."""
    named = _actions(node.items["actions"], where, vocabulary, mistakes)
    left_out = node.items.get("except", Node([], node.path, node.line, node.column))
    beside = _actions(left_out, where, vocabulary, mistakes)
    actions = [action for action in named if action not in beside]
    if not actions:
        mistakes.at(node.items["actions"], where, "`actions` names no action")
        return []
    parts = [[action_box(vocabulary, actions)]]
    when = node.items.get("when", Node({}, node.path, node.line, node.column))
    if mistakes.keys(when, where, required=(), optional=ELEMENTS):
        return Conditions(vocabulary, mistakes, where).boxes(when, parts)
    return []


def _actions(node: Node, where: str, vocabulary: Vocabulary, mistakes: Mistakes) -> list[str]:
    """The actions that are named; `*` stands for all."""
    if node.value == "*":
        return [name for name in vocabulary.fact(ACTION).values if name != UNKNOWN_ACTION]
    known = vocabulary.actions
    named = (mistakes.one_of(item, where, "action", known) for item in node.sequence)
    return [name for name in named if name]
