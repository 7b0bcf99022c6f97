"""Counts entries in the index: how many meet a question, in all and by each value of some facets."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, literal_column, select

from audit.office.gained import instant
from audit.office.places import Place
from audit.office.search import Question
from audit.office.tables import entries, shapes, words

MOST_VALUES: Final = 100

_e = entries.c
_NONE: Final[ColumnElement[int]] = literal_column("0")
_DAY: Final[ColumnElement[int]] = literal_column("86400000000")
"""Microseconds; a day is one of UTC."""
_BY_WORD: Final = {
    **{name: name for name in ("effect", "action", "mode", "caller", "kind", "log")},
    "reason_code": "reason",
    "rule": "rules",
}
_BY_HANDLE: Final = {"structure": _e.structure, "subject": _e.subject}
FACETS: Final = (*_BY_WORD, *_BY_HANDLE, "day")


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """How many entries have a value.

    Attributes:
        text: the value; of a structure or a subject the index knows it not.
        count: of entries.
        place: of an entry that has it, where the index knows the value not; None where there is none.
    """

    text: str
    count: int
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """Values, the most frequent first.

    Attributes:
        name: one of `FACETS`.
        values: at most a hundred.
        others: entries with values beyond these; an entry with several rules counts for each.
    """

    name: str
    values: tuple[Value, ...]
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How many entries meet a question, and by what."""

    total: int
    facets: tuple[Facet, ...]


def count(conn: Connection, question: Question, facets: Sequence[str]) -> Counted:
    """Counts exactly; what is counted by words takes one pass, each other facet one more.

    Args:
        conn: the index.
        question: which entries.
        facets: of `FACETS`, in whatever order.
    """
    if question.empty:
        return Counted(total=0, facets=tuple(Facet(name=n, values=(), others=0) for n in facets))
    named = [name for name in facets if name in _BY_WORD]
    found = {name: _by_one(conn, question, name) for name in facets if name not in named}
    if named or not found:
        total, tallies = _by_words(conn, question, named)
        found |= {name: _facet(name, tally) for name, tally in tallies.items()}
    else:
        total = sum(value.count for value in next(iter(found.values())).values)
        total += next(iter(found.values())).others
    return Counted(total=total, facets=tuple(found[name] for name in facets))


def _by_words(
    conn: Connection, question: Question, named: Sequence[str]
) -> tuple[int, dict[str, Counter[str]]]:
    """All of these facets at once, by shapes, of which there are few."""
    n = func.count().label("n")
    counted = select(n, _e.shape, _e.log).select_from(entries).where(question.condition())
    rows = conn.execute(counted.group_by(_e.shape, _e.log)).all()
    texts: dict[int, str] = {row.number: row.text for row in conn.execute(select(words))}
    known = {row["number"]: row for row in conn.execute(select(shapes)).mappings()}
    tallies: dict[str, Counter[str]] = {name: Counter() for name in named}
    for row in rows:
        for name in named:
            if name == "log":
                tallies[name][question.origins[row.log]] += row.n
                continue
            text = texts[known[row.shape][_BY_WORD[name]]]
            for value in text.split() if name == "rule" else (text,):
                tallies[name][value] += row.n
    return sum(row.n for row in rows), tallies


def _by_one(conn: Connection, question: Question, name: str) -> Facet:
    """A facet of many values, of which the database gives the first ones."""
    by_day = name == "day"
    column = (_e.at - _e.at % _DAY) if by_day else _BY_HANDLE[name]
    n = func.count().label("n")
    groups = select(column.label("value"), n).where(question.condition()).group_by(column)
    each = groups.subquery()
    total = conn.execute(
        select(func.count()).select_from(entries).where(question.condition())
    ).scalar_one()
    first = select(each).order_by(each.c.n.desc(), each.c.value.desc()).limit(MOST_VALUES)
    rows = conn.execute(first).all()
    shown = tuple(
        Value(text=instant(row.value).date().isoformat(), count=row.n)
        if by_day
        else Value(text="", count=row.n, place=_example(conn, question, name, row.value))
        for row in rows
    )
    return Facet(name=name, values=shown, others=total - sum(row.n for row in rows))


def _example(conn: Connection, question: Question, name: str, handle: int) -> Place | None:
    """Where an entry stands that has this number of a structure or a subject."""
    if not handle:
        return None
    column = _BY_HANDLE[name]
    row = conn.execute(
        select(_e.at, _e.log, _e.place).where(column == handle, column != _NONE).limit(1)
    ).first()
    return row and Place(origin=question.origins[row.log], index=row.place, at=row.at)


def _facet(name: str, tally: Counter[str]) -> Facet:
    ordered = sorted(tally.items(), key=lambda one: (-one[1], one[0]))
    return Facet(
        name=name,
        values=tuple(Value(text=text, count=n) for text, n in ordered[:MOST_VALUES]),
        others=sum(n for _, n in ordered[MOST_VALUES:]),
    )
