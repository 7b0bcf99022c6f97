"""The carte Vitale: who is on it, and which numbers follow."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier.errors import CardError
from dossier.samples import VITALE_FAMILY, VITALE_ONE
from dossier.vitale import MAX_BYTES, Card, CardReader, FileReader, read_card

PERSON = {"family_name": "ESSAI", "given_names": ["JEAN"], "birth_date": "1950-08-01"}


def card(*persons: dict[str, object]) -> bytes:
    """A card with these persons, in JSON."""
    return json.dumps({"persons": persons}).encode()


def read(data: bytes) -> Card:
    """The card that a text holds."""
    return read_card(data, name="card.yaml")


def test_the_standard_test_patient():
    """The sample card with one person gives both numbers of the standard test patient."""
    reader: CardReader = FileReader(VITALE_ONE)

    (person,) = reader.read().persons

    assert ("1113109067725142806651", "279035121518989") == (person.ins_c, person.ins_nir)
    assert (1, "PAT-TROIS", ("DOMINIQUE", "MARIE-LOUISE"), "1979-03-28", "F") == (
        person.number,
        person.family_name,
        person.given_names,
        person.birth_date,
        person.sex,
    )


def test_a_family():
    """Persons are numbered as on the card; a temporary NIR or none gives no number, with the reason."""
    persons = FileReader(VITALE_FAMILY).read().persons

    assert [1, 2, 3, 4] == [one.number for one in persons]
    assert ["1541187387477485562488", "0941155967950413759315", None, None] == [
        one.ins_c for one in persons
    ]
    assert ["150081505104018", "265112A57131579", None, None] == [one.ins_nir for one in persons]
    assert "ESSAI-DEUX" == persons[1].usage_name
    assert "begins a temporary NIR" in persons[2].ins_c_reason
    assert "none of the person's own" in persons[3].ins_c_reason
    assert ["", ""] == [one.ins_c_reason for one in persons[:2]]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"nir": "150081505104019"}, "key:"),
        ({"nir": "3500815051040"}, "begins a temporary NIR"),
        ({"nir": "15008150510"}, "length:"),
        ({"nir": "1541187387477485562488"}, "length:"),
        ({"nir": "150081505104X"}, "characters:"),
        ({"nir": "1500815051040", "given_names": ["ŒDIPE"]}, "first name:"),
    ],
)
def test_numbers_that_do_not_follow(change, reason):
    """Where no INS-C can be computed the person is shown all the same, with the broken rule."""
    (person,) = read(card(PERSON | change)).persons

    assert person.ins_c is None
    assert reason in person.ins_c_reason


def test_an_unknown_or_odd_date_counts_as_it_stands():
    """Dates are taken as on the card, impossible days and unknown ones included."""
    odd = read(card(PERSON | {"birth_date": "1950-99-00", "nir": "1500815051040"}))
    unknown = read(card(PERSON | {"birth_date": "0000-00-00", "nir": "1500815051040"}))

    assert odd.persons[0].ins_c
    assert unknown.persons[0].ins_c
    assert odd.persons[0].ins_c != unknown.persons[0].ins_c


def test_choosing_a_person():
    """A person is chosen by number; a number that is not on the card is refused with those that are."""
    two = read(card(PERSON, PERSON | {"given_names": ["PAUL"]}))

    assert ("PAUL",) == two.person(2).given_names
    with pytest.raises(CardError, match="no number 3 on the card: choose one from 1 to 2"):
        two.person(3)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty file"),
        (b"persons: []", "want a list of 1 to 19 persons"),
        (b"persons: JEAN", "want a list of 1 to 19 persons"),
        (card(*[PERSON] * 20), "want a list of 1 to 19 persons"),
        (b"people: []", "missing key: `persons`"),
        (b"- JEAN", "a mapping of `key: value` is expected"),
        (b"persons: [JEAN]", "person 1: a mapping"),
        (card({"given_names": ["JEAN"], "birth_date": "1950-08-01"}), "missing key: `family_name`"),
        (card(PERSON | {"nirr": "1"}), "did you mean `nir`?"),
        (card(PERSON | {"given_names": []}), "`given_names` is empty (write at least one)"),
        (card(PERSON | {"given_names": [""]}), "`given_names` must be a text"),
        (card(PERSON | {"family_name": 7}), "`family_name` must be a text"),
        (
            card(PERSON | {"birth_date": "01/08/1950"}),
            "`birth_date` is no date (write `yyyy-mm-dd`",
        ),
        (card(PERSON | {"sex": "X"}), "`sex` is none that a card has"),
        (card(PERSON | {"rank": 0}), "`rank` is no number from 1 on"),
        (card(PERSON | {"nir": 1500815051040}), "`nir` must be a text"),
        (b"persons: *x", "alias"),
        (b"\xff", "not UTF-8"),
        (b"persons: [", "not YAML"),
    ],
)
def test_cards_that_can_not_be_read(data, words):
    """A file that is no card is refused with the field, its line and the remedy."""
    with pytest.raises(CardError) as refused:
        read(data)

    assert words in str(refused.value)
    assert str(refused.value).startswith("card.yaml:")


def test_all_mistakes_of_a_card_are_told():
    """Whoever wrote a card learns of all its mistakes at once."""
    with pytest.raises(CardError) as refused:
        read(card(PERSON | {"sex": "X"}, PERSON | {"rank": 0}))

    assert "person 1: `sex`" in str(refused.value)
    assert "person 2: `rank`" in str(refused.value)


def test_messages_hold_no_identity():
    """What is refused is not repeated: neither name nor number nor date."""
    person = {"family_name": 12345, "given_names": ["JEANNOT"], "birth_date": "32-13-1950"}

    with pytest.raises(CardError) as refused:
        read(card(person | {"nir": 2790351215189, "sex": "JEANNOT"}))

    for secret in ("12345", "JEANNOT", "32-13", "2790351215189"):
        assert secret not in str(refused.value)


def test_cards_do_not_show_themselves():
    """A card that is printed by mistake shows neither names nor numbers."""
    shown = repr(FileReader(VITALE_ONE).read()) + repr(FileReader(VITALE_ONE).read().persons)

    assert "DOMINIQUE" not in shown
    assert "2790351215189" not in shown


def test_no_card(tmp_path):
    """A card that is not there, and a file that is far too large for one, are refused."""
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (MAX_BYTES + 1))

    with pytest.raises(CardError, match=r"can't read `none\.yaml`: No such file"):
        FileReader(tmp_path / "none.yaml").read()
    with pytest.raises(CardError, match="larger than"):
        FileReader(large).read()


@given(st.binary(max_size=80) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_card_or_refused(data):
    """Any bytes at all are refused as no card, and never with another exception."""
    with pytest.raises(CardError):
        read(data)


@given(
    st.dictionaries(
        st.sampled_from(["family_name", "given_names", "birth_date", "nir", "sex", "rank", "x"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=15)
        | st.lists(st.text(max_size=5), max_size=3)
        | st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
    )
)
def test_any_person_is_read_or_refused(changes):
    """Whatever stands in the fields of a person, the card is read or refused."""
    try:
        (person,) = read(card(PERSON | changes)).persons
    except CardError:
        return

    assert person.family_name
    assert person.given_names
