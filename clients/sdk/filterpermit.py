"""The permit to list: a list is an access, and every document on it may bring something to do."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from clients.sdk.condition import Admission, Condition
from clients.sdk.permit import UNSUPPORTED, Permit
from clients.sdk.values import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which terms a condition can be kept.

    Attributes:
        condition: what is left of it.
        more: what the documents that meet it may bring.
        lacking: what nobody can carry out, when nothing is left because of it.
    """

    condition: Condition
    more: tuple[str, ...]
    lacking: tuple[str, ...]


def terms_of(condition: Condition, able: Collection[str]) -> Terms:
    """The terms for those who can carry out these obligations, and no others.

    A document that brings another one would be denied to them by itself, so it is here: the clause that
    brings it becomes one of `deny`.
    """
    lost = [clause for clause in condition.allow if not set(clause.obligations) <= set(able)]
    left = Condition(
        allow=tuple(clause for clause in condition.allow if clause not in lost),
        deny=(
            *condition.deny,
            *(replace(clause, reason_code=UNSUPPORTED, obligations=()) for clause in lost),
        ),
    )
    lacking = (name for clause in lost for name in clause.obligations if name not in able)
    return Terms(
        condition=left,
        more=left.obligations,
        lacking=() if left.is_open else tuple(dict.fromkeys(lacking)),
    )


class FilterPermit(Permit):
    """Yes, to those documents that meet the condition.

        with client.require_filter(doctor, "document.list", ins, supports={"mark_obsolete"}) as permit:
            rows = store.find(permit.condition)  # as a query of the store
            admitted = permit.admit(map(label, rows))  # what is due for each
            page = render(rows, admitted)
            permit.fulfil("mark_obsolete")

    Until `admit` is told which documents are shown, all that any of them may bring is pending.

    Attributes:
        condition: which documents may be shown; what would bring obligations that nobody here can
            carry out is not among them.
    """

    __slots__ = ("_brought", "_told", "condition")

    def __init__(self, permit: Permit, condition: Condition) -> None:
        """Takes the place of a permit in which what the documents may bring is pending, too."""
        super().__init__(permit.query, permit.decision, permit.pending)
        permit.drop()
        self.condition = condition
        self._brought = frozenset(self._pending) - frozenset(self.decision.obligations)
        self._told = False

    def admit(self, documents: Iterable[Document]) -> tuple[Admission | None, ...]:
        """What is due for each document that is about to be shown, by position; None if it may not be.

        From then on pending is what these bring, beside what is due whichever they are. Tell of more
        documents as they come, such as those of the next page: what they bring is pending again.

        Raises:
            InvalidError: one is no label.
        """
        admissions = tuple(map(self.condition.admits, documents))
        due = {name for one in admissions if one for name in one.obligations} & self._brought
        unsure = frozenset() if self._told else self._brought
        left = (name for name in self._pending if name not in unsure)
        self._told = True
        self._pending = tuple(dict.fromkeys((*left, *sorted(due))))
        return admissions
