"""Names are found however they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier.names import key


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("GARNIER", "GARNIER"),
        ("Saint-Léger", "SAINTLEGER"),
        ("D'ARTAGNAN", "DARTAGNAN"),
        ("D\N{RIGHT SINGLE QUOTATION MARK}Artagnan", "DARTAGNAN"),
        ("d\N{MODIFIER LETTER APOSTROPHE}Artagnan", "DARTAGNAN"),
        ("LE  GOFF", "LEGOFF"),
        ("Œdipe", "OEDIPE"),
        ("Lætitia", "LAETITIA"),
        ("Straße", "STRASSE"),
        ("STRA\N{LATIN CAPITAL LETTER SHARP S}E", "STRASSE"),
        ("Jørgensen Łukasz Đorđe", "JORGENSENLUKASZDORDE"),
        ("e\N{COMBINING ACUTE ACCENT}ric", "ERIC"),
        ("\N{LATIN SMALL LIGATURE FL}eury", "FLEURY"),
        ("Παπαδόπουλος", "ΠΑΠΑΔΟΠΟΥΛΟΣ"),
        ("%_'\"\\--", ""),
        ("12 3", ""),
        ("", ""),
    ],
)
def test_key(name, expected):
    """A key is the letters of a name, in capitals and without accents."""
    assert expected == key(name)


@given(st.text(), st.text())
def test_beginning_of_a_name_is_the_beginning_of_its_key(before, after):
    """The key of two texts together is the keys of both: so a search by the beginning finds."""
    assert key(before) + key(after) == key(before + after)


@given(st.text())
def test_key_of_a_key_is_the_key(name):
    """A key stays as it is; what was searched can be searched again."""
    assert key(name) == key(key(name))


@given(st.text())
def test_key_can_be_stored(name):
    """A key holds nothing but letters: nothing that a database could take for more than that."""
    assert all(letter.isalpha() for letter in key(name))


@given(st.text())
def test_case_does_not_count(name):
    """A name in small letters has the key of the name."""
    assert key(name.casefold()) == key(name)
