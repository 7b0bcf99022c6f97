"""The dashboard: who is on it, in which order, and who is found by what."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from clients.sdk.registry import AuthorisedPatient
from dossier import names, tables
from dossier.dashboard import SIZES, Wanted, look
from dossier.records import record
from serving.errors import RequestError
from tests.dossier.town import OTHER_DOCTOR, query
from tests.dossier.world import DOCTOR, JEAN, NOW, PHILIPPE

THIRD = "279035121518989"

# What names are made of, and what databases, languages and people trip over.
HOSTILE = st.text(
    st.sampled_from(
        "aAàÀbZéœŒæßøñ-' %_\"\\;*?[]()\N{RIGHT SINGLE QUOTATION MARK}eE\N{COMBINING ACUTE ACCENT}Ωя"
    ),
    max_size=6,
)


def authorised(*patients, treating=()):
    """What the gate says of these patients."""
    return [
        AuthorisedPatient(
            patient=one, birth_date=None, treating_doctor=one in treating, expires_at=NOW
        )
        for one in patients
    ]


def keep(conn, patient, family="", usage="", given="", born=None):  # noqa: PLR0917 - as in a table
    """Writes the administrative data of a patient, will they do or not."""
    row = {
        "patient": patient,
        "family_name": family,
        "usage_name": usage,
        "given_names": given,
        "birth_date": born,
        "sex": "",
        "birth_place": "",
        "contact": "{}",
        "guardians": "[]",
        "family_key": names.key(family),
        "usage_key": names.key(usage),
        "given_key": names.key(given),
        "created_at": NOW,
        "updated_at": NOW,
    }
    conn.execute(insert(tables.dossiers), row)


@pytest.fixture
def board(town):
    """Shows the dashboard of the doctor."""

    def show(patients, *, page=1, size=10, **wanted):
        permit = town.permit("patient.list", "")
        return town.people.dashboard(permit, patients, Wanted(**wanted), page=page, size=size)

    return show


@pytest.fixture
def three(town):
    """Three patients with names."""
    with town.writer.begin() as conn:
        keep(conn, JEAN, "Garnier", "Lévêque", "Julie Anne", date(1950, 8, 1))
        keep(conn, PHILIPPE, "L'Œuvre", "", "Jean-Paul", date(1961, 2, 17))
        keep(conn, THIRD, "ABEL", "Garnier", "Dominique", date(1950, 12, 31))
    return authorised(JEAN, PHILIPPE, THIRD, treating=(PHILIPPE,))


def test_line_shows_what_the_deck_shows(board, three):
    """A line has names, birth date and the mark of a treating doctor."""
    lines = {line.patient: line for line in board(three).lines}

    found = lines[JEAN]
    assert ("Lévêque", "Garnier", "Julie Anne") == (
        found.usage_name,
        found.family_name,
        found.given_names,
    )
    assert date(1950, 8, 1) == found.birth_date
    assert [False, True, False] == [lines[i].treating_doctor for i in (JEAN, PHILIPPE, THIRD)]


def test_lines_are_sorted_as_people_are_known(board, three):
    """Lines are sorted by usage name, by the birth name of those who have none."""
    assert [THIRD, JEAN, PHILIPPE] == [line.patient for line in board(three).lines]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, {JEAN, PHILIPPE, THIRD}),
        ({"name": "garn"}, {JEAN, THIRD}),
        ({"name": "LEVEQUE"}, {JEAN}),
        ({"name": "loeuvre"}, {PHILIPPE}),
        ({"name": "l\N{RIGHT SINGLE QUOTATION MARK}œ"}, {PHILIPPE}),
        ({"name": "arnier"}, set()),
        ({"name": "%"}, None),
        ({"name": "   "}, {JEAN, PHILIPPE, THIRD}),
        ({"given_name": "jean p"}, {PHILIPPE}),
        ({"given_name": "anne"}, set()),
        ({"given_name": "_"}, None),
        ({"birth_year": 1950}, {JEAN, THIRD}),
        ({"birth_year": 1951}, set()),
        ({"name": "garnier", "birth_year": 1950, "given_name": "D"}, {THIRD}),
        ({"patient": JEAN}, {JEAN}),
        ({"patient": JEAN[:10]}, set()),
        ({"patient": JEAN, "name": "abel"}, set()),
    ],
)
def test_search(board, three, wanted, found):
    """Patients are found by the beginning of their names, their year of birth, or their whole INS."""
    if found is None:
        with pytest.raises(RequestError, match="no letter"):
            board(three, **wanted)
        return

    shown = board(three, **wanted)

    assert (found, len(found), 3) == (
        {one.patient for one in shown.lines},
        shown.found,
        shown.total,
    )


def test_nobody_else_is_found(board, three):
    """A patient whom the gate has not named is not found, by nothing."""
    others = [one for one in three if one.patient != JEAN]

    assert 0 == board(others, patient=JEAN).found
    assert JEAN not in {line.patient for line in board(others).lines}
    assert [] == [*board(others, name="leveque").lines]
    assert (0, 0) == (board([]).found, board([]).total)


def test_patient_without_names_is_shown(board):
    """Who is authorised on a dossier without administrative data sees it by its number."""
    (line,) = board(authorised(JEAN, treating=(JEAN,))).lines

    assert (JEAN, "", None, True) == (
        line.patient,
        line.family_name,
        line.birth_date,
        line.treating_doctor,
    )


def test_last_access_is_my_own(town, board, three):
    """My last access is the last thing that I did in that dossier, more than asking whether it is there."""
    steps = [
        ("document.read", JEAN, DOCTOR),
        ("document.list", JEAN, DOCTOR),
        ("document.read", JEAN, OTHER_DOCTOR),
        ("dossier.find", JEAN, DOCTOR),
        ("document.read", PHILIPPE, OTHER_DOCTOR),
    ]
    for place, (action, patient, subject) in enumerate(steps):
        with town.writer.begin() as conn:
            permit = town.permit(action, patient, subject=subject)
            record(conn, permit, at=NOW + timedelta(minutes=place))
    town.refused(query("document.read"))

    last = {line.patient: line.last_access for line in board(three).lines}

    assert {JEAN: NOW + timedelta(minutes=1), PHILIPPE: None, THIRD: None} == last


@pytest.mark.parametrize("size", SIZES)
def test_pages(town, board, size):
    """Pages hold what they are to hold, and together everyone once."""
    everyone = [f"{number:022}" for number in range(57)]
    with town.writer.begin() as conn:
        for number, patient in enumerate(everyone):
            keep(conn, patient, family=f"N{'ABC'[number % 3]}")

    pages = [board(authorised(*everyone), page=page, size=size) for page in range(1, 8)]

    shown = [line.patient for page in pages for line in page.lines]
    assert sorted(everyone) == sorted(shown)
    assert sorted(everyone, key=lambda one: (int(one) % 3, one)) == shown
    assert {(57, 57)} == {(page.found, page.total) for page in pages}
    assert all(len(page.lines) in (0, size, 57 % size) for page in pages)


@pytest.mark.parametrize(
    ("how", "field"),
    [
        ({"size": 15}, "page_size"),
        ({"page": 0}, "page"),
        ({"birth_year": -1}, "birth_year"),
        ({"birth_year": 9999}, "birth_year"),
        ({"name": "--"}, "name"),
    ],
)
def test_search_that_is_none(board, three, how, field):
    """A page or a search that makes no sense is refused by its field."""
    with pytest.raises(RequestError) as error:
        board(three, **how)

    assert [field] == [violation[0] for violation in error.value.violations]


def test_looking_is_recorded(town, board, three):
    """To look at the dashboard is on record, about no patient."""
    board(three)

    (row,) = town.rows("acts")
    assert ("patient.list", "", DOCTOR.id) == (row["action"], row["patient"], row["actor"])


PEOPLE = st.lists(
    st.tuples(HOSTILE, HOSTILE, HOSTILE, st.sampled_from([None, 1950, 1961])), max_size=12
)


@given(PEOPLE, HOSTILE, HOSTILE, st.sampled_from([0, 1950]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_search_finds_what_a_plain_search_finds(town, people, name, given_name, year):
    """Whatever people are called and whatever is typed, found is who a search by hand finds, in its order."""

    def fits(one):
        _, (family, usage, first, born) = one
        begins = any(names.key(text).startswith(names.key(name)) for text in (family, usage))
        return begins and names.key(first).startswith(names.key(given_name)) and year in (0, born)

    def order(one):
        patient, (family, usage, first, _) = one
        keys = tuple(map(names.key, (usage, family, first)))
        return (keys[0] or keys[1], keys[1], keys[2], patient)

    known = [(f"{number:022}", person) for number, person in enumerate(people)]
    if any(text.strip() and not names.key(text) for text in (name, given_name)):
        return
    with town.writer.begin() as conn:
        conn.execute(tables.dossiers.delete())
        for patient, (family, usage, first, born) in known:
            day = date(born, 1, 1) if born else None
            keep(conn, patient, family, usage, first, day)
    expected = [patient for patient, _ in sorted(filter(fits, known), key=order)]

    with town.reader.begin() as conn:
        wanted = Wanted(name=name, given_name=given_name, birth_year=year)
        everyone = authorised(*(patient for patient, _ in known))
        shown = look(conn, DOCTOR.id, everyone, wanted, page=1, size=50)

    assert expected == [line.patient for line in shown.lines]
    assert (len(expected), len(known)) == (shown.found, shown.total)


def test_thousands_are_one_question(town):
    """A professional with 5,000 patients gets the page in two queries."""
    everyone = [f"{number:022}" for number in range(5_000)]
    rows = [
        {
            **dict.fromkeys(
                ("usage_name", "given_names", "sex", "birth_place", "usage_key", "given_key"), ""
            ),
            "patient": patient,
            "family_name": "N",
            "family_key": "N",
            "contact": "{}",
            "guardians": "[]",
            "birth_date": None,
            "created_at": datetime(2026, 1, 1, tzinfo=UTC),
            "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
        }
        for patient in everyone
    ]
    with town.writer.begin() as conn:
        conn.execute(insert(tables.dossiers), rows)

    with town.reader.begin() as conn:
        shown = look(conn, "", authorised(*everyone), Wanted(name="n"), page=100, size=50)

    assert everyone[-50:] == [line.patient for line in shown.lines]
    assert 5_000 == shown.found
