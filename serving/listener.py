"""Where the service listens: one grpc.aio server a listener, with its limits.

With TLS a caller is the service that its certificate names. A plain listener belongs to one calling
service: who can reach it *is* that service, so only loopback addresses and unix sockets may be listened on.
"""

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

MAX_MESSAGE: Final = 1 << 20
PENDING: Final = 4_096
"""How many calls may wait for being looked at. Beyond, the transport ends them as CANCELLED."""

MAX_METADATA: Final = 8 << 10
MAX_STREAMS: Final = 1_000
MAX_CONNECTIONS: Final = 5_000
IDLE_S: Final = 300
KEEPALIVE_S: Final = 60
PING_INTERVAL_S: Final = 30
HANDSHAKE_S: Final = 10
MAX_AGE_S: Final = 15 * 60
GRACE_S: Final = 10

OPTIONS: Final = (
    ("grpc.so_reuseport", 0),  # a second server on the same port is refused, not let in
    ("grpc.max_metadata_size", MAX_METADATA),
    ("grpc.absolute_max_metadata_size", 2 * MAX_METADATA),
    ("grpc.max_concurrent_streams", MAX_STREAMS),
    ("grpc.max_allowed_incoming_connections", MAX_CONNECTIONS),
    ("grpc.max_connection_idle_ms", IDLE_S * 1000),
    ("grpc.keepalive_time_ms", KEEPALIVE_S * 1000),  # finds connections that are half open
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", PING_INTERVAL_S * 1000),
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_S * 1000),
)

TLS_OPTIONS: Final = (
    *OPTIONS,
    # A new handshake now and then, as what a handshake finds out changes too.
    ("grpc.max_connection_age_ms", MAX_AGE_S * 1000),
    ("grpc.max_connection_age_grace_ms", GRACE_S * 1000),
)

SERVING: Final = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """An address to listen on: with TLS, or plainly for the one service that can reach it.

    `service` is that service; "" stands for TLS, where each caller is whom its certificate names.
    """

    address: str
    service: str = ""


def local_only(address: str) -> str:
    """The address, if nobody but this machine can reach it.

    Raises:
        ValueError: it is not a loopback address or a unix socket.
    """
    if address.startswith("unix:"):
        return address
    host, colon, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    bracketed = ":" not in host or address.startswith("[")
    if not (colon and port.isascii() and port.isdigit() and loopback and bracketed):
        raise ValueError(
            f"may not listen on `{address}`: without TLS only loopback (127.0.0.1:PORT, [::1]:PORT) "
            "and unix sockets (unix:/PATH) are allowed"
        )
    return address


def build_server(
    listener: Listener,
    *,
    handlers: Sequence[grpc.GenericRpcHandler],
    servicer: health.aio.HealthServicer,
    credentials: grpc.ServerCredentials | None = None,
    reflected: Sequence[str] = (),
    max_message: int = MAX_MESSAGE,
    pending: int = PENDING,
) -> tuple[grpc.aio.Server, str]:
    """A server for one listener, not started yet, and the address it got.

    Args:
        listener: where to listen.
        handlers: of the procedures.
        servicer: of the health service.
        credentials: for TLS; without them the address must be local.
        reflected: services whose procedures and messages anyone who can reach it is told.
        max_message: bytes of a message that is received, unpacked.
        pending: how many calls may wait to be looked at.

    Raises:
        ValueError: the address is not local, and there are no credentials.
        RuntimeError: the address can't be listened on, as when it is in use.
    """
    address = listener.address if credentials else local_only(listener.address)
    limits = (
        ("grpc.max_receive_message_length", max_message),
        ("grpc.server.max_pending_requests", pending),
        ("grpc.server.max_pending_requests_hard_limit", pending),
    )
    server = grpc.aio.server(options=(*(TLS_OPTIONS if credentials else OPTIONS), *limits))
    server.add_generic_rpc_handlers(tuple(handlers))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    if reflected:
        reflection.enable_server_reflection([*reflected, reflection.SERVICE_NAME], server)
    try:
        _leave_alone(address)
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except (OSError, RuntimeError) as exc:
        raise RuntimeError(
            f"can't listen on `{address}`: it is in use, or this user may not: "
            "stop the other process, or choose another address"
        ) from exc
    if address.startswith("unix:"):
        return server, address
    return server, f"{address.rpartition(':')[0]}:{port}"


def give_back(addresses: Iterable[str]) -> None:
    """Removes unix sockets from the file system, as gRPC does when a server is stopped."""
    for address in addresses:
        kind, _, path = address.partition(":")
        if kind == "unix":
            Path(path.removeprefix("//")).unlink(missing_ok=True)


def _leave_alone(address: str) -> None:
    """Raises RuntimeError if a process listens on a unix socket: gRPC would take it over in silence."""
    kind, _, path = address.partition(":")
    if kind != "unix":
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path.removeprefix("//"))
        except (FileNotFoundError, ConnectionRefusedError):
            return  # nothing there, or what a process that was killed has left behind
    raise RuntimeError("someone listens there")
