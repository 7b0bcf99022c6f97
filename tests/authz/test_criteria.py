"""Criteria for labels combine as the sets of labels that meet them do."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from authz import criteria
from authz.criteria import EVERYTHING, Criterion, both, has, has_none, implies, meets, possible
from authz.query import Document
from tests.reference.filter import subsets

WORDS = ("a", "b", "c")
UNKNOWN = "else"
SINGLE = ("type", "author_structure", "status")
SEVERAL = ("authors", "visibility")
FEW = ("type", "authors", "visibility")  # each kind of field, and one beside another

CRITERION = st.builds(
    Criterion,
    st.sampled_from(FEW),
    st.booleans(),
    st.frozensets(st.sampled_from(WORDS), min_size=1),
)
CRITERIA = st.lists(CRITERION, max_size=3).map(
    lambda parts: joined(*(frozenset({part}) for part in parts)) or EVERYTHING
)

EVERY_LABEL = [
    Document(id="d", type=kind, authors=who, visibility=seen)
    for kind, who, seen in product(("", *WORDS, UNKNOWN), *[subsets((*WORDS, UNKNOWN))] * 2)
]


def joined(*parts):
    """All of them together, None when they contradict each other."""
    found = EVERYTHING
    for part in parts:
        found = None if found is None else both(found, part)
    return found


def labels(*parts):
    """The labels that meet all of them."""
    return [one for one in EVERY_LABEL if all(meets(part, one) for part in parts)]


@settings(max_examples=200, deadline=None)
@given(CRITERIA, CRITERIA)
def test_both(left, right):
    """Both hold for the labels for which each does; where there is none, they contradict each other."""
    together = both(left, right)

    expected = labels(left, right)
    assert (together is None) == (expected == [])
    assert expected == ([] if together is None else labels(together))


@settings(max_examples=200, deadline=None)
@given(CRITERIA, CRITERIA)
def test_implies(left, right):
    """One implies the other when every label that meets it meets the other."""
    expected = all(meets(right, one) for one in labels(left))

    assert expected == implies(left, right)


@settings(max_examples=200, deadline=None)
@given(CRITERIA, st.lists(CRITERIA, max_size=4))
def test_possible(wanted, unwanted):
    """Something is possible when some label is wanted and by nothing unwanted."""
    expected = any(not any(meets(part, one) for part in unwanted) for one in labels(wanted))

    assert expected == possible(wanted, unwanted)


@settings(max_examples=100, deadline=None)
@given(CRITERION)
def test_opposite(criterion):
    """A label meets a criterion or its opposite, never both."""
    assert all(criterion.meets(one) is not criterion.opposite.meets(one) for one in EVERY_LABEL)


def test_an_empty_field_has_no_value():
    """What is empty has none of any values, and not one of any."""
    empty = Document(id="d", type="")

    for field in (*SINGLE, *SEVERAL):
        assert meets(has_none(field, WORDS), empty)
        assert not meets(has(field, WORDS), empty)


def test_none_of_nothing_is_everything():
    """Where nothing is unwanted, nothing is asked."""
    assert has_none("type", ()) == EVERYTHING


def test_what_is_too_much_to_find_out_is_taken_for_possible(monkeypatch):
    """Where it would take too long to see that nothing can be so, it is taken for possible."""
    wanted = has("type", "a")
    unwanted = [has("type", "a") | has("authors", "a"), has("type", "a") | has_none("authors", "a")]
    assert not possible(wanted, unwanted)

    monkeypatch.setattr(criteria, "_MAX_TRIES", 1)

    assert possible(wanted, unwanted)
