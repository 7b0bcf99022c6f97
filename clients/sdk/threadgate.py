"""The gate for servers with a thread pool (`grpc.server`), with the synchronous client; see `gate`."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from inspect import isawaitable, iscoroutine
from typing import Any

import grpc

from clients.sdk.client import Client
from clients.sdk.errors import Error, SettingsError
from clients.sdk.gate import Rules, along, held, not_understood, settle, told
from clients.sdk.needs import Needs
from clients.sdk.permit import Denied, Permit
from clients.sdk.refusal import not_open

Context = grpc.ServicerContext


class ThreadGate(grpc.ServerInterceptor):
    """Asks before each handler of a grpc.server. What finds parts of a question is a plain function.

    Args and errors are those of `Gate`.
    """

    def __init__(
        self, client: Client, needs: Mapping[str, Needs], *, open_to_all: Collection[str] = ()
    ) -> None:
        self._client = client
        self._rules = Rules(needs, open_to_all)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Any],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # noqa: ANN401 - as grpc declares it
        """Puts a guard before the handler."""
        handler = continuation(handler_call_details)
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
        def guarded(request: Any, context: Context) -> object:  # noqa: ANN401 - any message
            try:
                with ExitStack() as stack:
                    got = self._admit(needs, request, context)
                    for one in got:
                        stack.enter_context(one)
                    with _holding(got):
                        return inner(request, context)
            except (Denied, Error) as exc:
                context.abort_with_status(told(exc))
                raise

        return guarded

    def _many(self, needs: Needs, inner: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(request: Any, context: Context) -> Iterator[object]:  # noqa: ANN401 - any message
            try:
                with ExitStack() as stack:
                    got = self._admit(needs, request, context)
                    for one in got:
                        stack.enter_context(one)
                    with _holding(got):
                        answers = iter(inner(request, context))
                    while True:
                        with _holding(got):  # each message may be made in another thread
                            answer = next(answers, _END)
                        if answer is _END:
                            return
                        settle(got)  # before the first of them is sent
                        yield answer
            except (Denied, Error) as exc:
                context.abort_with_status(told(exc))
                raise

        return guarded

    def _admit(
        self,
        needs: Needs,
        request: Any,  # noqa: ANN401 - any message
        context: Context,
    ) -> tuple[Permit, ...]:
        try:
            found = needs.find(request, context)
            _refuse_coroutines(found)
            queries = needs.queries(found)
        except (Denied, Error):
            raise
        except Exception as exc:
            raise not_understood(needs) from exc
        how = along(self._client.timeout_s, context)
        if needs.documents is None:
            return (self._client.require(queries[0], supports=needs.supports, **how),)
        got = self._client.require_each(queries, supports=needs.supports, **how)
        return tuple(one for one in got if isinstance(one, Permit))


_END = object()


def _refuse_coroutines(found: Mapping[str, object]) -> None:
    for name, part in found.items():
        if isawaitable(part):
            if iscoroutine(part):
                part.close()
            raise SettingsError(f"{name}: found by an async function, which goes with Gate only")


@contextmanager
def _holding(got: tuple[Permit, ...]) -> Iterator[None]:
    """The permits are there for the handler, and gone from its thread afterwards."""
    token = held.set(got)
    try:
        yield
    finally:
        held.reset(token)


def _closed(_: bytes, context: Context) -> None:
    context.abort_with_status(not_open())
