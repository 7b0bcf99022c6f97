"""Finds entries in the index: which ones meet a filter, in a stable order, page by page.

The index knows persons by numbers only, and two may share one: what is found is compared with the filter
again before it is shown (`audit.office.queries`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Join,
    Row,
    Select,
    and_,
    false,
    func,
    literal,
    literal_column,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.sql.operators import custom_op

from audit.office.cursor import Position
from audit.office.filters import MODES, Filter
from audit.office.gained import EMERGENCIES, micros
from audit.office.handles import Handles
from audit.office.tables import entries, positions, shapes, words

_e, _s = entries.c, shapes.c
_PLACE: Final = (_e.at, _e.log, _e.place)
_NONE: Final[ColumnElement[int]] = literal_column("0")
_PERSONS: Final = ("document", "patient", "subject", "structure")
"""Columns of numbers that stand for somebody, the one that leaves fewest entries first."""

Words = Mapping[str, set[int]]
"""Of columns that are words, by name, the numbers of the words that are wanted."""

_NEXT: Final = 10_000
"""Entries that are looked through one after the other before each shape is asked for its own: some 5 ms."""


class _InOrder(Join):
    """A join that SQLite makes in the order in which it is written: it would rather look at all entries."""

    inherit_cache = True


@compiles(_InOrder, "sqlite")
def _cross(join: Join, compiler: SQLCompiler, **how: Any) -> str:  # noqa: ANN401 - as SQLAlchemy hands it on
    # The linter of cartesian products knows nothing of this join, so it need not know its sides.
    how["from_linter"] = None
    parts = (compiler.process(one, **{**how, "asfrom": True}) for one in (join.left, join.right))
    condition = compiler.process(join.onclause, **how) if join.onclause is not None else "1"
    return f"{' CROSS JOIN '.join(parts)} ON {condition}"


class _Order:
    """The order of the entries, and how many of them are wanted."""

    def __init__(self, *, ascending: bool, size: int) -> None:
        self._ascending = ascending
        self._size = size

    def of(self, conditions: Iterable[ColumnElement[bool]]) -> Select[Any]:
        """The first entries that meet the conditions."""
        return self._first(select(*_PLACE).where(*conditions), entries)

    def by(
        self, column: str, numbers: Sequence[int], conditions: Sequence[ColumnElement[bool]]
    ) -> Select[Any]:
        """The first entries with one of these numbers; each of them is one stretch of an index."""
        parts = [self.of([_e[column] == number, *conditions]) for number in numbers]
        if len(parts) == 1:
            return parts[0]
        found = union_all(*(select(part.subquery()) for part in parts)).subquery("found")
        return self._first(select(found), found)

    def among_next(self, words: Words, conditions: Iterable[ColumnElement[bool]]) -> Select[Any]:
        """Those with these words among the next entries of any."""
        some = select(*_PLACE, *(_e[name] for name in words)).where(*conditions)
        there = some.order_by(*self._way(entries)).limit(_NEXT).subquery("there")
        wanted = select(*(there.c[one.name] for one in _PLACE)).where(*_with(there, words))
        return self._first(wanted, there)

    def by_shapes(
        self, words: Words, conditions: Iterable[ColumnElement[bool]], dialect: str
    ) -> Select[Any]:
        """The first entries of each shape with these words, and of these the first."""
        each = self._first(select(*_PLACE).where(_e.shape == _s.number, *conditions), entries)
        each = each.correlate(shapes)
        wanted = and_(true(), *_with(shapes, words))
        if dialect == "postgresql":
            first = each.lateral("first")
            joined = select(first).select_from(shapes).join(first, true()).where(wanted)
            return self._first(joined, first)
        # SQLite has no LATERAL: the places of the first ones, and what stands there.
        there = entries.alias("there")
        at_place = tuple_(*(there.c[one.name] for one in _PLACE)).in_(each)
        columns = [there.c[one.name] for one in _PLACE]
        joined = select(*columns).select_from(_InOrder(shapes, there, at_place)).where(wanted)
        return self._first(joined, there)

    def behind(self, after: Position) -> ColumnElement[bool]:
        """What comes behind an entry; said again of the first column, which is where an index can begin."""
        here, there = tuple_(*_PLACE), tuple_(*map(literal, after))
        if self._ascending:
            return and_(here > there, _e.at >= after.at)
        return and_(here < there, _e.at <= after.at)

    def _first(self, query: Select[Any], of: FromClause) -> Select[Any]:
        return query.order_by(*self._way(of)).limit(self._size)

    def _way(self, of: FromClause) -> list[ColumnElement[Any]]:
        columns = [of.c[one.name] for one in _PLACE]
        return list(columns) if self._ascending else [column.desc() for column in columns]


class Question:
    """A filter as the index of this moment understands it."""

    def __init__(self, conn: Connection, asked: Filter, handles: Handles) -> None:
        """Looks up the numbers of what is asked.

        Args:
            conn: the index.
            asked: what is wanted.
            handles: the numbers of persons, structures and documents.
        """
        self._conn = conn
        self._dialect = conn.dialect.name
        logs = conn.execute(select(positions)).all()
        self._origins = {row.log: row.origin for row in logs}
        self._ends = {row.origin: row.next_index for row in logs}
        self._persons = dict(_persons(asked, handles))
        self._words = dict(_words(conn, asked))
        self._asked = asked
        self._logs = {log for log, origin in self._origins.items() if origin in asked.logs}

    @property
    def origins(self) -> dict[int, str]:
        """The logs by their numbers."""
        return self._origins

    @property
    def ends(self) -> dict[str, int]:
        """The index behind the last entry that was taken in, by log."""
        return self._ends

    @property
    def empty(self) -> bool:
        """Whether no entry can meet it, for the index knows no such thing."""
        return not all(self._words.values()) or bool(self._asked.logs and not self._logs)

    def page(
        self, *, size: int, after: Position | None = None, ascending: bool = False
    ) -> Sequence[Row[Any]]:
        """The next entries, by instant, log and index.

        Args:
            size: how many at most.
            after: behind which entry; None at the beginning.
            ascending: the earliest first.
        """
        if self.empty:
            return []
        driving, others = self._apart()
        order = _Order(ascending=ascending, size=size)
        if after is not None:
            others.append(order.behind(after))
        if driving in _PERSONS:
            numbers = sorted(self._persons[driving])
            return self._conn.execute(order.by(driving, numbers, others)).all()
        if driving is None:
            return self._conn.execute(order.of(others)).all()
        # What is frequent is found among the next entries; what is not has few entries of each shape.
        rows = self._conn.execute(order.among_next(self._words, others)).all()
        if len(rows) == size:
            return rows
        return self._conn.execute(order.by_shapes(self._words, others, self._dialect)).all()

    def behind(self, log: int, index: int, *, size: int) -> Sequence[Row[Any]]:
        """The entries of one log from an index on, in its order."""
        _, others = self._apart(driven=False)
        wanted: Select[Any] = select(*_PLACE).where(_e.log == log, _e.place >= index, *others)
        return self._conn.execute(wanted.order_by(_e.place).limit(size)).all()

    def condition(self) -> ColumnElement[bool]:
        """The whole of it, for counting."""
        driving, others = self._apart()
        if driving in _PERSONS:
            return and_(self._within(_e[driving], self._persons[driving]), *others)
        if driving is not None:
            wanted = select(_s.number).where(*_with(shapes, self._words))
            return and_(_e.shape.in_(wanted), *others)
        return and_(true(), *others)

    def _apart(self, *, driven: bool = True) -> tuple[str | None, list[ColumnElement[bool]]]:
        """The column whose index is used, and the conditions beside it."""
        if self.empty:
            return None, [false()]
        named = (name for name in _PERSONS if name in self._persons and driven)
        driving: str | None = next(named, None)
        if driving is None and driven and self._words:
            driving = "shape"
        others = [
            self._within(self._passive(_e[name]), numbers)
            for name, numbers in self._persons.items()
            if name != driving
        ]
        if driving in _PERSONS:  # such an index is used where its own condition is said
            others.append(_e[driving] != _NONE)
        if driving != "shape":
            others += _with(entries, self._words)
        if self._logs:
            others.append(self._within(self._passive(_e.log), self._logs))
        return driving, [*others, *self._period()]

    def _period(self) -> Iterator[ColumnElement[bool]]:
        if self._asked.since is not None:
            yield _e.at >= micros(self._asked.since)
        if self._asked.until is not None:
            yield _e.at < micros(self._asked.until)

    def _passive(self, column: ColumnElement[int]) -> ColumnElement[int]:
        """A column that is compared without an index of its own: SQLite has no statistics to choose by."""
        if self._dialect != "sqlite":
            return column
        return UnaryExpression(column, operator=custom_op("+"), type_=column.type)

    @staticmethod
    def _within(column: ColumnElement[int], numbers: Iterable[int]) -> ColumnElement[bool]:
        first, *more = sorted(numbers)
        return column.in_([first, *more]) if more else column == first


_WORDS: Final = (
    ("actions", "action"),
    ("reason_codes", "reason"),
    ("callers", "caller"),
    ("kinds", "kind"),
)


def _persons(asked: Filter, handles: Handles) -> Iterator[tuple[str, set[int]]]:
    """What is asked of the columns that stand for somebody, as the numbers that stand there."""
    of: Sequence[tuple[str, Sequence[str], Callable[[str], int]]] = (
        ("patient", [asked.patient] if asked.patient else [], handles.person),
        ("subject", asked.subjects, handles.person),
        ("structure", asked.structures, handles.structure),
        ("document", asked.documents, handles.document),
    )
    for column, values, number in of:
        if values:
            yield column, set(map(number, values))


def _with(of: FromClause, words: Words) -> list[ColumnElement[bool]]:
    """Conditions on the columns of words, which have no index of their own."""
    return [of.c[name].in_(sorted(numbers)) for name, numbers in words.items()]


def _words(conn: Connection, asked: Filter) -> Iterator[tuple[str, set[int]]]:
    """What is asked of the columns that are words, as the numbers of these."""
    for field, column in _WORDS:
        if values := getattr(asked, field):
            yield column, _known(conn, words.c.text.in_(values))
    if asked.modes or asked.emergency:
        modes = set(asked.modes or MODES) & set(EMERGENCIES if asked.emergency else MODES)
        yield "mode", _known(conn, words.c.text.in_(modes))
    if asked.effect:
        yield "effect", _known(conn, words.c.text == asked.effect)
    if asked.bundle:
        begins = func.substr(words.c.text, 1, len(asked.bundle)) == asked.bundle
        yield "bundle", _known(conn, begins)
    if asked.rules:
        sets = conn.execute(select(words).where(words.c.text.startswith(" ")))
        wanted = set(asked.rules)
        yield "rules", {row.number for row in sets if not wanted.isdisjoint(row.text.split(" "))}


def _known(conn: Connection, condition: ColumnElement[bool]) -> set[int]:
    return set(conn.execute(select(words.c.number).where(condition)).scalars())
