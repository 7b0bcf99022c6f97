"""Which of a patient's documents may be shown, as a condition over their labels. Pure.

It is what remains of the rules once everything but the document is known (`authz.v1.Condition`): turn it into
a query of your store, or ask it label by label. The two must agree.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

from clients.sdk.errors import InvalidError
from clients.sdk.values import Decision, Document

STATUSES: Final = ("approved", "deprecated", "archived", "deleted")
CONFIDENTIALITY: Final = (
    "N",
    "R",
    "V",
    "MASQUE_PS",
    "INVISIBLE_PATIENT",
    "INVISIBLE_REPRESENTANTS_LEGAUX",
)
"""JDV_J08. A label with another code is one that the decision point refuses."""


class LabelField(StrEnum):
    """The field of a label that a test looks at, as it is called in `Document`."""

    TYPE = "type"
    AUTHORS = "authors"
    AUTHOR_STRUCTURE = "author_structure"
    VISIBILITY = "visibility"
    STATUS = "status"


_MANY: Final = (LabelField.AUTHORS, LabelField.VISIBILITY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """Whether a field has one of the values; with `negated`, whether it has none of them."""

    __test__: ClassVar = False  # or test runners would take it for one of theirs

    field: LabelField
    values: tuple[str, ...]
    negated: bool = False

    def passes(self, document: Document) -> bool:
        """Whether a label passes; a field that is left empty has the empty text, or no value."""
        found: str | tuple[str, ...] = getattr(document, self.field)
        held = (found,) if isinstance(found, str) else found
        return any(value in self.values for value in held) is not self.negated


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """What one rule still asks of a label: that it passes all tests. Without tests it always holds.

    Attributes:
        tests: all must pass.
        rule: the rule's uid.
        reason_code: the rule's.
        obligations: due for a label that is admitted and for which this clause of `allow` holds.
    """

    tests: tuple[Test, ...] = ()
    rule: str = ""
    reason_code: str = ""
    obligations: tuple[str, ...] = ()

    def holds(self, document: Document) -> bool:
        """Whether a label passes all tests."""
        return all(test.passes(document) for test in self.tests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Yes, to one label.

    Attributes:
        rules: that allow it.
        reason_codes: theirs, each once.
        obligations: due for this document if it is shown.
    """

    rules: tuple[str, ...]
    reason_codes: tuple[str, ...]
    obligations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """The labels for which one clause of `allow` holds, and none of `deny`."""

    allow: tuple[Clause, ...] = ()
    deny: tuple[Clause, ...] = ()

    def admits(self, document: Document) -> Admission | None:
        """What is due for a label that meets the condition; None when it does not.

        A label that the decision point would refuse as malformed is not admitted: one without id, type or
        status, or with a code that the contract does not know.

        Raises:
            InvalidError: it is no label: a field is of the wrong type.
        """
        _check(document)
        if not _is_stated(document) or any(clause.holds(document) for clause in self.deny):
            return None
        held = [clause for clause in self.allow if clause.holds(document)]
        if not held:
            return None
        return Admission(
            rules=_each(clause.rule for clause in held),
            reason_codes=_each(clause.reason_code for clause in held),
            obligations=_each(_obligations(held)),
        )

    @property
    def obligations(self) -> tuple[str, ...]:
        """All that any document may bring, each once."""
        return _each(_obligations(self.allow))

    @property
    def is_open(self) -> bool:
        """Whether it is not already sure that no label meets it."""
        return bool(self.allow) and all(clause.tests for clause in self.deny)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtered:
    """Which documents may be shown: the condition, and the decision under which it is on record."""

    decision: Decision
    condition: Condition


def _check(document: Document) -> None:
    """A bare text where several are wanted would be read letter by letter, and pass for unmasked."""
    for name in ("id", *LabelField):
        value = getattr(document, name)
        many = name in _MANY
        texts = value if many and isinstance(value, tuple | list) else (value,)
        if many is isinstance(value, str) or not all(isinstance(text, str) for text in texts):
            wanted = "a tuple of texts" if many else "a text"
            raise InvalidError.of(f"document.{name}", f"not {wanted}, but {type(value).__name__}")


def _is_stated(document: Document) -> bool:
    return bool(
        document.id
        and document.type
        and document.status in STATUSES
        and all(code in CONFIDENTIALITY for code in document.visibility)
    )


def _obligations(clauses: Iterable[Clause]) -> Iterator[str]:
    return (name for clause in clauses for name in clause.obligations)


def _each(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
