"""The patient's number: the official vectors, the deck's misprint, and what a key can catch."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz import ins
from authz.errors import InsError
from tests.shared import shared_data

VECTORS = [
    ("JEAN", "500801", "1500815051040", "1541187387477485562488"),
    ("PHILIPPE", "610217", "1610275754289", "0833910461279517589858"),
    ("DAVID", "850717", "285072B502024", "1687776243550221336383"),
    ("MARIE ODILE", "651112", "265112A571315", "0941155967950413759315"),
    ("", "440227", "1440211103873", "0762020564101360911345"),
    ("DOMINIQUE", "790328", "2790351215189", "1113109067725142806651"),
]
DECK = "3418935386100576927851"
TEST_PATIENT = "279035121518989"

digits = st.text("0123456789", min_size=1)
names = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ -'éÈçïÔÜ", max_size=24)
dates = st.from_regex(r"[0-9]{6}", fullmatch=True)
nirs = st.from_regex(r"[12][0-9]{4}([0-9]{2}|2A|2B)[0-9]{6}", fullmatch=True)
ins_cs = st.builds(ins.compute, names, dates, nirs)
ins_nirs = nirs.map(lambda nir: nir + ins.nir_key(nir))
numbers = st.one_of(ins_cs, ins_nirs)


@pytest.mark.parametrize(("first_name", "birth_date", "nir", "expected"), VECTORS)
def test_known_vectors(first_name, birth_date, nir, expected):
    """The traits of each known vector give its INS-C."""
    computed = ins.compute(first_name, birth_date, nir)

    assert expected == computed


def test_official_vectors():
    """Every row of the official sample is computed and verified as printed there."""
    with shared_data("ins-c", "vectors.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    computed = [
        ins.compute(row["prenom"], row["date_naissance_aammjj"], row["nir13"]) for row in rows
    ]

    assert len(rows) == 400
    assert [row["ins_c"] for row in rows] == computed
    assert computed == [ins.verify(number).number for number in computed]


def test_deck_number_is_refused():
    """The number printed in the deck is too large for a hash, and its key is wrong as well."""
    with pytest.raises(InsError) as refused:
        ins.verify(DECK)

    rules = [rule for rule, _ in refused.value.failures]
    assert rules == [ins.Rule.RANGE, ins.Rule.KEY]
    assert "2^64 (18446744073709551616)" in str(refused.value)
    assert "`51`, where the digits before it give `27`" in str(refused.value)


@pytest.mark.parametrize("number", ["1418935386100576927861", "1418935386100576928851"])
def test_deck_number_has_several_valid_neighbours(number):
    """Two digits away from the deck's number stand several valid ones, so none may be proposed."""
    checked = ins.verify(number)

    assert number == checked.number
    assert sum(a != b for a, b in zip(number, DECK, strict=True)) == 2


def test_range_ends_below_two_to_the_64():
    """The largest body is 2^64 - 1; the next one is refused although its key is right."""
    largest, next_one = 2**64 - 1, 2**64

    checked = ins.verify(f"{largest}{97 - largest % 97:02}")
    with pytest.raises(InsError) as refused:
        ins.verify(f"{next_one}{97 - next_one % 97:02}")

    assert str(largest) == checked.body
    assert [rule for rule, _ in refused.value.failures] == [ins.Rule.RANGE]


def test_key_of_a_multiple_of_97_is_97():
    """A body that 97 divides has the key 97; the key 00 does not exist."""
    body = f"{97 * 10**15:020}"

    checked = ins.verify(body + "97")
    with pytest.raises(InsError) as refused:
        ins.verify(body + "00")

    assert checked.key == "97"
    assert refused.value.rule == ins.Rule.KEY


@pytest.mark.parametrize(
    ("number", "rule", "words"),
    [
        ("", ins.Rule.LENGTH, "0 characters"),
        (DECK[:-1], ins.Rule.LENGTH, "21 characters"),
        ("2 79 03 51 215 189 89", ins.Rule.LENGTH, "no spaces"),
        (TEST_PATIENT[:13], ins.Rule.LENGTH, "13 characters"),
        ("154118738747748556248O", ins.Rule.CHARACTERS, "`O` in place 22"),
        ("15411873874774855624\u0668\u0668", ins.Rule.CHARACTERS, "`\\u0668` in place 21"),
        ("154118A387477485562488", ins.Rule.CHARACTERS, "`A` in place 7"),
        ("285072C50202444", ins.Rule.CHARACTERS, "`C` in place 7"),
        ("285072b50202444", ins.Rule.CHARACTERS, "`b` in place 7"),
        ("285073A50202444", ins.Rule.CHARACTERS, "`A` in place 7"),
        ("28507250202444A", ins.Rule.CHARACTERS, "`A` in place 15"),
        ("279035121518988", ins.Rule.KEY, "`88`, where the digits before it give `89`"),
        ("779035121518989", ins.Rule.START, "`7` begins a temporary NIR"),
        ("979035121518989", ins.Rule.START, "a NIR begins with 1 or 2"),
    ],
)
def test_refusal_names_the_rule(number, rule, words):
    """A number that is refused names the first broken rule and what breaks it."""
    with pytest.raises(InsError) as refused:
        ins.verify(number)

    assert rule == refused.value.rule
    assert words in str(refused.value)


def test_number_of_today():
    """The standard test patient's number is a valid INS-NIR."""
    checked = ins.verify(TEST_PATIENT)

    assert ins.Ins(kind=ins.Kind.INS_NIR, body="2790351215189", key="89") == checked


