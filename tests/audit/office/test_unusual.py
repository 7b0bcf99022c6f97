"""Unusual accesses are found by limits that anyone can check, and shown with them."""

import itertools
import os
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from audit.entry import rfc3339
from audit.office.handles import Handles
from audit.office.signs import Signs
from audit.office.tables import family_names, strangers
from audit.office.unusual import BASE, MANY_PATIENTS, SIGNS, find, is_night, places
from audit.v1 import audit_pb2 as pb
from tests.audit.office import emergencies as make
from tests.audit.office.served import running
from tests.audit.office.test_reviews import Clock, broken
from tests.audit.office.world import KEY, follow, index_of, rows
from tests.audit.world import opened
from tests.service import ANASTA, NOW, auditor, failure, stranger, violations

HANDLES = Handles(KEY)
DOCTOR, OTHER = HANDLES.person(make.DOCTOR), HANDLES.person(make.OTHER)
HOUR = timedelta(hours=1)

_patients = itertools.count(1)


def somebody():
    """A patient like no other."""
    return f"{next(_patients):022}"


class Told:
    """A log that is told of accesses at certain instants, and an index of it."""

    def __init__(self, conn, url, engine):
        self.conn, self.url, self.engine = conn, url, engine
        self.log = opened(conn)
        self.index = index_of(engine, Signs(HANDLES))

    def add(self, at, *accesses):
        """Accesses of one instant."""
        drafts = [{k: v for k, v in one.items() if k != "at"} for one in accesses]
        self.log.append(self.conn, drafts, at=rfc3339(at), random=os.urandom)
        self.conn.commit()
        self.log.committed()

    def found(self, *signs, begin=None, end=None):
        """What is found in a period; in 31 days up to a day after the beginning, unless told otherwise."""
        follow(self.index, self.url)
        end = end or make.BEGIN + timedelta(days=1)
        with self.engine.connect() as conn:
            found = find(conn, signs, begin=_micros(begin or end - BASE), end=_micros(end))
            return [(one, len(places(conn, one))) for one in found]


@pytest.fixture
def told(conn, url, index_engine):
    """An empty log, and its index."""
    return Told(conn, url, index_engine)


def _micros(at):
    return int(at.timestamp() * 1_000_000)


def normal(**more):
    """A reading in normal access."""
    return make.access(**{"mode": "normal", "patient": somebody(), **more})


def test_many_patients(told):
    """One patient more than the limit within an hour is found; the limit itself, or two hours, is not."""
    half = MANY_PATIENTS // 2 + 1
    told.add(make.BEGIN, *(normal() for _ in range(MANY_PATIENTS + 1)))
    told.add(make.BEGIN, *(normal(who=make.OTHER) for _ in range(half)))
    told.add(make.BEGIN + HOUR, *(normal(who=make.OTHER) for _ in range(half)))
    ((one, shown),) = told.found("many_patients")
    assert (one.professional, one.patient, one.accesses, shown) == (DOCTOR, 0, 31, 20)
    assert "31 patients" in one.said.en
    assert "Limit: 30" in one.said.en
    assert "Limite : 30" in one.said.fr


def test_one_patient_often_is_not_many(told):
    """Many accesses to few patients are none."""
    told.add(make.BEGIN, *(normal(patient=make.ALICE) for _ in range(MANY_PATIENTS * 2)))
    assert told.found("many_patients") == []


def test_what_was_denied_does_not_count(told):
    """Refused attempts show nobody's record."""
    told.add(make.BEGIN, *(normal(effect="deny") for _ in range(MANY_PATIENTS + 1)))
    assert told.found("many_patients") == []


def day(number, hour):
    """An hour of a day in France, in winter."""
    return datetime(2026, 11, number, hour, tzinfo=UTC) - HOUR


def work(told, *, at, who=make.DOCTOR, days=range(1, 11), each=2):
    """Accesses at one hour of several days."""
    for number in days:
        told.add(day(number, at), *(normal(who=who) for _ in range(each)))


def test_night_of_somebody_who_works_by_day(told):
    """Two accesses on either side of midnight are one night, with the limit that it passes."""
    work(told, at=11)
    told.add(day(12, 23), normal())
    told.add(day(13, 3), normal())
    ((one, shown),) = told.found("night", end=day(14, 12))
    assert (one.professional, one.accesses, shown) == (DOCTOR, 2, 2)
    assert "2 of these 22 accesses" in one.said.en


def test_who_works_at_night_is_not_unusual(told):
    """Of somebody who is often up at night, a night says nothing; nor of somebody of whom little is known."""
    work(told, at=11)
    work(told, at=2, days=range(1, 4), each=1)
    work(told, at=11, who=make.OTHER, days=range(1, 9))
    told.add(day(12, 23), normal(who=make.OTHER))
    assert told.found("night", end=day(14, 12)) == []


def test_night_before_the_period_is_not_told(told):
    """The period asked for says which nights are told; 31 days say how somebody works."""
    work(told, at=11)
    told.add(day(12, 23), normal())
    assert told.found("night", begin=day(13, 12), end=day(14, 12)) == []


