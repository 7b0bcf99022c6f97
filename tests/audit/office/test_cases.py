"""Which emergency accesses make a case, and when it is closed."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from audit.office.cases import closing, opened, stands, weave
from audit.office.handles import Handles
from audit.office.policies import Policies
from audit.office.steps import Access, Review, Standing, State, Told, later, read
from tests.audit.office import emergencies as make
from tests.audit.office.world import KEY

HANDLES = Handles(KEY)
HOUR = 3_600_000_000


def steps(*entries, logs=None):
    """The steps that these entries are."""
    return [read(one, HANDLES) for one in make.in_logs(entries, logs)]


def woven(*entries, logs=None):
    """(accesses, state) of each case."""
    found = steps(*entries, logs=logs)
    reviews = {}
    for one in found:
        if isinstance(one, Review):
            reviews.setdefault(one.about, []).append(one)
    accesses = [one for one in found if isinstance(one, Access)]
    return [(case.accesses, case.state.name.lower()) for case, _ in weave(accesses, reviews)]


def test_first_access_opens_a_case():
    """A break-glass reading is a case that is open."""
    assert woven(make.access()) == [(1, "open")]


def test_later_ones_within_a_day_belong_to_it():
    """What the same professional does for the same patient within 24 hours is one case."""
    assert woven(make.access(), make.access(1), make.access(23.9)) == [(3, "open")]


def test_a_day_later_is_the_next():
    """The window counts from the opening, and its end does not belong to it."""
    assert woven(make.access(), make.access(23), make.access(24)) == [(2, "open"), (1, "open")]


def test_review_closes_it():
    """A review gives the case its verdict."""
    first = make.access()
    assert woven(first, make.review(first, verdict="misuse")) == [(1, "misuse")]


def test_access_behind_a_review_is_another_case():
    """What nobody has seen was not reviewed, even within the window."""
    first = make.access()
    assert woven(first, make.review(first, 1), make.access(2)) == [(1, "justified"), (1, "open")]


def test_clock_that_jumps_back_hides_nothing():
    """An access behind the review in the same log is not covered by it, whatever its instant."""
    first = make.access(2)
    assert woven(first, make.review(first, 3), make.access(2.5)) == [(1, "justified"), (1, "open")]


@pytest.mark.parametrize(
    "spoilt",
    [
        {"effect": "deny"},
        {"target": {"kind": "professional", "id": make.OTHER}},
        {"patient": make.BOB},
        {"subject": {"kind": "auditor", "id": make.DOCTOR}},
        {"subject": {"kind": "auditor", "id": ""}},
        {"subject": {"kind": "auditor", "id": f"\uff18{make.DOCTOR[1:]}"}},
        {"reason": {"code": "perhaps", "text": "who knows"}},
        {"about": make.new_id()},
    ],
)
def test_review_that_does_not_stand_closes_nothing(spoilt):
    """Denied, by the professional concerned, about another, or without verdict: the case stays open."""
    first = make.access()
    assert woven(first, {**make.review(first), **spoilt}) == [(1, "open")]


def test_first_review_counts():
    """Of two reviews the one with the earlier instant counts, whichever is read first."""
    first = make.access()
    early, late = make.review(first, 1, verdict="misuse"), make.review(first, 2)
    assert woven(first, late, early, logs=[1, 2, 3]) == [(1, "misuse")]
    assert woven(first, early, late, logs=[1, 2, 3]) == [(1, "misuse")]


@pytest.mark.parametrize(
    "other",
    [
        {"effect": "deny"},
        {"mode": "normal"},
        {"action": "dossier.find"},
        {"patient": ""},
        {"subject": {"kind": "professional"}},
    ],
)
def test_what_opens_no_case(other):
    """Denied, in normal mode, or neither consulting nor feeding: no case."""
    assert steps({**make.access(), **other}) == [None]


@pytest.mark.parametrize(
    "action",
    ["document.list", "document.read", "dossier.read", "document.deposit", "document.replace"],
)
@pytest.mark.parametrize("mode", ["bris_de_glace", "centre_15"])
def test_what_opens_a_case(action, mode):
    """Consulting and feeding in either mode open one, lists too."""
    (step,) = steps(make.access(action=action, mode=mode))
    assert opened(step, ()).state is State.OPEN


def test_parameters_are_those_of_the_opening():
    """The window and the deadline are read from the policies that the opening names."""
    values = {"emergency.case_window": "PT1H", "emergency.review_within": "P1M"}
    document = {"parameters": [{"name": name, "value": value} for name, value in values.items()]}
    policies = Policies({"parameters.yaml": document}, (), {})
    step = read(make.gained(make.access(), policies=policies), HANDLES)
    assert step.until - step.at == HOUR
    assert step.due - step.at == 30 * 24 * HOUR


def test_unknown_policies_mean_the_defaults():
    """Where policies are not kept, a day and a week."""
    (step,) = steps(make.access())
    assert (step.until - step.at, step.due - step.at) == (24 * HOUR, 7 * 24 * HOUR)


def test_report_names_what_it_carries_out():
    """A report is about one decision and one obligation; another word is none."""
    first = make.access()
    holder, doctor, unknown = steps(
        make.report(first),
        make.report(first, obligation="notify_treating_doctor"),
        make.report(first, obligation="show_mode"),
    )
    assert (holder.done, doctor.done, unknown) == (1, 2, None)


def test_standing_that_was_told():
    """A change of standing is a step; a denied one is none."""
    one, none = steps(make.told("overdue"), make.told("overdue", effect="deny"))
    assert isinstance(one, Told)
    assert (one.standing, none) == (Standing.OVERDUE, None)


def test_malformed_entries_are_no_steps():
    """What names no decision, or no person, is passed over."""
    first = make.access()
    bad = make.review(first), make.report(first), make.told("overdue"), make.told("overdue")
    changes = {"about": "x"}, {"about": ""}, {"target": {}}, {"change": {}}
    assert steps(*({**b, **c} for b, c in zip(bad, changes, strict=True))) == [None] * 4


def test_ties_are_settled_by_the_id():
    """Two reviews of one instant: the smaller id counts, in whatever log it stands."""
    opening, one = steps(first := make.access(), make.review(first))
    two = replace(one, id=bytes(16), log=9, verdict=State.MISUSE)
    assert stands(two, opening)
    assert closing(opening, [one, two]) == closing(opening, [two, one]) == two


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ("PT24H", datetime(2026, 2, 1, 12, tzinfo=UTC)),
        ("P1M", datetime(2026, 2, 28, 12, tzinfo=UTC)),
        ("P1Y2M3DT4H5M6S", datetime(2027, 4, 3, 16, 5, 6, tzinfo=UTC)),
        ("P2W", datetime(2026, 2, 14, 12, tzinfo=UTC)),
        ("P", datetime(2026, 2, 7, 12, tzinfo=UTC)),
        ("P99999Y", datetime(2026, 2, 7, 12, tzinfo=UTC)),
        (7, datetime(2026, 2, 7, 12, tzinfo=UTC)),
        (None, datetime(2026, 2, 7, 12, tzinfo=UTC)),
    ],
)
def test_durations(duration, expected):
    """Durations are counted by the calendar; what is none is the default."""
    assert later(datetime(2026, 1, 31, 12, tzinfo=UTC), duration, "P7D") == expected
