"""The door of the audit: one answer, pages, files, or no end; each kind of calls has a hall of its own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, cast

import grpc
from google.protobuf.message import Message

from audit.office.errors import LateError
from audit.office.metrics import Metrics
from audit.office.status import as_status
from clients.sdk.asking import How, traced
from clients.sdk.gate import along
from serving import door
from serving.callers import Caller, Context
from serving.hall import Hall, StoppingError

STREAM_S: Final = 600.0
"""A call with many answers gets no more than this."""

FOLLOW_S: Final = 900.0
"""And one that goes on until somebody ends it no more than this."""

DECISION_S: Final = 4.0
"""Of the time of a call, a question to the decision point gets no more than this."""

WRITE_S: Final = 30.0
"""Who does not take the next answer for so long is given up."""

MAX_CALLS: Final = 256
MAX_STREAMS: Final = 64
DRAIN_S: Final = 10.5
"""What was accepted is finished within this time; a little longer than any call with one answer may take."""

SERVICE: Final = "audit.v1.AuditService"


@dataclass(frozen=True, slots=True)
class Unary:
    """A procedure with one answer."""

    request: type[Message]
    run: Callable[[Any, How], Awaitable[Message]]


@dataclass(frozen=True, slots=True)
class Stream:
    """A procedure with many answers; `endless`, one that ends well when its time is over.

    With `whole` it goes through the log for a file, and takes no room from those that show pages.
    """

    request: type[Message]
    run: Callable[[Any, How], AsyncIterator[Message]]
    endless: bool = False
    whole: bool = False

    @property
    def longest_s(self) -> float:
        """How long it may last."""
        return FOLLOW_S if self.endless else STREAM_S


Procedures = Mapping[str, Unary | Stream]


@dataclass(frozen=True, slots=True)
class Halls:
    """Where calls wait: streams last long, so they take no room from the others."""

    calls: Hall
    pages: Hall
    files: Hall
    endless: Hall

    def of(self, procedure: Stream) -> Hall:
        """Where calls of a procedure with many answers wait."""
        if procedure.endless:
            return self.endless
        return self.files if procedure.whole else self.pages

    async def close(self) -> None:
        """Lets everyone who came in be answered; what goes on for long is ended."""
        await asyncio.gather(
            self.calls.close(within_s=DRAIN_S, end_in_s=DRAIN_S),
            self.pages.close(within_s=DRAIN_S, end_in_s=DRAIN_S - 0.5),
            self.files.close(within_s=DRAIN_S, end_in_s=DRAIN_S - 0.5),
            self.endless.close(within_s=DRAIN_S, end_in_s=0),
        )


def halls() -> Halls:
    """Empty ones."""
    many = (Hall(room=MAX_STREAMS) for _ in range(3))
    return Halls(Hall(room=MAX_CALLS), *many)


class Door(door.Door):
    """The calls of one listener of the audit."""

    service = "audit"

    def __init__(
        self,
        *,
        procedures: Procedures,
        halls: Halls,
        metrics: Metrics,
        caller: Caller,
        expected: Collection[str],
    ) -> None:
        super().__init__(metrics=metrics, caller=caller, expected=expected)
        self._procedures = procedures
        self._halls = halls

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """The procedures, for a server."""
        methods = {
            name: self._one(name, one) if isinstance(one, Unary) else self._stream(name, one)
            for name, one in self._procedures.items()
        }
        return (grpc.method_handlers_generic_handler(SERVICE, methods),)

    def status(self, error: Exception) -> grpc.Status:
        """As the table of the audit says."""
        return as_status(error)

    def late(self, text: str) -> Exception:
        """An error of ours."""
        return LateError(text)

    def _one(self, name: str, procedure: Unary) -> Any:  # noqa: ANN401 - as grpc declares it
        async def run(request: Message, context: Context) -> Message:
            return await procedure.run(request, _how(context))

        return self.unary(name, procedure.request, run, self._halls.calls)

    def _stream(self, name: str, procedure: Stream) -> Any:  # noqa: ANN401 - as grpc declares it
        hall = self._halls.of(procedure)

        async def handle(data: bytes, context: Context) -> None:
            async with self.call(name, hall, context):
                seconds = self.admit(procedure.longest_s, context)
                request = self.read(name, procedure.request, data)
                await self._answer(procedure, request, seconds, context, hall)

        return grpc.unary_stream_rpc_method_handler(handle, None, None)

    async def _answer(
        self, procedure: Stream, request: Message, seconds: float, context: Context, hall: Hall
    ) -> None:
        """Sends one answer after the other, for so many seconds, to a caller that is still expected."""
        try:
            async with asyncio.timeout(min(seconds, procedure.longest_s)) as limit:
                with hall.bounded(limit):
                    found = procedure.run(request, _how(context))
                    async with aclosing(cast("AsyncGenerator[Message, None]", found)) as answers:
                        async for answer in answers:
                            self.expect(context)
                            async with asyncio.timeout(WRITE_S):
                                await context.write(answer.SerializeToString())
        except TimeoutError:
            if not hall.is_open:
                text = "the service is being stopped: ask again for what is missing"
                raise StoppingError(text) from None
            if not procedure.endless:
                raise LateError("not all of it in time: ask for less") from None


def _how(context: Context) -> How:
    """How the decision point is asked because of a call."""
    return traced(along(DECISION_S, context))
