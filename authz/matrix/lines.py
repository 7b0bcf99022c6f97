"""The lines of a casbin CSV policy, read strictly.

Casbin drops a malformed line or one of an unknown kind without a word, so that a typing error may
remove a deny. Here each line that is neither blank nor a comment gives one `Line` or a mistake. The
file stays casbin's own: what casbin would read otherwise than it looks (quotes, brackets, a comment
behind a line) is refused.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from authz.matrix.shape import Shape
from authz.matrix.text import Cell, Notes, content, split
from authz.mistake import Mistake, suggest
from authz.model import Effect

MAX_NESTING: Final = 9
"""So many groups above a name does casbin look up, and no further."""

_GROUP: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_OTHERWISE: Final = re.compile(r'["#()\[\]]')

Names = tuple[Collection[str], Collection[str], Collection[str]]
"""The known names of each of the three fields of a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A `p` line: allows or denies the requests that its three names, or groups, stand for."""

    number: int
    names: tuple[str, str, str]
    effect: Effect
    note: str
    column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A `g` or `g2` line: puts a name, or another group, in a group."""

    number: int
    grouping: str
    name: str
    group: str
    column: int = field(default=1, compare=False)


Line = Rule | Member


def parse(
    text: str, *, path: str, shape: Shape, names: Names
) -> tuple[tuple[Line, ...], tuple[Mistake, ...]]:
    """Reads a policy of the given shape over the known names.

    Returns:
        The lines, fit for use only when there is no mistake; and all mistakes.
    """
    notes = Notes(path)
    rows = _rows(text, shape, notes)
    reader = _Reader(rows, shape, names, notes)
    lines = tuple(line for row in rows if (line := reader.line(row)) is not None)
    _check_repeats(lines, notes)
    for grouping, of in shape.grouped:
        members = [line for line in lines if isinstance(line, Member) and line.grouping == grouping]
        _check_groups(members, reader.used[of], notes)
    if not any(isinstance(line, Rule) for line in lines) and not len(notes):
        hint = "write what is allowed: casbin may take an empty policy for a yes"
        notes.at(Cell("", 1, 1), "file", "no `p` line at all", hint)
    return lines, notes.in_order()


def reached(start: str, links: Iterable[tuple[str, str]]) -> set[str]:
    """All that `start` leads to along links (from, to), itself included."""
    steps = list(links)
    found = {start}
    while more := {to for source, to in steps if source in found} - found:
        found |= more
    return found


def _rows(text: str, shape: Shape, notes: Notes) -> list[list[Cell]]:
    """The cells of each line that has a known kind and the right number of them."""
    examples = {"p": ["p", *shape.words, "allow or deny", shape.note]}
    for grouping, of in shape.grouped:
        examples[grouping] = [grouping, shape.words[shape.fields.index(of)], "group"]
    rows = []
    for line in content(text, notes):
        row = split(line)
        kind = row[0]
        if odd := _OTHERWISE.search(line.text):
            at = Cell("", line.line, line.column + odd.start())
            hint = "leave it out; a comment has a line of its own"
            notes.at(at, "line", f"casbin would take a `{odd[0]}` for more than it is", hint)
        elif len(row) == 1:
            hint = f"write `{', '.join(examples['p'])}`"
            notes.at(kind, "line", "no comma: casbin would drop the line in silence", hint)
        elif kind.text not in examples:
            message = f"unknown kind of line, casbin would drop it in silence: `{kind.text}`"
            notes.at(kind, "line", message, suggest(kind.text, examples))
        elif len(row) != len(examples[kind.text]):
            message = f"{len(row)} columns, not {len(examples[kind.text])}"
            notes.at(kind, kind.text, message, f"write `{', '.join(examples[kind.text])}`")
        else:
            rows.append(row)
    return rows


