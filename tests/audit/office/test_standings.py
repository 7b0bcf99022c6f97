"""What reviews have left professionals with is told to the decision point, and it refuses accordingly."""

import asyncio
import re
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import insert

from audit.database import reader
from audit.office.casebook import Casebook
from audit.office.database import opened
from audit.office.gained import micros
from audit.office.handles import Handles
from audit.office.office import Standing as Follows
from audit.office.standings import FRESH, Standings, differences
from audit.office.steps import Standing
from audit.office.tables import positions
from clients.sdk import Decision, Denied, Effect, Permit, Query, Told, UnavailableError, oneself
from tests.audit.office import emergencies as make
from tests.audit.office.served import running
from tests.audit.office.test_reviews import DAY, Clock, broken, close, emergency, listed
from tests.audit.office.world import KEY, follow, index_of
from tests.audit.world import append
from tests.audit.world import opened as log_opened
from tests.service import copied, entries, patient, stranger, until

HANDLES = Handles(KEY)


@pytest.fixture
def clock():
    """The clock of all services."""
    return Clock()


def wanted(tmp_path, *steps, days=0.0):
    """(standing, whether a case says why) of each professional to be told of, so many days later."""
    engine = opened(f"sqlite:///{tmp_path}/audit.db")
    with engine.begin() as conn:
        row = {"origin": "log/1", "log": 1, "next_index": 9, "link": bytes(32), "at": 0}
        conn.execute(insert(positions), row)
        Casebook(HANDLES).take(conn, make.in_logs(steps))
        now = micros(make.BEGIN + timedelta(days=days))
        found = differences(conn, now=now)
    engine.dispose()
    return {one.professional: (one.standing, bool(one.why)) for one in found}


DOCTOR, OTHER = HANDLES.person(make.DOCTOR), HANDLES.person(make.OTHER)


def test_open_case_is_nothing_yet(tmp_path):
    """Who waits within the deadline has nothing against them."""
    assert wanted(tmp_path, make.access(), days=6.9) == {}


def test_overdue(tmp_path):
    """Beyond the deadline, the one whose case waits is overdue, and nobody else."""
    accesses = make.access(), make.access(who=make.OTHER, hours=48)
    assert wanted(tmp_path, *accesses, days=7.1) == {DOCTOR: (Standing.OVERDUE, True)}


def test_misuse_comes_first(tmp_path):
    """Who has both is told as misuse."""
    first = make.access()
    steps = first, make.review(first, verdict="misuse"), make.access(2)
    assert wanted(tmp_path, *steps, days=8) == {DOCTOR: (Standing.MISUSE, True)}


def test_misuse_lasts_a_year(tmp_path):
    """A year after the verdict it stands against nobody any more."""
    first = make.access()
    steps = first, make.review(first, verdict="misuse")
    for name, days, expected in (("a", 364, 1), ("b", 366, 0)):
        (tmp_path / name).mkdir()
        assert len(wanted(tmp_path / name, *steps, days=days)) == expected


def test_what_was_told_is_not_told_again(tmp_path):
    """The last telling counts; what is over is told as none."""
    first = make.access()
    told = make.told("overdue", 170), make.told("misuse", 1, who=make.OTHER)
    found = wanted(tmp_path, first, *told, days=8)
    assert found == {OTHER: (Standing.NONE, False)}


def test_told_anew_when_it_was_set_otherwise(tmp_path):
    """What somebody else has told since is set right."""
    told = make.told("overdue", 170), make.told("none", 171)
    assert wanted(tmp_path, make.access(), *told, days=8) == {DOCTOR: (Standing.OVERDUE, True)}


