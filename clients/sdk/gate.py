"""The interceptor for gRPC servers of sibling services: no handler runs without a permit.

    server = grpc.aio.server(interceptors=[Gate(client, {
        "archive.v1.ArchiveService/ReadImage": Needs(action="document.read", document=label),
    }, open_to_all=["grpc.health.v1.Health"])])

* A method of which nobody has said what it needs is closed.
* A handler that needs its permit asks `permit()` for it.
* What the handler has to do and did not: its answer is not sent.
* The caller's deadline, its token of the end user and its trace go along to the decision point.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import ExitStack
from contextvars import ContextVar
from inspect import isawaitable
from typing import Any, Final

import grpc

from clients.sdk import aio
from clients.sdk.asking import TOKEN_KEY, TRACE_KEY, How
from clients.sdk.errors import Error, FailedError, SettingsError
from clients.sdk.needs import Needs, check_needs
from clients.sdk.permit import Denied, Permit
from clients.sdk.refusal import not_open, refusal

__all__ = ["Gate", "Needs", "permit", "permits"]

Context = grpc.aio.ServicerContext[Any, Any]

_held: ContextVar[tuple[Permit, ...]] = ContextVar("permits")
_LEAST_S: Final = 0.001
_log: Final = logging.getLogger("dmp.sdk")


def permit() -> Permit:
    """The permit under which this handler runs.

    Raises:
        SettingsError: it runs under none, or under many.
    """
    held = permits()
    if len(held) != 1:
        raise SettingsError(f"there are {len(held)} permits here: ask for `permits`")
    return held[0]


def permits() -> tuple[Permit, ...]:
    """The permits of a handler that needs one for each of many documents, in their order.

    Raises:
        SettingsError: this is no such handler.
    """
    try:
        return _held.get()
    except LookupError as exc:
        raise SettingsError("there is no permit here: this is no handler behind a gate") from exc


class Gate(grpc.aio.ServerInterceptor):
    """Asks before each handler of a grpc.aio server.

    Args:
        client: whom to ask.
        needs: what each method needs, by `package.Service/Method`.
        open_to_all: methods, or whole services, that need nothing: health, reflection.

    Raises:
        SettingsError: a method does not exist, lacks a field that is named, or was forgotten.
    """

    def __init__(
        self, client: aio.Client, needs: Mapping[str, Needs], *, open_to_all: Collection[str] = ()
    ) -> None:
        check_needs(needs, open_to_all)
        self._client = client
        self._needs = dict(needs)
        self._open = frozenset(open_to_all)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # noqa: ANN401 - as grpc declares it
        """Puts a guard before the handler."""
        handler = await continuation(handler_call_details)
        path = str(handler_call_details.method).lstrip("/")
        if handler is None or path in self._open or path.partition("/")[0] in self._open:
            return handler
        needs = self._needs.get(path)
        codec = (handler.request_deserializer, handler.response_serializer)
        if needs is None or handler.request_streaming:
            return grpc.unary_unary_rpc_method_handler(_closed)
        if handler.response_streaming:
            many = self._many(needs, handler.unary_stream)
            return grpc.unary_stream_rpc_method_handler(many, *codec)
        one = self._one(needs, handler.unary_unary)
        return grpc.unary_unary_rpc_method_handler(one, *codec)

    def _one(self, needs: Needs, inner: Callable[..., Any]) -> Callable[..., Any]:
        async def guarded(request: Any, context: Context) -> object:  # noqa: ANN401 - any message
            try:
                with ExitStack() as stack:
                    for held in await self._admit(needs, request, context):
                        stack.enter_context(held)
                    answer = inner(request, context)
                    return await answer if isawaitable(answer) else answer
            except (Denied, Error) as exc:
                await _refuse(exc, context)
                raise

        return guarded

    def _many(self, needs: Needs, inner: Callable[..., Any]) -> Callable[..., Any]:
        async def guarded(request: Any, context: Context) -> AsyncIterator[object]:  # noqa: ANN401 - any message
            try:
                held = await self._admit(needs, request, context)
                async for answer in inner(request, context):
                    _settle(held)  # before the first of them is sent
                    yield answer
                _settle(held)
            except (Denied, Error) as exc:
                await _refuse(exc, context)
                raise

        return guarded

    async def _admit(
        self,
        needs: Needs,
        request: Any,  # noqa: ANN401 - any message
        context: Context,
    ) -> tuple[Permit, ...]:
        try:
            queries = await needs.queries(request, context)
        except (Denied, Error, grpc.aio.AbortError):
            raise
        except Exception as exc:
            _log.exception("no permit: `%s`: the request could not be understood", needs.action)
            raise FailedError("the request could not be understood") from exc
        how = self._how(context)
        found: tuple[Permit | Denied, ...]
        if needs.documents is None:
            (query,) = queries
            found = (await self._client.require(query, supports=needs.supports, **how),)
        else:
            found = await self._client.require_each(queries, supports=needs.supports, **how)
        held = tuple(one for one in found if isinstance(one, Permit))
        _held.set(held)
        return held

    def _how(self, context: Context) -> How:
        """What the call that came says of the call that goes."""
        given = dict(context.invocation_metadata() or ())
        left_s: float | None = context.time_remaining()  # the stubs forget calls without deadline
        longest_s = self._client.timeout_s
        return How(
            timeout_s=max(min(longest_s if left_s is None else left_s, longest_s), _LEAST_S),
            token=str(given.get(TOKEN_KEY, "")),
            traceparent=str(given.get(TRACE_KEY, "")),
        )


def _settle(held: tuple[Permit, ...]) -> None:
    for one in held:
        one.settle()


async def _refuse(error: Denied | Error, context: Context) -> None:
    status = refusal(error)
    if not isinstance(error, Denied):
        _log.warning("no permit: %s: %s", type(error).__name__, error)
    await context.abort_with_status(status)


async def _closed(_: bytes, context: Context) -> None:
    await context.abort_with_status(not_open())
