"""Listing: the rows that SQL finds are those that the condition admits, one by one; no others are shown."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite

from clients.sdk.condition import Clause, Condition, LabelField, Test
from dossier import cursor, listing, rows, tables
from dossier.errors import ConditionError, ListingError, PermitError
from dossier.judged import as_document
from dossier.model import Act, Search, Status, Visibility
from dossier.rewriting import merge, part
from serving.errors import RequestError
from tests.dossier.world import DOCTOR, EVERYTHING, JEAN, NOW, PHILIPPE, draft, label

HOSTILE = (
    *("'", '"', "%", "_", "\\", "';--", "' OR 1=1 --", "NULL", "null", "?", ":a", "%(a)s", "$1"),
    *(
        " ",
        "a",
        "A",
        "a ",
        "á",
        "a\u0301",
        "\uff21",
        "ß",
        "SS",
        "\u0131",
        "\u202e",
        "\U0001f469",
        "x" * 5_000,
    ),
)
NUL = "a\0b"
PARIS = ZoneInfo("Europe/Paris")


def texts(kind: str) -> tuple[str, ...]:
    """Texts that this kind of database can hold."""
    return (*HOSTILE, NUL) if kind == "sqlite" else HOSTILE


def population(kind: str):
    """Labels of two patients in which everything occurs with everything else."""
    found = texts(kind)
    flags = [
        Visibility(masked=a, hidden_from_patient=b, hidden_from_representatives=c)
        for a, b, c in product((False, True), repeat=3)
    ]
    for number in range(300):
        at = NOW - timedelta(days=number % 40, hours=number % 7)
        yield label(
            patient=JEAN if number % 5 else PHILIPPE,
            type=found[number % len(found)],
            space=str(number % 8 + 1),
            status=list(Status)[number % 4],
            visibility=flags[number // 3 % 8],
            confidentiality="NRV"[number // 2 % 3],
            structure=("", *found)[number // 5 % (len(found) + 1)],
            authors=tuple(
                dict.fromkeys(("", *found)[(number * k) % 20] for k in range(number % 4))
            ),
            act_from=at,
            act_to=None if number % 3 else at + timedelta(days=number % 11),
        )


@contextmanager
def stored(world, labels) -> Iterator[None]:
    """Labels in the database, without anything to unseal."""
    with world.writer.begin() as conn:
        for one in labels:
            rows.add(conn, one, particulars=b"", content=b"")
    yield


def find(world, condition, search, *, size=10_000, after=None):
    """What SQL finds for JEAN, in its order."""
    query = listing.page(JEAN, condition, search, size=size, after=after)
    with world.reader.connect() as conn:
        return [row.id for row in conn.execute(query)]


def wanted(labels, condition, search):
    """The same, said slowly: one document after the other."""

    def fits(one):
        statuses = search.statuses or tuple(Status)
        begins = one.act_from.astimezone(PARIS).date()
        ends = (one.act_to or one.act_from).astimezone(PARIS).date()
        return (
            one.patient == JEAN
            and one.status is not Status.DELETED
            and one.status in statuses
            and (not search.spaces or one.space in search.spaces)
            and (not search.types or one.type in search.types)
            and (not search.author or search.author in one.authors)
            and (search.since is None or ends >= search.since)
            and (search.until is None or begins <= search.until)
            and condition.admits(as_document(one)) is not None
        )

    found = filter(fits, labels)
    return [one.id for one in sorted(found, key=lambda one: (one.act_from, one.id), reverse=True)]


def asked_of(kind):
    """Any test that can be asked of a label."""
    some = st.sampled_from((*texts(kind), ""))

    def of(field, values):
        return st.builds(
            Test,
            field=st.just(field),
            values=st.lists(values, max_size=4).map(tuple),
            negated=st.booleans(),
        )

    codes = (
        *listing.CONFIDENTIALITIES,
        *Visibility(masked=True, hidden_from_patient=True, hidden_from_representatives=True).codes,
    )
    return st.one_of(
        of(LabelField.TYPE, some),
        of(LabelField.AUTHORS, some),
        of(LabelField.AUTHOR_STRUCTURE, some),
        of(LabelField.VISIBILITY, st.sampled_from(codes)),
        of(LabelField.STATUS, st.sampled_from([status.value for status in Status])),
    )


def conditions(kind):
    clause = st.builds(Clause, tests=st.lists(asked_of(kind), max_size=4).map(tuple))
    allow, deny = (st.lists(clause, max_size=most).map(tuple) for most in (4, 3))
    return st.builds(Condition, allow=allow | st.just((Clause(),)), deny=deny)


def searches():
    days = (
        st.none()
        | st.dates(date(2026, 3, 20), date(2026, 5, 10))
        | st.sampled_from([date.min, date.max])
    )
    some = st.sampled_from((*HOSTILE, "nowhere\0"))
    return st.builds(
        Search,
        spaces=st.just(()) | st.lists(st.sampled_from("123456789"), max_size=3).map(tuple),
        types=st.just(()) | st.lists(some, max_size=3).map(tuple),
        since=days,
        until=days,
        author=st.just("") | st.just("") | some,
        statuses=st.lists(st.sampled_from(list(Status)), max_size=3).map(tuple),
    )


SEARCHED_ALL = Search(statuses=())


@pytest.mark.parametrize("parts", ["conditions", "both"])
def test_sql_finds_what_the_condition_admits(world, parts):
    """Over hostile data, SQL and the condition agree on every row, whatever is asked and however."""
    kind = world.writer.dialect.name
    labels = list(population(kind))
    narrowed = searches() if parts == "both" else st.just(SEARCHED_ALL)
    found_any = 0

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(conditions(kind), narrowed)
    def agree(condition, search):
        nonlocal found_any
        found = find(world, condition, search)
        found_any += bool(found)
        assert wanted(labels, condition, search) == found

    with stored(world, labels):
        agree()
    assert found_any > 10


def test_every_single_test(world):
    """Each test on each field with each value, and its negation, finds what it admits."""
    kind = world.writer.dialect.name
    labels = list(population(kind))
    values = {
        LabelField.TYPE: texts(kind),
        LabelField.AUTHORS: ("", *texts(kind)),
        LabelField.AUTHOR_STRUCTURE: ("", *texts(kind)),
        LabelField.VISIBILITY: (
            *"NRV",
            *Visibility(
                masked=True, hidden_from_patient=True, hidden_from_representatives=True
            ).codes,
        ),
        LabelField.STATUS: tuple(status.value for status in Status),
    }

    with stored(world, labels):
        for field, some in values.items():
            for chosen in ((), *((value,) for value in some), some):
                asked = Test(field=field, values=chosen)
                for condition in (
                    Condition(allow=(Clause(tests=(asked,)),)),
                    Condition(allow=(Clause(tests=(replace(asked, negated=True),)),)),
                    Condition(allow=(Clause(),), deny=(Clause(tests=(asked,)),)),
                ):
                    expected = wanted(labels, condition, SEARCHED_ALL)
                    assert expected == find(world, condition, SEARCHED_ALL)


def test_nothing_is_admitted_by_nothing(world):
    """A condition without a clause of `allow` shows nothing, and one that denies always shows nothing."""
    with stored(world, list(population("postgresql"))):
        for condition in (
            Condition(),
            Condition(deny=(Clause(),)),
            Condition(allow=(Clause(),), deny=(Clause(),)),
        ):
            assert find(world, condition, SEARCHED_ALL) == []
        assert len(find(world, EVERYTHING, SEARCHED_ALL)) > 100


def test_values_are_bound_never_written():
    """No value of a condition or a search stands in the text of the query."""
    marks = [f"mark{number}" for number in range(6)]
    fields = (LabelField.TYPE, LabelField.AUTHORS, LabelField.AUTHOR_STRUCTURE)
    asked = (Test(field=f, values=(m,)) for f, m in zip(fields, marks, strict=False))
    gone = Test(field=LabelField.STATUS, values=("deleted",))
    condition = Condition(allow=(Clause(tests=tuple(asked)),), deny=(Clause(tests=(gone,)),))
    search = Search(types=(marks[3],), author=marks[4], spaces=(marks[5],), since=NOW.date())
    query = listing.page("mark of the patient", condition, search, size=987)

    for dialect in (sqlite.dialect(), postgresql.dialect()):
        text = str(query.compile(dialect=dialect))
        assert "mark" not in text
        assert "deleted" not in text
        assert "987" not in text
        assert "2026" not in text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("visibility", "L"),
        ("visibility", ""),
        ("visibility", "n"),
        ("status", "Approved"),
        ("title", "a"),
    ],
)
def test_unknown_fields_and_values(world, field, value):
    """What the record does not know is an error before anything is read, in either place and sense."""
    world.deposit(draft())
    before = world.rows()

    for negated in (False, True):
        unknown = Clause(tests=(Test(field=field, values=(value,), negated=negated),))
        for condition in (
            Condition(allow=(unknown,)),
            Condition(allow=(Clause(),), deny=(unknown,)),
        ):
            with pytest.raises(ConditionError, match=f"a condition on `{field}`"):
                world.store.list(world.listing(condition), JEAN, Search(), size=10)

    assert before == world.rows()


# Through the store: pages, banners, records.


def test_pages(world):
    """Page after page, each document is shown once, the newest act first, and each page is on record."""
    instants = [NOW - timedelta(days=number // 3) for number in range(25)]
    labels = world.deposit(*(draft(act_from=at) for at in instants[:20]))
    labels += world.deposit(*(draft(act_from=at) for at in instants[20:]))
    world.deposit(draft(patient=PHILIPPE))
    expected = sorted(labels, key=lambda one: (one.act_from, one.id), reverse=True)
    shown, sizes, after = [], [], ""

    while True:
        page = world.store.list(world.listing(), JEAN, Search(), size=7, after=after)
        shown += page.shown
        sizes.append(len(page.shown))
        after = page.next
        assert page.partial is bool(after)
        if not after:
            break

    assert expected == [one.label for one in shown]
    assert sizes == [7, 7, 7, 4]
    assert sorted(count for act, _, count in world.acts() if act == "document.list") == sorted(
        sizes
    )


def test_a_full_last_page(world):
    """A list that ends with its page leads nowhere on."""
    world.deposit(*(draft() for _ in range(4)))

    page = world.store.list(world.listing(), JEAN, Search(), size=4)

    assert (4, "", False) == (len(page.shown), page.next, page.partial)


def test_pages_while_it_changes(world):
    """What is deposited, masked or deleted between two pages disturbs no other document."""
    labels = world.deposit(*(draft(act_from=NOW - timedelta(days=n)) for n in range(1, 9)))
    unmasked = Condition(
        allow=(Clause(),),
        deny=(Clause(tests=(Test(field=LabelField.VISIBILITY, values=("MASQUE_PS",)),)),),
    )
    first = world.store.list(world.listing(unmasked), JEAN, Search(), size=3)

    world.deposit(draft(act_from=NOW))
    for one, act in ((labels[2], Act.DELETE), (labels[4], Act.MASK)):
        world.store.change(world.permit(act.value, one), JEAN, one.id, act)
    rest = world.store.list(world.listing(unmasked), JEAN, Search(), size=9, after=first.next)

    assert [one.label.id for one in first.shown] == [one.id for one in labels[:3]]
    assert [one.label.id for one in rest.shown] == [labels[place].id for place in (3, 5, 6, 7)]


def test_cursor_of_another_list(world):
    """The cursor of another search leads nowhere: an error of the field `cursor`, and nothing is read."""
    world.deposit(*(draft() for _ in range(4)))
    after = world.store.list(world.listing(), JEAN, Search(), size=2).next
    before = world.rows()

    with pytest.raises(RequestError, match="cursor: belongs to another question"):
        world.store.list(world.listing(), JEAN, Search(spaces=("3",)), size=2, after=after)
    other = replace(DOCTOR, id="00B1038575")
    with pytest.raises(RequestError, match="cursor: belongs to another question"):
        world.store.list(world.listing(subject=other), JEAN, Search(), size=2, after=after)

    assert before == world.rows()


def test_statuses(world):
    """Documents in force are shown unless others are asked for; deleted ones never are."""
    given = {status: draft(status=status) for status in Status}
    world.deposit(*given.values())

    def shown(*statuses):
        page = world.store.list(world.listing(), JEAN, Search(statuses=statuses), size=10)
        return {one.label.status for one in page.shown}

    assert shown() == {Status.APPROVED}
    assert shown(Status.ARCHIVED, Status.DELETED) == {Status.ARCHIVED}
    assert shown(Status.DELETED) == set()
    assert shown(*Status) == set(Status) - {Status.DELETED}


def test_pathway(world):
    """The care pathway shows all statuses but deleted, up to its limit, and says when there is more."""
    world.deposit(
        *(
            draft(status=status, act_from=NOW - timedelta(days=n))
            for n, status in enumerate([*Status, *Status])
        )
    )

    def walk(limit, *statuses):
        search = Search(statuses=statuses)
        return world.store.pathway(world.listing(), JEAN, search, limit)

    assert [len(walk(10).shown), len(walk(6).shown), len(walk(5).shown)] == [6, 6, 5]
    assert [walk(6).partial, walk(5).partial] == [False, True]
    assert {one.label.status for one in walk(10, Status.ARCHIVED).shown} == {Status.ARCHIVED}
    assert [count for act, _, count in world.acts() if act == "document.list"][-1] in (2, 5, 6)


def test_banners(world):
    """What a clause asks to be shown beside a document is shown beside those for which it holds."""
    masked, plain = world.deposit(draft(visibility=Visibility(masked=True)), draft())
    warned = Clause(
        tests=(Test(field=LabelField.VISIBILITY, values=("MASQUE_PS",)),),
        obligations=("mark_obsolete",),
    )
    condition = Condition(allow=(Clause(obligations=("show_mode",)), warned))

    page = world.store.list(world.listing(condition), JEAN, Search(), size=10)

    assert {one.label.id: one.banners for one in page.shown} == {
        masked.id: ("show_mode", "mark_obsolete"),
        plain.id: ("show_mode",),
    }


def test_nobody_to_list(world):
    """A patient without documents has an empty list, and it is on record all the same."""
    page = world.store.list(world.listing(), JEAN, Search(), size=10)

    assert (page.shown, page.next) == ((), "")
    assert [("document.list", "", 0)] == world.acts()


def test_no_condition(world):
    """A permit that says nothing of which documents lists none."""
    world.deposit(draft())

    with pytest.raises(PermitError, match="says nothing of which documents"):
        world.store.list(world.listing(None), JEAN, Search(), size=10)


def test_second_look(world, monkeypatch, capsys):
    """If SQL ever found what the condition does not admit, nothing is shown, and no name is told."""
    (one, _) = world.deposit(draft(visibility=Visibility(masked=True)), draft())
    unmasked = Condition(
        allow=(
            Clause(tests=(Test(field=LabelField.VISIBILITY, values=("MASQUE_PS",), negated=True),)),
        )
    )
    monkeypatch.setattr(listing._Rows, "_admitted", lambda *_: tables.documents.c.id != "")
    before = world.rows()

    with pytest.raises(ListingError, match="does not admit: nothing is shown"):
        world.store.list(world.listing(unmasked), JEAN, Search(), size=10)

    said = capsys.readouterr()
    assert "does not admit a row" in said.out + said.err
    for secret in (JEAN, DOCTOR.id, one.id, one.unique_id):
        assert secret not in said.out + said.err
    assert before == world.rows()


def test_days_are_those_of_france(world):
    """A day begins and ends at midnight in France, in summer and in winter."""

    def at(text):
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    instants = [
        "2026-01-09T22:59:59",
        "2026-01-09T23:00:00",
        "2026-01-10T22:59:59",
        "2026-01-10T23:00:00",
    ]
    instants += [
        "2026-07-09T21:59:59",
        "2026-07-09T22:00:00",
        "2026-07-10T21:59:59",
        "2026-07-10T22:00:00",
    ]
    labels = world.deposit(*(draft(act_from=at(text)) for text in instants))

    for month, place in ((1, 0), (7, 4)):
        day = date(2026, month, 10)
        page = world.store.list(world.listing(), JEAN, Search(since=day, until=day), size=10)
        assert {one.label.id for one in page.shown} == {
            one.id for one in labels[place + 1 : place + 3]
        }


def test_acts_that_last(world):
    """A stay is found in each period that it reaches into."""
    (stay,) = world.deposit(
        draft(act_from=datetime(2026, 1, 20, tzinfo=UTC), act_to=datetime(2026, 2, 3, tzinfo=UTC))
    )

    def found(since, until):
        page = world.store.list(world.listing(), JEAN, Search(since=since, until=until), size=10)
        return [one.label.id for one in page.shown] == [stay.id]

    assert found(date(2026, 2, 1), date(2026, 2, 28))
    assert found(date(2026, 1, 25), date(2026, 1, 26))
    assert not found(date(2026, 2, 4), None)
    assert not found(None, date(2026, 1, 19))


def test_a_long_list_stops_nobody(world):
    """While a list is read, others write: it holds no lock."""
    world.deposit(*(draft() for _ in range(3)))
    written = []

    def write(*told):
        if "shown" in told[2] and not written:
            written.append("begun")
            written.append(world.deposit(draft())[0].id)

    event.listen(world.reader, "before_cursor_execute", write)
    page = world.store.list(world.listing(), JEAN, Search(), size=10)
    event.remove(world.reader, "before_cursor_execute", write)

    assert len(written) == 2
    assert len(page.shown) in (3, 4)


def test_cursor_position_is_exact(world):
    """A page begins behind the very document that the page before ended with, of several at one instant."""
    labels = world.deposit(*(draft(act_from=NOW) for _ in range(10)))
    expected = sorted((one.id for one in labels), reverse=True)

    for place, document in enumerate(expected):
        after = cursor.Position(at=NOW, id=document)
        found = find(world, EVERYTHING, Search(), after=after)
        assert expected[place + 1 :] == found


def test_plan(world):
    """On SQLite, others' documents are passed over in the index alone, and one's own are looked up."""
    if world.writer.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by what it has counted")
    mine = Test(field=LabelField.AUTHORS, values=(DOCTOR.id,), negated=True)
    masked = Test(field=LabelField.VISIBILITY, values=("MASQUE_PS",))
    condition = Condition(allow=(Clause(),), deny=(Clause(tests=(masked, mine)),))
    query = listing.page(JEAN, condition, Search(), size=21)
    compiled = query.compile(world.reader, compile_kwargs={"literal_binds": True})

    with world.reader.connect() as conn:
        plan = [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]

    searches = {step for step in plan if step.startswith(("SEARCH", "SCAN documents"))}
    assert searches == {
        "SEARCH documents USING COVERING INDEX documents_of_patient (patient=?)",
        "SEARCH documents USING INDEX sqlite_autoindex_documents_1 (id=?)",
        "SEARCH authors USING COVERING INDEX authors_of_patient (patient=? AND author=?)",
    }
    assert not any("CORRELATED" in step for step in plan)


@settings(max_examples=300, deadline=None)
@given(conditions("sqlite"), st.sampled_from(list(population("sqlite"))))
def test_parted_conditions_say_the_same(condition, of):
    """Taken apart by authorship, a condition says of each document what it said as a whole."""
    parted, document = part(condition), as_document(of)
    own = not set(parted.authors).isdisjoint(document.authors)

    admission = (parted.own if own else parted.others).admits(document)

    assert condition.admits(document) == admission


@settings(max_examples=300, deadline=None)
@given(conditions("sqlite"), st.sampled_from(list(population("sqlite"))))
def test_merged_clauses_say_the_same(condition, of):
    """Merged, clauses hold for the documents for which one of them held."""
    document = as_document(of)
    merged = merge(condition.deny)

    assert any(one.holds(document) for one in condition.deny) is any(
        one.holds(document) for one in merged
    )
    assert len(merged) <= len(condition.deny)


def test_merged_types():
    """Closed types and unknown ones become the list of those that are open."""

    def asks(*types, negated):
        test = Test(field=LabelField.TYPE, values=types, negated=negated)
        return Clause(tests=(test,), rule="a rule")

    closed, unknown = asks("b", negated=False), asks("a", "b", "c", negated=True)
    expected = Clause(tests=(Test(field=LabelField.TYPE, values=("a", "c"), negated=True),))

    assert merge((closed, unknown)) == (expected,)