class Point:
    """A client that keeps what it is told, and fails as often as it is told to."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.told = []

    async def set_review_standing(self, service, professional, standing, **how):
        """Keeps a standing, or fails."""
        self.told.append((service, professional, standing, how["request_id"]))
        if self.errors:
            raise self.errors.pop(0)
        return Permit(QUERY, DECISION)


QUERY = Query(subject=oneself("audit"), action="standing.set")
DECISION = Decision(
    id="",
    effect=Effect.ALLOW,
    reason_code="SERVICE",
    told=Told(fr="", en=""),
    rules=(),
    obligations=(),
    remarks=(),
    bundle="",
    revision=0,
    at=make.BEGIN,
)


@pytest.fixture
def office(conn, url, index_engine):
    """An office whose log holds an overdue case."""
    log = log_opened(conn)
    append(conn, log, {name: v for name, v in make.access().items() if name != "at"})
    follow(index_of(index_engine, Casebook(HANDLES)), url)
    now = make.BEGIN + 9 * DAY
    office = SimpleNamespace(
        index=index_engine, log=reader(url), handles=HANDLES, clock=lambda: now, until=now
    )
    office.standing = lambda: Follows(complete_until=office.until)
    return office


def test_told_until_it_is_answered(office):
    """Without an answer the same is told again, under the same request; then no more."""
    point = Point(UnavailableError("gone"), UnavailableError("gone"))
    standings = Standings(office, point)

    async def tell():
        return [await standings.tell() for _ in range(5)]

    assert asyncio.run(tell()) == [0, 0, 1, 0, 0]
    assert {one[:3] for one in point.told} == {("audit", make.DOCTOR, "overdue")}
    assert len({one[3] for one in point.told}) == 1
    assert len(point.told[0][3]) <= 128


def test_refused_is_not_told_over_and_over(office):
    """What policy refuses is on record once, not every two seconds."""
    point = Point(Denied(QUERY, DECISION))
    standings = Standings(office, point)

    async def tell():
        return [await standings.tell() for _ in range(3)]

    assert asyncio.run(tell()) == [0, 0, 0]
    assert len(point.told) == 1


def test_nothing_is_told_while_the_index_is_behind(office):
    """An index that is late may lack the review, so it makes nobody overdue."""
    for until_ in (None, office.clock() - FRESH - timedelta(seconds=1)):
        office.until = until_
        assert asyncio.run(Standings(office, Point()).tell()) == 0


def strict(tmp_path):
    """Policies that refuse a further break-glass after a misuse, or while a case is overdue."""
    folder = copied(tmp_path)
    path = folder / "parameters.yaml"
    text, n = re.subn(
        r"(name: emergency.refused_after\n(?:.*\n){2}\s+value: )none",
        r"\1misuse_or_overdue",
        path.read_text(encoding="utf-8"),
    )
    assert n == 1
    path.write_text(text, encoding="utf-8")
    return folder


async def test_overdue_case_stops_the_next_break_glass(tmp_path, clock):
    """Overdue: refused elsewhere. Reviewed as justified: allowed again. Misuse: refused for a year."""
    async with running(tmp_path, clock=clock, policies=strict(tmp_path)) as audit:
        for number in range(3):
            await audit.open(whose=patient(number))
        first = await broken(audit, patient(0))

        async def reason(number=1):
            decision = await audit.decide(emergency(patient(number)))
            return decision.reason_code

        async def becomes(standing):
            async def told():
                found = [one for one in entries(audit.point.url) if "change" in one]
                return found[-1]["change"].get("standing") == standing

            await until(told)
            await audit.settled()

        clock.now += 7 * DAY + timedelta(seconds=1)
        await becomes("overdue")
        assert await reason() == "REVIEW_OUTSTANDING"
        assert audit.metric("audit_cases", state="overdue") == 1
        assert (await listed(audit, state="overdue")).cases[0].id == first

        await close(audit, first, "justified")
        await becomes("none")
        assert await reason() == "BREAK_GLASS"
        await audit.settled()
        (second,) = (await listed(audit)).cases

        await close(audit, second.id, "misuse")
        await becomes("misuse")
        assert await reason(2) == "REVIEW_MISUSE"
        clock.now += 366 * DAY
        await becomes("none")
        assert await reason(2) == "BREAK_GLASS"
        told = [one for one in entries(audit.point.url) if one.get("action") == "standing.set"]
        assert [one["effect"] for one in told] == ["allow"] * 4
        assert {one["target"]["id"] for one in told} == {stranger().id}
