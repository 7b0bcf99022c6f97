"""A condition over labels, read the slow and obvious way: as whoever is given one would.

It takes the message of the contract and a label as `field: values`, every field a list. It shares no code
with the engine.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, combinations, product

from authz.v1 import authz_pb2 as pb

Label = Mapping[str, Sequence[str]]

CODES = ("N", "MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX")


def shown(condition: pb.Condition, label: Label) -> bool:
    """Whether a clause that allows holds, and none that denies."""
    return any(holds(clause, label) for clause in condition.allow) and not any(
        holds(clause, label) for clause in condition.deny
    )


def due(condition: pb.Condition, label: Label) -> set[str]:
    """The obligations of every clause that lets a label be shown."""
    allowing = (clause for clause in condition.allow if holds(clause, label))
    return {obligation for clause in allowing for obligation in clause.obligations}


def why_not(condition: pb.Condition, label: Label) -> str:
    """The reason of the first clause that denies, "" when none does."""
    return next((c.reason_code for c in condition.deny if holds(c, label)), "")


def holds(clause: pb.Clause, label: Label) -> bool:
    """Whether all tests of a clause do."""
    return all(passes(test, label) for test in clause.tests)


def passes(test: pb.Test, label: Label) -> bool:
    """Whether a field has one of the values, or, negated, none of them."""
    found = [value for value in label[test.field] if value in test.values]
    return found == [] if test.negated else found != []


def label_of(document: pb.Document) -> Label:
    """The label of a document, every field a list."""
    return {
        "type": [document.type],
        "authors": list(document.authors),
        "author_structure": [document.author_structure],
        "visibility": list(document.visibility),
        "status": [document.status],
    }


def every_label(
    types: Sequence[str], authors: Sequence[str], structures: Sequence[str], statuses: Sequence[str]
) -> list[Label]:
    """All labels of these words, with each set of codes, by one of the authors or by nobody."""
    by = [(), *((author,) for author in authors)]
    axes = (types, by, structures, subsets(CODES), statuses)
    return [
        {
            "type": [kind],
            "authors": list(who),
            "author_structure": [where],
            "visibility": list(seen),
            "status": [status],
        }
        for kind, who, where, seen, status in product(*axes)
    ]


def subsets(values: Sequence[str]) -> list[tuple[str, ...]]:
    """All sets of the values, the empty one first."""
    return list(chain.from_iterable(combinations(values, n) for n in range(len(values) + 1)))
