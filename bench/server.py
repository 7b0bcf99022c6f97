"""Servers to measure against: `python -m bench.server`, which prints its address and serves until stopped.

Empty, it answers every call with the same message, and nothing is decided or kept: what it can do is what the
transport allows. With `--database` the real decision point stands behind it: the same doors on another
transport than its own.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple, cast
from unittest.mock import patch

import grpc

from authz.v1 import authz_pb2 as pb

DECISION = pb.Decision(
    id="019a0000-0000-7000-8000-000000000000",
    effect=pb.EFFECT_ALLOW,
    reason_code="AUTHORISED",
    told_fr="Le patient autorise ce professionnel ou sa structure.",
    told_en="The patient authorises this professional or structure.",
    rules=["authorised-reads"],
    bundle="0" * 64,
    revision=1,
)
"""As long as a usual answer."""

SERVICE: Final = "authz.v1.AuthzService"
TRANSPORTS: Final = ("grpc.aio", "grpc", "pygrpc_native.aio", "pygrpc_native")
"""grpcio's servers, and those of pygrpc-native with the same interface; those without `aio` have threads."""

THREADS: Final = 32

CALLER: Final = "dossier"
"""Whoever calls the decision point is this service."""

Handler = Callable[[bytes, Any], Awaitable[bytes]]


class _Method(NamedTuple):
    """What a generic handler is asked about."""

    method: str
    invocation_metadata: tuple[tuple[str, str | bytes], ...] = ()


async def _check(data: bytes, _: object) -> bytes:
    pb.CheckRequest.FromString(data)
    return pb.CheckResponse(decision=DECISION).SerializeToString()


async def _check_batch(data: bytes, _: object) -> bytes:
    count = len(pb.CheckBatchRequest.FromString(data).checks)
    return pb.CheckBatchResponse(decisions=[DECISION] * count).SerializeToString()


EMPTY: Final[Mapping[str, Handler]] = {"Check": _check, "CheckBatch": _check_batch}


async def serve(given: argparse.Namespace) -> None:
    """Serves on a free port until cancelled."""
    async with AsyncExitStack() as opened:
        handlers = await _decision_point(given.database, opened) if given.database else EMPTY
        server = _server(given.transport)
        methods: dict[str, Any]
        if "aio" in given.transport:
            methods = {n: grpc.unary_unary_rpc_method_handler(h) for n, h in handlers.items()}
        else:
            loop = asyncio.get_running_loop()
            methods = {
                name: grpc.unary_unary_rpc_method_handler(_threaded(handler, loop))
                for name, handler in handlers.items()
            }
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, methods)])
        server.add_registered_method_handlers(SERVICE, methods)
        port = _port(server, given)
        started = server.start()
        if started is not None:
            await started
        print(f"serving on 127.0.0.1:{port}", flush=True)
        await asyncio.Event().wait()


def _server(transport: str) -> Any:  # noqa: ANN401 - four classes with one interface
    options = [("grpc.so_reuseport", 0)]
    if transport == "grpc.aio":
        return grpc.aio.server(options=options)
    if transport == "grpc":
        return grpc.server(ThreadPoolExecutor(THREADS), options=options)
    import pygrpc_native.aio  # noqa: PLC0415 - whoever measures without it need not have it

    if transport == "pygrpc_native.aio":
        return pygrpc_native.aio.server(options=options)
    return pygrpc_native.server(ThreadPoolExecutor(THREADS), options=options)


def _port(server: Any, given: argparse.Namespace) -> int:  # noqa: ANN401 - as above
    """Listens on loopback: with mutual TLS if there is a certificate."""
    if given.chain is None:
        return int(server.add_insecure_port("127.0.0.1:0"))
    pair = given.key.read_bytes(), given.chain.read_bytes()
    credentials = grpc.ssl_server_credentials(
        [pair], given.roots.read_bytes(), require_client_auth=True
    )
    return int(server.add_secure_port("127.0.0.1:0", credentials))


def _threaded(
    handler: Handler, loop: asyncio.AbstractEventLoop
) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    """The handler for a server with threads: run there if it never waits, else in the loop."""
    if handler in EMPTY.values():

        def answer(data: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                handler(data, context).__await__().send(None)
            except StopIteration as done:
                return bytes(done.value)
            raise RuntimeError("an empty answer needs no waiting")

        return answer
    return lambda data, context: asyncio.run_coroutine_threadsafe(
        _coroutine(handler, data, context), loop
    ).result()


async def _coroutine(handler: Handler, data: bytes, context: grpc.ServicerContext) -> bytes:
    return await handler(data, context)


async def _decision_point(database: str, opened: AsyncExitStack) -> Mapping[str, Handler]:
    """The procedures of the real service, which also listens on a socket that nobody knows."""
    from authz import service  # noqa: PLC0415 - an empty server starts without it
    from authz.door import Door  # noqa: PLC0415
    from authz.policies import default_folder  # noqa: PLC0415
    from serving.listener import Listener  # noqa: PLC0415
    from serving.servicelog import configure  # noqa: PLC0415

    doors: list[Door] = []

    class Known(Door):
        """A door that can be found from outside."""

        def __init__(self, **given: Any) -> None:  # noqa: ANN401 - as the service gives it
            super().__init__(**given)
            doors.append(self)

    configure()
    unused = Path(opened.enter_context(tempfile.TemporaryDirectory())) / "unused.sock"
    listener = Listener(address=f"unix:{unused}", service=CALLER)
    settings = service.Settings(listeners=(listener,), database=database, policies=default_folder())
    with patch.object(service, "Door", Known):
        await opened.enter_async_context(service.Service(settings))
    (door,) = doors
    return {name: _of(door.handlers(), name) for name in EMPTY}


def _of(handlers: Sequence[grpc.GenericRpcHandler], name: str) -> Handler:
    details: Any = _Method(f"/{SERVICE}/{name}")
    found = (generic.service(details) for generic in handlers)
    handler: Any = next(one.unary_unary for one in found if one is not None)
    return cast(Handler, handler)


def main() -> None:
    """Reads the options and serves."""
    parser = argparse.ArgumentParser(prog="python -m bench.server")
    parser.add_argument("--transport", choices=TRANSPORTS, default="grpc.aio")
    parser.add_argument("--database", help="of the decision point; none: an empty server")
    parser.add_argument("--key", type=Path, help="with --chain and --roots: mutual TLS")
    parser.add_argument("--chain", type=Path)
    parser.add_argument("--roots", type=Path)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
