"""A condition, said in the form that a database answers fastest. Pure.

* Nearly every rule about reading makes an exception for authors. Which documents someone wrote is known at
  once, from an index; to ask it of each document would cost more than all else that is asked. So a list is
  made of two: one's own documents and those of others, each under what is left of the condition there.
* Several rules ask the type, each with its own list of codes. One list says the same.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from clients.sdk.condition import Clause, Condition, LabelField, Test

_ONE_VALUE: Final = (LabelField.TYPE, LabelField.AUTHOR_STRUCTURE, LabelField.STATUS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parted:
    """A condition as it stands for documents of these authors, and for all others.

    Together they say what the condition says. Where it asks nothing of authors, there is no `authors`.
    """

    authors: tuple[str, ...]
    own: Condition
    others: Condition


def part(condition: Condition) -> Parted:
    """Takes a condition apart by the authors that it asks for most."""
    asked = Counter(
        test.values
        for clause in (*condition.allow, *condition.deny)
        for test in clause.tests
        if _is_of(test)
    )
    if not asked:
        return Parted(authors=(), own=Condition(), others=condition)
    ((authors, _),) = asked.most_common(1)
    own, others = (_assuming(condition, authors, written=written) for written in (True, False))
    return Parted(authors=authors, own=own, others=others)


def merge(clauses: Iterable[Clause]) -> tuple[Clause, ...]:
    """Clauses of which one holds exactly when one of these does, with fewer lists of values.

    Clauses that ask one field with one value, and nothing else, become one. They have no rule any more.
    """
    single: dict[str, list[Test]] = {}
    others: list[Clause] = []
    for clause in clauses:
        if len(clause.tests) == 1 and clause.tests[0].field in _ONE_VALUE:
            single.setdefault(clause.tests[0].field, []).append(clause.tests[0])
        else:
            others.append(clause)
    return (*others, *(Clause(tests=(_either(tests),)) for tests in single.values()))


def _either(tests: Iterable[Test]) -> Test:
    """The test that passes when one of these does; all are of one field, with one value."""
    has: set[str] = set()
    lacks: set[str] | None = None
    field = LabelField.TYPE
    for test in tests:
        field = test.field
        if test.negated:
            lacks = set(test.values) if lacks is None else lacks & set(test.values)
        else:
            has |= set(test.values)
    if lacks is None:
        return Test(field=field, values=tuple(sorted(has)))
    return Test(field=field, values=tuple(sorted(lacks - has)), negated=True)


def _assuming(condition: Condition, authors: tuple[str, ...], *, written: bool) -> Condition:
    """What is left of a condition once it is known whether one of these is an author."""

    def rest(clauses: Iterable[Clause]) -> Iterator[Clause]:
        for clause in clauses:
            known = [test for test in clause.tests if _is_of(test) and test.values == authors]
            if all(test.negated is not written for test in known):
                left = tuple(test for test in clause.tests if test not in known)
                yield replace(clause, tests=left)

    return Condition(allow=tuple(rest(condition.allow)), deny=tuple(rest(condition.deny)))


def _is_of(test: Test) -> bool:
    return test.field == LabelField.AUTHORS and bool(test.values)
