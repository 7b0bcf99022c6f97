"""What is noted of an entry, so that unusual accesses are found."""

import pytest

from audit.office.policies import Policies
from audit.office.signs import family_name, family_name_of, is_stranger
from tests.audit.office import emergencies as make

FACTS = (
    {"name": "subject.authorisation", "type": "choice", "values": ["none", "valid", "expired"]},
    {"name": "subject.treating_doctor", "type": "choice", "values": ["no", "yes"]},
)
POLICIES = Policies({}, FACTS, {fact["name"]: place for place, fact in enumerate(FACTS)})


def reading(authorised="none", treats="no", **more):
    """A reading in normal access; facts as words."""
    facts = [FACTS[0]["values"].index(authorised), FACTS[1]["values"].index(treats)]
    return make.access(**{"mode": "normal", "facts": facts, **more})


def test_stranger():
    """Who reads without authorisation, is not the author and no treating doctor, is a stranger."""
    assert is_stranger(reading(), POLICIES)
    assert is_stranger(reading("expired"), POLICIES)


def test_break_glass_is_by_a_stranger():
    """In an emergency too, lists as well."""
    assert is_stranger(reading(mode="bris_de_glace", action="document.list"), POLICIES)


@pytest.mark.parametrize(
    "entry",
    [
        reading("valid"),
        reading(treats="yes"),
        reading(origin={"authors": [make.DOCTOR]}),
        reading(effect="deny"),
        reading(mode="centre_15"),
        reading(action="document.list"),
        reading(action="document.deposit"),
        reading(subject={"kind": "patient", "id": make.ALICE}),
        reading(patient=""),
        reading(facts=[]),
    ],
)
def test_no_stranger(entry):
    """With any relation, or where it is not known, there is nothing to note."""
    assert not is_stranger(entry, POLICIES)


def test_unknown_policies_say_nothing():
    """Without the policies of that time nobody is called a stranger."""
    assert not is_stranger(reading(), None)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("Dr Paul MEDECIN3857", "MEDECIN3857"),
        ("DOMINIQUE PAT-TROIS", "DOMINIQUE PAT TROIS"),
        ("Dominique PAT-TROIS", "PAT TROIS"),
        ("Ève Lefèvre", "LEFEVRE"),
        ("Ève LEFÈVRE", "LEFEVRE"),
        ("Jean d'ORMESSON", "ORMESSON"),
        ("", ""),
        ("--", ""),
    ],
)
def test_family_name(name, family):
    """It is what stands in capitals, or else the last word; accents and hyphens make no difference."""
    assert family_name(name) == family


def test_whose_name_is_known():
    """Professionals' names are known, and of patients those who acted themselves."""
    named = {"id": make.ALICE, "name": "Anasta PASQUIER"}
    for subject, found in (
        ({"kind": "professional", "id": make.DOCTOR, "name": "Dr ESSAI"}, "ESSAI"),
        ({"kind": "patient", **named}, "PASQUIER"),
        ({"kind": "representative", **named}, ""),
        ({"kind": "patient", "id": make.BOB, "name": "Bob PASQUIER"}, ""),
        ({"kind": "professional", "id": make.DOCTOR}, ""),
    ):
        assert family_name_of(make.access(subject=subject)) == found