@pytest.mark.parametrize(
    ("at", "night"),
    [
        (datetime(2026, 11, 18, 20, 59, tzinfo=UTC), False),
        (datetime(2026, 11, 18, 21, 0, tzinfo=UTC), True),
        (datetime(2026, 11, 19, 4, 59, tzinfo=UTC), True),
        (datetime(2026, 11, 19, 5, 0, tzinfo=UTC), False),
        (datetime(2026, 7, 18, 19, 59, tzinfo=UTC), False),
        (datetime(2026, 7, 18, 20, 0, tzinfo=UTC), True),
        (datetime(2026, 7, 19, 4, 0, tzinfo=UTC), False),
    ],
)
def test_night_is_that_of_france(at, night):
    """From 22:00 to 06:00 in Paris, in winter and in summer."""
    assert is_night(_micros(at)) is night


def patient(id_, name):
    """Something that a patient did."""
    subject = {"kind": "patient", "id": id_, "name": name}
    return normal(subject=subject, patient=id_)


def named(name, **more):
    """An access of a professional with a name."""
    return normal(**more) | {"subject": {"kind": "professional", "id": make.DOCTOR, "name": name}}


def test_same_name(told):
    """A professional and a patient with one family name are found, once the patient acted under it."""
    told.add(make.BEGIN, named("Dr Anne PASQUIER", patient=make.ALICE))
    assert told.found("same_name") == []
    told.add(make.BEGIN, patient(make.ALICE, "Anasta PASQUIÈR"), patient(make.BOB, "Bob AUTRE"))
    told.add(make.BEGIN, named("Dr Anne PASQUIER", patient=make.BOB))
    ((one, shown),) = told.found("same_name")
    assert (one.professional, one.patient, one.accesses, shown) == (
        DOCTOR,
        HANDLES.person(make.ALICE),
        1,
        1,
    )


def test_patient_who_reads_is_not_found(told):
    """Patients have their own name."""
    told.add(make.BEGIN, *(patient(make.ALICE, "Anasta PASQUIER") for _ in range(3)))
    assert told.found(*SIGNS) == []


def test_erased_entries_drop_out(told):
    """When the entries are erased, nothing of what they showed is left."""
    told.add(make.BEGIN, named("Dr Anne PASQUIER"), patient(make.ALICE, "Anasta PASQUIER"))
    follow(told.index, told.url)
    with told.engine.begin() as conn:
        Signs(HANDLES).drop(conn, 1, 0, 2)
    assert rows(told.engine, strangers, family_names) == {"strangers": [], "family_names": []}


def test_outside_of_the_period(told):
    """What was before or after is not told."""
    told.add(make.BEGIN, *(normal() for _ in range(MANY_PATIENTS + 1)))
    later = make.BEGIN + HOUR
    assert told.found("many_patients", begin=later) == []
    assert told.found("many_patients", end=make.BEGIN) == []


async def listed(audit, **asked):
    return await audit.stub.ListUnusual(pb.ListUnusualRequest(subject=auditor(), **asked))


async def test_break_glass_is_told_with_its_limit(tmp_path, database):
    """A break-glass is shown as an access without relation, by pseudonym, with its decision."""
    async with running(tmp_path, database=database, clock=(clock := Clock())) as audit:
        await audit.open()
        id_ = await broken(audit)
        clock.now += HOUR
        page = await listed(audit)
        (one,) = page.found
        assert (one.sign, one.accesses, list(one.decision_ids)) == ("no_relation", 1, [id_])
        assert one.professional.id == stranger().id
        assert "autorisation" in one.fr
        assert "Limit: none" in one.en
        assert page.look.pseudonymised
        assert one.patient.startswith("~")
        assert ANASTA not in str(page)


async def test_page_by_page(tmp_path):
    """All findings are shown once, however small the pages are."""
    async with running(tmp_path, clock=(clock := Clock())) as audit:
        await audit.open()
        ids = []
        for number in range(3):
            who = stranger(id=f"89970030{1015 + number}")
            ids.append(await broken(audit, who=who))
            clock.now += HOUR
        seen, cursor = [], ""
        for _ in ids:
            page = await listed(audit, page_size=1, cursor=cursor)
            seen += [id_ for one in page.found for id_ in one.decision_ids]
            cursor = page.cursor
        assert seen == ids[::-1]
        assert not cursor


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"signs": ["night", "colour"]}, "signs[1]"),
        ({"page_size": 201}, "page_size"),
        ({"cursor": "x"}, "cursor"),
        ({"begin": NOW - BASE - HOUR}, "from"),
        ({"begin": NOW + HOUR}, "from"),
    ],
)
async def test_what_cannot_be_asked(tmp_path, asked, field):
    """Unknown signs and periods that are too long, or have not begun, are refused."""
    request = pb.ListUnusualRequest(subject=auditor())
    if "begin" in asked:
        getattr(request, "from").FromDatetime(asked.pop("begin"))
    request.MergeFrom(pb.ListUnusualRequest(**asked))
    async with running(tmp_path) as audit:
        assert field in violations(await failure(audit.stub.ListUnusual(request)))


async def test_the_longest_period_begins_with_the_calendar(tmp_path):
    """Before the first 31 days of all there is nothing, and nothing goes wrong."""
    async with running(tmp_path) as audit:
        request = pb.ListUnusualRequest(subject=auditor())
        request.until.FromDatetime(datetime(1, 1, 2, tzinfo=UTC))
        answer = await audit.stub.ListUnusual(request)
        assert not answer.found


async def test_for_auditors_alone(tmp_path):
    """Nobody else is told."""
    async with running(tmp_path) as audit:
        error = await failure(audit.stub.ListUnusual(pb.ListUnusualRequest(subject=stranger())))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
