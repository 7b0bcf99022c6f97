"""Watches: the events of the registry, one after the other, whatever becomes of the streams they come by."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from authz.v1 import authz_pb2 as pb
from clients.sdk import following
from clients.sdk.errors import Error
from clients.sdk.following import Following
from clients.sdk.registry import Event
from clients.sdk.retry import AioStream, Stream
from clients.sdk.values import Decision

Clock = Callable[[], float]


class _Watch:
    """What both kinds of watch have in common."""

    def __init__(self, state: Following, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    @property
    def revision(self) -> int:
        """The last revision that was told: what to watch from again."""
        return self._state.revision

    @property
    def head(self) -> int:
        """The revision that the registry was at when it was last heard of; 0 before."""
        return self._state.head

    @property
    def silent_s(self) -> float:
        """How long nothing has been heard: what is kept of the registry may be out of date by as much."""
        return self._clock() - self._state.heard


class Watch(_Watch):
    """The events after a revision, in order, none left out, none told twice.

    For one thread at a time; another may `close` it, and look at where it stands.

        with client.watch(after) as events:
            for event in events:
                forget(event.patient)
                after = event.revision
    """

    def __init__(
        self,
        state: Following,
        ask: Callable[[pb.WatchRequest], Stream[pb.WatchResponse]],
        obey: Callable[[Decision], object],
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        """A watch; nothing is asked yet.

        Args:
            state: where it stands.
            ask: opens a stream.
            obey: carries out what a decision says; raises Denied.
            clock: seconds that never go back.
        """
        super().__init__(state, clock)
        self._ask = ask
        self._obey = obey
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._stream: Stream[pb.WatchResponse] | None = None

    def __iter__(self) -> Self:
        """Itself."""
        return self

    def __next__(self) -> Event:
        """The next event, waited for.

        Raises:
            StopIteration: it was closed, or is not to go on and all is told.
            Denied: no.
            AheadError: the registry has not reached the revision.
            Error: there is no answer, and patience is at an end, or it is no use to ask again.
        """
        try:
            while not (self._closed.is_set() or self._state.is_done):
                event = self._state.next()
                if event is not None:
                    return event
                self._hear()
        except BaseException:
            self.close()
            raise
        self.close()
        raise StopIteration

    def close(self) -> None:
        """Ends it at once."""
        with self._lock:
            self._closed.set()
        self._hang_up()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends it."""
        self.close()

    def __del__(self) -> None:
        """Ends what was left open."""
        if hasattr(self, "_stream"):
            self.close()

    def _hear(self) -> None:
        """Waits for a message, on a new stream if need be."""
        try:
            stream = self._stream or self._open()
            message = stream.read(following.SILENCE_S)
            if message is not None:
                self._state.hear(message, self._clock())
                return
            ended = None
        except Error as exc:
            ended = exc
        self._hang_up()
        if not self._closed.is_set():
            self._closed.wait(self._state.pause_s(ended, self._clock()))

    def _open(self) -> Stream[pb.WatchResponse]:
        stream = self._ask(self._state.request())
        with self._lock:
            self._stream = stream
            closed = self._closed.is_set()
        if closed:
            self._hang_up()
        self._obey(self._state.begin(stream.read(following.SILENCE_S), self._clock()))
        return stream

    def _hang_up(self) -> None:
        with self._lock:
            stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


class AioWatch(_Watch):
    """As `Watch`, with `async with` and `async for`; for one task at a time."""

    def __init__(
        self,
        state: Following,
        ask: Callable[[pb.WatchRequest], AioStream[pb.WatchResponse]],
        obey: Callable[[Decision], Awaitable[object]],
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        """As for `Watch`."""
        super().__init__(state, clock)
        self._ask = ask
        self._obey = obey
        self._closed = asyncio.Event()
        self._stream: AioStream[pb.WatchResponse] | None = None

    def __aiter__(self) -> Self:
        """Itself."""
        return self

    async def __anext__(self) -> Event:
        """As `Watch.__next__`.

        Raises:
            StopAsyncIteration: it was closed, or is not to go on and all is told.
        """
        try:
            while not (self._closed.is_set() or self._state.is_done):
                event = self._state.next()
                if event is not None:
                    return event
                await self._hear()
        except BaseException:
            await self.close()
            raise
        await self.close()
        raise StopAsyncIteration

    async def close(self) -> None:
        """Ends it at once."""
        self._closed.set()
        await self._hang_up()

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends it."""
        await self.close()

    async def _hear(self) -> None:
        try:
            stream = self._stream or await self._open()
            message = await stream.read(following.SILENCE_S)
            if message is not None:
                self._state.hear(message, self._clock())
                return
            ended = None
        except Error as exc:
            ended = exc
        await self._hang_up()
        if not self._closed.is_set():
            await self._pause(self._state.pause_s(ended, self._clock()))

    async def _open(self) -> AioStream[pb.WatchResponse]:
        self._stream = stream = self._ask(self._state.request())
        first = await stream.read(following.SILENCE_S)
        await self._obey(self._state.begin(first, self._clock()))
        return stream

    async def _hang_up(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._closed.wait(), seconds)
        except TimeoutError:
            return
