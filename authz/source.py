"""YAML read with positions, so that every mistake can be pointed at.

A document becomes a tree of `Node`s: mappings, lists and scalars, each with its line and column. What
YAML offers beyond data is refused: anchors and aliases (bombs), tags, several documents in a file,
duplicate keys, deep nesting. Scalars follow YAML 1.2: only `true`, `false`, `null` and decimal
integers are not text, and only when unquoted; `no` is a word.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from authz.mistake import Mistake, suggest

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 24
MAX_EVENTS: Final = 30_000
"""Several times what the longest file of policies has; reading so many takes a second or two."""

Scalar = str | int | bool | None
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_WORDS: Final[dict[str, Scalar]] = {"true": True, "false": False, "null": None, "~": None, "": None}
_FORBIDDEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069"
    "\ud800-\udfff\ufeff]"
)
"""Control, zero-width, line-separating and direction-changing characters, and halves of characters."""


@dataclass(slots=True)
class Node:
    """A value with its place: `value` is a scalar, a list of nodes or a mapping of nodes."""

    value: "Scalar | list[Node] | dict[str, Node]"
    path: str
    line: int
    column: int
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)

    def plain(self) -> object:
        """The value without positions."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    @property
    def items(self) -> "dict[str, Node]":
        """The mapping, empty when the node is none."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def sequence(self) -> "list[Node]":
        """The list; a lone value counts as a list of one, nothing as none."""
        if isinstance(self.value, list):
            return self.value
        return [] if self.value is None else [self]


def node_of(value: object, path: str) -> Node:
    """A tree without positions, for documents that come from a stored bundle."""
    if isinstance(value, dict):
        return Node({str(k): node_of(v, path) for k, v in value.items()}, path, 0, 0)
    if isinstance(value, list):
        return Node([node_of(v, path) for v in value], path, 0, 0)
    if value is None or isinstance(value, str | int | bool):
        return Node(value, path, 0, 0)
    raise TypeError(f"not a value of a policy: {type(value).__name__}")


class Mistakes:
    """Collects mistakes and helps to tell them well."""

    def __init__(self) -> None:
        self.found: list[Mistake] = []

    def at(self, node: Node, where: str, message: str, hint: str = "", *, key: str = "") -> None:
        """Notes a mistake at a node, or at one of its keys."""
        line, column = node.keys.get(key, (node.line, node.column))
        self.found.append(
            Mistake(
                path=node.path, line=line, column=column, where=where, message=message, hint=hint
            )
        )

    def text(self, node: Node | None, where: str, name: str) -> str:
        """The node's text; notes a mistake and gives "" when it is something else, or blank."""
        if node is None:
            return ""
        if not isinstance(node.value, str) or not node.value.strip():
            self.at(node, where, f"`{name}` must be a text that is not blank", "put it in quotes")
            return ""
        return node.value

    def keys(
        self, node: Node, where: str, *, required: Collection[str], optional: Collection[str] = ()
    ) -> bool:
        """Checks the keys of a mapping; tells whether it can be read on."""
        if not isinstance(node.value, dict):
            self.at(node, where, "a mapping of `key: value` is expected here")
            return False
        known = [*required, *optional]
        for key in node.value:
            if key not in known:
                self.at(node, where, f"unknown key: `{key}`", suggest(key, known), key=key)
        missing = [key for key in required if key not in node.value]
        for key in missing:
            self.at(node, where, f"missing key: `{key}`")
        return not missing

    def one_of(self, node: Node, where: str, name: str, known: Collection[str]) -> str:
        """The node's text, which must be one of `known`; "" after noting that it is not."""
        text = self.text(node, where, name)
        if text and text not in known:
            self.at(node, where, f"unknown {name}: `{text}`", suggest(text, known))
            return ""
        return text


