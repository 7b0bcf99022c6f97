"""The casbin model that we compute: what a request names, what is grouped, how lines combine."""

import re
from dataclasses import dataclass
from typing import Final

from authz.matrix.text import Cell, Notes, content, split
from authz.mistake import Mistake, suggest

EFFECT: Final = "some(where (p.eft == allow)) && !some(where (p.eft == deny))"
"""Deny wins over allow, and no line means no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The one form of model, with the names of a given file.

    * `fields`: the three things that a request names; `words`: what an officer calls them.
    * `grouped`: which grouping (`g`, `g2`) speaks of which field.
    * `note`: the last column of a `p` line, which decides nothing.
    """

    fields: tuple[str, str, str]
    words: tuple[str, str, str]
    grouped: tuple[tuple[str, str], ...]
    note: str

    def grouping(self, field: str) -> str:
        """The grouping that speaks of the field, "" when none does."""
        return next((grouping for grouping, of in self.grouped if of == field), "")

    def model(self) -> dict[tuple[str, str], str]:
        """What `model.conf` must say, by section and key."""
        request = ", ".join(self.fields)
        tests = [
            f"{grouping}(r.{field}, p.{field})" if grouping else f"r.{field} == p.{field}"
            for field in self.fields
            for grouping in [self.grouping(field)]
        ]
        return {
            ("request_definition", "r"): request,
            ("policy_definition", "p"): f"{request}, eft, {self.note}",
            **{("role_definition", grouping): "_, _" for grouping, _ in self.grouped},
            ("policy_effect", "e"): EFFECT,
            ("matchers", "m"): " && ".join(tests),
        }


MATRIX: Final = Shape(
    fields=("sub", "obj", "act"),
    words=("profession", "type", "act"),
    grouped=(("g", "sub"), ("g2", "obj")),
    note="source",
)
SERVICES: Final = Shape(
    fields=("service", "rpc", "kind"),
    words=("service", "procedure", "kind of subject"),
    grouped=(("g", "rpc"), ("g2", "kind")),
    note="why",
)


def check_model(text: str, *, path: str, shape: Shape) -> tuple[Mistake, ...]:
    """Reads a `model.conf`, which must say the very model of `shape`, or else our tables would lie.

    Comments and blanks around commas are free; whatever else differs is a mistake.
    """
    notes = Notes(path)
    expected = shape.model()
    said = _read(text, notes, expected)
    for (section, key), value in expected.items():
        hint = f"write `{key} = {value}`"
        cell = said.get((section, key))
        if cell is None:
            notes.at(Cell("", 1, 1), section, f"missing key: `{key}`", hint)
        elif re.sub(r"\s*,\s*", ", ", cell.text) != value:
            notes.at(cell, section, f"`{key}` is not the model that we compute", hint)
    return notes.in_order()


def _read(
    text: str, notes: Notes, expected: dict[tuple[str, str], str]
) -> dict[tuple[str, str], Cell]:
    """The values that the text says; notes what casbin would drop or let a later line override."""
    said: dict[tuple[str, str], Cell] = {}
    section = ""
    for line in content(text, notes):
        if line.text.startswith("["):
            section = line.text.removeprefix("[").removesuffix("]")
            known = {name for name, _ in expected}
            if line.text != f"[{section}]" or section not in known:
                notes.at(line, "section", f"unknown: `{line.text}`", suggest(section, known))
            continue
        key, *rest = split(line, "=")
        if not rest:
            notes.at(line, section or "line", f"not `key = value`: `{line.text}`")
            continue
        at = rest[0]
        value = Cell(line.text[at.column - line.column :], at.line, at.column)
        if (section, key.text) in said:
            notes.at(key, section, f"`{key.text}` stands twice", "keep one")
        elif (section, key.text) not in expected:
            keys = {name for of, name in expected if of == section}
            notes.at(key, section or "line", f"unknown key: `{key.text}`", suggest(key.text, keys))
        else:
            said[section, key.text] = value
    return said
