"""The whole audit service, wired: log, index, evidence, the two that follow, desks, doors."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, make_url, select
from sqlalchemy.exc import SQLAlchemyError

from audit.database import reader, snapshot
from audit.office.alarms import count
from audit.office.asking import Asking
from audit.office.database import alone, opened
from audit.office.derived import derivations
from audit.office.desks import procedures
from audit.office.door import SERVICE, Door, halls
from audit.office.following import Following
from audit.office.handles import Handles
from audit.office.index import Index
from audit.office.indexing import Indexing
from audit.office.metrics import Metrics
from audit.office.office import Office
from audit.office.sealing import Sealing
from audit.office.standings import Standings
from audit.office.state import State
from audit.office.tables import entries
from audit.tables import log_batches
from audit.trusted import Trust
from clients.sdk import PLAIN, Security, SettingsError, aio
from clients.sdk import Tls as ByTls
from serving.arguments import AuthzFiles
from serving.callers import Caller, Callers, Tls
from serving.clock import utc_now
from serving.listener import Listener
from serving.served import TRUST_HEALTH, Handlers, Served, check_listeners
from serving.threads import to_the_end
from storage.database import readable

SERVICES: Final = ("", SERVICE)
LOG_HEALTH: Final = "dmp.log"

PROBE_S: Final = 1.0

_KEPT: Final = 4
"""Connections to the log that stay open: to make one takes PostgreSQL longer than most questions do."""
THREADS: Final = 32
"""So many questions to databases are under way at once."""

IDLE_S: Final = 9.0
"""A question gives up by itself sooner (`audit.office.limits`)."""

_LOG: Final = select(*log_batches.primary_key.columns).limit(1)
_INDEX: Final = select(*entries.primary_key.columns).limit(1)

_LIMITS: Final = {
    "options": "-cstatement_timeout=8s -clock_timeout=5s",
    # A server that fell silent is given up: milliseconds, then seconds.
    "tcp_user_timeout": "10000",
    "keepalives_idle": "5",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the service is started with.

    Attributes:
        listeners: where it listens.
        expected: the services that may call; those of plain listeners are expected anyway.
        authz: address of the decision point.
        security: how the decision point is reached.
        database: url of the log, which is only read.
        index: url of the index.
        evidence: folder of keys, tiles and checkpoints.
        key: file of the key that the numbers of persons in the index are made with.
        trust: the witnesses that are asked to cosign, and how many of them it takes.
        prefix: what the name of the key of a new log begins with.
        tls: for the listeners without a service.
        reflection: describe the procedures to developers' tools.
    """

    listeners: tuple[Listener, ...]
    authz: str
    database: str
    index: str
    evidence: Path
    key: Path
    security: Security = PLAIN
    expected: tuple[str, ...] = ("portal",)
    trust: Trust = field(default_factory=Trust)
    prefix: str = ""
    tls: Tls | None = None
    reflection: bool = False