def parse(data: bytes, *, path: str) -> tuple[Node | None, list[Mistake]]:
    """Reads one YAML document; the node is None when it can't be read at all."""
    mistakes = Mistakes()
    top = Node(None, path, 1, 1)
    if len(data) > MAX_BYTES:
        mistakes.at(
            top, "file", f"too large: {len(data)} bytes, at most {MAX_BYTES}", "split it by theme"
        )
        return None, mistakes.found
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        at = Node(None, path, line, exc.start - data.rfind(b"\n", 0, exc.start))
        mistakes.at(
            at, "file", f"not UTF-8: byte 0x{data[exc.start]:02x}", "save the file as UTF-8"
        )
        return None, mistakes.found
    for hit in _FORBIDDEN.finditer(text):
        line = text.count("\n", 0, hit.start()) + 1
        at = Node(None, path, line, hit.start() - text.rfind("\n", 0, hit.start()))
        mistakes.at(at, "file", f"invisible character U+{ord(hit[0]):04X}", "remove it")
    if mistakes.found:
        return None, mistakes.found
    try:
        root = _tree(_limited(YAML(typ="safe", pure=True).parse(text)), path, mistakes)
    except (YAMLError, ValueError, OverflowError, AssertionError) as exc:
        # ruamel.yaml lets the last three through for absurd escapes and versions.
        mark = getattr(exc, "problem_mark", None)
        at = Node(None, path, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1)
        problem = getattr(exc, "problem", None) or f"{type(exc).__name__} while reading it"
        mistakes.at(at, "file", f"not YAML: {problem}")
        return None, mistakes.found
    if root is None and not mistakes.found:
        mistakes.at(top, "file", "empty file", "remove it, or write its content")
    return root, mistakes.found


def _limited(stream: Iterator[events.Event]) -> Iterator[events.Event]:
    """The events, up to so many as a file may have."""
    for number, event in enumerate(stream):
        if number > MAX_EVENTS:
            problem = f"more than {MAX_EVENTS} keys and values: split it by theme"
            raise MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        yield event


def _tree(stream: Iterator[events.Event], path: str, mistakes: Mistakes) -> Node | None:
    """Builds the tree from parser events, without recursion and without following aliases."""
    root: Node | None = None
    stack: list[tuple[Node, Node | None]] = []  # (collection, the key that waits for its value)
    documents = 0
    for event in stream:
        if isinstance(event, events.DocumentStartEvent):
            documents += 1
            if documents > 1:
                mistakes.at(
                    _place(event, path), "file", "a second document in one file", "split it"
                )
                return root
        elif isinstance(event, events.AliasEvent):
            mistakes.at(
                _place(event, path), "file", f"alias `*{event.anchor}`", "write the value out"
            )
            return None
        elif isinstance(event, events.MappingEndEvent | events.SequenceEndEvent):
            stack.pop()
        elif isinstance(event, events.NodeEvent):
            node = _node(event, path, mistakes)
            if stack:
                stack[-1] = _attach(*stack[-1], node, mistakes)
            else:
                root = node
            if isinstance(event, events.CollectionStartEvent):
                if len(stack) >= MAX_DEPTH:
                    mistakes.at(
                        node, "file", f"nested deeper than {MAX_DEPTH} levels", "flatten it"
                    )
                    return None
                stack.append((node, None))
    return root


def _place(event: events.Event, path: str) -> Node:
    mark = event.start_mark
    return Node(None, path, mark.line + 1, mark.column + 1)


def _node(event: events.NodeEvent, path: str, mistakes: Mistakes) -> Node:
    """The node of an event, without children yet."""
    node = _place(event, path)
    tag = getattr(event, "tag", None)
    if event.anchor is not None or (tag is not None and str(tag) != "!"):
        mistakes.at(node, "file", "anchors and tags are not data", "write the value out")
    if isinstance(event, events.MappingStartEvent):
        node.value = {}
    elif isinstance(event, events.SequenceStartEvent):
        node.value = []
    elif isinstance(event, events.ScalarEvent):
        for hit in _FORBIDDEN.findall(event.value):  # written as an escape
            mistakes.at(node, "file", f"invisible character U+{ord(hit):04X}", "remove it")
        node.value = _scalar(event.value, plain=event.style is None or event.style == "")
    return node


def _scalar(text: str, *, plain: bool) -> Scalar:
    if plain and text in _WORDS:
        return _WORDS[text]
    digits = 15
    if plain and _INTEGER.fullmatch(text) and len(text) <= digits:
        return int(text)
    return text


def _attach(
    parent: Node, key: Node | None, node: Node, mistakes: Mistakes
) -> tuple[Node, Node | None]:
    """Hangs a node under its parent; answers the parent and the key that waits now."""
    if isinstance(parent.value, list):
        parent.value.append(node)
        return parent, None
    if key is None:
        return parent, node
    if not isinstance(key.value, str):
        mistakes.at(key, "file", f"a key must be text, not `{key.plain()}`", "put it in quotes")
    elif isinstance(parent.value, dict):
        if key.value in parent.value:
            mistakes.at(key, "file", f"duplicate key: `{key.value}`", "keep one of the two")
        parent.value[key.value] = node
        parent.keys[key.value] = (key.line, key.column)
    return parent, None
