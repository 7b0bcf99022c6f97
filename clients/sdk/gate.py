"""The interceptor for gRPC servers of sibling services: no handler runs without a permit.

    server = grpc.aio.server(interceptors=[Gate(client, {
        "archive.v1.ArchiveService/ReadImage": Needs(action="document.read", document=label),
    }, open_to_all=["grpc.health.v1.Health"])])

`ThreadGate` (`clients.sdk.threadgate`) is the same for grpc.server, with the synchronous client.

* A method of which nobody has said what it needs is closed.
* A handler that needs its permit asks `permit()` for it.
* What the handler has to do and did not: its answer is not sent.
* The caller's deadline, its token of the end user and its trace go along to the decision point.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
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

held: Final[ContextVar[tuple[Permit, ...]]] = ContextVar("permits")
_LEAST_S: Final = 0.001
_log: Final = logging.getLogger("dmp.sdk")


def permit() -> Permit:
    """The permit under which this handler runs.

    Raises:
        SettingsError: it runs under none, or under many.
    """
    got = permits()
    if len(got) != 1:
        raise SettingsError(f"there are {len(got)} permits here: ask for `permits`")
    return got[0]


def permits() -> tuple[Permit, ...]:
    """The permits of a handler that needs one for each of many documents, in their order.

    Raises:
        SettingsError: this is no such handler.
    """
    try:
        return held.get()
    except LookupError as exc:
        raise SettingsError("there is no permit here: this is no handler behind a gate") from exc


class Rules:
    """What is open, what is closed, and what each method needs.

    Raises:
        SettingsError: a method does not exist, lacks a field that is named, or was forgotten.
    """

    def __init__(self, needs: Mapping[str, Needs], open_to_all: Collection[str]) -> None:
        check_needs(needs, open_to_all)
        self._needs = dict(needs)
        self._open = frozenset(open_to_all)

    def are_open(self, path: str) -> bool:
        """Whether a method, or all of its service, is open to all."""
        return path in self._open or path.partition("/")[0] in self._open

    def needs(self, path: str, handler: Any) -> Needs | None:  # noqa: ANN401 - as grpc declares it
        """What a method needs; None when it is closed."""
        return None if handler.request_streaming else self._needs.get(path)


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
        self._client = client
        self._rules = Rules(needs, open_to_all)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # noqa: ANN401 - as grpc declares it
        """Puts a guard before the handler."""
        handler = await continuation(handler_call_details)
        path = str(handler_call_details.method).lstrip("/")
        if handler is None or self._rules.are_open(path):
            return handler
        needs = self._rules.needs(path, handler)
        codec = (handler.request_deserializer, handler.response_serializer)
        if needs is None:
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
                    for one in await self._admit(needs, request, context):
                        stack.enter_context(one)
                    answer = inner(request, context)
                    return await answer if isawaitable(answer) else answer
            except (Denied, Error) as exc:
                await context.abort_with_status(told(exc))
                raise

        return guarded

    def _many(self, needs: Needs, inner: Callable[..., Any]) -> Callable[..., Any]:
        async def guarded(request: Any, context: Context) -> AsyncIterator[object]:  # noqa: ANN401 - any message
            try:
                with ExitStack() as stack:
                    got = await self._admit(needs, request, context)
                    for one in got:
                        stack.enter_context(one)
                    async for answer in inner(request, context):
                        settle(got)  # before the first of them is sent
                        yield answer
            except (Denied, Error) as exc:
                await context.abort_with_status(told(exc))
                raise

        return guarded

    async def _admit(
        self,
        needs: Needs,
        request: Any,  # noqa: ANN401 - any message
        context: Context,
    ) -> tuple[Permit, ...]:
        try:
            found = needs.find(request, context)
            for name, part in found.items():
                found[name] = await part if isawaitable(part) else part
            queries = needs.queries(found)
        except (Denied, Error, grpc.aio.AbortError):
            raise
        except Exception as exc:
            raise not_understood(needs) from exc
        how = along(self._client.timeout_s, context)
        got: tuple[Permit | Denied, ...]
        if needs.documents is None:
            got = (await self._client.require(queries[0], supports=needs.supports, **how),)
        else:
            got = await self._client.require_each(queries, supports=needs.supports, **how)
        permits_only = tuple(one for one in got if isinstance(one, Permit))
        held.set(permits_only)  # each call has a context of its own
        return permits_only


def along(longest_s: float, context: Any) -> How:  # noqa: ANN401 - of either kind of server
    """What the call that came says of the call that goes."""
    given = dict(context.invocation_metadata() or ())
    left_s: float | None = context.time_remaining()
    return How(
        timeout_s=max(min(longest_s if left_s is None else left_s, longest_s), _LEAST_S),
        token=str(given.get(TOKEN_KEY, "")),
        traceparent=str(given.get(TRACE_KEY, "")),
    )


def not_understood(needs: Needs) -> Error:
    """The error for a request from which no question could be made; its cause goes to the log."""
    _log.exception("no permit: `%s`: the request could not be understood", needs.action)
    return FailedError("the request could not be understood")


def settle(got: Iterable[Permit]) -> None:
    """Raises UnfulfilledError if something is still to be done."""
    for one in got:
        one.settle()


def told(error: Denied | Error) -> grpc.Status:
    """What the caller is told; what is no denial goes to the log, too."""
    if not isinstance(error, Denied):
        _log.warning("no permit: %s: %s", type(error).__name__, error)
    return refusal(error)


async def _closed(_: bytes, context: Context) -> None:
    await context.abort_with_status(not_open())
