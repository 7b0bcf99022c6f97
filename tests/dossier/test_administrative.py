"""What will not do as administrative data is told field by field, all at once, and never repeated."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier.administrative import MAX_GUARDIANS, check, has_account
from dossier.model import Contact
from serving.errors import RequestError
from tests.dossier.town import contact, guardian, person
from tests.dossier.world import JEAN

TODAY = date(2026, 5, 4)
SECRET = "Zyzzyva"


def fields(administrative, *guardians):
    """The fields that will not do."""
    try:
        check(administrative, guardians, today=TODAY)
    except RequestError as exc:
        return [field for field, _, _ in exc.violations]
    return []


def test_standard_test_patient_will_do():
    """The standard test patient and a mother have nothing wrong with them."""
    assert [] == fields(person(), guardian())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("family_name", ""),
        ("family_name", "N" * 101),
        ("family_name", "A\nB"),
        ("family_name", "A\0B"),
        ("family_name", "A\N{RIGHT-TO-LEFT OVERRIDE}B"),
        ("family_name", " A"),
        ("family_name", "A\N{NO-BREAK SPACE}"),
        ("family_name", "---"),
        ("family_name", "\ud800"),
        ("usage_name", "A\tB"),
        ("usage_name", "12"),
        ("given_names", "J" * 101),
        ("birth_date", date(2026, 5, 5)),
        ("birth_date", date(1849, 12, 31)),
        ("sex", "X"),
        ("sex", "m"),
        ("birth_place", "5121"),
        ("birth_place", "2C004"),
        ("birth_place", "٥١٢١٥"),
    ],
)
def test_person_that_will_not_do(name, value):
    """A person's field that will not do is named."""
    assert [f"administrative.{name}"] == fields(person(**{name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("family_name", "N" * 100),
        ("family_name", "d'Œ-Ÿ Ng\u0303o"),
        ("given_names", ""),
        ("birth_date", TODAY),
        ("birth_date", None),
        ("sex", ""),
        ("birth_place", ""),
        ("birth_place", "2A004"),
        ("birth_place", "99109"),
    ],
)
def test_person_that_will_do(name, value):
    """What is unusual is not wrong."""
    assert [] == fields(person(**{name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("phone", "0612345678"),
        ("phone", "+33 6 12 34 56 78"),
        ("phone", "+0612345678"),
        ("phone", "+33" + "6" * 14),
        ("phone", "+33612345678\n"),
        ("email", "jean"),
        ("email", "jean@localhost"),
        ("email", "jean@example.org\r\nBcc: all@example.org"),
        ("email", "a@example.org,b@example.org"),
        ("email", "<a@example.org>"),
        ("email", "a..b@example.org"),
        ("email", "é@example.org"),
        ("email", "a@192.0.2.1"),
        ("email", f"{'a' * 65}@example.org"),
        ("email", f"a@{'b.' * 130}org"),
        ("postal_code", "8600"),
        ("postal_code", "86000 "),
    ],
)
def test_contact_that_will_not_do(name, value):
    """A phone number, an address or a postal code that is none is named."""
    assert [f"administrative.contact.{name}"] == fields(person(contact=contact(**{name: value})))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"address": ("a",) * 7}, ["address"]),
        ({"address": ("a", "", "b\0")}, ["address[1]", "address[2]"]),
        ({"address": ()}, ["address"]),
        ({"city": ""}, ["city"]),
        ({"city": "C" * 81}, ["city"]),
    ],
)
def test_postal_address_that_will_not_do(changes, expected):
    """A postal address is a few lines and a town, or nothing."""
    found = fields(person(contact=contact(**changes)))

    assert [f"administrative.contact.{name}" for name in expected] == found


@pytest.mark.parametrize(
    ("ways", "reached", "account"),
    [
        ({}, False, False),
        ({"phone": "+33549000000"}, False, False),
        ({"phone": "+33612345678"}, True, True),
        ({"phone": "+262692000000"}, True, True),
        ({"phone": "+262262000000"}, False, False),
        ({"email": "a@example.org"}, True, True),
        ({"address": ("1 rue",), "city": "POITIERS"}, True, False),
    ],
)
def test_channel_of_contact(ways, reached, account):
    """There is an address, e-mail or a mobile phone; the last two make an account."""
    patient = person(contact=Contact(**ways))

    assert ([] if reached else ["administrative.contact"]) == fields(patient)
    assert account is has_account(patient)


def test_minor_is_reached_by_a_representative():
    """A minor who has no address of her own is reached by her mother's."""
    mother = guardian(contact=contact())

    assert [] == fields(person(contact=Contact()), mother)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"id": "3418935386100576927851"}, "id"),
        ({"id": ""}, "id"),
        ({"relation": "mth"}, "relation"),
        ({"relation": ""}, "relation"),
        ({"family_name": "\n"}, "family_name"),
        ({"contact": contact(phone="0")}, "contact.phone"),
    ],
)
def test_guardian_that_will_not_do(changes, name):
    """What is wrong with a representative is named by their place."""
    found = fields(person(), guardian(id=JEAN), guardian(**changes))

    assert [f"guardians[1].{name}"] == found


def test_guardians_are_few_and_different():
    """Nobody is a representative twice, and there are ten at most."""
    assert ["guardians[1].id"] == fields(person(), guardian(), guardian())
    assert "guardians" in fields(person(), *[guardian()] * (MAX_GUARDIANS + 1))


def test_all_mistakes_are_told_at_once():
    """Whoever sends data learns of everything that is wrong with them."""
    wrong = person(family_name="", sex="?", contact=contact(phone="1", email="2"))

    expected = ["family_name", "sex", "contact.phone", "contact.email"]
    assert [f"administrative.{name}" for name in expected] == fields(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        person(family_name=f"{SECRET}\n"),
        person(sex=SECRET),
        person(birth_place=SECRET),
        person(contact=contact(phone=SECRET, email=SECRET, postal_code=SECRET)),
        person(contact=contact(city=f"{SECRET}\0", address=(f"{SECRET}\t",))),
    ],
)
def test_nothing_is_repeated(wrong):
    """An error never holds what was sent: it is somebody's."""
    with pytest.raises(RequestError) as error:
        check(wrong, (guardian(id=SECRET, relation=SECRET.lower()),), today=TODAY)

    assert SECRET.lower() not in str(error.value).lower()


@given(st.text(max_size=120))
def test_names_that_will_do_can_be_shown(name):
    """A name that is taken is printable, has a letter, and no blanks around it."""
    taken = not fields(person(family_name=name))

    proper = name.isprintable() and name == name.strip() and any(map(str.isalpha, name))
    assert not taken or (proper and len(name) <= 100)
