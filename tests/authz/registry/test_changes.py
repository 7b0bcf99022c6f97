"""The words of a change, and what one may ask for oneself."""

from datetime import date
from typing import get_args

import pytest

from audit.entry import canonical
from authz.errors import ChangeError
from authz.registry.changes import (
    AddRepresentative,
    Change,
    CloseDossier,
    GrantAuthorisation,
    LiftBlock,
    OpenDossier,
    PatientChange,
    RemoveRepresentative,
    RenewAuthorisation,
    ReopenDossier,
    RevokeAuthorisation,
    SetBlock,
    SetConsents,
    SetReviewStanding,
    SetTreatingDoctor,
    WithdrawTreatingDoctor,
    own_authorisation,
    to_document,
)
from authz.registry.state import AuthorisationState, ReviewStanding
from tests.authz.registry.samples import (
    CHILD,
    DOCTOR,
    HOSPITAL,
    NOW,
    PERSON,
    STRUCTURE,
    after,
    opened,
    person,
    structure,
)

NONE, VALID = AuthorisationState.NONE, AuthorisationState.VALID

STRANGER = opened()
AUTHORISED = opened(GrantAuthorisation(grantee=DOCTOR, kind=PERSON))
TREATING = opened(GrantAuthorisation(grantee=DOCTOR, kind=PERSON, treating_doctor=True))


@pytest.mark.parametrize(
    ("before", "authorise", "doctor", "authorisation", "treating"),
    [
        (STRANGER, True, False, VALID, False),
        (STRANGER, True, True, VALID, True),
        (STRANGER, False, False, NONE, False),
        (STRANGER, False, True, NONE, False),
        (AUTHORISED, True, False, VALID, False),
        (AUTHORISED, True, True, VALID, True),
        (AUTHORISED, False, False, NONE, False),
        (AUTHORISED, False, True, VALID, False),
        (TREATING, True, False, VALID, True),
        (TREATING, True, True, VALID, True),
        (TREATING, False, False, NONE, False),
        (TREATING, False, True, VALID, False),
    ],
)
def test_td03_truth_table(before, authorise, doctor, authorisation, treating):
    """Each row of TD0.3 does what it says, for a stranger, one authorised and a treating doctor."""
    change = own_authorisation(authorise=authorise, treating_doctor=doctor, grantee=person())

    state = after(before, change)

    assert authorisation is state.authorisation_of(DOCTOR, None, NOW)
    assert treating is state.is_treating_doctor(DOCTOR)


def test_structure_asks_for_itself():
    """A structure can grant and end its own authorisation."""
    yes = own_authorisation(authorise=True, treating_doctor=False, grantee=structure())
    no = own_authorisation(authorise=False, treating_doctor=False, grantee=structure())

    assert after(opened(), yes).authorisation_of(None, HOSPITAL, NOW) is VALID
    assert after(opened(), yes, no).authorisation_of(None, HOSPITAL, NOW) is NONE


@pytest.mark.parametrize("authorise", [True, False])
def test_structure_is_no_treating_doctor(authorise):
    """A structure neither becomes treating doctor nor gives that up."""
    with pytest.raises(ChangeError, match="treating_doctor `structure` must be a person"):
        after(
            opened(),
            own_authorisation(authorise=authorise, treating_doctor=True, grantee=structure()),
        )


DOCUMENTS = [
    (
        OpenDossier(
            birth_date=date(1960, 5, 4),
            samu=True,
            break_glass=False,
            authorise=person(),
            treating_doctor=True,
            representatives=(AddRepresentative(representative=CHILD, relation="MTH"),),
        ),
        {
            "change": "OpenDossier",
            "birth_date": "1960-05-04",
            "samu": "yes",
            "break_glass": "no",
            "masked_in_emergency": "no",
            "authorise": ["professional", DOCTOR],
            "treating_doctor": "yes",
            "representatives": [[CHILD, "MTH"]],
        },
    ),
    (
        ReopenDossier(samu=True, break_glass=True),
        {
            "change": "ReopenDossier",
            "samu": "yes",
            "break_glass": "yes",
            "masked_in_emergency": "no",
            "treating_doctor": "no",
        },
    ),
    (
        CloseDossier(reason="FERMETURE_DEMANDE_PATIENT", text="à sa demande"),
        {
            "change": "CloseDossier",
            "reason": "FERMETURE_DEMANDE_PATIENT",
            "text": "à sa demande",
        },
    ),
    (SetConsents(samu=False), {"change": "SetConsents", "samu": "no"}),
    (
        GrantAuthorisation(grantee=HOSPITAL, kind=STRUCTURE),
        {
            "change": "GrantAuthorisation",
            "grantee": HOSPITAL,
            "kind": "structure",
            "treating_doctor": "no",
        },
    ),
    (
        RenewAuthorisation(grantee=DOCTOR, kind=PERSON),
        {"change": "RenewAuthorisation", "grantee": DOCTOR, "kind": "professional"},
    ),
    (
        RevokeAuthorisation(grantee=DOCTOR, kind=PERSON),
        {"change": "RevokeAuthorisation", "grantee": DOCTOR, "kind": "professional"},
    ),
    (
        SetTreatingDoctor(professional=DOCTOR),
        {"change": "SetTreatingDoctor", "professional": DOCTOR},
    ),
    (
        WithdrawTreatingDoctor(professional=DOCTOR),
        {"change": "WithdrawTreatingDoctor", "professional": DOCTOR},
    ),
    (
        SetBlock(grantee=DOCTOR, kind=PERSON, withdraw_treating_doctor=True),
        {
            "change": "SetBlock",
            "grantee": DOCTOR,
            "kind": "professional",
            "withdraw_treating_doctor": "yes",
        },
    ),
    (
        LiftBlock(grantee=DOCTOR, kind=PERSON),
        {"change": "LiftBlock", "grantee": DOCTOR, "kind": "professional"},
    ),
    (
        AddRepresentative(representative=CHILD, relation="FTH"),
        {"change": "AddRepresentative", "representative": CHILD, "relation": "FTH"},
    ),
    (
        RemoveRepresentative(representative=CHILD),
        {"change": "RemoveRepresentative", "representative": CHILD},
    ),
    (
        SetReviewStanding(professional=DOCTOR, standing=ReviewStanding.MISUSE, why="deux avis"),
        {
            "change": "SetReviewStanding",
            "professional": DOCTOR,
            "standing": "misuse",
            "why": "deux avis",
        },
    ),
]


@pytest.mark.parametrize(("change", "expected"), DOCUMENTS)
def test_document_of_each_change(change, expected):
    """A log entry holds all that was asked for, in plain strings, and has a canonical form."""
    document = to_document(change)

    assert expected == document
    assert {str} == {type(value) for value in document.values() if not isinstance(value, list)}
    assert canonical(document)


def test_no_change_lacks_its_document():
    """The documents above cover the closed set of changes."""
    assert (
        {*get_args(PatientChange), SetReviewStanding}
        == {*get_args(Change)}
        == {type(change) for change, _ in DOCUMENTS}
    )
