"""The questions that rules ask about a patient."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from authz.registry.changes import (
    AddRepresentative,
    GrantAuthorisation,
    SetBlock,
)
from authz.registry.state import (
    Authorisation,
    AuthorisationState,
    Consents,
    DossierStatus,
    unknown,
)
from tests.authz.registry.samples import (
    CHILD,
    DAY,
    DOCTOR,
    HOSPITAL,
    NOW,
    NURSE,
    PATIENT,
    PERSON,
    STRUCTURE,
    after,
    opened,
)

NONE, VALID, EXPIRED, FORBIDDEN = AuthorisationState
YEAR_LATER = NOW.replace(year=2027)


def test_unknown_patient_permits_nothing():
    """A patient without dossier has no consent, no authorisation and no age."""
    state = unknown(PATIENT)

    assert state.status is DossierStatus.NONE
    assert state.consents == Consents(
        samu=False, break_glass=False, masked_in_emergency=False, feeding=False
    )
    assert state.authorisation_of(DOCTOR, HOSPITAL, NOW) is NONE
    assert state.is_minor(NOW, 18) is None


def test_default_consents_are_those_of_the_deck():
    """The consent screen proposes yes to both emergencies and no to masked documents."""
    expected = Consents(samu=True, break_glass=True, masked_in_emergency=False, feeding=True)

    assert expected == Consents()


def test_lists_are_sorted():
    """Two states with the same entries in another order are equal."""
    state = opened(
        GrantAuthorisation(grantee=DOCTOR, kind=PERSON),
        GrantAuthorisation(grantee=NURSE, kind=PERSON),
    )

    turned = replace(state, authorisations=state.authorisations[::-1])

    assert state == turned


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (NOW, VALID),
        (YEAR_LATER - timedelta(microseconds=1), VALID),
        (YEAR_LATER, EXPIRED),
        (YEAR_LATER + DAY, EXPIRED),
        (YEAR_LATER.astimezone(timezone(timedelta(hours=11))), EXPIRED),
        (NOW - DAY, VALID),
    ],
)
def test_expiry_is_exact(at, expected):
    """An authorisation is valid up to the microsecond before its expiry, in any time zone."""
    state = opened(GrantAuthorisation(grantee=DOCTOR, kind=PERSON))

    assert expected is state.authorisation_of(DOCTOR, None, at)


def test_leap_day_authorisation_ends_on_28_february():
    """An authorisation of 29 February ends on 28 February of the next year."""
    leap = datetime(2028, 2, 29, 12, tzinfo=UTC)
    state = opened(GrantAuthorisation(grantee=DOCTOR, kind=PERSON), at=leap)
    end = datetime(2029, 2, 28, 12, tzinfo=UTC)

    assert state.authorisation_of(DOCTOR, None, end - timedelta(seconds=1)) is VALID
    assert state.authorisation_of(DOCTOR, None, end) is EXPIRED


@pytest.mark.parametrize(
    ("professional", "structure", "expected"),
    [
        (DOCTOR, None, NONE),
        (DOCTOR, HOSPITAL, VALID),
        (NURSE, HOSPITAL, VALID),
        (None, HOSPITAL, VALID),
        (None, None, NONE),
        (HOSPITAL, None, NONE),
        (None, DOCTOR, NONE),
        ("", "", NONE),
    ],
)
def test_structure_covers_its_members(professional, structure, expected):
    """Who works for an authorised structure is authorised; absent identifiers match nothing."""
    state = opened(GrantAuthorisation(grantee=HOSPITAL, kind=STRUCTURE))

    assert expected is state.authorisation_of(professional, structure, NOW)


@pytest.mark.parametrize(
    ("blocked", "kind", "professional", "expected"),
    [
        (DOCTOR, PERSON, DOCTOR, FORBIDDEN),
        (DOCTOR, PERSON, NURSE, VALID),
        (HOSPITAL, STRUCTURE, DOCTOR, FORBIDDEN),
        (HOSPITAL, STRUCTURE, NURSE, FORBIDDEN),
        (DOCTOR, STRUCTURE, DOCTOR, VALID),
    ],
)
def test_block_wins(blocked, kind, professional, expected):
    """A block on the professional or on their structure forbids, whatever is authorised."""
    state = opened(
        GrantAuthorisation(grantee=DOCTOR, kind=PERSON),
        GrantAuthorisation(grantee=NURSE, kind=PERSON),
        SetBlock(grantee=blocked, kind=kind),
    )

    assert expected is state.authorisation_of(professional, HOSPITAL, NOW)


def test_one_valid_authorisation_is_enough():
    """An expired authorisation of one's own does no harm while that of the structure runs."""
    old = Authorisation(
        grantee=DOCTOR, kind=PERSON, granted_at=NOW - 400 * DAY, expires_at=NOW - DAY
    )
    state = opened(GrantAuthorisation(grantee=HOSPITAL, kind=STRUCTURE))
    state = replace(state, authorisations=(*state.authorisations, old))

    assert state.authorisation_of(DOCTOR, HOSPITAL, NOW) is VALID
    assert state.authorisation_of(DOCTOR, None, NOW) is EXPIRED


def test_people_are_found_by_identifier():
    """Treating doctors and representatives are those named, and nobody when none is given."""
    state = opened(
        GrantAuthorisation(grantee=DOCTOR, kind=PERSON, treating_doctor=True),
        AddRepresentative(representative=CHILD, relation="MTH"),
    )

    assert [state.is_treating_doctor(x) for x in (DOCTOR, NURSE, None)] == [True, False, False]
    assert [state.is_representative(x) for x in (CHILD, PATIENT, None)] == [True, False, False]


@pytest.mark.parametrize(
    ("born", "on", "expected"),
    [
        ("2008-11-22", "2026-11-21", True),
        ("2008-11-22", "2026-11-22", False),
        ("2008-11-22", "2026-11-23", False),
        ("2008-02-29", "2026-02-28", True),
        ("2008-02-29", "2026-03-01", False),
        ("2004-02-29", "2022-02-28", True),
        ("2010-02-28", "2028-02-28", False),
        ("2010-03-01", "2028-02-29", True),
        ("2026-11-22", "2026-11-22", True),
    ],
)
def test_majority_begins_with_the_birthday(born, on, expected):
    """One is a minor until the eighteenth birthday, which for 29 February may be 1 March."""
    state = replace(opened(), birth_date=date.fromisoformat(born))

    assert expected is state.is_minor(date.fromisoformat(on), 18)


def test_majority_age_is_given():
    """The age of majority is a parameter of the question."""
    state = replace(after(opened()), birth_date=date(2008, 11, 22))

    assert [state.is_minor(date(2025, 1, 1), age) for age in (16, 18)] == [False, True]
