"""The courier: sends the notices that are due, until they are sent.

Each notice is sent at least once, and twice only where that can't be known: it is put off *before* it is
sent, for as long as sending can take, and crossed out *after*. So another process does not send it meanwhile;
and when this one is killed in between, it is sent again, under the same id (`Message-ID` of an e-mail), by
which mail servers and programs can tell. Where the holder is reached is read at the time of sending.

The courier has no permit: what it reads was permitted with the deed that it tells of, and goes to nobody but
the holder.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import Connection, Engine, Select, func, select, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from dossier import tables, texts
from dossier.errors import SendError
from dossier.notices import Kind
from dossier.senders import Message, Sender
from dossier.transaction import run
from dossier.wishes import EMAIL, INBOX, reach, unpack
from serving.servicelog import cause_of
from storage.database import is_conflict

LEASE: Final = timedelta(minutes=3)
"""Nothing takes longer to send; who was killed while sending is followed by another after so long."""
FIRST_WAIT: Final = timedelta(minutes=1)
LONGEST_WAIT: Final = timedelta(hours=1)
GIVEN_UP: Final = timedelta(days=5)
"""RFC 5321, 4.5.4.1: mail is tried for four to five days. Then a notice stands in the inbox alone."""

POLL_S: Final = 2.0
PAUSE_S: Final = 30.0
"""After trouble with a channel, as against one address, it is left alone for so long."""
PATIENCE_S: Final = 5.0
"""What is being sent when the service stops gets so long to be crossed out."""

_n = tables.notices.c
_log = structlog.get_logger("dossier.courier")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """A notice that is this process's to send."""

    id: str
    kind: Kind
    at: datetime
    mode: str
    to: str
    attempts: int


