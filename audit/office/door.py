"""The door: every call comes in here, and leaves with its answers or with a status that says why not.

A call is let in when its caller is expected, its deadline is set, its bytes are a message, and there is room.
Nothing is judged here, and nothing unexpected reaches the caller.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, cast

import grpc
import structlog
from google.protobuf.message import DecodeError, Message

from audit.office.errors import LateError, StrangerError
from audit.office.metrics import Metrics
from audit.office.status import as_status
from clients.sdk.asking import How
from clients.sdk.gate import along
from serving.callers import Caller, Context
from serving.errors import RequestError
from serving.hall import Hall, StoppingError

MAX_DEADLINE_S: Final = 10.0
"""A call with one answer gets no more time than this, whatever its deadline."""

STREAM_S: Final = 600.0
"""One with many answers gets no more than this."""

FOLLOW_S: Final = 900.0
"""And one that goes on until somebody ends it no more than this."""

DECISION_S: Final = 4.0
"""Of it, a question to the decision point gets no more than this."""

MAX_CALLS: Final = 256
MAX_STREAMS: Final = 64
DRAIN_S: Final = 10.5
"""What was accepted is finished within this time; a little longer than any call with one answer may take."""

SERVICE: Final = "audit.v1.AuditService"

_log = structlog.get_logger("audit.door")


@dataclass(frozen=True, slots=True)
class Unary:
    """A procedure with one answer."""

    request: type[Message]
    run: Callable[[Any, How], Awaitable[Message]]


@dataclass(frozen=True, slots=True)
class Stream:
    """A procedure with many answers; with `endless`, one that ends well when its time is over."""

    request: type[Message]
    run: Callable[[Any, How], AsyncIterator[Message]]
    endless: bool = False

    @property
    def longest_s(self) -> float:
        """How long it may last."""
        return FOLLOW_S if self.endless else STREAM_S


Procedures = Mapping[str, Unary | Stream]


@dataclass(frozen=True, slots=True)
class Halls:
    """Where calls wait: streams last long, so they take no room from the others."""

    calls: Hall
    streams: Hall
    endless: Hall

    async def close(self) -> None:
        """Lets everyone who came in be answered; what goes on for long is ended."""
        await asyncio.gather(
            self.calls.close(within_s=DRAIN_S, end_in_s=DRAIN_S),
            self.streams.close(within_s=DRAIN_S, end_in_s=DRAIN_S - 0.5),
            self.endless.close(within_s=DRAIN_S, end_in_s=0),
        )


def halls() -> Halls:
    """Empty ones."""
    return Halls(Hall(room=MAX_CALLS), Hall(room=MAX_STREAMS), Hall(room=MAX_STREAMS))


class Door:
    """The calls of one listener."""

    def __init__(
        self,
        *,
        procedures: Procedures,
        halls: Halls,
        metrics: Metrics,
        caller: Caller,
        expected: Collection[str],
    ) -> None:
        self._procedures = procedures
        self._halls = halls
        self._metrics = metrics
        self._caller = caller
        self._expected = frozenset(expected)

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """The procedures, for a server. Messages come and go as bytes."""
        methods = {
            name: self._unary(name, one) if isinstance(one, Unary) else self._stream(name, one)
            for name, one in self._procedures.items()
        }
        return (grpc.method_handlers_generic_handler(SERVICE, methods),)

    def _unary(self, name: str, procedure: Unary) -> Any:  # noqa: ANN401 - as grpc declares it
        async def handle(data: bytes, context: Context) -> bytes:
            began = time.perf_counter()
            try:
                with self._halls.calls.place():
                    answer = await self._answer(name, procedure, data, context)
            except grpc.aio.AbortError:
                raise
            except Exception as exc:
                await self._fail(name, exc, context)
                raise
            self._metrics.answered(name, time.perf_counter() - began)
            return answer

        return grpc.unary_unary_rpc_method_handler(handle, None, None)

    def _stream(self, name: str, procedure: Stream) -> Any:  # noqa: ANN401 - as grpc declares it
        hall = self._halls.endless if procedure.endless else self._halls.streams

        async def handle(data: bytes, context: Context) -> None:
            began = time.perf_counter()
            try:
                with hall.place():
                    await self._answers(name, procedure, data, context, hall)
            except grpc.aio.AbortError:
                raise
            except Exception as exc:
                await self._fail(name, exc, context)
                raise
            self._metrics.answered(name, time.perf_counter() - began)

        return grpc.unary_stream_rpc_method_handler(handle, None, None)

    async def _answer(self, name: str, procedure: Unary, data: bytes, context: Context) -> bytes:
        seconds = self._admit(MAX_DEADLINE_S, context)
        request = _read(name, procedure.request, data)
        try:
            async with asyncio.timeout(min(seconds, MAX_DEADLINE_S)):
                answer = await procedure.run(request, _traced(along(DECISION_S, context)))
        except TimeoutError:
            raise LateError("no answer in time; what was asked for may have been done") from None
        return answer.SerializeToString()

    async def _answers(
        self, name: str, procedure: Stream, data: bytes, context: Context, hall: Hall
    ) -> None:
        seconds = self._admit(procedure.longest_s, context)
        request = _read(name, procedure.request, data)
        how = _traced(along(DECISION_S, context))
        try:
            async with asyncio.timeout(min(seconds, procedure.longest_s)) as limit:
                with hall.bounded(limit):
                    found = cast("AsyncGenerator[Message, None]", procedure.run(request, how))
                    async with aclosing(found):
                        async for answer in found:
                            await context.write(answer.SerializeToString())
        except TimeoutError:
            if not hall.is_open:
                text = "the service is being stopped: ask again for what is missing"
                raise StoppingError(text) from None
            if not procedure.endless:
                raise LateError("not all of it in time: ask for less") from None

    def _admit(self, longest_s: float, context: Context) -> float:
        """How much time a call has, of a caller that is expected."""
        if self._caller(context) not in self._expected:
            raise StrangerError("this service may not call the audit: ask its operator")
        seconds: float | None = context.time_remaining()
        if seconds is None:
            raise RequestError([("deadline", "missing", f"set one, at most {longest_s:g} s")])
        return seconds

    async def _fail(self, name: str, error: Exception, context: Context) -> None:
        status = as_status(error)
        if status.code is grpc.StatusCode.INTERNAL:
            _log.exception("call_failed", rpc=name)
        self._metrics.failed(name, status.code.name)
        await context.abort_with_status(status)


def _read(name: str, kind: type[Message], data: bytes) -> Message:
    try:
        return kind.FromString(data)
    except DecodeError as exc:
        cure = "encode it as audit.proto says, with text in UTF-8"
        raise RequestError([("message", f"not a request of `{name}`", cure)]) from exc


def _traced(how: How) -> How:
    """All questions of one call are of one trace, also when the caller began none (W3C Trace Context)."""
    if how["traceparent"]:
        return how
    return How(
        timeout_s=how["timeout_s"],
        token=how["token"],
        traceparent=f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
    )