@pytest.mark.parametrize(
    ("nir", "key"), [("265112A571315", "26511195713"), ("285072B502024", "28507185020")]
)
def test_corsican_departments_count_as_19_and_18(nir, key):
    """The key of a Corsican NIR is that of the same digits with 19 for 2A and 18 for 2B."""
    expected = ins.nir_key(key + nir[11:])

    assert expected == ins.nir_key(nir)
    assert ins.Kind.INS_NIR is ins.verify(nir + expected).kind


@pytest.mark.parametrize("other", ["jean", "Jéan", " J-E-A-N ", "J.E.A.N", "jéàn\u0301", "JEAN2"])
def test_only_letters_of_the_first_name_count(other):
    """Accents, case, spaces, hyphens and digits of a first name do not change the INS-C."""
    expected = ins.compute("JEAN", "500801", "1500815051040")

    assert expected == ins.compute(other, "500801", "1500815051040")


def test_first_name_is_cut_after_ten_letters():
    """What follows the tenth letter of a first name does not change the INS-C."""
    expected = ins.compute("MARIE ODILE", "651112", "265112A571315")

    assert expected == ins.compute("Marie-Odile Françoise", "651112", "265112A571315")


def test_nir_with_its_key():
    """A NIR may come with its key, and gives the same INS-C."""
    expected = ins.compute("DOMINIQUE", "790328", "2790351215189")

    assert expected == ins.compute("DOMINIQUE", "790328", TEST_PATIENT)


@pytest.mark.parametrize(
    ("first_name", "birth_date", "nir", "rule"),
    [
        ("LŒTITIA", "500801", "1500815051040", ins.Rule.FIRST_NAME),
        ("Иван", "500801", "1500815051040", ins.Rule.FIRST_NAME),
        ("JEAN", "1950-08-01", "1500815051040", ins.Rule.BIRTH_DATE),
        ("JEAN", "50080", "1500815051040", ins.Rule.BIRTH_DATE),
        ("JEAN", "500801\n", "1500815051040", ins.Rule.BIRTH_DATE),
        ("JEAN", "٥٠٠٨٠١", "1500815051040", ins.Rule.BIRTH_DATE),
        ("JEAN", "500801", "150081505104", ins.Rule.LENGTH),
        ("JEAN", "500801", "150081505104X", ins.Rule.CHARACTERS),
        ("JEAN", "500801", "7500815051040", ins.Rule.START),
        ("JEAN", "500801", "8500815051040", ins.Rule.START),
        ("JEAN", "500801", "3500815051040", ins.Rule.START),
        ("JEAN", "500801", "0500815051040", ins.Rule.START),
        ("DOMINIQUE", "790328", "279035121518988", ins.Rule.KEY),
    ],
)
def test_traits_that_give_no_number(first_name, birth_date, nir, rule):
    """No INS-C is computed from a wrong date, a temporary or wrong NIR, or a foreign letter."""
    with pytest.raises(InsError) as refused:
        ins.compute(first_name, birth_date, nir)

    assert rule == refused.value.rule


@pytest.mark.parametrize("nir13", ["", "15008150510401", "150081505104X"])
def test_key_of_something_else(nir13):
    """A key is computed for the 13 characters of a NIR and for nothing else."""
    with pytest.raises(InsError):
        ins.nir_key(nir13)


@given(names, dates, nirs)
def test_computed_numbers_verify(first_name, birth_date, nir):
    """Whatever is computed is a valid INS-C whose key lies between 01 and 97."""
    checked = ins.verify(ins.compute(first_name, birth_date, nir))

    assert ins.Kind.INS_C is checked.kind
    assert 1 <= int(checked.key) <= 97


@given(numbers, st.data())
def test_one_changed_character_is_refused(number, data):
    """Any one character of a valid number replaced by another is noticed."""
    place = data.draw(st.integers(0, len(number) - 1))
    char = data.draw(st.sampled_from("0123456789AB").filter(lambda char: char != number[place]))

    with pytest.raises(InsError):
        ins.verify(number[:place] + char + number[place + 1 :])


@given(numbers, st.data())
def test_swapped_neighbours_are_refused(number, data):
    """Two different neighbours of a valid number in the wrong order are noticed."""
    places = [i for i in range(len(number) - 1) if number[i] != number[i + 1]]
    place = data.draw(st.sampled_from(places))

    with pytest.raises(InsError):
        ins.verify(number[:place] + number[place + 1] + number[place] + number[place + 2 :])


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text):
    """Any text at all is either a valid number, returned unchanged, or an `InsError`."""
    try:
        number = ins.verify(text).number
    except InsError:
        return

    assert text == number


@given(st.text(max_size=30), st.text(max_size=8), st.text(max_size=16))
def test_any_traits_are_used_or_refused(first_name, birth_date, nir):
    """Any traits at all either give a valid INS-C or an `InsError`."""
    try:
        number = ins.compute(first_name, birth_date, nir)
    except InsError:
        return

    assert number == ins.verify(number).number


@given(nirs, names)
def test_messages_hold_no_identity(nir, first_name):
    """The message of a refusal holds neither the number nor the name, so that it can be logged."""
    with pytest.raises(InsError) as refused:
        ins.compute(first_name + "ЖЖЖ", "500801", nir)
    with pytest.raises(InsError) as unread:
        ins.verify(nir + "00")

    messages = f"{refused.value} {unread.value}"
    assert nir[:6] not in messages
    assert first_name[:5] + "ЖЖЖ" not in messages


def test_a_number_of_the_test_kit_is_taken_as_it_is():
    """The agency's test child has a number with a wrong key; the numbers beside it are refused."""
    assert ins.verify("221042545611404").kind is ins.Kind.INS_NIR
    with pytest.raises(InsError, match="key"):
        ins.verify("221042545611405")