class Courier:
    """Sends notices: `asyncio.create_task(courier.run())`; cancelled, it finishes what it is sending."""

    def __init__(
        self,
        writer: Engine,
        senders: Mapping[str, Sender],
        clock: Callable[[], datetime],
        *,
        registry: CollectorRegistry | None = None,
        portal: str = "",
        poll_s: float = POLL_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        """A courier that has not begun.

        Args:
            writer: the record.
            senders: by channel (`email`, `sms`); notices of a channel without one wait until there is.
            clock: the instant.
            registry: where it counts; nobody, no patient and no address stands there.
            portal: address of the portal, which notices name as the place to look.
            poll_s: how often to look for what is due, in seconds.
            pause_s: how long to leave a channel alone that is in trouble.
        """
        self._writer = writer
        self._senders = dict(senders)
        self._clock = clock
        self._portal = portal
        self._poll_s, self._pause_s = poll_s, pause_s
        # By channel, what was sent but could not be crossed out yet.
        self._unmarked: dict[str, dict[str, datetime]] = {channel: {} for channel in senders}
        self._threads = ThreadPoolExecutor(len(senders) + 1, thread_name_prefix="courier")
        registry = registry or CollectorRegistry()
        self._sent = Counter("dossier_notices_sent", "Sent.", ["channel"], registry=registry)
        self._failed = Counter(
            "dossier_notices_failed", "Attempts that failed.", ["channel"], registry=registry
        )
        self._given_up = Counter(
            "dossier_notices_given_up",
            "Notices that stand in the inbox alone, as no way led to the holder.",
            ["channel"],
            registry=registry,
        )
        self._waiting = Gauge(
            "dossier_notices_waiting", "Still to be sent.", ["channel"], registry=registry
        )

    async def run(self) -> None:
        """Sends until it is cancelled; whatever fails, it goes on. It can be run once."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for channel in self._senders:
                    tasks.create_task(self._repeat(partial(self.send_next, channel)))
                tasks.create_task(self._repeat(self.tidy))
        finally:
            self._threads.shutdown(wait=False)

    async def _repeat(self, work: Callable[[], float]) -> None:
        while True:
            wait_s = await self._finished(work)
            await asyncio.sleep(wait_s)

    async def _finished(self, work: Callable[[], float]) -> float:
        """Does the work in a thread; when cancelled meanwhile, lets it finish, within bounds."""
        running = asyncio.get_running_loop().run_in_executor(self._threads, self._guarded, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait({running}, timeout=PATIENCE_S)
            raise

    def _guarded(self, work: Callable[[], float]) -> float:
        """Does the work; how long to wait then, in seconds. What is not expected is told by its place."""
        try:
            return work()
        except SQLAlchemyError as exc:
            _log.warning("notices can't be read or crossed out", why=cause_of(exc))
        except Exception:  # noqa: BLE001 - whatever it is, the next one may fare better
            _log.exception("a notice can't be sent")
        return self._pause_s

    def send_next(self, channel: str) -> float:
        """Sends the next notice of a channel, if one is due; how long to wait then, in seconds.

        Raises:
            SQLAlchemyError: the record can't be read or written.
        """
        for notice in tuple(self._unmarked[channel]):
            self._cross_out(notice, channel)
        try:
            task = run(self._writer, lambda conn: self._take(conn, channel))
        except DBAPIError as exc:
            if is_conflict(exc):
                return 0.0  # other couriers were faster, so there may be another one due
            raise
        if task is None:
            return self._poll_s
        if not task.to:
            self._give_up(task, channel)
            return 0.0
        try:
            self._senders[channel].send(self._message(task, channel))
        except SendError as exc:
            self._failed.labels(channel).inc()
            _log.warning("notice not sent", channel=channel, why=str(exc), attempts=task.attempts)
            if exc.final:
                self._give_up(task, channel)
            else:
                self._put_off(task)
            return 0.0 if exc.about_recipient else self._pause_s
        self._sent.labels(channel).inc()
        self._unmarked[channel][task.id] = self._clock()
        self._cross_out(task.id, channel)
        return 0.0

    def _take(self, conn: Connection, channel: str) -> _Task | None:
        """Puts off the notice that has waited longest, so that nobody else sends it, and tells of it."""
        now = self._clock()
        row = conn.execute(_due(channel, now)).first()
        if row is None:
            return None
        conn.execute(
            update(tables.notices)
            .where(_n.id == row.id)
            .values(attempts=row.attempts + 1, due_at=now + LEASE)
        )
        return _Task(
            id=row.id,
            kind=Kind(row.kind),
            at=row.at,
            mode=row.mode,
            to=_address(row.contact, channel),
            attempts=row.attempts + 1,
        )

    def _message(self, task: _Task, channel: str) -> Message:
        said = texts.text(task.kind, at=task.at, mode=task.mode, portal=self._portal)
        text = said.body if channel == EMAIL else said.sms
        return Message(id=task.id, to=task.to, subject=said.subject, text=text)

    def _cross_out(self, notice: str, channel: str) -> None:
        at = self._unmarked[channel][notice]
        self._change(notice, sent_at=at, due_at=None)
        del self._unmarked[channel][notice]

    def _put_off(self, task: _Task) -> None:
        wait = min(FIRST_WAIT * 2 ** min(task.attempts - 1, 10), LONGEST_WAIT)
        self._change(task.id, due_at=self._clock() + wait)

    def _give_up(self, task: _Task, channel: str) -> None:
        self._given_up.labels(channel).inc()
        self._change(task.id, due_at=None, channel=INBOX)

    def _change(self, notice: str, **values: Any) -> None:  # noqa: ANN401 - columns of several types
        statement = update(tables.notices).where(_n.id == notice).values(**values)
        run(self._writer, lambda conn: conn.execute(statement))

    def tidy(self) -> float:
        """Gives up what is too old, and counts what waits; how long to wait then, in seconds.

        Raises:
            SQLAlchemyError: the record can't be read or written.
        """
        old = self._clock() - GIVEN_UP
        statement = (
            update(tables.notices)
            .where(_n.due_at < self._clock(), _n.at < old)
            .values(due_at=None, channel=INBOX)
        )

        def work(conn: Connection) -> dict[str, int]:
            waiting = select(_n.channel, func.count()).where(_n.due_at.is_not(None))
            conn.execute(statement)
            return {row[0]: row[1] for row in conn.execute(waiting.group_by(_n.channel))}

        waiting = run(self._writer, work)
        for channel in {*self._senders, *waiting}:
            self._waiting.labels(channel).set(waiting.get(channel, 0))
        return self._poll_s


def _due(channel: str, now: datetime) -> Select[Any]:
    """The notice of a channel that has waited longest, with what is needed to send it."""
    joined = tables.notices.outerjoin(
        tables.dossiers, tables.dossiers.c.patient == _n.patient
    ).outerjoin(tables.acts, tables.acts.c.decision == _n.decision)
    shown = (_n.id, _n.kind, _n.at, _n.attempts, tables.acts.c.mode, tables.dossiers.c.contact)
    return (
        select(*shown)
        .select_from(joined)
        .where(_n.channel == channel, _n.due_at <= now)
        .order_by(_n.due_at)
        .limit(1)
        .with_for_update(skip_locked=True, of=tables.notices)
    )


def _address(contact: str | None, channel: str) -> str:
    """Where the holder is reached now; "" where nowhere any more."""
    if contact is None:
        return ""
    known = unpack(contact)
    if channel not in reach(known):
        return ""
    return known.email if channel == EMAIL else known.phone
