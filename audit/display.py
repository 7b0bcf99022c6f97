"""Shows entries to people. Whatever an entry holds is text here, never markup or control codes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, cast

from rich.table import Table
from rich.text import Text

from audit.reader import Stored

_EFFECTS: Final = {"allow": "bold green", "deny": "bold red"}
_WHO: Final = ("subject.name", "subject.id", "caller")
_COLUMNS: Final = ("#", "time (UTC)", "who", "action", "patient", "effect", "reason")

_LABELS: Final = {
    "id": "decision",
    "kind": "kind",
    "index": "place in the log",
    "at": "instant (UTC)",
    "effect": "effect",
    "reason_code": "reason code",
    "subject.kind": "subject",
    "subject.id": "subject, id",
    "subject.name": "subject, name",
    "subject.profession": "profession",
    "subject.structure": "structure, id",
    "subject.structure_name": "structure, name",
    "subject.authentication": "authentication",
    "caller": "service that asked",
    "action": "action",
    "mode": "access mode",
    "reason.code": "reason given, code",
    "reason.text": "reason given",
    "patient": "patient",
    "patient_seq": "entry of this patient",
    "patient_prev": "patient's previous entry",
    "document.id": "document",
    "document.type": "document, type",
    "document.class": "document, class",
    "document.space": "document, space",
    "target.id": "aimed at, id",
    "target.kind": "aimed at",
    "target.profession": "aimed at, profession",
    "about": "about the decision",
    "origin.author_structure": "origin, structure",
    "origin.authors": "origin, authors",
    "origin.system": "origin, system",
    "rules": "deciding rules",
    "obligations": "obligations",
    "remarks": "remarks",
    "bundle": "policies (bundle)",
    "revision": "registry revision",
    "call": "call",
    "trace_id": "trace",
    "salt": "salt",
    "v": "format",
}


def rows(stored: Iterable[Stored], *, header: bool = True) -> Table:
    """One line an entry: when, who, what, about whom, decided how and why."""
    table = Table(box=None, show_header=header, pad_edge=False)
    for name, width in zip(_COLUMNS, (6, 23, 20, 20, 22, 6, 12), strict=True):
        table.add_column(name, min_width=width, overflow="fold")
    for one in stored:
        fields = dict(_fields("", one.entry))
        action = fields.get("action") or fields.get("kind", "")
        mode = fields.get("mode", "normal")
        table.add_row(
            str(one.index),
            _plain(fields.get("at", "")[:23].replace("T", " ")),
            _plain(next((fields[path] for path in _WHO if fields.get(path)), "")),
            _plain(action if mode in ("", "normal") else f"{action} ({mode})"),
            _plain(fields.get("patient", "")),
            _effect(fields.get("effect", "")),
            _plain(fields.get("reason_code", "")),
        )
    return table


def sheet(stored: Stored, vocabulary: Sequence[Mapping[str, object]] | None) -> Table:
    """All fields of one entry, a line each.

    Args:
        stored: the entry.
        vocabulary: the facts of its bundle in their order; None when the bundle is not known.
    """
    entry = stored.entry
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", min_width=24)
    table.add_column(overflow="fold")
    table.add_row("log", _plain(stored.origin))
    fields = dict(_fields("", {k: v for k, v in entry.items() if k != "facts"}))
    for path in [*(p for p in _LABELS if p in fields), *(p for p in fields if p not in _LABELS)]:
        value = fields[path]
        shown = _effect(value) if path == "effect" else _plain(value or "none")
        table.add_row(_plain(_LABELS.get(path, path)), shown)
    facts: object = entry.get("facts")
    if isinstance(facts, list):
        table.add_row("facts", "" if vocabulary else "numbered: their bundle is not known here")
        for name, value in named_facts(facts, vocabulary or ()):
            table.add_row(_plain("  " + name), _plain(value or "none"))
    return table


def named_facts(
    facts: Sequence[object], vocabulary: Sequence[Mapping[str, object]]
) -> Iterator[tuple[str, str]]:
    """The vector of facts in words; what the vocabulary does not tell stays a number."""
    for place, value in enumerate(facts):
        fact = vocabulary[place] if place < len(vocabulary) else {}
        yield str(fact.get("name", f"[{place}]")), _words(fact, value)


def _words(fact: Mapping[str, object], value: object) -> str:
    values = [str(v) for v in cast("Iterable[object]", fact.get("values") or ())]
    if not isinstance(value, int) or not fact:
        return _joined(value)
    if fact.get("type") == "choice":
        return values[value] if 0 <= value < len(values) else f"unknown value {value}"
    names = [values[i] if i < len(values) else f"unknown bit {i}" for i in _bits(value)]
    return _joined(names)


def _bits(mask: int) -> Iterator[int]:
    return (bit for bit in range(mask.bit_length()) if mask >> bit & 1)


def _fields(path: str, value: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        inner = f"{path}.{key}" if path else key
        if isinstance(item, dict):
            yield from _fields(inner, item)
        else:
            yield inner, _joined(item)


def _joined(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _effect(effect: str) -> Text:
    return Text(_printable(effect.upper()), style=_EFFECTS.get(effect, ""))


def _plain(text: str) -> Text:
    return Text(_printable(text))


def _printable(text: str) -> str:
    """Control and direction characters are written out: an entry cannot paint over another one."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
