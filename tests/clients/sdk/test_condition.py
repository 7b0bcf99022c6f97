"""Conditions over labels: what they admit, and what comes with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.sdk import Clause, Condition, Document, InvalidError, LabelField
from clients.sdk import condition as conditions
from clients.sdk.filterpermit import terms_of
from tests.clients.sdk.samples import NOTE

TYPES = ("11488-4", "11502-2")
AUTHORS = ("00B1038575", "899700301015")
CODES = {
    "type": TYPES,
    "authors": AUTHORS,
    "author_structure": ("", "10B0193488"),
    "visibility": conditions.CONFIDENTIALITY[2:5],
    "status": conditions.STATUSES,
}
NAMES = ("mark_obsolete", "notify_holder", "warn")


def check(field, *values, negated=False):
    """A test of a field."""
    return conditions.Test(field=LabelField(field), values=values, negated=negated)


def some(values):
    """A few of these."""
    return st.lists(st.sampled_from(values), max_size=2).map(tuple)


LABELS = st.builds(
    Document,
    id=st.just("d"),
    type=st.sampled_from(TYPES),
    authors=some(AUTHORS),
    author_structure=st.sampled_from(CODES["author_structure"]),
    visibility=some(CODES["visibility"]),
    status=st.sampled_from(conditions.STATUSES),
)
TESTS = st.sampled_from(LabelField).flatmap(
    lambda field: st.builds(
        conditions.Test, field=st.just(field), values=some(CODES[field]), negated=st.booleans()
    )
)
CLAUSES = st.builds(
    Clause,
    tests=st.lists(TESTS, max_size=2).map(tuple),
    rule=st.sampled_from(["a", "b"]),
    obligations=some(NAMES),
)
CONDITIONS = st.builds(
    Condition,
    allow=st.lists(CLAUSES, max_size=3).map(tuple),
    deny=st.lists(CLAUSES, max_size=2).map(tuple),
)


def obligations(condition, label):
    """What the contract says that a label brings; None when it does not meet the condition."""

    def passes(test):
        found = getattr(label, test.field)
        values = [found] if test.field in ("type", "author_structure", "status") else found
        common = set(values) & set(test.values)
        return not common if test.negated else bool(common)

    def holds(clause):
        return all(map(passes, clause.tests))

    if any(holds(clause) for clause in condition.deny):
        return None
    held = [clause for clause in condition.allow if holds(clause)]
    return {name for clause in held for name in clause.obligations} if held else None


@given(CONDITIONS, LABELS)
def test_as_the_contract_says(condition, label):
    """A label is admitted when a clause of allow holds and none of deny; each that holds brings its own."""
    admission = condition.admits(label)

    expected = obligations(condition, label)
    assert expected == (None if admission is None else set(admission.obligations))


@given(CONDITIONS, LABELS, st.sets(st.sampled_from(NAMES)))
def test_terms_that_can_be_kept(condition, label, able):
    """Left is exactly what whoever can carry out these obligations could be shown one by one."""
    due = obligations(condition, label)
    expected = due if due is not None and due <= able else None

    terms = terms_of(condition, able)
    admission = terms.condition.admits(label)

    assert expected == (None if admission is None else set(admission.obligations))
    assert set(terms.more) <= able
    assert not set(terms.lacking) & able
    assert not (terms.lacking and admission)


def test_nothing_is_admitted_by_nothing():
    """A condition without clauses admits no label."""
    assert Condition().admits(NOTE) is None
    assert not Condition().is_open


def test_clause_without_tests():
    """A clause without tests holds for every label."""
    everything = Condition(allow=(Clause(rule="all", reason_code="AUTHORISED"),))

    admission = everything.admits(NOTE)

    assert (admission.rules, admission.reason_codes) == (("all",), ("AUTHORISED",))
    assert admission.obligations == ()
    assert Condition(allow=everything.allow, deny=(Clause(),)).admits(NOTE) is None


def test_obligations_of_all_clauses_that_hold():
    """A label for which several clauses hold brings what each of them does, each once."""
    condition = Condition(
        allow=(
            Clause(rule="read", obligations=("notify_holder",)),
            Clause(tests=(check("status", "approved"),), rule="b", obligations=("warn",)),
            Clause(tests=(check("status", "archived"),), rule="c", obligations=("other",)),
            Clause(tests=(check("authors", NOTE.authors[0]),), rule="d", obligations=("warn",)),
        )
    )

    admission = condition.admits(NOTE)

    assert admission.rules == ("read", "b", "d")
    assert admission.obligations == ("notify_holder", "warn")
    assert condition.obligations == ("notify_holder", "warn", "other")


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"type": ""},
        {"status": ""},
        {"status": "approve"},
        {"visibility": ("N", "masque_ps")},
        {"visibility": ("",)},
    ],
    ids=str,
)
def test_label_that_no_check_would_take(changes):
    """A label that the decision point would refuse as malformed meets no condition."""
    label = Document(**{"id": "d", "type": "t", "status": "approved", **changes})

    assert Condition(allow=(Clause(),)).admits(label) is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"visibility": "MASQUE_PS"}, "document.visibility"),
        ({"authors": None}, "document.authors"),
        ({"authors": (1,)}, "document.authors"),
        ({"status": ("approved",)}, "document.status"),
        ({"id": 5}, "document.id"),
    ],
    ids=str,
)
def test_no_label(changes, field):
    """A bare text where several are wanted is refused, not read letter by letter."""
    label = Document(**{"id": "d", "type": "t", "status": "approved", **changes})
    unmasked = Condition(allow=(Clause(tests=(check("visibility", "MASQUE_PS", negated=True),)),))

    with pytest.raises(InvalidError) as caught:
        unmasked.admits(label)

    assert [field] == [violation.field for violation in caught.value.violations]
