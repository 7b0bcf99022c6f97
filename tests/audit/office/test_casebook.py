"""The cases in the index are those that the log tells of, however it was read."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.office.casebook import Casebook
from audit.office.cases import case_id
from audit.office.database import opened
from audit.office.handles import Handles
from audit.office.tables import case_steps, cases
from tests.audit.office import emergencies as make
from tests.audit.office.world import KEY, follow, index_of, rows
from tests.audit.world import append
from tests.audit.world import opened as log_opened
from tests.reference import cases as reference

HANDLES = Handles(KEY)
BOOK = Casebook(HANDLES)
STATES = {0: "open", 1: "justified", 2: "misuse"}


def clear(shared):
    with shared.begin() as conn:
        conn.execute(cases.delete())
        conn.execute(case_steps.delete())


def take(shared, *gained):
    """Takes entries in, in one transaction."""
    with shared.begin() as conn:
        BOOK.take(conn, gained)


def told(shared):
    """{id: (ids of accesses, verdict, id of the closing review)}, and what each row says of itself."""
    found = {}
    with shared.connect() as conn:
        for row in conn.execute(cases.select()):
            mine = case_steps.c.about == row.id, case_steps.c.kind == 1
            steps = conn.execute(
                case_steps.select().where(*mine).order_by(case_steps.c.place)
            ).all()
            assert (row.accesses, row.last_at) == (len(steps), max(one.at for one in steps))
            review = case_id(row.review) if row.review else None
            accesses = [case_id(one.id) for one in steps]
            found[case_id(row.id)] = (accesses, STATES[row.state], review)
    return found


def expected(gained):
    return reference.cases([(one.log, one.entry) for one in gained])


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """An index that examples share."""
    shared = opened(f"sqlite:///{tmp_path_factory.mktemp('index')}/audit.db")
    yield shared
    shared.dispose()


@st.composite
def stories(draw):
    """Entries of up to three logs, with reviews of some accesses, and an order of reading them in steps."""
    hours = st.integers(0, 80)
    accesses = draw(
        st.lists(
            st.builds(
                make.access,
                hours,
                who=st.sampled_from([make.DOCTOR, make.OTHER]),
                patient=st.sampled_from([make.ALICE, make.BOB]),
                effect=st.sampled_from(["allow", "allow", "allow", "deny"]),
            ),
            min_size=1,
            max_size=12,
        )
    )
    reviews = draw(
        st.lists(
            st.builds(
                make.review,
                st.sampled_from(accesses),
                hours,
                verdict=st.sampled_from(["justified", "misuse", "justified", "other"]),
                who=st.sampled_from([make.AUDITOR, make.AUDITOR, make.DOCTOR]),
                effect=st.sampled_from(["allow", "allow", "deny"]),
            ),
            max_size=8,
        )
    )
    entries = draw(st.permutations([*accesses, *reviews]))
    if draw(st.booleans()):
        entries = sorted(entries, key=lambda entry: entry["at"])  # as clocks run, mostly
    logs = draw(st.lists(st.integers(1, 3), min_size=len(entries), max_size=len(entries)))
    gained = make.in_logs(entries, logs)
    # Read log by log in any order, as long as each log is read in its own.
    queues = {log: [one for one in gained if one.log == log] for log in (1, 2, 3)}
    read = [queues[log].pop(0) for log in draw(st.permutations(logs))]
    cuts = draw(st.lists(st.integers(0, len(read)), max_size=4).map(sorted))
    steps = [read[a:b] for a, b in zip([0, *cuts], [*cuts, len(read)], strict=True)]
    return gained, steps


@given(story=stories())
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_however_it_is_read(shared, story):
    """In whatever order logs are read and steps end, the cases are those of the slow reference."""
    gained, steps = story
    clear(shared)
    for step in steps:
        take(shared, *step)
    assert told(shared) == expected(gained)


@given(story=stories(), data=st.data())
@settings(
    max_examples=75, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_erased(shared, story, data):
    """When entries of a log are erased, the cases are those of what is left."""
    gained, steps = story
    clear(shared)
    for step in steps:
        take(shared, *step)
    log = data.draw(st.integers(1, 3))
    begin, end = sorted(data.draw(st.tuples(st.integers(0, 20), st.integers(0, 20))))
    with shared.begin() as conn:
        BOOK.drop(conn, log, begin, end)
    left = [one for one in gained if not (one.log == log and begin <= one.index < end)]
    assert told(shared) == expected(left)


def test_through_the_log(conn, url, index_engine):
    """Accesses and reviews that stand in two logs are cases, also when the index is made anew."""
    one, two = log_opened(conn, "one"), log_opened(conn, "two")
    first, second = make.access(), make.access(2, patient=make.BOB)
    third = make.access(3)
    accesses = [{k: v for k, v in each.items() if k != "at"} for each in (first, second, third)]
    closing = {k: v for k, v in make.review(first).items() if k != "at"}
    append(conn, two, closing, batch=1)
    append(conn, one, *accesses, batch=0)
    index = index_of(index_engine, Casebook(HANDLES))
    follow(index, url)
    found = told(index_engine)
    assert found == {
        first["id"]: ([first["id"], third["id"]], "justified", closing["id"]),
        second["id"]: ([second["id"]], "open", None),
    }
    before = rows(index_engine, cases, case_steps)
    index.clear()
    follow(index, url)
    assert rows(index_engine, cases, case_steps) == before


def test_many_accesses_are_one_case(shared):
    """An hour of accesses each second is one case, and is taken in at once."""
    clear(shared)
    entries = [make.access(second / 3600) for second in range(3600)]
    gained = make.in_logs(entries)
    for begin in range(0, len(gained), 500):
        take(shared, *gained[begin : begin + 500])
    assert [len(one[0]) for one in told(shared).values()] == [3600]


def test_window_of_the_reference_is_the_default():
    """What the reference counts with is what the parameters say without policies."""
    assert timedelta(hours=24) == reference.cases.__kwdefaults__["window"]
