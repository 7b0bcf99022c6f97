"""The index finds what a slow look at every entry finds, in order, page by page, and counts it."""

import os
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, event, func, select, text

from audit.database import reader, snapshot
from audit.entry import rfc3339
from audit.errors import LogDamagedError
from audit.office.browsing import Browser
from audit.office.counting import FACETS
from audit.office.errors import TooMuchError
from audit.office.filters import Filter
from audit.office.gained import moment
from audit.office.handles import Handles
from audit.office.limits import limited
from audit.office.tables import entries
from audit.reader import read
from audit.tables import log_batches
from tests.audit.office.drawn import BEGIN, INS, logs, narrow, wanted
from tests.audit.office.world import KEY, follow, index_of
from tests.audit.world import ALICE, BOB, append, draft, fill, opened
from tests.databases import before_statements, empty

DRAWN = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def browser(url, index_engine, **how):
    """What looks into both databases."""
    return Browser(index_engine, reader(url), Handles(KEY), **how)


def everything(url):
    """All entries of all logs with origin and instant, in the order in which they are shown."""
    with snapshot(reader(url)) as conn:
        found = [(one.entry, one.origin, one.index) for one in read(conn)]
    return sorted(found, key=lambda one: (one[0]["at"], one[1], one[2]))


def written(conn, batches, origin):
    """A log of these batches, one a second."""
    log = opened(conn, origin)
    for second, batch in enumerate(batches):
        at = rfc3339(BEGIN + timedelta(seconds=second))
        log.append(conn, batch, at=at, random=os.urandom)
        conn.commit()
        log.committed()


@dataclass
class Pair:
    """A log and its index, which are filled anew for each example."""

    conn: Connection
    engine: Engine
    url: str
    index: Engine

    @property
    def browser(self):
        return browser(self.url, self.index)

    def fill(self, **logs):
        empty(self.engine)
        for origin, batches in logs.items():
            written(self.conn, batches, origin)
        index = index_of(self.index)
        index.clear()
        follow(index, self.url)


@pytest.fixture
def pair(conn, engine, url, index_engine):
    """A log and its index."""
    return Pair(conn, engine, url, index_engine)


def places(page):
    return [(one.stored.origin, one.stored.index) for one in page.seen]


def all_pages(looking, asked, *, size, ascending):
    """The places of all pages; each is at most as large as asked for."""
    found, after = [], None
    while True:
        page = looking.page(asked, size=size, after=after, ascending=ascending)
        assert len(page.seen) <= size
        found += places(page)
        after = page.after
        if after is None:
            return found


@DRAWN
@given(one=logs, two=logs, asks=st.lists(narrow(), min_size=6, max_size=6), size=st.integers(1, 7))
def test_search_finds_what_a_slow_look_finds(pair, one, two, asks, size):
    """Whatever is asked for, all of it is found, once and in order, in pages of any size; and counted."""
    pair.fill(one=one, two=two)
    looking, all_entries = pair.browser, everything(pair.url)
    for asked in asks:
        expected = [
            (origin, place)
            for entry, origin, place in all_entries
            if wanted(entry, origin, moment(entry["at"]), asked)
        ]
        assert expected == all_pages(looking, asked, size=size, ascending=True)
        assert expected[::-1] == all_pages(looking, asked, size=size, ascending=False)
        assert len(expected) == looking.count(asked, ())[0].total
        assert sorted(expected) == sorted(
            (stored.origin, stored.index) for stored in looking.gained(asked, {}, size=1000)
        )


@DRAWN
@given(one=logs, asked=narrow())
def test_facets_are_exact(pair, one, asked):
    """Each facet counts each value that the entries found have; an entry with two rules counts for both."""
    pair.fill(one=one)

    counted, known = pair.browser.count(asked, FACETS)

    found = [
        entry
        for entry, origin, _ in everything(pair.url)
        if wanted(entry, origin, moment(entry["at"]), asked)
    ]
    assert counted.total == len(found)
    values = {
        "effect": lambda e: [e["effect"]],
        "action": lambda e: [e.get("action", "")],
        "mode": lambda e: [e.get("mode", "normal")],
        "reason_code": lambda e: [e["reason_code"]],
        "rule": lambda e: e.get("rules", []),
        "caller": lambda e: [e["caller"]],
        "kind": lambda e: [e["kind"]],
        "log": lambda _: ["one"],
        "structure": lambda e: [e.get("subject", {}).get("structure", "")],
        "subject": lambda e: [e.get("subject", {}).get("id", "")],
        "day": lambda e: [e["at"][:10]],
    }
    for facet in counted.facets:
        expected = Counter(value for entry in found for value in values[facet.name](entry))
        shown = {}
        for value in facet.values:
            text = value.text
            if value.place is not None:
                subject = known[value.place].entry["subject"]
                text = subject["id" if facet.name == "subject" else "structure"]
            shown[text] = value.count
        assert expected == shown
        assert facet.others == 0
        assert [v.count for v in facet.values] == sorted(shown.values(), reverse=True)


