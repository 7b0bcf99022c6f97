"""The door: every call comes in here, and leaves with an answer or with a status that says why not.

A call is let in when its caller is known, its deadline is set and its message is one. Nothing is judged
here, and nothing unexpected reaches the caller.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Final

import grpc
import structlog

from authz import product, wire
from authz.activation import Activator
from authz.bearer import Bearers, carried
from authz.errors import LateError
from authz.loop import Loop
from authz.metrics import Metrics
from authz.procedures import Answered, Asked, measure, watched_from
from authz.status import as_status
from authz.v1 import authz_pb2 as pb
from authz.watching import Watching
from serving.callers import Caller, Context
from serving.errors import RequestError

MAX_DEADLINE_S: Final = 5.0
"""A call gets no more time than this, whatever its deadline."""

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

_log = structlog.get_logger("authz.door")


class Door:
    """The calls of one listener."""

    def __init__(
        self,
        *,
        loop: Loop,
        activator: Activator,
        watching: Watching,
        metrics: Metrics,
        caller: Caller,
        bearers: Bearers,
    ) -> None:
        self._loop = loop
        self._activator = activator
        self._watching = watching
        self._metrics = metrics
        self._caller = caller
        self._bearers = bearers
        self._completed: Mapping[str, Callable[[bytes], Awaitable[bytes]]] = {
            product.GET_BUNDLE: self._tell_bundle,
            product.ACTIVATE_BUNDLE: self._activate,
        }

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """The procedures, by service, for a server. Messages come and go as bytes."""
        services: dict[str, dict[str, Any]] = {}
        for name in sorted(product.DMP.rpcs):
            service, _, method = name.partition("/")
            handler = self._stream(name) if name == product.WATCH else self._handler(name)
            services.setdefault(service, {})[method] = handler
        return tuple(
            grpc.method_handlers_generic_handler(service, methods)
            for service, methods in services.items()
        )

    def _handler(self, rpc: str) -> Any:  # noqa: ANN401 - as grpc declares it
        took = self._metrics.clock_of(rpc)

        async def handle(data: bytes, context: Context) -> bytes:
            began = time.perf_counter()
            try:
                answer = await self._answer(rpc, data, context)
            except grpc.aio.AbortError:
                raise
            except Exception as exc:
                await self._fail(rpc, exc, context)
                raise
            took(time.perf_counter() - began)
            return answer

        return grpc.unary_unary_rpc_method_handler(handle, None, None)

    def _stream(self, rpc: str) -> Any:  # noqa: ANN401 - as grpc declares it
        async def handle(data: bytes, context: Context) -> None:
            try:
                await self._watch(rpc, data, context)
            except grpc.aio.AbortError:
                raise
            except Exception as exc:
                await self._fail(rpc, exc, context)
                raise

        return grpc.unary_stream_rpc_method_handler(handle, None, None)

    async def _fail(self, rpc: str, error: Exception, context: Context) -> None:
        status = as_status(error)
        if status.code is grpc.StatusCode.INTERNAL:
            _log.exception("call_failed", rpc=rpc)
        self._metrics.failed(rpc, status.code.name, error)
        await context.abort_with_status(status)

    async def _watch(self, rpc: str, data: bytes, context: Context) -> None:
        """A decision, and if it is an allow what happens in the registry; the caller is asked for again."""
        caller = self._caller(context)
        asked = Asked(rpc, data, caller, trace_id(context.invocation_metadata() or ()))
        answered = await _at_most(MAX_DEADLINE_S, self._loop.submit(asked))
        self._metrics.answered(answered)
        await context.write(answered.data)
        if not answered.allowed:
            return
        feeds = self._watching.follow(watched_from(data), still=lambda: self._caller(context))
        async with aclosing(feeds):
            async for found in feeds:
                await context.write(wire.events(found).SerializeToString())

    async def _answer(self, rpc: str, data: bytes, context: Context) -> bytes:
        caller = self._caller(context)
        seconds: float | None = context.time_remaining()
        if seconds is None:
            cure = f"set one, at most {MAX_DEADLINE_S:g} s"
            raise RequestError([("deadline", "missing", cure)])
        weight, urgent = measure(rpc, data)
        metadata = context.invocation_metadata() or ()
        token = carried(metadata)
        proof = self._bearers(token) if token else ()
        asked = Asked(rpc, data, caller, trace_id(metadata), proof)
        until = asyncio.get_running_loop().time() + seconds
        waiting = self._loop.submit(asked, weight=weight, urgent=urgent, until=until)
        if seconds > MAX_DEADLINE_S:  # below, the transport itself ends the call in time
            waiting = _at_most(MAX_DEADLINE_S, waiting)
        answered = await waiting
        self._metrics.answered(answered)
        if rpc in self._completed and answered.allowed:
            return answered.data + await self._completed[rpc](answered.data)
        return answered.data

    async def _tell_bundle(self, _: bytes) -> bytes:
        # Two messages of one kind, one after the other, are read as one that has the fields of both.
        return pb.GetBundleResponse(
            bundle=wire.bundle(self._activator.standing)
        ).SerializeToString()

    async def _activate(self, data: bytes) -> bytes:
        decision = pb.ActivateBundleResponse.FromString(data).decision
        standing = await self._activator.activate(f"decision {decision.id}")
        return pb.ActivateBundleResponse(bundle=wire.bundle(standing)).SerializeToString()


async def _at_most(seconds: float, waiting: Awaitable[Answered]) -> Answered:
    try:
        return await asyncio.wait_for(waiting, seconds)
    except TimeoutError:
        raise LateError(f"no answer within {seconds:g} s, the most that a call gets") from None


def trace_id(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The trace id of an incoming `traceparent` (W3C), "" when there is none."""
    for key, value in metadata:
        if key == "traceparent" and (found := _TRACEPARENT.match(str(value))):
            return found[1]
    return ""
