"""Puts the archive together: the client of the decision point, the gate, the callers, the server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc

from clients.archive.service import MAX_CONTENT, ArchiveService, needs
from clients.archive.store import Store
from clients.archive.v1 import archive_pb2_grpc as rpc
from clients.sdk import SettingsError, aio
from clients.sdk.gate import Gate
from serving.callers import Callers
from serving.errors import UntrustedError

GRACE_S: Final = 5.0
_HERE: Final = ("127.0.0.1", "[::1]", "localhost")
_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_CONTENT + (64 << 10)),
    ("grpc.max_connection_age_ms", 900_000),
)


class Door(grpc.aio.ServerInterceptor):
    """Lets in the services that are expected, by their certificates."""

    def __init__(self, callers: Callers, expected: Collection[str]) -> None:
        self._callers = callers
        self._expected = frozenset(expected)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # noqa: ANN401 - as grpc declares it
        """Looks at the certificate of each call, as a handshake knows neither revocation nor names."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        inner = handler.unary_unary

        async def guarded(request: object, context: grpc.aio.ServicerContext[Any, Any]) -> object:
            try:
                caller = self._callers(context)
            except UntrustedError as exc:
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, f"certificate: {exc.reason}")
            if caller not in self._expected:
                await context.abort(grpc.StatusCode.PERMISSION_DENIED, "this service may not call")
            answer: object = await inner(request, context)
            return answer

        return grpc.unary_unary_rpc_method_handler(
            guarded, handler.request_deserializer, handler.response_serializer
        )


@asynccontextmanager
async def serving(
    address: str,
    *,
    store: Store,
    client: aio.Client,
    callers: Callers | None,
    expected: Collection[str] = (),
) -> AsyncIterator[str]:
    """Serves, and gives the address.

    Args:
        address: where to listen.
        store: the images.
        client: of the decision point.
        callers: who may call, by certificate; None to listen without TLS.
        expected: the names of the services that may call.

    Raises:
        SettingsError: others than this machine could call, and nobody would look who they are.
        RuntimeError: the address can't be listened on.
    """
    host = address.rpartition(":")[0]
    if callers is None and host not in _HERE:
        raise SettingsError(f"may not listen on `{address}`: without TLS only {', '.join(_HERE)}")
    door = [Door(callers, expected)] if callers else []
    gate = Gate(client, needs(store))
    server = grpc.aio.server(interceptors=[*door, gate], options=_OPTIONS)
    rpc.add_ArchiveServiceServicer_to_server(ArchiveService(store), server)
    if callers:
        port = server.add_secure_port(address, callers.credentials())
    else:
        port = server.add_insecure_port(address)
    await server.start()
    watching = asyncio.create_task(callers.watch()) if callers else None
    try:
        yield f"{host}:{port}"
    finally:
        if watching:
            watching.cancel()
        await server.stop(GRACE_S)
