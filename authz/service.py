"""The whole decision point, wired: database, log, loop, policies, doors. Started and stopped as one."""

import asyncio
import signal
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from audit.retention import RETENTION
from authz.activation import Activator, signature
from authz.apart import Apart
from authz.bearer import Bearers
from authz.bundle import Bundle, Standing, build, read_folder
from authz.decider import Decider, Inside
from authz.door import Door
from authz.errors import UnreachableError
from authz.loop import Deciding, Loop
from authz.metrics import Metrics
from authz.product import DMP
from authz.waiting import LIMIT
from authz.watching import Watching
from serving.callers import Caller, Callers, Tls
from serving.clock import utc_now
from serving.listener import Listener
from serving.served import TRUST_HEALTH, Handlers, Served, check_listeners

SERVICES: Final = (
    "",
    "authz.v1.AuthzService",
    "authz.v1.RegistryService",
    "authz.v1.PolicyService",
)
LOG_HEALTH: Final = "dmp.log"
DATABASE_HEALTH: Final = "dmp.database"
BUNDLE_HEALTH: Final = "dmp.bundle"

DRAIN_S: Final = 5.5
"""What was accepted is decided within this time; a little longer than any call may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the service is started with.

    `origin` is the unique name of its log. With `one_process` it decides in a thread of the process
    that serves, which is slower, and what hands a clock in needs it. `tls` is for the listeners without
    a service, `token_keys` the folder of `authz.token.load`. With `reflection` the
    listeners describe their procedures, which only tools of developers need.
    """

    listeners: tuple[Listener, ...]
    database: str
    policies: Path
    origin: str = "authz-1"
    one_process: bool = False
    tls: Tls | None = None
    token_keys: Path | None = None
    reflection: bool = False

    def __post_init__(self) -> None:
        """Refuses the name of the log that tells what was erased from the others."""
        if self.origin == RETENTION:
            raise ValueError(f"--origin {self.origin}: that log tells of purges, take another name")


