"""The types of documents (typeCode, JDV_J07): class, space, and whether they may be deposited."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from authz.matrix.lines import Line, Member
from authz.matrix.table import Act, Table
from authz.matrix.text import Cell, Notes, content, split_quoted
from authz.mistake import Mistake, suggest
from authz.model import Effect

HIDDEN: Final = "hidden"
"""The space of what is in none: signatures, style sheets, what the DMP does not take."""

SPACES: Final = ("1", "2", "3", "4", "5", "6", "7", "8", HIDDEN)
COLUMNS: Final = ("code", "system", "class", "space", "label_fr", "deposit", "note")

_CODE: Final = re.compile(r"[A-Za-z0-9]+([_-][A-Za-z0-9]+)*")
_SYSTEM: Final = re.compile(r"[0-9]+(\.[0-9]+)+|[A-Z]+")
_CLASS: Final = re.compile(r"([0-9]{2}|urn:oid:[0-9.]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentType:
    """A type of document.

    * `system` is the code system of `code`, an OID but for `ASTM`.
    * `class_code` is "" where no published table gives one.
    * `deposit` is False where nobody may deposit the type; `note` says why.
    """

    code: str
    system: str
    class_code: str
    space: str
    label_fr: str
    deposit: bool
    note: str = ""


def read_types(text: str, *, path: str) -> tuple[dict[str, DocumentType], tuple[Mistake, ...]]:
    """Reads the table of types; every mistake is reported."""
    notes = Notes(path)
    types: dict[str, DocumentType] = {}
    header = ",".join(COLUMNS)
    lines = content(text, notes)
    top = next(lines, Cell("", 1, 1))
    if top.text != header:
        notes.at(top, "header", f"not the header: `{top.text}`", f"write `{header}`")
    for line in lines:
        cells = split_quoted(line)
        if len(cells) != len(COLUMNS):
            message = f"{len(cells)} columns, not {len(COLUMNS)}"
            notes.at(line, "type", message, f"write `{header}`, and quotes where one holds a comma")
            continue
        row = {name: cell.text for name, cell in zip(COLUMNS, cells, strict=True)}
        faults = list(_faults(row))
        if row["code"] in types:
            faults.append(("code", f"`{row['code']}` stands twice", "keep one"))
        for name, message, hint in faults:
            notes.at(cells[COLUMNS.index(name)], row["code"] or "type", message, hint)
        if not faults:
            types[row["code"]] = _type_of(row)
    if not types and not len(notes):
        notes.at(top, "file", "no type at all", "write a line a type")
    return types, notes.in_order()


def check_types(
    lines: Iterable[Line], table: Table, types: Mapping[str, DocumentType], *, path: str
) -> tuple[Mistake, ...]:
    """Holds the matrix against the table of types.

    Noted are a type in a space that is not its own, and a line that lets someone deposit a type
    that nobody may deposit.
    """
    notes = Notes(path)
    for line in lines:
        if not isinstance(line, Member) or line.name not in types:
            continue
        own = f"space-{types[line.name].space}"
        if line.group.startswith("space-") and line.group != own:
            message = f"`{line.name}` is not in {line.group}"
            hint = f"the table of types says `{own}`"
            notes.at(Cell("", line.number, line.column), line.grouping, message, hint)
    for (_, code, act), rule in table.rules.items():
        if act == Act.DEPOSIT and rule.effect is Effect.ALLOW and not types[code].deposit:
            message = f"lets someone deposit `{code}`"
            hint = f"the table of types says no: {types[code].note}"
            notes.at(Cell("", rule.number, rule.column), "p", message, hint)
    return notes.in_order()


def _type_of(row: Mapping[str, str]) -> DocumentType:
    return DocumentType(
        code=row["code"],
        system=row["system"],
        class_code=row["class"],
        space=row["space"],
        label_fr=row["label_fr"],
        deposit=row["deposit"] == "yes",
        note=row["note"],
    )


def _faults(row: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """What is wrong in a row: the column, the message, the hint."""
    if not _CODE.fullmatch(row["code"]):
        yield "code", f"not a code: `{row['code']}`", "use letters, digits, single `-` or `_`"
    if not _SYSTEM.fullmatch(row["system"]):
        yield "system", f"not a code system: `{row['system']}`", "write its OID"
    if not _CLASS.fullmatch(row["class"]):
        yield "class", f"not a class: `{row['class']}`", "write two digits, or nothing"
    if row["space"] not in SPACES:
        yield "space", f"unknown space: `{row['space']}`", suggest(row["space"], SPACES)
    if not row["label_fr"]:
        yield "label_fr", "no label", "name the type in French"
    if row["deposit"] not in {"yes", "no"}:
        yield "deposit", f"neither yes nor no: `{row['deposit']}`", "write `yes` or `no`"
    elif row["deposit"] == "yes" and not row["class"]:
        yield "deposit", "a type without a class is not deposited", "write `no`"
    elif (row["deposit"] == "no") != bool(row["note"]):
        yield "note", "a note goes with `no`, and only with it", "say why nobody may deposit it"
