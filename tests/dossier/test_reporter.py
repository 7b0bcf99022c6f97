"""The reporter: what was carried out is told, once it was, until it is answered."""

import asyncio
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from clients.sdk import InvalidError, UnavailableError
from dossier.courier import Courier
from dossier.records import record
from dossier.reporter import LEASE, LONGEST_WAIT, MOST, POLL_S, Reporter
from tests.dossier.served import running
from tests.dossier.test_service import EMERGENCY
from tests.dossier.town import BREAK_GLASS, CENTRE_15, OTHER_DOCTOR, URGENT, contact
from tests.dossier.world import DOCTOR
from tests.service import entries, stranger, until
from tests.shared import ROOT

BY_POST = contact(phone="", email="")
BOTH = ("notify_holder", "notify_treating_doctor")


class Point:
    """A gate that keeps what it is told, and fails as often as it is told to."""

    def __init__(self, *errors, refused=(), bad=()):
        self.told = []
        self.errors = list(errors)
        self.refused = refused
        self.bad = bad

    async def report(self, reports, *, timeout_s):
        """Keeps reports, or fails."""
        assert timeout_s > 0
        if self.errors:
            raise self.errors.pop(0)
        if any(one.decision in self.bad for one in reports):
            raise InvalidError("resource.about: no decision", ())
        self.told += [(one.decision, one.obligation, one.how) for one in reports]
        return tuple(one.decision not in self.refused for one in reports)


class Sent:
    """A sender that does nothing."""

    def send(self, _message):
        """Sends nothing."""


def access(town, *, subject=DOCTOR, context=BREAK_GLASS, obligations=URGENT):
    """An emergency access; its decision."""
    permit = town.permit("document.read", subject=subject, context=context, obligations=obligations)
    with town.writer.begin() as conn:
        record(conn, permit, at=town.clock.now())
    return permit.decision


def reported(town, point, *, times=1):
    """What a reporter tells in so many rounds."""
    reporter = Reporter(town.writer, point, town.clock.now)
    for _ in range(times):
        asyncio.run(reporter.report_next())
    return sorted(point.told)


def send(town, channel="email"):
    """Sends what is due."""
    courier = Courier(town.writer, {channel: Sent()}, town.clock.now)
    while not courier.send_next(channel):
        pass


def test_what_stands_in_the_inbox_is_reported(town):
    """Without a channel to the holder, both obligations are carried out by the inbox, at once."""
    town.create(contact=BY_POST)
    decision = access(town)
    assert reported(town, Point()) == [(decision, name, "inbox") for name in BOTH]
    assert town.rows("reports") == []


def test_what_was_not_sent_is_not_reported(town):
    """The holder's notice is reported once it was sent, and by which channel."""
    town.create(contact=contact(phone=""))
    decision = access(town)
    point = Point()
    assert reported(town, point) == [(decision, "notify_treating_doctor", "inbox")]
    send(town)
    assert (decision, "notify_holder", "email") in reported(town, point)
    assert town.rows("reports") == []


def test_one_of_several_channels_is_enough(town):
    """A holder with two channels was told as soon as one of them was used; once is enough."""
    town.create()
    decision = access(town)
    point = Point()
    send(town, "sms")
    reported(town, point)
    send(town, "email")
    assert reported(town, point, times=3) == [
        (decision, "notify_holder", "sms"),
        (decision, "notify_treating_doctor", "inbox"),
    ]


def test_accesses_with_one_notice_are_reported_each(town):
    """Two accesses within an hour are one notice, and two decisions whose obligations were carried out."""
    town.create(contact=contact(phone=""))
    decisions = sorted((access(town), access(town)))
    send(town)
    late = access(town)
    found = [one for one in reported(town, Point()) if one[1] == "notify_holder"]
    assert found == sorted((one, "notify_holder", "email") for one in (*decisions, late))


def test_nothing_is_reported_twice(town):
    """What was answered is not due any more."""
    town.create(contact=BY_POST)
    access(town)
    point = Point()
    reported(town, point, times=3)
    town.clock.seconds += 86_400
    assert len(reported(town, point)) == 2


@pytest.mark.parametrize(
    "how",
    [
        {"context": CENTRE_15, "obligations": ("show_mode",)},
        {"context": replace(BREAK_GLASS, mode="normal")},
    ],
)
def test_only_what_an_emergency_decision_asks_for(town, how):
    """What the law has told without obligation, and what is no emergency, is not reported."""
    town.create(contact=BY_POST)
    access(town, **how)
    assert reported(town, Point()) == []