class _Reader:
    """Turns rows into lines; knows the names and, from all rows, the groups."""

    def __init__(self, rows: list[list[Cell]], shape: Shape, names: Names, notes: Notes) -> None:
        self._shape = shape
        self._notes = notes
        self._names = dict(zip(shape.fields, map(frozenset, names), strict=True))
        self._words = dict(zip(shape.fields, shape.words, strict=True))
        self._of = dict(shape.grouped)
        self._groups: dict[str, set[str]] = {of: set() for of in shape.fields}
        self.used: dict[str, set[str]] = {of: set() for of in shape.fields}
        for row in rows:
            if row[0].text == "p":
                for of, cell in zip(shape.fields, row[1:], strict=False):
                    self.used[of].add(cell.text)
            else:
                self._groups[self._of[row[0].text]].add(row[2].text)

    def line(self, row: list[Cell]) -> Line | None:
        """The line that a row says; None after noting what is wrong with it."""
        before = len(self._notes)
        line = self._rule(row) if row[0].text == "p" else self._member(row)
        return line if len(self._notes) == before else None

    def _rule(self, row: list[Cell]) -> Rule | None:
        _, first, second, third, effect, note = row
        for of, cell in zip(self._shape.fields, (first, second, third), strict=True):
            self._check_name(cell, "p", of)
        if not note.text:
            self._notes.at(note, "p", f"no {self._shape.note}", "say where the line comes from")
        if effect.text not in set(Effect):
            hint = suggest(effect.text, Effect)
            self._notes.at(effect, "p", f"unknown effect: `{effect.text}`", hint)
            return None
        return Rule(
            number=first.line,
            names=(first.text, second.text, third.text),
            effect=Effect(effect.text),
            note=note.text,
            column=first.column,
        )

    def _member(self, row: list[Cell]) -> Member:
        kind, name, group = row
        of = self._of[kind.text]
        self._check_name(name, kind.text, of)
        if group.text in self._names[of]:
            message = f"`{group.text}` is a {self._words[of]}, so it can't be a group"
            self._notes.at(group, kind.text, message, "give the group a name of its own")
        elif not _GROUP.fullmatch(group.text):
            hint = "use small letters, digits and single hyphens"
            self._notes.at(group, kind.text, f"not a name for a group: `{group.text}`", hint)
        return Member(
            number=name.line,
            grouping=kind.text,
            name=name.text,
            group=group.text,
            column=name.column,
        )

    def _check_name(self, cell: Cell, kind: str, of: str) -> None:
        word = self._words[of]
        known = self._names[of] | self._groups[of]
        if not cell.text:
            self._notes.at(cell, kind, f"no {word}", "fill the column")
        elif cell.text not in known:
            word += " or group" if self._shape.grouping(of) else ""
            self._notes.at(cell, kind, f"unknown {word}: `{cell.text}`", suggest(cell.text, known))


def _check_repeats(lines: Iterable[Line], notes: Notes) -> None:
    """Notes the lines that say again, or against, what an earlier line says of the same names."""
    first: dict[tuple[str, ...], tuple[Line, str]] = {}
    for line in lines:
        if isinstance(line, Rule):
            kind, key, says = "p", line.names, str(line.effect)
        else:
            kind, key, says = line.grouping, (line.name, line.group, ""), ""
        earlier, said = first.setdefault((kind, *key), (line, says))
        at = Cell("", line.number, line.column)
        if said != says:
            message = f"says {says} where line {earlier.number} says {said}"
            notes.at(at, kind, message, "deny would win: keep one of them")
        elif earlier is not line:
            notes.at(at, kind, f"says again what line {earlier.number} says", "keep one of them")


def _check_groups(members: Iterable[Member], used: set[str], notes: Notes) -> None:
    """Notes the groups of one grouping that run in a circle, serve no `p` line or nest too deep."""
    members = list(members)
    upward = [(member.name, member.group) for member in members]
    links: list[tuple[str, str]] = []
    for member in members:
        at = Cell("", member.number, member.column)
        if member.name in reached(member.group, links):
            message = f"`{member.name}` would be a member of itself"
            notes.at(at, member.grouping, message, "drop one of the lines of the circle")
            continue
        if not used & reached(member.group, upward):
            message = f"no `p` line uses the group `{member.group}`"
            notes.at(at, member.grouping, message, "use it or drop it")
        links.append((member.name, member.group))
    level = {member.name for member in members}
    for _ in range(MAX_NESTING):
        level = {group for name, group in links if name in level}
    for member in members:
        if member.name in level and (member.name, member.group) in links:
            message = f"`{member.group}` has more than {MAX_NESTING} levels of groups below it"
            hint = "nest less deep: casbin would not look it up"
            notes.at(Cell("", member.number, member.column), member.grouping, message, hint)
