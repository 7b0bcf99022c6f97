"""A service of ours from its start to its end: opened part by part, stopped without a call that is lost."""

import asyncio
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

import grpc
import structlog
from grpc_health.v1 import health
from prometheus_client import CollectorRegistry, start_http_server

from serving.callers import Caller, Callers, always
from serving.listener import (
    NOT_SERVING,
    SERVING,
    Listener,
    build_server,
    give_back,
    local_only,
)
from serving.memory import settle
from serving.metrics import Counted

TRUST_HEALTH: Final = "dmp.trust"
"""In health: whether the newest certificates and lists are in use."""

Handlers = Sequence[grpc.GenericRpcHandler]

LINGER_S: Final = 0.2
"""Answers get this time to leave; and who has not noticed that the service stops, to be told."""


class Served(ABC):
    """A running service: `async with Service(settings) as service: ...`.

    Raises, on entering: what `open` raises; nothing is left open then.

    Attributes:
        addresses: where it listens, once it does.
        metrics: what it counts.
        told: what health says, by name.
    """

    metrics: Counted

    def __init__(self, name: str) -> None:
        """A service that is not started; `name` is that of its lines in the service log."""
        self.addresses: list[str] = []
        self.told: dict[str, bool] = {}
        self._log = structlog.get_logger(name)
        self._health = health.aio.HealthServicer()
        self._opened = AsyncExitStack()
        self._servers: list[grpc.aio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @abstractmethod
    async def open(self, opened: AsyncExitStack) -> None:
        """Opens one part after the other; `opened` closes them in the opposite order."""

    async def __aenter__(self) -> Self:
        """Opens everything; the service answers when this returns."""
        try:
            async with AsyncExitStack() as opened:
                await self.open(opened)
                self._opened = opened.pop_all()
        except BaseException:
            await self._hang_up()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops taking calls, finishes what is under way, closes the doors."""
        await self.drain()
        await self._hang_up()

    async def drain(self) -> None:
        """Stops taking calls, and finishes what is under way.

        The doors stay, and tell whoever comes that there is no answer: what reaches a server of gRPC
        that is being stopped would end as CANCELLED. A process that ends now leaves no such call.
        """
        await self._health.enter_graceful_shutdown()
        await self._opened.aclose()
        await asyncio.sleep(LINGER_S)
        self._log.info("stopped")

    def on_signals(self) -> asyncio.Event:
        """From now on, SIGTERM and SIGINT set the event.

        To be called before the service is started, so that no signal ever meets an unprepared process.
        """
        running, stop = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            running.add_signal_handler(number, stop.set)
        return stop

    async def tell(self, names: Iterable[str], *, well: bool) -> None:
        """Says in health how these are."""
        for name in names:
            self.told[name] = well
            await self._health.set(name, SERVING if well else NOT_SERVING)

    def on_trust(self, sound: bool, cause: str) -> None:  # noqa: FBT001 - a callback
        """Tells whether the newest certificates and lists are in use."""
        (self._log.info if sound else self._log.error)("trust", sound=sound, cause=cause)
        self.metrics.trust(sound=sound)
        self.start(self.tell((TRUST_HEALTH,), well=sound))

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Lets something run beside, until the service is drained at the latest."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drop_tasks(self) -> None:
        """Ends what runs beside."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def listen(
        self,
        listeners: Iterable[Listener],
        handlers: Callable[[Listener, Caller], Handlers],
        *,
        callers: Callers | None,
        reflected: Sequence[str] = (),
        **limits: int,
    ) -> None:
        """Opens the listeners: those that belong to no service with TLS, where certificates tell who calls.

        Args:
            listeners: where to listen.
            handlers: the procedures at the door of one; the caller says who comes in there.
            callers: who call by TLS; None for none.
            reflected: the services that are described to developers' tools.
            limits: of `build_server`.

        Raises:
            ValueError: an address is not local, and there is no TLS.
            RuntimeError: an address can't be listened on.
        """
        for listener in listeners:
            secured = None if listener.service else callers
            server, address = build_server(
                listener,
                handlers=handlers(listener, secured or always(listener.service)),
                servicer=self._health,
                credentials=secured.credentials() if secured else None,
                reflected=reflected,
                **limits,
            )
            self._servers.append(server)
            await server.start()
            self.addresses.append(address)

    async def _hang_up(self) -> None:
        """Ends all listeners at once; what is still under way gets a moment."""
        await asyncio.gather(*(server.stop(LINGER_S) for server in self._servers))


def check_listeners(listeners: Iterable[Listener], *, tls: bool) -> None:
    """Whether all can be listened on: those without TLS locally, and each for the service that it belongs to.

    Raises:
        ValueError: one can't.
    """
    for listener in listeners:
        if listener.service:
            local_only(listener.address)
        elif not tls:
            raise ValueError(f"`{listener.address}` belongs to no service, and there is no TLS")


async def run(
    service: Served, *, metrics_port: int | None, check: Callable[[], None] = lambda: None
) -> None:
    """Serves until the process is told to stop, and ends it.

    Args:
        service: not started yet.
        metrics_port: on loopback, for Prometheus; None for none.
        check: asked once the service is started; what it raises ends it.

    Raises:
        ValueError: the port can't be listened on.
    """
    stop = service.on_signals()
    async with service:
        check()
        settle()
        if metrics_port is not None:
            _show_metrics(metrics_port, service.metrics.registry)
        print(f"serving on {', '.join(service.addresses)}", flush=True)  # noqa: T201 - scripts wait for it
        await stop.wait()
        await service.drain()
        give_back(service.addresses)
        os._exit(0)  # which closes all connections at one instant: no call is left to be cancelled


def _show_metrics(port: int, registry: CollectorRegistry) -> None:
    try:
        start_http_server(port, addr="127.0.0.1", registry=registry)
    except (OSError, OverflowError) as exc:
        raise ValueError(f"--metrics `{port}`: can't be listened on: {exc}") from exc
