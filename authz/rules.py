"""Reads `policies/rules/*.yaml`: py-abac documents, with what a person is told and what follows.

A file has one theme. Each of its rules is a py-abac 0.4.1 document (`uid`, `description`, `effect`,
`priority`, `targets`, `rules`) with these keys beside it: `reason` (a code), `told` (fr, en), `source`
(law or decision), `obligations`, and `when` (parameters on which the rule depends). In place of a list of
values, `{parameter: name}` stands for the value of a list parameter.
"""

import re
from typing import Final

from authz import parameters as params
from authz.conditions import ELEMENTS, Conditions, action_box
from authz.mistake import suggest
from authz.model import Box, Effect, Rule, Vocabulary, Wording
from authz.parameters import Parameters
from authz.source import Mistakes, Node
from authz.vocabulary import wording

ABAC_KEYS: Final = ("uid", "description", "effect", "priority", "targets", "rules")
_OWN_KEYS: Final = ("reason", "told", "source")
_OPTIONAL: Final = ("obligations", "when")
_UID: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_REASON: Final = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")


class RuleReader:
    """Reads the rules of all files into one set; mistakes are collected, not raised."""

    def __init__(self, vocabulary: Vocabulary, parameters: Parameters, mistakes: Mistakes) -> None:
        self._vocabulary = vocabulary
        self._parameters = parameters
        self._mistakes = mistakes
        self._seen: dict[str, str] = {}
        self.rules: list[Rule] = []
        self.documents: dict[str, dict[str, object]] = {}
        """The py-abac document of each active rule, parameters filled in."""

    def read(self, root: Node) -> None:
        """Reads one file."""
        if not self._mistakes.keys(root, "file", required=("theme", "rules")):
            return
        theme = root.items["theme"]
        name = Wording(fr="", en="")
        if self._mistakes.keys(theme, "theme", required=("fr", "en")):
            name = wording(self._mistakes, theme, "theme")
        for node in root.items["rules"].sequence:
            self._rule(node, name)

    def _rule(self, node: Node, theme: Wording) -> None:
        uid_node = node.items.get("uid")
        uid = str(uid_node.value) if uid_node is not None else "?"
        where = f"rule {uid}"
        if not self._mistakes.keys(
            node, where, required=(*ABAC_KEYS, *_OWN_KEYS), optional=_OPTIONAL
        ):
            return
        before = len(self._mistakes.found)
        items = node.items
        place = f"{node.path}:{node.line}"
        if not _UID.fullmatch(uid):
            hint = "small letters, digits and hyphens, e.g. `masked-document`"
            self._mistakes.at(items["uid"], where, f"not a uid: `{uid}`", hint)
        if uid in self._seen:
            message = f"duplicate uid: `{uid}` is also at {self._seen[uid]}"
            self._mistakes.at(items["uid"], where, message, "each rule has a uid of its own")
        self._seen.setdefault(uid, place)
        effect = self._mistakes.one_of(items["effect"], where, "effect", [e.value for e in Effect])
        reason = self._mistakes.text(items["reason"], where, "reason")
        if reason and not _REASON.fullmatch(reason):
            hint = "capitals and underscores, e.g. `DOCUMENT_MASKED`"
            self._mistakes.at(items["reason"], where, f"not a reason code: `{reason}`", hint)
        priority = items["priority"].value
        if not isinstance(priority, int) or isinstance(priority, bool) or priority < 0:
            self._mistakes.at(items["priority"], where, "`priority` is a whole number from 0 up")
        told = items["told"]
        told_readable = self._mistakes.keys(told, where, required=("fr", "en"))
        texts = {
            key: self._mistakes.text(items[key], where, key) for key in ("description", "source")
        }
        active = "when" not in items or params.holds(
            self._parameters, items["when"], self._mistakes, where
        )
        filled = self._filled(items["rules"], where)
        boxes = self._boxes(items["targets"], filled, where, items["rules"])
        rule_told = wording(self._mistakes, told, where) if told_readable else Wording(fr="", en="")
        obligations = self._obligations(items.get("obligations"), where)
        if len(self._mistakes.found) == before and not boxes:
            message = "the rule can never apply: its conditions contradict each other"
            self._mistakes.at(node, where, message, "correct the conditions, or remove the rule")
        if len(self._mistakes.found) > before or not isinstance(priority, int) or not active:
            return
        self.rules.append(
            Rule(
                uid=uid,
                theme=theme.en,
                effect=Effect(effect),
                priority=priority,
                reason=reason,
                description=texts["description"],
                told=rule_told,
                source=texts["source"],
                obligations=obligations,
                boxes=boxes,
                place=place,
            )
        )
        document = {key: items[key].plain() for key in ABAC_KEYS}
        self.documents[uid] = document | {"rules": filled.plain()}

    def _obligations(self, node: Node | None, where: str) -> tuple[str, ...]:
        known = self._vocabulary.obligations
        listed = node.sequence if node is not None else []
        return tuple(self._mistakes.one_of(item, where, "obligation", known) for item in listed)

    def _filled(self, node: Node, where: str) -> Node:
        """The conditions with each `{parameter: name}` replaced by the parameter's values."""
        if isinstance(node.value, list):
            return _like(node, [self._filled(item, where) for item in node.value])
        if not isinstance(node.value, dict):
            return node
        if list(node.value) != ["parameter"]:
            return _like(node, {k: self._filled(v, where) for k, v in node.value.items()})
        name = str(node.value["parameter"].value)
        parameter = self._parameters.get(name)
        if parameter is None or not isinstance(parameter.value, tuple):
            lists = [p.name for p in self._parameters.values() if p.type == "list"]
            message = f"unknown list parameter: `{name}`"
            self._mistakes.at(node, where, message, suggest(name, lists))
            return _like(node, [])
        return _like(node, [_like(node, value) for value in parameter.value])

    def _boxes(self, targets: Node, rules: Node, where: str, origin: Node) -> tuple[Box, ...]:
        parts: list[list[Box]] = []
        self._mistakes.keys(
            targets, where, required=(), optional=("subject_id", "resource_id", "action_id")
        )
        for key, node in targets.items.items():
            parts += self._target(key, node, where)
        if not self._mistakes.keys(rules, where, required=(), optional=ELEMENTS):
            return ()
        boxes = Conditions(self._vocabulary, self._mistakes, where).boxes(rules, parts)
        if frozenset() in boxes:
            message = "a rule without condition and without target would apply to everything"
            self._mistakes.at(origin, where, message, "name at least an action in `targets`")
        return tuple(boxes)

    def _target(self, key: str, node: Node, where: str) -> list[list[Box]]:
        """The boxes of one target: `*` says nothing, `action_id` may list actions."""
        named = [self._mistakes.text(item, where, key) for item in node.sequence]
        if not named:
            self._mistakes.at(node, where, f"`{key}` is empty: the rule can never apply")
        if named == ["*"] or not all(named):
            return []
        actions = self._vocabulary.actions
        ok = True
        for item, name in zip(node.sequence, named, strict=True):
            if set(name) & set("*?[]"):
                ok = False
                hint = "write `*` alone, or the names one by one"
                self._mistakes.at(item, where, f"`{key}`: `{name}` would match as a pattern", hint)
            elif key != "action_id":
                ok = False
                hint = "compare two identifiers with `EqualsAttribute`"
                self._mistakes.at(item, where, f"`{key}` may only be `*`, not `{name}`", hint)
            elif name not in actions:
                ok = False
                hint = suggest(name, actions)
                self._mistakes.at(item, where, f"unknown action: `{name}`", hint)
        return [[action_box(self._vocabulary, named)]] if ok else []


def _like(node: Node, value: "str | list[Node] | dict[str, Node]") -> Node:
    return Node(value, node.path, node.line, node.column, node.keys)
