"""The door: every call comes in here, and leaves with an answer or with a status that says why not.

A call is let in when its caller is known, its deadline is set and its message is one. Nothing is judged
here, and nothing unexpected reaches the caller.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import grpc
import structlog

from authz import product, wire
from authz.activation import Activator
from authz.errors import LateError, RequestError
from authz.loop import Loop
from authz.metrics import Metrics
from authz.procedures import Answered, Asked, measure
from authz.status import as_status
from authz.v1 import authz_pb2 as pb

MAX_DEADLINE_S: Final = 5.0
"""A call gets no more time than this, whatever its deadline."""

Context = grpc.aio.ServicerContext[Any, Any]

Caller = Callable[[Context], str]
"""Tells the name of the service that makes a call, or raises."""


def always(service: str) -> Caller:
    """Whoever can reach a local listener is the service that it belongs to."""
    return lambda _: service


_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

_log = structlog.get_logger("authz.door")


class Door:
    """The calls of one listener."""

    def __init__(
        self, *, loop: Loop, activator: Activator, metrics: Metrics, caller: Caller
    ) -> None:
        self._loop = loop
        self._activator = activator
        self._metrics = metrics
        self._caller = caller
        self._completed: Mapping[str, Callable[[bytes], Awaitable[bytes]]] = {
            product.GET_BUNDLE: self._tell_bundle,
            product.ACTIVATE_BUNDLE: self._activate,
        }

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """The procedures, by service, for a server. Messages come and go as bytes."""
        services: dict[str, dict[str, Any]] = {}
        for name in sorted(product.DMP.rpcs):
            service, _, method = name.partition("/")
            services.setdefault(service, {})[method] = self._handler(name)
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
                status = as_status(exc)
                if status.code is grpc.StatusCode.INTERNAL:
                    _log.exception("call_failed", rpc=rpc)
                self._metrics.failed(rpc, status.code.name)
                await context.abort_with_status(status)
                raise
            took(time.perf_counter() - began)
            return answer

        return grpc.unary_unary_rpc_method_handler(handle, None, None)

    async def _answer(self, rpc: str, data: bytes, context: Context) -> bytes:
        caller = self._caller(context)
        seconds: float | None = context.time_remaining()
        if seconds is None:
            cure = f"set one, at most {MAX_DEADLINE_S:g} s"
            raise RequestError([("deadline", "missing", cure)])
        weight, urgent = measure(rpc, data)
        asked = Asked(rpc, data, caller, trace_id(context))
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


def trace_id(context: Context) -> str:
    """The trace id of an incoming `traceparent` (W3C), "" when there is none."""
    for key, value in context.invocation_metadata() or ():
        if key == "traceparent" and (found := _TRACEPARENT.match(str(value))):
            return found[1]
    return ""
