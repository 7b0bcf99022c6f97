"""Shows entries to people. Whatever an entry holds is text here, never markup or control codes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, cast

from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection

from audit.erased import Purges
from audit.reader import Erased, Stored
from audit.retention import RETENTION, Purge

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


Fates = Mapping[int, Purge]
"""Of erased entries, by the place of the purge that says so."""


def fates(conn: Connection, found: Iterable[Stored]) -> Fates:
    """What is to be told of those that are erased.

    Raises:
        LogDamagedError: the log of retention can't be read.
    """
    return Purges(conn).known() if any(one.erased is not None for one in found) else {}


def fate(erased: Erased, known: Fates) -> str:
    """What happened to an entry that is erased, in words."""
    told = known.get(erased.purge)
    return "erased, and no purge says so" if told is None else str(told)


def left(stored: Stored, known: Fates) -> dict[str, object]:
    """What is left of an erased entry, for machines; its keys are none of an entry's but two."""
    assert stored.erased is not None  # noqa: S101 - the caller has looked
    purge = known.get(stored.erased.purge)
    return {
        "log": stored.origin,
        "index": stored.index,
        "at": stored.erased.at,
        "commitment": stored.commitment.hex(),
        "erased": {
            "at": purge.at if purge else "",
            "retention": purge.retention if purge else "",
            "purge": stored.erased.purge,
        },
    }


def rows(stored: Iterable[Stored], *, header: bool = True, known: Fates | None = None) -> Table:
    """One line an entry: when, who, what, about whom, decided how and why; or that it is erased."""
    table = Table(box=None, show_header=header, pad_edge=False)
    for name, width in zip(_COLUMNS, (6, 23, 20, 20, 22, 6, 12), strict=True):
        table.add_column(name, min_width=width, overflow="fold")
    for one in stored:
        if one.erased is not None:
            at, told = _plain(_short(one.erased.at)), _plain(fate(one.erased, known or {}))
            table.add_row(str(one.index), at, told)
            continue
        fields = dict(_fields("", one.entry))
        action = fields.get("action") or fields.get("kind", "")
        mode = fields.get("mode", "normal")
        table.add_row(
            str(one.index),
            _plain(_short(fields.get("at", ""))),
            _plain(next((fields[path] for path in _WHO if fields.get(path)), "")),
            _plain(action if mode in ("", "normal") else f"{action} ({mode})"),
            _plain(fields.get("patient", "")),
            _effect(fields.get("effect", "")),
            _plain(fields.get("reason_code", "")),
        )
    return table


def sheet(
    stored: Stored,
    vocabulary: Sequence[Mapping[str, object]] | None,
    known: Fates | None = None,
) -> Table:
    """All fields of one entry, a line each; or what is left of it.

    Args:
        stored: the entry.
        vocabulary: the facts of its bundle in their order; None when the bundle is not known.
        known: from `fates`.
    """
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", min_width=24)
    table.add_column(overflow="fold")
    table.add_row("log", _plain(stored.origin))
    if stored.erased is not None:
        table.add_row(_LABELS["index"], str(stored.index))
        table.add_row(_LABELS["at"], _plain(stored.erased.at))
        table.add_row("what happened to it", _plain(fate(stored.erased, known or {})))
        table.add_row("said by", f"entry {stored.erased.purge} of log `{RETENTION}`")
        table.add_row("commitment", stored.commitment.hex())
        return table
    entry = stored.entry
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


def _short(at: str) -> str:
    return at[:23].replace("T", " ")


def _joined(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _effect(effect: str) -> Text:
    return Text(_printable(effect.upper()), style=_EFFECTS.get(effect, ""))


def _plain(text: str) -> Text:
    return Text(_printable(text))


def _printable(text: str) -> str:
    """Control and direction characters are written out: an entry cannot paint over another one."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