class Service(Served):
    """A running decision point: `async with Service(settings) as service: ...`.

    Raises, on entering:
        Error: the policies, the database, the log, the certificates or keys can't be used.
        ValueError: an address is not local, and its listener has no TLS.
        RuntimeError: an address is in use.
    """

    metrics: Metrics
    loop: Loop
    activator: Activator

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__("authz.service")
        self._settings = settings
        self._clock = clock
        self._serving = False
        self._unsound: frozenset[str] = frozenset()
        self.metrics = Metrics()
        self.services: Collection[str] = ()
        """The calling services that the policies know."""

    async def drain(self) -> None:
        """Stops taking calls, answers what waits, closes the log."""
        self._serving = False
        await super().drain()

    def on_signals(self) -> asyncio.Event:
        """As of every service; and SIGHUP activates the policies as they are."""
        stop = super().on_signals()
        running = asyncio.get_running_loop()
        running.add_signal_handler(signal.SIGHUP, lambda: self.start(self._reload()))
        return stop

    async def _reload(self) -> None:
        if not self._serving:  # the policies are being read anyway, or will not be any more
            return
        try:
            await self.activator.activate("SIGHUP")
        except Exception as exc:  # noqa: BLE001 - a failed reload must not stop the service
            self._log.warning("activation_failed", cause="SIGHUP", error=str(exc))

    async def open(self, opened: AsyncExitStack) -> None:
        """Opens one part after the other; `opened` closes them in the opposite order."""
        settings = self._settings
        check_listeners(settings.listeners, tls=settings.tls is not None)
        callers, bearers = self._identify()
        seen = signature(settings.policies)
        bundle, deciding = await self._decide(opened)
        self.services = bundle.vocabulary.services
        opened.push_async_callback(self.drop_tasks)
        self.loop = Loop(deciding, bundle=bundle.summary, on_health=self._on_log)
        running = asyncio.create_task(self.loop.run())
        self.activator = Activator(
            folder=settings.policies,
            seen=seen,
            product=DMP,
            loop=self.loop,
            clock=self._clock,
            on_change=self._on_standing,
        )
        opened.push_async_callback(self.activator.close)
        opened.push_async_callback(self._settle, running)
        self.start(self.activator.watch())
        watching = Watching(settings.database)
        opened.push_async_callback(watching.close)
        await self.tell((TRUST_HEALTH,), well=True)
        self.start(bearers.watch())
        if callers is not None:
            self.start(callers.watch())
        await self._listen(watching, callers, bearers)
        await self.tell((*SERVICES, LOG_HEALTH, DATABASE_HEALTH), well=True)
        self._serving = True
        self._log.info(
            "serving", addresses=self.addresses, bundle=bundle.digest, rules=len(bundle.rules)
        )

    async def _decide(self, opened: AsyncExitStack) -> tuple[Bundle, Deciding]:
        """The policies as they are, and the one who decides under them."""
        settings = self._settings
        if settings.one_process:
            bundle = build(read_folder(settings.policies), DMP)
            decider = Decider.open(
                database=settings.database, origin=settings.origin, bundle=bundle, clock=self._clock
            )
            inside = Inside(decider)
            opened.push_async_callback(inside.close)
            return bundle, inside
        apart = Apart(database=settings.database, origin=settings.origin)
        opened.push_async_callback(apart.close)
        await apart.start()  # it loads its modules while the policies are read here
        bundle = build(read_folder(settings.policies), DMP)
        await apart.open(bundle.content)
        return bundle, apart

    def _identify(self) -> tuple[Callers | None, Bearers]:
        """What tells callers with a certificate, and end users with a token."""
        settings, callers = self._settings, None
        if settings.tls is not None:
            told = partial(self._on_trust, "certificates")
            callers = Callers(settings.tls, clock=self._clock, on_standing=told)
        told = partial(self._on_trust, "token keys")
        return callers, Bearers(settings.token_keys, clock=self._clock, on_standing=told)

    async def _listen(
        self,
        watching: Watching,
        callers: Callers | None,
        bearers: Bearers,
    ) -> None:
        def handlers(_: Listener, caller: Caller) -> Handlers:
            door = Door(
                loop=self.loop,
                activator=self.activator,
                watching=watching,
                metrics=self.metrics,
                caller=caller,
                bearers=bearers,
            )
            return door.handlers()

        await self.listen(
            self._settings.listeners,
            handlers,
            callers=callers,
            reflected=SERVICES[1:] if self._settings.reflection else (),
            pending=LIMIT,
        )

    async def _settle(self, deciding: asyncio.Task[None]) -> None:
        """Lets everyone who was accepted be answered; whoever is not in time is told so."""
        await self.loop.close()
        await asyncio.wait((deciding,), timeout=DRAIN_S)
        deciding.cancel()
        await asyncio.gather(deciding, return_exceptions=True)

    def _on_log(self, trouble: Exception | None) -> None:
        well = trouble is None
        (self._log.info if well else self._log.error)(
            "log_writable", writable=well, cause=str(trouble or "")
        )
        self.metrics.log_writable(writable=well)
        self.start(self.tell((*SERVICES, LOG_HEALTH), well=well))
        reachable = not isinstance(trouble, UnreachableError)
        self.start(self.tell((DATABASE_HEALTH,), well=reachable))

    def _on_standing(self, standing: Standing) -> None:
        self.metrics.standing(standing)
        self.start(self.tell((BUNDLE_HEALTH,), well=not standing.refused))

    def _on_trust(self, what: str, sound: bool, cause: str) -> None:  # noqa: FBT001 - a callback
        (self._log.info if sound else self._log.error)("trust", of=what, sound=sound, cause=cause)
        self._unsound = self._unsound - {what} if sound else self._unsound | {what}
        self.metrics.trust(sound=not self._unsound)
        self.start(self.tell((TRUST_HEALTH,), well=not self._unsound))
