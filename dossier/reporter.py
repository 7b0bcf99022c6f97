"""The reporter: tells the decision point that obligations of emergency accesses were carried out.

What is to be reported (CSP R.1111-48) stands in the record since the access itself (`dossier.notices`), and
goes once it has been answered: so it survives kills and outages. Each is reported at least once; twice only
when the service is killed, or the answer lost, between report and crossing out. Then the first counts.

An obligation is carried out as soon as one of its notices was sent, or stands in the inbox. Several accesses
can have one notice, and are reported each.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import Connection, Engine, Select, and_, delete, func, or_, select, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from clients.sdk import Error, InvalidError
from dossier import tables
from dossier.gate import Gate, Report
from dossier.transaction import run
from dossier.wishes import INBOX
from serving.servicelog import cause_of
from serving.threads import to_the_end
from storage.database import is_conflict

MOST: Final = 100
"""Reported at once."""
TIMEOUT_S: Final = 5.0
LEASE: Final = timedelta(minutes=1)
"""Nobody else reports meanwhile; who was killed is followed by another after so long."""
FIRST_WAIT: Final = timedelta(seconds=5)
LONGEST_WAIT: Final = timedelta(hours=1)
POLL_S: Final = 2.0

_n, _r = tables.notices.c, tables.reports.c
_log = structlog.get_logger("dossier.reporter")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """Something that is this process's to report, and how often that was tried."""

    report: Report
    attempts: int


class Reporter:
    """Reports: `asyncio.create_task(reporter.run())`, until it is cancelled."""

    def __init__(
        self,
        writer: Engine,
        gate: Gate,
        clock: Callable[[], datetime],
        *,
        registry: CollectorRegistry | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        """A reporter that has not begun.

        Args:
            writer: the record.
            gate: asks the decision point.
            clock: the instant.
            registry: where it counts; nobody and no patient stands there.
            poll_s: how often to look for what is to be reported, in seconds.
        """
        self._writer = writer
        self._gate = gate
        self._clock = clock
        self._poll_s = poll_s
        registry = registry or CollectorRegistry()
        self._made = Counter(
            "dossier_reports",
            "Obligations that were reported as carried out, by whether that was accepted.",
            ["accepted"],
            registry=registry,
        )
        self._failed = Counter(
            "dossier_reports_failed", "Attempts without answer.", registry=registry
        )
        self._waiting = Gauge(
            "dossier_reports_waiting",
            "Obligations that were not reported yet, carried out or not.",
            registry=registry,
        )

    async def run(self) -> None:
        """Reports until it is cancelled; whatever fails, it goes on."""
        while True:
            try:
                wait_s = await self.report_next()
            except SQLAlchemyError as exc:
                _log.warning("reports can't be read or crossed out", why=cause_of(exc))
                wait_s = self._poll_s
            except Exception:  # noqa: BLE001 - whatever it is, it must not end here
                _log.exception("what was carried out can't be reported")
                wait_s = self._poll_s
            await asyncio.sleep(wait_s)

    async def report_next(self) -> float:
        """Reports what is due, up to a hundred; how long to wait then, in seconds.

        Raises:
            SQLAlchemyError: the record can't be read or written.
        """
        try:
            tasks = await to_the_end(lambda: run(self._writer, self._take))
        except DBAPIError as exc:
            if is_conflict(exc):
                return 0.0  # others were faster
            raise
        if not tasks:
            return self._poll_s
        answered = await self._report(tasks)
        return 0.0 if answered == MOST else self._poll_s

    async def _report(self, tasks: Sequence[_Task]) -> int:
        """Reports these, and crosses out what was answered; how many those are."""
        try:
            answers = await self._gate.report([one.report for one in tasks], timeout_s=TIMEOUT_S)
        except InvalidError as exc:
            if len(tasks) > 1:  # one of them keeps the others from being answered
                half = len(tasks) // 2
                return await self._report(tasks[:half]) + await self._report(tasks[half:])
            return await self._missed(tasks, exc)
        except Error as exc:
            return await self._missed(tasks, exc)
        refused = answers.count(False)
        if refused:
            _log.error("reports were refused: look at the policies", reports=refused)
        await to_the_end(lambda: run(self._writer, lambda conn: _cross_out(conn, tasks)))
        self._made.labels("yes").inc(len(tasks) - refused)
        self._made.labels("no").inc(refused)
        return len(tasks)

    async def _missed(self, tasks: Sequence[_Task], why: Error) -> int:
        self._failed.inc()
        _log.warning("not reported what was carried out", why=str(why), reports=len(tasks))
        await to_the_end(lambda: run(self._writer, lambda conn: self._put_off(conn, tasks)))
        return 0

    def _take(self, conn: Connection) -> list[_Task]:
        """Puts off what is due, so that nobody else reports it, and tells of it."""
        now = self._clock()
        owed = select(_r.decision, _r.obligation).distinct().subquery()
        waiting = conn.execute(select(func.count()).select_from(owed)).scalar_one()
        self._waiting.set(waiting)
        found: dict[tuple[str, str], _Task] = {}
        for row in conn.execute(_due(now)):
            report = Report(
                decision=row.decision,
                obligation=row.obligation,
                patient=row.patient,
                how=row.channel,
            )
            task = _Task(report=report, attempts=row.attempts + 1)
            found.setdefault((row.decision, row.obligation), task)
        for (decision, obligation), task in found.items():
            conn.execute(
                update(tables.reports)
                .where(_r.decision == decision, _r.obligation == obligation)
                .values(attempts=task.attempts, due_at=now + LEASE)
            )
        return list(found.values())

    def _put_off(self, conn: Connection, tasks: Sequence[_Task]) -> None:
        for task in tasks:
            wait = min(FIRST_WAIT * 2 ** min(task.attempts - 1, 20), LONGEST_WAIT)
            conn.execute(
                update(tables.reports).where(_is(task.report)).values(due_at=self._clock() + wait)
            )


def _due(now: datetime) -> Select[Any]:
    """What was carried out and not reported yet, with the channel that did it."""
    carried_out = or_(_n.sent_at.is_not(None), _n.channel == INBOX)
    return (
        select(_r.decision, _r.obligation, _r.patient, _r.attempts, _n.channel)
        .select_from(tables.reports.join(tables.notices, _n.id == _r.notice))
        .where(_r.due_at <= now, carried_out)
        .order_by(_r.due_at, _r.decision, _r.obligation, _r.notice)
        .limit(MOST)
        .with_for_update(skip_locked=True, of=tables.reports)
    )


def _cross_out(conn: Connection, tasks: Sequence[_Task]) -> None:
    for task in tasks:
        conn.execute(delete(tables.reports).where(_is(task.report)))


def _is(report: Report) -> Any:  # noqa: ANN401 - a condition
    return and_(_r.decision == report.decision, _r.obligation == report.obligation)
