"""A door: every call comes in here, and leaves with an answer or with a status that says why not.

A call is let in when its caller is expected, its deadline is set, its bytes are a message, and there is room.
Nothing is judged here, and nothing unexpected reaches the caller.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final

import grpc
import structlog
from google.protobuf.message import DecodeError, Message

from serving.callers import Caller, Context
from serving.errors import RequestError, StrangerError
from serving.hall import Hall
from serving.metrics import Calls

MAX_DEADLINE_S: Final = 10.0
"""A call with one answer gets no more time than this, whatever its deadline."""

Procedure = Callable[[Any, Context], Awaitable[Message]]
"""What answers a message; of the call itself it is told the rest."""


class Door(ABC):
    """The calls of one listener. Messages come and go as bytes.

    Attributes:
        service: what callers are told that they met: its contract is `SERVICE.proto`.
    """

    service: ClassVar[str]

    def __init__(self, *, metrics: Calls, caller: Caller, expected: Collection[str]) -> None:
        """A door.

        Args:
            metrics: where calls are counted.
            caller: says which service calls.
            expected: those that may.
        """
        self._metrics = metrics
        self._caller = caller
        self._expected = frozenset(expected)
        self._log = structlog.get_logger(f"{self.service}.door")

    @abstractmethod
    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """The procedures, by service, for a server."""

    @abstractmethod
    def status(self, error: Exception) -> grpc.Status:
        """What the caller is told of an error."""

    @abstractmethod
    def late(self, text: str) -> Exception:
        """The error for an answer that was not there in time."""

    def unary(self, name: str, request: type[Message], run: Procedure, hall: Hall) -> Any:  # noqa: ANN401 - as grpc declares it
        """The handler of a procedure with one answer."""

        async def handle(data: bytes, context: Context) -> bytes:
            async with self.call(name, hall, context):
                seconds = self.admit(MAX_DEADLINE_S, context)
                message = self.read(name, request, data)
                try:
                    async with asyncio.timeout(min(seconds, MAX_DEADLINE_S)):
                        answer = await run(message, context)
                except TimeoutError:
                    text = "no answer in time; what was asked for may have been done"
                    raise self.late(text) from None
                return answer.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(handle, None, None)

    @asynccontextmanager
    async def call(self, name: str, hall: Hall, context: Context) -> AsyncIterator[None]:
        """A place in the hall for a call, which is counted when it ends; an error ends it with its status."""
        began = time.perf_counter()
        try:
            with hall.place():
                yield
        except grpc.aio.AbortError:
            raise
        except Exception as exc:
            await self._fail(name, exc, context)
            raise
        self._metrics.answered(name, time.perf_counter() - began)

    def expect(self, context: Context) -> None:
        """Sees that a call is one of a caller that is expected; of a long one to be asked again and again.

        Raises:
            StrangerError: the caller is not.
            UntrustedError: its certificate does not count, or not any more.
        """
        if self._caller(context) not in self._expected:
            raise StrangerError(f"this service may not call the {self.service}: ask its operator")

    def admit(self, longest_s: float, context: Context) -> float:
        """How many seconds a call has, of a caller that is expected.

        Raises:
            StrangerError: the caller is not.
            UntrustedError: as `expect`.
            RequestError: no deadline is set.
        """
        self.expect(context)
        seconds: float | None = context.time_remaining()
        if seconds is None:
            raise RequestError([("deadline", "missing", f"set one, at most {longest_s:g} s")])
        return seconds

    def read(self, name: str, kind: type[Message], data: bytes) -> Message:
        """The message of a call.

        Raises:
            RequestError: it is none.
        """
        try:
            return kind.FromString(data)
        except DecodeError as exc:
            cure = f"encode it as {self.service}.proto says, with text in UTF-8"
            raise RequestError([("message", f"not a request of `{name}`", cure)]) from exc

    async def _fail(self, name: str, error: Exception, context: Context) -> None:
        status = self.status(error)
        if status.code is grpc.StatusCode.INTERNAL:
            self._log.exception("call_failed", rpc=name)
        self._metrics.failed(name, status.code.name)
        await context.abort_with_status(status)