class Service(Served):
    """A running audit: `async with Service(settings) as service: ...`.

    Attributes:
        metrics: what it counts.
        following: those that follow the log, once it is started.

    Raises, on entering:
        Error: the log, the index, certificates or the key can't be used, or another process writes the index.
        ValueError: an address is not local and its listener has no TLS, or none to ask can be.
        RuntimeError: an address is in use.
    """

    metrics: Metrics
    following: Following

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], datetime] = utc_now,
        client: aio.Client | None = None,
    ) -> None:
        super().__init__("audit.service")
        self._settings = settings
        self._clock = clock
        self._client = client
        self.metrics = Metrics()

    async def open(self, opened: AsyncExitStack) -> None:
        """Opens one part after the other; `opened` closes them in the opposite order."""
        settings = self._settings
        threads = ThreadPoolExecutor(THREADS, "audit")
        asyncio.get_running_loop().set_default_executor(threads)
        check_listeners(settings.listeners, tls=settings.tls is not None)
        callers = None
        if settings.tls is not None:
            callers = Callers(settings.tls, clock=self._clock, on_standing=self.on_trust)
        log = await asyncio.to_thread(_log_of, settings.database)
        opened.callback(log.dispose)
        held = ExitStack()
        opened.callback(held.close)
        opened.push_async_callback(_idle, threads)
        writer, index = await asyncio.to_thread(_index_of, settings.index, held)
        handles = Handles.kept(settings.key)
        client = self._client or _point(settings)
        opened.push_async_callback(client.close)
        self.following = following = Following(
            Indexing(
                log,
                self.metrics,
                index=Index(writer, handles, derivations(handles, log)),
                clock=self._clock,
            ),
            Sealing(
                log,
                self.metrics,
                evidence=settings.evidence,
                trust=settings.trust,
                prefix=settings.prefix,
                clock=self._clock,
            ),
            self.metrics,
        )
        following.start()
        opened.push_async_callback(asyncio.to_thread, following.stop)
        office = Office(
            index=index,
            log=log,
            evidence=settings.evidence,
            handles=handles,
            asking=Asking(client),
            clock=self._clock,
            standing=following.standing,
        )
        opened.push_async_callback(self.drop_tasks)
        rooms = halls()
        opened.push_async_callback(rooms.close)
        await self.tell((*SERVICES, LOG_HEALTH, TRUST_HEALTH), well=True)
        await self._tell_all(following.health())
        self.start(self._probe(log, index, following))
        self.start(Standings(office, client, registry=self.metrics.registry).run())
        if callers is not None:
            self.start(callers.watch())
        desks = procedures(office, State(following, self.told))

        def handlers(listener: Listener, caller: Caller) -> Handlers:
            expected = (*settings.expected, listener.service)
            door = Door(
                procedures=desks,
                halls=rooms,
                metrics=self.metrics,
                caller=caller,
                expected=expected,
            )
            return door.handlers()

        await self.listen(
            settings.listeners,
            handlers,
            callers=callers,
            reflected=SERVICES[1:] if settings.reflection else (),
        )
        self._log.info("serving", addresses=self.addresses)

    async def _probe(self, log: Engine, index: Engine, following: Following) -> None:
        """Looks each second how all is, and tells."""
        file = _file(index)  # connections that are open would go on with one that was removed
        while True:
            await asyncio.sleep(PROBE_S)
            log_well, index_well, following.alarms = await asyncio.gather(
                to_the_end(lambda: readable(log, _LOG)),
                to_the_end(lambda: readable(index, _INDEX)),
                to_the_end(lambda: _alarms(index, following.alarms)),
            )
            if not log_well:
                self.metrics.failures.labels("log").inc()
            following.measure()
            found = dict.fromkeys(SERVICES, index_well and _file(index) == file)
            await self._tell_all({**found, LOG_HEALTH: log_well, **following.health()})

    async def _tell_all(self, found: Mapping[str, bool]) -> None:
        for name, well in found.items():
            if self.told.get(name) != well:
                if name in self.told:
                    (self._log.info if well else self._log.error)("health", part=name, well=well)
                await self.tell((name,), well=well)


def security(files: AuthzFiles | None) -> Security:
    """How the decision point is reached: by TLS with these files, or plainly without any."""
    return ByTls(**files) if files else PLAIN


def _point(settings: Settings) -> aio.Client:
    try:
        return aio.connect(settings.authz, settings.security)
    except SettingsError as exc:
        raise ValueError(f"--authz: {exc}") from exc


def _log_of(url: str) -> Engine:
    """The database of the log, which must hold one by now; no question to it is waited for without end."""
    if url.startswith("postgresql"):
        there = make_url(url)
        given = {name: value for name, value in _LIMITS.items() if name not in there.query}
        url = there.update_query_dict(given).render_as_string(hide_password=False)
    engine = reader(url, kept=_KEPT)
    try:
        with snapshot(engine):
            return engine
    except BaseException:
        engine.dispose()
        raise


def _index_of(url: str, held: ExitStack) -> Sequence[Engine]:
    """The index, once to be written and once to be read, and nobody else writes it."""
    held.enter_context(alone(url))
    engines = opened(url), opened(url, read_only=True)
    for engine in engines:
        held.callback(engine.dispose)
    return engines


async def _idle(threads: ThreadPoolExecutor) -> None:
    """Waits until all that reads has let go of its connection, also for callers who left; not for ever."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
    with suppress(TimeoutError):
        async with asyncio.timeout(IDLE_S):
            await asyncio.to_thread(threads.shutdown)


def _file(engine: Engine) -> int | None:
    """Which file a database of SQLite is; None where there is none."""
    if engine.dialect.name != "sqlite":
        return None
    try:
        return Path(engine.url.database or "").stat().st_ino
    except OSError:
        return None


def _alarms(engine: Engine, before: int) -> int:
    """How many decisions come out otherwise; as before while that can't be read."""
    try:
        with engine.connect() as conn:
            return count(conn)
    except SQLAlchemyError:
        return before
