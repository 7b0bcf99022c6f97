"""The decision loop: whatever waits when the last commit ends becomes the next batch.

It waits for nobody who has not arrived: an idle service answers at the speed of one commit, and a busy one
pays one commit for hundreds of answers. When the record can't be written nobody is answered; the loop then
probes until it can, and serves again by itself.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from authz.batch import Answer, Batcher, Call, Item
from authz.bundle import Bundle
from authz.errors import Error, OverloadedError, UnavailableError, UnrecordableError

BATCH: Final = 256
"""Requests in one batch; a single call with more is a batch of its own."""

WAITING: Final = 20_000
"""Requests that may wait; beyond, callers are turned away at once."""

TURNS: Final = 16
"""Turns of the event loop without a newcomer after which a batch begins: a few microseconds each."""

PROBE_S: Final = 0.25

Waiting = tuple[Item, "asyncio.Future[Answer]"]

_log = structlog.get_logger("authz.loop")


class Loop:
    """Hands items to the batcher, one batch at a time, and answers everyone when it is committed.

    Whoever was accepted is told: an answer, or why there is none, even when the loop ends.
    """

    def __init__(self, batcher: Batcher, *, on_health: Callable[[bool, str], None]) -> None:
        """Prepares the loop; `run` starts it.

        Args:
            batcher: decides and records; used in one thread only.
            on_health: told each time when writing begins to fail (with the cause) or works again.
        """
        self._batcher = batcher
        self._on_health = on_health
        self._waiting: deque[Waiting] = deque()
        self._taken: list[Waiting] = []
        self._size = 0
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="decide")
        self._healthy = True
        self._closing = False

    @property
    def bundle(self) -> Bundle:
        """The bundle that decides now."""
        return self._batcher.bundle

    async def submit(self, item: Item) -> Answer:
        """Waits until the item is decided and on durable record.

        A caller that leaves before its turn is not decided for; one that leaves later finds its entry
        in the log.

        Raises:
            UnavailableError: it could not be recorded, so there is no decision.
            UnrecordableError: the same, and it never will be.
            OverloadedError: too many requests are waiting.
        """
        if self._closing:
            raise UnavailableError("the service is stopping")
        if self._size >= WAITING:
            raise OverloadedError(f"{self._size} requests are waiting, at most {WAITING} may")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._size += _weight(item)
        self._wake.set()
        return await future

    async def run(self) -> None:
        """Runs until `close`; everything submitted before is decided first."""
        try:
            while not (self._closing and not self._waiting):
                await self._gather()
                self._taken = self._take()
                if self._taken:
                    await self._decide(self._taken)
                elif not self._closing:
                    await self._pause()
        finally:
            self._closing = True
            _refuse([*self._taken, *self._waiting], UnavailableError, "the service has stopped")
            self._thread.shutdown(wait=False)

    async def close(self) -> None:
        """Lets `run` end once nothing waits any more."""
        self._closing = True
        self._wake.set()

    async def _pause(self) -> None:
        """Waits for work; while writing fails, probes now and then."""
        self._wake.clear()
        try:
            await asyncio.wait_for(self._wake.wait(), None if self._healthy else PROBE_S)
        except TimeoutError:
            await self._probe()

    async def _gather(self) -> None:
        """Lets those in who have arrived, but are still on their way through the transport.

        Each turn of the event loop brings them a step nearer. A commit costs as much as deciding for
        ten, so this doubles the rate at 32 in flight.
        """
        seen = quiet = 0
        while quiet < TURNS and 0 < self._size < BATCH:
            quiet = quiet + 1 if self._size == seen else 0
            seen = self._size
            await asyncio.sleep(0)

    def _take(self) -> list[Waiting]:
        """The next batch, of those whose callers are still there."""
        batch: list[Waiting] = []
        weight = 0
        while self._waiting:
            item, future = self._waiting[0]
            if batch and weight + _weight(item) > BATCH:
                break
            self._waiting.popleft()
            self._size -= _weight(item)
            if not future.cancelled():
                batch.append((item, future))
                weight += _weight(item)
        return batch

    async def _decide(self, batch: list[Waiting]) -> None:
        items = [item for item, _ in batch]
        running = asyncio.get_running_loop()
        try:
            answers = await running.run_in_executor(self._thread, self._batcher.run, items)
        except UnrecordableError as exc:
            # One that can't be written must not cost the others their answer: halve until it is alone.
            if len(batch) > 1:
                half = len(batch) // 2
                await self._decide(batch[:half])
                await self._decide(batch[half:])
                return
            _log.exception("not_recordable")
            _refuse(batch, UnrecordableError, str(exc))
        except Exception as exc:  # noqa: BLE001 - whatever it is, callers are told and the loop goes on
            self._health(healthy=False, cause=str(exc))
            _refuse(batch, UnavailableError, str(exc))
        else:
            self._health(healthy=True)
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    async def _probe(self) -> None:
        running = asyncio.get_running_loop()
        try:
            await running.run_in_executor(self._thread, self._batcher.probe)
        except UnavailableError:
            return
        self._health(healthy=True)

    def _health(self, *, healthy: bool, cause: str = "") -> None:
        if healthy is not self._healthy:
            self._healthy = healthy
            self._on_health(healthy, cause)


def _weight(item: Item) -> int:
    return len(item.queries) if isinstance(item, Call) else 1


def _refuse(batch: Iterable[Waiting], kind: type[Error], why: str) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(kind(why))
