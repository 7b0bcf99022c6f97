"""The patients who are listed for somebody are those of whom the facts say that they may consult."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, text

from authz.facts import FactComputer
from authz.model import Kind
from authz.query import MAX_PAGE, Page, Query, Subject
from authz.registry import listing, tables
from authz.registry.listing import read
from authz.registry.state import (
    Authorisation,
    Block,
    DossierStatus,
    Entrusted,
    PatientState,
    Reach,
    TreatingDoctor,
)
from authz.registry.store import Store
from storage.database import connect
from tests.authz.registry.samples import (
    DAY,
    DOCTOR,
    HOSPITAL,
    NOW,
    NURSE,
    PERSON,
    STRUCTURE,
    opened,
    put,
)
from tests.authz.worlds import our_bundle
from tests.databases import empty

ALL = Page(after="", size=MAX_PAGE)
REACH = Reach(professional=DOCTOR, structure=HOSPITAL, may_treat=True, treats_anyway=False)


def ins(number: int) -> str:
    """The number of a patient."""
    return f"{number:022d}"


def granted(grantee=DOCTOR, kind=PERSON, end=NOW + DAY) -> Authorisation:
    """An authorisation, until tomorrow."""
    return Authorisation(grantee=grantee, kind=kind, granted_at=NOW - DAY, expires_at=end)


def blocked(grantee=DOCTOR, kind=PERSON) -> Block:
    """A block."""
    return Block(grantee=grantee, kind=kind, since=NOW)


def with_patients(engine: Engine, *changes: dict[str, object]) -> list[str]:
    """Patients numbered from 1, each open and with these changes; their numbers."""
    states = [
        replace(opened(patient=ins(number)), **change) for number, change in enumerate(changes, 1)
    ]
    put(Store(), engine, *states)
    return [state.patient for state in states]


def listed(engine: Engine, reach: Reach = REACH, page: Page = ALL) -> tuple[Entrusted, ...]:
    """Who is on a page."""
    with engine.begin() as conn:
        return read(conn, reach, page, at=NOW).patients


def test_who_is_listed(engine):
    """Listed are open dossiers with a valid authorisation, in person or through the structure, by INS."""
    own, theirs = granted(), granted(HOSPITAL, STRUCTURE, NOW + 2 * DAY)
    closed = {"status": DossierStatus.CLOSED, "closed_at": NOW, "closure_reason": "X"}
    found = with_patients(
        engine,
        {"authorisations": (theirs,)},
        {"authorisations": (own,)},
        {"authorisations": (own, theirs)},
        {},
        {"authorisations": (granted(end=NOW),)},
        {"authorisations": (own,), **closed},
        {"authorisations": (granted(NURSE),)},
        {"authorisations": (granted(DOCTOR, STRUCTURE), granted(HOSPITAL, PERSON))},
        {"authorisations": (theirs,), "blocks": (blocked(),)},
        {"authorisations": (own,), "blocks": (blocked(HOSPITAL, STRUCTURE),)},
        {"authorisations": (own,), "blocks": (blocked(NURSE), blocked(DOCTOR, STRUCTURE))},
    )

    patients = listed(engine)

    ends = [NOW + 2 * DAY, NOW + DAY, NOW + 2 * DAY, NOW + DAY]
    numbers = [found[place] for place in (0, 1, 2, 10)]
    assert [(one.patient, one.expires_at) for one in patients] == [*zip(numbers, ends, strict=True)]
    assert {one.birth_date for one in patients} == {date(1960, 5, 4)}


def test_without_structure(engine):
    """Who names no structure is not listed patients who have blocked one: it might be theirs."""
    mine = {"authorisations": (granted(),)}
    found = with_patients(engine, mine, {**mine, "blocks": (blocked(HOSPITAL, STRUCTURE),)})

    patients = listed(engine, replace(REACH, structure=None))

    assert [one.patient for one in patients] == found[:1]


def test_who_is_nobody(engine):
    """Who is known neither by a number nor by a structure is listed nobody."""
    with_patients(engine, {"authorisations": (granted(),)})

    assert listed(engine, replace(REACH, professional=None, structure=None)) == ()


@pytest.mark.parametrize(
    ("reach", "expected"),
    [
        (REACH, {2: True, 4: False}),
        (replace(REACH, may_treat=False), {2: False, 4: False}),
        (replace(REACH, treats_anyway=True), {1: True, 2: True, 4: False}),
        (replace(REACH, treats_anyway=True, may_treat=False), {2: False, 4: False}),
    ],
    ids=["plain", "no-doctor", "anyway", "no-doctor-anyway"],
)
def test_treating_doctors(engine, reach, expected):
    """A treating doctor is marked, and listed without a valid authorisation where the parameter says so."""
    doctor = (TreatingDoctor(professional=DOCTOR, since=NOW),)
    expired = (granted(end=NOW - DAY),)
    with_patients(
        engine,
        {"authorisations": expired, "treating_doctors": doctor},
        {"authorisations": (granted(),), "treating_doctors": doctor},
        {"authorisations": expired, "treating_doctors": doctor, "blocks": (blocked(NURSE),)}
        | {"status": DossierStatus.CLOSED, "closed_at": NOW},
        {"authorisations": (granted(),)},
        {"treating_doctors": doctor, "blocks": (blocked(),)},
    )

    patients = listed(engine, reach)

    assert {int(one.patient): one.treating_doctor for one in patients} == expected


# Pages


def pages(engine: Engine, size: int) -> list[list[str]]:
    """All pages of a list."""
    found, after = [], ""
    with engine.begin() as conn:
        while True:
            page = read(conn, REACH, Page(after=after, size=size), at=NOW)
            found.append([one.patient for one in page.patients])
            assert len(found) < 100
            if not page.next:
                return found
            after = page.next


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 100, 101, MAX_PAGE])
def test_pages(engine, size):
    """All pages together are the list, none is too large, and only the last one has no next."""
    mine, expired = {"authorisations": (granted(),)}, {"authorisations": (granted(end=NOW),)}
    found = with_patients(engine, mine, expired, mine, mine, expired, mine, mine, mine, expired)
    expected = [found[place] for place in (0, 2, 3, 5, 6, 7)]

    told = pages(engine, size)

    assert [one for page in told for one in page] == expected
    assert len(told) == -(-len(expected) // size)
    assert all(len(page) == size for page in told[:-1])


def test_a_page_looks_at_no_more_than_it_may(engine, monkeypatch):
    """Where many authorisations have expired a page is short, or empty, and the next goes on from there."""
    monkeypatch.setattr(listing, "_LISTS", {4: listing._list(4)})
    mine, expired = {"authorisations": (granted(),)}, {"authorisations": (granted(end=NOW),)}
    found = with_patients(engine, expired, mine, *[expired] * 6, mine, expired)

    told = pages(engine, 2)

    assert told == [[found[1]], [], [found[8]]]


def test_the_database_goes_by_the_index(engine):
    """Of the authorisations of a grantee only those of the page are read, however many there are."""
    many = 20_000
    rows = [{"ins": ins(number), "status": "open"} for number in range(many)]
    with engine.begin() as conn:
        base = dict.fromkeys(("closure_reason", "closure_text"), "") | {"revision": 0}
        flags = {f"consent_{n}": True for n in ("samu", "break_glass", "masked", "feeding")}
        patients = [{**row, **base, **flags, "opened_at": NOW} for row in rows]
        conn.execute(insert(tables.patients), patients)
        grants = [
            {"ins": row["ins"], "grantee": who, "kind": kind, "granted_at": NOW, "expires_at": NOW}
            for row in rows
            for who, kind in ((HOSPITAL, STRUCTURE), (NURSE, PERSON))
        ]
        conn.execute(insert(tables.authorisations), grants)
        conn.execute(text("ANALYZE"))
        plan = explained(conn)

    assert "authorisations_grantee" in plan
    assert "SCAN authorisations" not in plan
    assert "Seq Scan on authorisations" not in plan
    assert "Bitmap" not in plan


def explained(conn) -> str:
    """How the database finds a page."""
    asked = {"professional": DOCTOR, "structure": HOSPITAL, "after": ins(9_000)}
    statement = listing._list(100).compile(conn, compile_kwargs={"render_postcompile": True})
    prefix = "EXPLAIN QUERY PLAN " if conn.dialect.name == "sqlite" else "EXPLAIN "
    values = statement.construct_params(asked)
    if statement.positional:
        given = tuple(values[name] for name in statement.positiontup)
        rows = conn.exec_driver_sql(prefix + str(statement), given)
    else:
        rows = conn.exec_driver_sql(prefix + str(statement), values)
    return "\n".join(str(row) for row in rows)


# The facts

WHO = st.sampled_from([DOCTOR, NURSE])
WHERE = st.sampled_from([HOSPITAL, HOSPITAL, "", "other"])
USUAL = [(DOCTOR, PERSON), (NURSE, PERSON), (HOSPITAL, STRUCTURE)]
GRANTEES = st.sampled_from([*USUAL * 2, (HOSPITAL, PERSON), (DOCTOR, STRUCTURE)])
ENDS = st.sampled_from([-1, 0, 1, 1, 400]).map(lambda days: NOW + timedelta(days=days))


@st.composite
def states(draw: st.DrawFn) -> PatientState:
    """A dossier as the registry might hold it, and some as it never would."""
    grants = draw(st.dictionaries(GRANTEES, ENDS, min_size=1, max_size=3))
    blocks = draw(st.sampled_from([set(), set(), {draw(GRANTEES)}]))
    doctors = draw(st.sets(WHO))
    status = draw(st.sampled_from([DossierStatus.OPEN] * 3 + [DossierStatus.CLOSED]))
    return replace(
        opened(),
        status=status,
        authorisations=tuple(granted(who, kind, end) for (who, kind), end in grants.items()),
        blocks=tuple(blocked(who, kind) for who, kind in blocks),
        treating_doctors=tuple(
            TreatingDoctor(professional=who, since=NOW)
            for who in doctors
            if (who, PERSON) in grants
        ),
    )


@pytest.fixture(params=[True, False], ids=["requires-valid", "anyway"])
def facts(request):
    """What computes the facts, with either value of the parameter mt.requires_valid."""
    bundle = our_bundle()
    parameter = replace(bundle.parameters["mt.requires_valid"], value=request.param)
    return FactComputer(
        replace(bundle, parameters={**bundle.parameters, "mt.requires_valid": parameter})
    )


def test_the_list_and_the_facts_agree(database, facts):
    """A patient is listed exactly when the facts say that the dossier is open and may be consulted."""
    engine = connect(database.url)
    vocabulary = our_bundle().vocabulary
    assert vocabulary.fact("subject.authorisation").kind is Kind.CHOICE
    counts = {True: 0, False: 0}

    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        st.lists(states(), min_size=1, max_size=6), WHO, WHERE, st.sampled_from(["10", "60", ""])
    )
    def agree(dossiers, who, where, profession):
        empty(engine)
        numbered = [replace(one, patient=ins(n)) for n, one in enumerate(dossiers)]
        put(Store(), engine, *numbered)
        subject = Subject(kind="professional", id=who, profession=profession, structure=where)

        expected = {}
        for state in numbered:
            asked = Query(caller="", rpc="", subject=subject, action="dossier.read", patient="")
            known = vocabulary.decode(facts.compute(asked, state, NOW).vector)
            treats = known["subject.treating_doctor"] == "yes"
            forbidden = known["subject.authorisation"] in ("forbidden", "unknown")
            may = known["subject.authorisation"] == "valid" or (treats and not forbidden)
            counts[may] += 1
            if may and known["resource.dossier"] == "open":
                expected[state.patient] = treats
        found = listed(engine, facts.reach(subject))

        assert {one.patient: one.treating_doctor for one in found} == expected

    agree()
    engine.dispose()
    assert min(counts.values()) > sum(counts.values()) / 10