def test_outage_is_survived(town):
    """Without an answer it is tried again, later and later, and nothing is lost."""
    town.create(contact=BY_POST)
    decision = access(town)
    point = Point(*[UnavailableError("gone")] * 3)
    for wait_s in (0, 5, 10, 20):
        assert reported(town, point) == []
        town.clock.seconds += wait_s + 1
    assert reported(town, point) == [(decision, name, "inbox") for name in BOTH]


def test_never_longer_than_an_hour(town):
    """However long an outage lasts, an hour after its end everything is reported."""
    town.create(contact=BY_POST)
    access(town)
    point = Point(*[UnavailableError("gone")] * 40)
    for _ in range(40):
        reported(town, point)
        town.clock.seconds += LONGEST_WAIT.total_seconds()
    assert len(reported(town, point)) == 2


def test_one_that_cannot_be_asked_does_not_hold_up_others(town):
    """What the decision point can't read is put off; all others are reported."""
    town.create(contact=BY_POST)
    decisions = [access(town) for _ in range(5)]
    point = Point(bad=(decisions[2],))
    found = reported(town, point)
    assert {one[0] for one in found} == {*decisions} - {decisions[2]}
    assert len(town.rows("reports")) == 2


def test_refusal_is_an_answer(town):
    """What is refused is not asked again, and is told to the operator."""
    town.create(contact=BY_POST)
    point = Point(refused=(access(town),))
    with capture_logs() as said:
        reported(town, point)
    assert town.rows("reports") == []
    assert [(one["log_level"], one["reports"]) for one in said] == [("error", 2)]


def test_two_processes_do_not_report_the_same(town):
    """What one is reporting, another leaves alone, for as long as that can take."""
    town.create(contact=BY_POST)
    access(town)
    one, two = (Reporter(town.writer, Point(), town.clock.now) for _ in range(2))
    with town.writer.begin() as conn:
        assert len(one._take(conn)) == 2
    with town.writer.begin() as conn:
        assert two._take(conn) == []
    town.clock.seconds += LEASE.total_seconds()
    with town.writer.begin() as conn:
        assert len(two._take(conn)) == 2


def test_many_are_reported_together(town):
    """A hundred go in one call, and the next ones at once."""
    town.create(contact=BY_POST)
    for _ in range(MOST):
        access(town, subject=OTHER_DOCTOR)
    reporter = Reporter(town.writer, Point(), town.clock.now)
    waits = [asyncio.run(reporter.report_next()) for _ in range(3)]
    assert waits == [0.0, 0.0, POLL_S]


NURSERY = """
import asyncio, os, sys
from datetime import UTC, datetime

from dossier.reporter import Reporter
from storage.database import connect


class Point:
    async def report(self, reports, *, timeout_s):
        for one in reports:
            os.write(1, f"{one.decision} {one.obligation}\\n".encode())
        return (True,) * len(reports)


def clock():
    return datetime.now(UTC)


os.write(1, b"ready\\n")
asyncio.run(Reporter(connect(sys.argv[1]), Point(), clock, poll_s=0.01).run())
"""


def test_killed_at_any_instant_nothing_is_forgotten(town, monkeypatch):
    """Whatever a reporter was doing when it was killed, in the end each obligation was reported."""
    chance, told, wanted = random.Random(20260504), Counter(), set()
    url = town.writer.url.render_as_string(hide_password=False)
    town.create(contact=BY_POST)
    for _ in range(6):
        wanted |= set(itertools.product([access(town) for _ in range(20)], BOTH))
        with subprocess.Popen(
            [sys.executable, "-c", NURSERY, url], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as nursery:
            assert nursery.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0, 0.15))
            os.kill(nursery.pid, signal.SIGKILL)
            told.update(tuple(line.split()) for line in nursery.stdout)
    # What was under way is followed by another one, after the lease.
    monkeypatch.setattr(town.clock, "seconds", 10 * 365 * 86_400)
    point = Point()
    reported(town, point, times=5)
    told.update((decision, name) for decision, name, _ in point.told)
    assert set(told) == wanted
    assert max(told.values()) <= 2
    assert town.rows("reports") == []


async def test_break_glass_is_reported_in_the_log(tmp_path):
    """From the access to the report: the log says which decision's obligations were carried out, and how."""
    async with running(tmp_path) as both:
        await both.record.create(email="")
        document = await both.record.deposit()
        answer = await both.record.read(document, who=stranger(), context=EMERGENCY)

        async def told():
            return len(_reports(entries(both.point.url))) == 2

        await until(told)
        found = _reports(entries(both.point.url))
        assert {one["about"] for one in found} == {answer.ruling.decision_id}
        assert {(one["reason"]["code"], one["reason"]["text"]) for one in found} == {
            (name, "inbox") for name in BOTH
        }
        assert both.completeness().holds


def _reports(found):
    return [one for one in found if one.get("action") == "obligation.report"]