def test_facets_name_a_hundred_and_count_the_rest(conn, url, index_engine):
    """Of many values the hundred most frequent are named, and the entries beyond them counted."""
    log = opened(conn)
    append(conn, log, *(draft(subject={"kind": "professional", "id": f"x{n}"}) for n in range(103)))
    append(conn, log, *(draft(reason_code=f"R{n}") for n in range(103)), batch=1)
    follow(index_of(index_engine), url)

    counted, _ = browser(url, index_engine).count(Filter(), ("subject", "reason_code"))

    by_subject, by_reason = counted.facets
    assert (206, 100, 100) == (counted.total, len(by_subject.values), len(by_reason.values))
    assert 103 == by_subject.values[0].count
    assert 4 == by_subject.others == by_reason.others


def test_entries_with_one_number_are_told_apart(conn, url, index_engine, monkeypatch):
    """Should two patients have the same number in the index, only the one asked for is shown."""
    monkeypatch.setattr(Handles, "person", lambda _, id_: 7 if id_ else 0)
    fill(conn)
    follow(index_of(index_engine), url)

    page = browser(url, index_engine).page(Filter(patient=ALICE), size=50)

    assert {ALICE} == {one.stored.entry["patient"] for one in page.seen}
    assert 4 == len(page.seen)


def test_pages_go_on_where_the_last_one_ended(conn, url, index_engine):
    """What comes to the log meanwhile neither repeats nor hides anything on later pages."""
    log = fill(conn)
    index = index_of(index_engine)
    follow(index, url)
    looking = browser(url, index_engine)
    first = looking.page(Filter(), size=5)
    append(conn, log, draft(BOB), batch=20)
    follow(index, url)

    second = looking.page(Filter(), size=50, after=first.after)

    assert list(range(11, -1, -1)) == [one.stored.index for one in (*first.seen, *second.seen)]


def test_many_entries_of_one_batch_are_read_with_it(conn, url, index_engine):
    """However many entries of a batch are on a page, the batch is read once."""
    append(conn, opened(conn), *(draft() for _ in range(60)))
    follow(index_of(index_engine), url)
    looking = browser(url, index_engine)
    asked = []
    log = looking._log
    with before_statements(log, asked.append):
        page = looking.page(Filter(), size=50)

    assert 50 == len(page.seen)
    assert 1 == sum("log_batches" in statement for statement in asked)


def test_entry_that_the_log_lost_is_damage(conn, engine, url, index_engine):
    """Where the log has no more what the index was made from, that is told, and nothing is skipped."""
    fill(conn)
    follow(index_of(index_engine), url)
    conn.rollback()
    with engine.begin() as owner:
        owner.execute(log_batches.delete().where(log_batches.c.first_index == 3))

    with pytest.raises(LogDamagedError, match="entry 5: missing"):
        browser(url, index_engine).page(Filter(), size=50)


SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
}


def test_question_that_takes_too_long_is_given_up(index_engine):
    """A question is given up when its time is over, with a remedy, and the index answers the next one."""
    slow = text(SLOW[index_engine.dialect.name])
    with pytest.raises(TooMuchError, match="narrow the question"):  # noqa: SIM117 - in this order
        with index_engine.connect() as conn, limited(conn, 0.05):
            conn.execute(slow).all()

    with index_engine.connect() as conn, limited(conn, 5):
        assert 0 == conn.scalar(select(func.count()).select_from(entries))


def test_index_of_what_is_asked_is_used(conn, url, index_engine):
    """By patient, professional, structure and document SQLite searches an index, and for what is rare."""
    if index_engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL chooses by its statistics")
    fill(conn)
    follow(index_of(index_engine), url)
    entry = draft()
    plans = []

    def explain(conn, _, statement, parameters, *_more):
        if "FROM entries" in statement and not statement.startswith("EXPLAIN"):
            rows = conn.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append(" ".join(row[3] for row in rows))

    event.listen(index_engine, "before_cursor_execute", explain)
    looking = browser(url, index_engine)
    deny = {"effect": "allow", "kinds": ("decision",), "emergency": False}
    for asked, name in (
        (Filter(patient=ALICE, **deny), "patient"),
        (Filter(subjects=(entry["subject"]["id"],), actions=(entry["action"],)), "subject"),
        (Filter(structures=("10B0152872",), **deny), "structure"),
        (Filter(documents=("1.2.250.1.99.1",)), "document"),
    ):
        plans.clear()
        looking.page(asked, size=3)
        assert all(f"INDEX entries_{name} " in plan for plan in plans), (name, plans)
        assert not any("TEMP B-TREE" in plan for plan in plans), (name, plans)
    plans.clear()
    looking.page(Filter(rules=("read_when_authorised",), effect="allow"), size=50)
    assert "INDEX entries_shape " in plans[-1], plans
    assert plans[-1].startswith("SCAN shapes"), plans
    assert "SEARCH there USING" in plans[-1], plans
    event.remove(index_engine, "before_cursor_execute", explain)


def test_entry_of_nobody_is_not_found_by_an_empty_name(conn, url, index_engine):
    """A filter names somebody: entries that name nobody are not found by it."""
    fill(conn)
    follow(index_of(index_engine), url)
    looking = browser(url, index_engine)

    assert () == tuple(looking.page(Filter(patient=INS[0]), size=5).seen)
    assert () == tuple(looking.page(Filter(logs=("no such log",)), size=5).seen)
    assert () == tuple(looking.page(Filter(actions=("no.such.action",)), size=5).seen)
