"""The ways to the stand-in of `clients.sdk.testing`: a short one within the process, and a real server."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any, Final, Generic, Protocol, cast

import grpc
from google.protobuf.message import Message

from authz.v1 import authz_pb2 as pb
from clients.sdk import procedures
from clients.sdk.errors import DeadlineError, Error, UnavailableError
from clients.sdk.procedures import WATCH, Procedure
from clients.sdk.refusal import refusal
from clients.sdk.retry import Metadata, Request, Response

BEAT_S: Final = 0.5
"""A stream has a message at least so often; one of the decision point, every five seconds."""

_LOOK_S: Final = 0.005
_KNOWN: Final = {one.path: one for one in vars(procedures).values() if isinstance(one, Procedure)}


class StandIn(Protocol):
    """What the ways lead to."""

    @property
    def slow_s(self) -> float:
        """How long an answer takes."""
        ...

    @property
    def hung_up(self) -> int:
        """How often all streams have been ended."""
        ...

    def answer(self, path: str, request: Message, metadata: Metadata) -> Message:
        """The answer to a call, or the first one."""
        ...

    def news(self, after: int) -> pb.WatchResponse:
        """What has happened after a revision."""
        ...


class Tail:
    """A stream, looked at again and again."""

    def __init__(self, pdp: StandIn, request: Message, metadata: Metadata) -> None:
        self._pdp = pdp
        self._request = cast("pb.WatchRequest", request)
        self._metadata = metadata
        self._after = self._request.after_revision
        self._hung_up = pdp.hung_up
        self._begun = self._over = False
        self._told = float("-inf")

    def look(self) -> pb.WatchResponse | None:
        """The next message, or None if there is none yet.

        Raises:
            EOFError: there are no more.
            Error: it fails, as the test wants it.
        """
        if not self._begun:
            self._begun = True
            answer = self._pdp.answer(WATCH.path, self._request, self._metadata)
            first = cast("pb.WatchResponse", answer)
            self._over = first.decision.effect != pb.EFFECT_ALLOW
            return first
        if self._over or self._pdp.hung_up != self._hung_up:
            raise EOFError
        found, now = self._pdp.news(self._after), time.monotonic()
        if not found.events and now - self._told < BEAT_S:
            return None
        self._told = now
        self._after = found.events[-1].revision if found.events else self._after
        return found


class Short:
    """The short way."""

    def __init__(self, pdp: StandIn) -> None:
        self._pdp = pdp

    def once(
        self,
        procedure: Procedure[Request, Response],
        request: Request,
        *,
        timeout_s: float,
        metadata: Metadata,
    ) -> Response:
        """The answer, as it would be after a journey."""
        if self._pdp.slow_s >= timeout_s:
            raise DeadlineError("no answer in time, as this test wants it")
        sent = procedure.request.FromString(request.SerializeToString())
        return cast("Response", self._pdp.answer(procedure.path, sent, metadata))

    def stream(
        self,
        procedure: Procedure[Request, Response],  # noqa: ARG002 - there is one only
        request: Request,
        *,
        timeout_s: float,  # noqa: ARG002 - tests don't take so long
        metadata: Metadata,
    ) -> "ShortStream[Response]":
        """The answers."""
        return ShortStream(self._pdp, Tail(self._pdp, request, metadata))

    def close(self) -> None:
        """Nothing is open."""


class ShortStream(Generic[Response]):
    """A stream by the short way."""

    def __init__(self, pdp: StandIn, tail: Tail) -> None:
        self._pdp = pdp
        self._tail = tail
        self._closed = False

    def read(self, timeout_s: float) -> Response | None:
        """The next message."""
        end = time.monotonic() + timeout_s
        try:
            while (found := self.look(end)) is None:
                time.sleep(_LOOK_S)
        except EOFError:
            return None
        return found

    def look(self, end: float) -> Response | None:
        """The next message, if it is there; as `Tail.look`."""
        if self._closed:
            raise UnavailableError("closed")
        if time.monotonic() + self._pdp.slow_s >= end:
            raise DeadlineError("nothing is said, as this test wants it")
        return cast("Response | None", self._tail.look())

    def close(self) -> None:
        """Ends it."""
        self._closed = True


class AioShort:
    """The short way, asynchronously."""

    def __init__(self, pdp: StandIn) -> None:
        self._short = Short(pdp)

    async def once(
        self,
        procedure: Procedure[Request, Response],
        request: Request,
        *,
        timeout_s: float,
        metadata: Metadata,
    ) -> Response:
        """As above."""
        return self._short.once(procedure, request, timeout_s=timeout_s, metadata=metadata)

    def stream(
        self,
        procedure: Procedure[Request, Response],
        request: Request,
        *,
        timeout_s: float,
        metadata: Metadata,
    ) -> "AioShortStream[Response]":
        """As above."""
        made = self._short.stream(procedure, request, timeout_s=timeout_s, metadata=metadata)
        return AioShortStream(made)

    async def close(self) -> None:
        """Nothing is open."""


class AioShortStream(Generic[Response]):
    """A stream by the short way, asynchronously."""

    def __init__(self, stream: ShortStream[Response]) -> None:
        self._stream = stream

    async def read(self, timeout_s: float) -> Response | None:
        """As above."""
        end = time.monotonic() + timeout_s
        try:
            # What it waits for may come from a thread.
            while (found := self._stream.look(end)) is None:  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_S)
        except EOFError:
            return None
        return found

    async def close(self) -> None:
        """As above."""
        self._stream.close()


class Handlers(grpc.GenericRpcHandler):
    """The long way."""

    def __init__(self, pdp: StandIn) -> None:
        self._pdp = pdp

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:  # noqa: ANN401 - as grpc declares it
        """The handler of a procedure that it knows."""
        path = str(handler_call_details.method)
        known = _KNOWN.get(path)
        if known is None:
            return None
        metadata = tuple((str(k), str(v)) for k, v in handler_call_details.invocation_metadata)
        codec = (known.request.FromString, known.response.SerializeToString)

        def handle(request: Message, context: grpc.ServicerContext) -> Message:
            time.sleep(self._pdp.slow_s)
            try:
                return self._pdp.answer(path, request, metadata)
            except Error as exc:
                context.abort_with_status(refusal(exc))
                raise

        def follow(request: Message, context: grpc.ServicerContext) -> Iterator[Message]:
            time.sleep(self._pdp.slow_s)
            tail = Tail(self._pdp, request, metadata)
            try:
                while context.is_active():
                    found = tail.look()
                    if found is None:
                        time.sleep(_LOOK_S)
                    else:
                        yield found
            except EOFError:
                return
            except Error as exc:
                context.abort_with_status(refusal(exc))

        if known is WATCH:
            return grpc.unary_stream_rpc_method_handler(follow, *codec)
        return grpc.unary_unary_rpc_method_handler(handle, *codec)
