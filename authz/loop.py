"""The decision loop: whatever waits when the last commit ends becomes the next batch.

An idle service answers at the speed of one commit, and a busy one pays one commit for many answers. When
the record can't be written nobody is answered; the loop then probes until it can, and serves again by
itself.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import structlog

from authz.batch import Activation
from authz.bundle import Summary
from authz.decider import Item, Outcome, Report
from authz.errors import Error, LateError, UnavailableError, UnrecordableError
from authz.procedures import Answered, Asked
from authz.waiting import Fresh, Waiting, WaitingRoom
from serving.clock import boottime
from serving.errors import RequestError

PATIENCE_S: Final = 0.005
"""Nobody waits longer than this for others to come."""

PROBE_S: Final = 0.25

CONFIRM_S: Final = 1.0
"""After so long without a call it is found out whether one could be answered."""

MAX_AGE_S: Final = 2.0
"""An answer that rests on what was read longer ago than this is not given: it is decided again."""

_log = structlog.get_logger("authz.loop")


class Deciding(Protocol):
    """Who decides a batch: `authz.decider.Inside`, `authz.apart.Apart`."""

    async def run(self, items: Sequence[Item]) -> Report:
        """Decides all items as one batch; the answers are on durable record when this returns."""
        ...

    async def probe(self) -> None:
        """Raises UnavailableError unless the log can be written."""
        ...


class Loop:
    """Hands calls over to be decided, one batch at a time, and answers everyone when it is committed.

    Whoever was accepted is told: an answer, or why there is none, even when the loop ends.
    """

    def __init__(
        self, deciding: Deciding, *, bundle: Summary, on_health: Callable[[Exception | None], None]
    ) -> None:
        """Prepares the loop; `run` starts it.

        Args:
            deciding: decides and records, one batch at a time.
            bundle: what decides at first.
            on_health: told each time when writing begins to fail (with the error) or works again (None).
        """
        self._deciding = deciding
        self._on_health = on_health
        self._room = WaitingRoom()
        self._activations: list[tuple[Activation, asyncio.Future[None]]] = []
        self._taken: list[Waiting] = []
        self._bell: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._enough = 1  # so many requests ring it
        self._last = (1, 0.0)  # calls in the last batch, and the seconds that it took
        self._healthy = True
        self._closing = False
        self.bundle = bundle
        """The bundle that decides now."""

    async def submit(
        self, asked: Asked, *, weight: int = 1, urgent: bool = False, until: float = float("inf")
    ) -> Answered:
        """Waits until a call is decided and on durable record.

        A caller that leaves before its turn is not decided for; one that leaves later finds its entry
        in the log.

        Args:
            asked: the call.
            weight: the requests in it.
            urgent: whether it is an emergency, which goes first.
            until: when the caller will have left, on the clock of the event loop.

        Raises:
            RequestError: it is malformed; nothing was decided.
            UnavailableError: it could not be recorded, so there is no decision.
            UnrecordableError: the same, and it never will be.
            OverloadedError: too many requests are waiting.
            LateError: its caller's time is over.
        """
        if self._closing:
            raise UnavailableError("the service is stopping")
        while True:
            answered, read_at = await self._wait(asked, weight, urgent, until)
            # What was changed was changed under a lock, so nothing came before it.
            # INVARIANT: nothing is awaited between this look and the answer on its way.
            if answered.changed or boottime() - read_at <= MAX_AGE_S:
                return answered
            _log.warning("decided_again", why="the process was held up")
            urgent = True

    async def _wait(
        self,
        asked: Asked,
        weight: int,
        urgent: bool,  # noqa: FBT001 - as `submit` got it
        until: float,
    ) -> Fresh:
        future: asyncio.Future[Fresh] = asyncio.get_running_loop().create_future()
        self._room.enter(Waiting(asked, weight, urgent, until, future))
        if urgent or self._room.size >= self._enough:
            self._ring()
        return await future

    async def activate(self, activation: Activation) -> None:
        """Waits until a bundle decides and that is on durable record.

        Raises:
            UnavailableError: it could not be recorded; the bundle before still decides.
        """
        if self._closing:
            raise UnavailableError("the service is stopping")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._activations.append((activation, future))
        self._ring()
        await future

    async def run(self) -> None:
        """Runs until `close`; everything submitted before is decided first."""
        try:
            while not (self._closing and not self._room.size and not self._activations):
                await self._gather()
                await self._activate()
                self._taken, late = self._room.take(asyncio.get_running_loop().time())
                _refuse(late, LateError, "the time of the caller is over")
                if self._taken:
                    await self._decide(self._taken)
                elif not self._closing:
                    await self._pause()
        finally:
            self._closing = True
            why = "the service has stopped"
            _refuse([*self._taken, *self._room.empty()], UnavailableError, why)
            for _, future in self._activations:
                if not future.done():
                    future.set_exception(UnavailableError(why))

    async def close(self) -> None:
        """Lets `run` end once nothing waits any more."""
        self._closing = True
        self._ring()

    async def _gather(self) -> None:
        """Waits until half of those in flight are there, but no longer than the last batch took.

        Those who were answered together ask again one after the other; a commit for each of the first
        of them would take the time of all. Who asks alone does not wait.
        """
        many, took = self._last
        enough = (self._room.size + many) // 2
        if 0 < self._room.size < enough and not self._closing:
            await self._sleep(min(took, PATIENCE_S), enough)

    async def _pause(self) -> None:
        """Waits for work; finds out now and then whether it could be done, or can be done again."""
        if self._room.size or self._activations:
            return
        if not await self._sleep(CONFIRM_S if self._healthy else PROBE_S):
            await (self._confirm() if self._healthy else self._probe())

    async def _sleep(self, seconds: float, enough: int = 1) -> bool:
        """Sleeps until enough requests wait, something else is to be done, or time is over (False).

        A bare future, as this is done for each batch, and `asyncio.wait_for` makes a task each time.
        """
        loop = asyncio.get_running_loop()
        self._enough, self._bell = enough, loop.create_future()
        alarm = loop.call_later(seconds, lambda: self._ring(woken=False))
        try:
            return await self._bell
        finally:
            alarm.cancel()
            self._enough = 1

    def _ring(self, *, woken: bool = True) -> None:
        if not self._bell.done():
            self._bell.set_result(woken)

    async def _run(self, items: Sequence[Item]) -> Report:
        """Has a batch decided; when that takes too long to be fresh, health says so meanwhile."""
        why = UnavailableError(
            f"no decision for {MAX_AGE_S:g} s: the one who decides does not answer"
        )
        loop = asyncio.get_running_loop()
        alarm, began = loop.call_later(MAX_AGE_S, self._health, why), loop.time()
        try:
            return await self._deciding.run(items)
        finally:
            alarm.cancel()
            self._last = len(items), loop.time() - began

    async def _confirm(self) -> None:
        try:
            self._adopt(await self._run([]))
        except Exception as exc:  # noqa: BLE001 - whatever it is, no call could be answered
            self._health(exc)

    async def _activate(self) -> None:
        """Puts activations on record, each as a batch of its own."""
        while self._activations:
            activation, future = self._activations.pop(0)
            try:
                self._adopt(await self._run([activation]))
            except Exception as exc:  # noqa: BLE001 - whatever it is, who asked is told
                self._health(exc)
                if not future.done():
                    future.set_exception(UnavailableError(str(exc)))
            else:
                if not future.done():
                    future.set_result(None)

    async def _decide(self, batch: list[Waiting]) -> None:
        try:
            report = await self._run([one.asked for one in batch])
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
            self._health(exc)
            _refuse(batch, UnavailableError, str(exc))
        else:
            self._adopt(report)
            for one, outcome in zip(batch, report.outcomes, strict=True):
                if not one.future.done():
                    _settle(one.future, outcome, report.read_at)

    def _adopt(self, report: Report) -> None:
        self._health(None)
        self.bundle = report.bundle

    async def _probe(self) -> None:
        try:
            await self._deciding.probe()
        except UnavailableError:
            return
        self._health(None)

    def _health(self, trouble: Exception | None) -> None:
        healthy = trouble is None
        if healthy is not self._healthy:
            self._healthy = healthy
            self._on_health(trouble)


def _settle(future: "asyncio.Future[Fresh]", outcome: Outcome, read_at: float) -> None:
    match outcome:
        case Answered():
            future.set_result((outcome, read_at))
        case RequestError():
            future.set_exception(outcome)
        case None:
            future.set_exception(RuntimeError("it failed; the log of the decider says why"))


def _refuse(batch: Iterable[Waiting], kind: type[Error], why: str) -> None:
    for one in batch:
        if not one.future.done():
            one.future.set_exception(kind(why))
