"""The gRPC door: `authz.v1` on grpc.aio.

A listener belongs to one calling service: who can reach it *is* that service, so identity never comes from
metadata. Until mutual TLS, only loopback addresses and unix sockets may be listened on.
"""

import ipaddress
import re
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import grpc
import structlog
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from authz import product, wire
from authz import query as queries
from authz.activation import Activator
from authz.batch import Call
from authz.decision import Decision
from authz.errors import RequestError
from authz.explain import explain
from authz.facts import COMPUTED
from authz.loop import Loop
from authz.metrics import Metrics
from authz.model import Effect
from authz.query import MAX_VIOLATIONS, Query, Violation
from authz.status import as_status
from authz.v1 import authz_pb2 as pb
from authz.v1 import authz_pb2_grpc as rpc

MAX_BATCH: Final = 1_000
MAX_MESSAGE: Final = 1 << 20
LANGUAGES: Final = ("fr", "en")

Context = grpc.aio.ServicerContext[Any, Any]
Request = TypeVar("Request")

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

_log = structlog.get_logger("authz.server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """An address to listen on, and the service that everyone who can reach it is taken to be."""

    address: str
    service: str


class Desk:
    """Takes queries to the loop, after checking their form."""

    def __init__(self, *, loop: Loop, metrics: Metrics, clock: Callable[[], datetime]) -> None:
        self.loop = loop
        self._metrics = metrics
        self._clock = clock

    def check(self, query: Query) -> Query:
        """The query, if its form is right.

        Raises:
            RequestError: it is malformed; it must not be decided.
        """
        queries.check(query, self.loop.bundle.vocabulary, COMPUTED, self._clock())
        return query

    async def decide(self, *asked: Query) -> tuple[Decision, ...]:
        """Decides queries of the right form; each decision is on durable record when this returns.

        Raises:
            UnavailableError: nothing could be recorded.
        """
        decisions = await self.loop.submit(Call(asked))
        for decision in decisions:
            self._metrics.answered(decision.verdict.effect)
        return decisions


class AuthzService(rpc.AuthzServiceServicer):
    """Check, CheckBatch, Explain."""

    def __init__(self, desk: Desk, service: str) -> None:
        self._desk = desk
        self._service = service

    async def Check(self, request: pb.CheckRequest, context: Context) -> pb.CheckResponse:
        """Decides one request."""
        (decided,) = await self._desk.decide(self._query(request, product.CHECK, context))
        return pb.CheckResponse(decision=wire.decision(decided))

    async def CheckBatch(
        self, request: pb.CheckBatchRequest, context: Context
    ) -> pb.CheckBatchResponse:
        """Decides up to 1,000 requests, answered by position."""
        count = len(request.checks)
        if not 1 <= count <= MAX_BATCH:
            cure = f"send 1 to {MAX_BATCH} checks a call"
            raise RequestError([("checks", f"`{count}` checks", cure)])
        asked: list[Query] = []
        violations: list[Violation] = []
        for place, check in enumerate(request.checks):
            try:
                asked.append(self._query(check, product.CHECK_BATCH, context))
            except RequestError as exc:
                violations += exc.below(f"checks[{place}]").violations
            if len(violations) >= MAX_VIOLATIONS:
                break
        if violations:
            raise RequestError(violations)
        decisions = await self._desk.decide(*asked)
        return pb.CheckBatchResponse(decisions=[wire.decision(d) for d in decisions])

    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:
        """Decides one request and says why."""
        language = request.language or "fr"
        if language not in LANGUAGES:
            raise RequestError([("language", f"unknown language: `{language[:20]}`", "fr or en")])
        try:
            asked = self._query(request.check, product.EXPLAIN, context)
        except RequestError as exc:
            raise exc.below("check") from None
        (decided,) = await self._desk.decide(asked)
        explained = explain(decided.bundle, decided.vector, language=language)
        return wire.explanation(decided, explained, language=language)

    def _query(self, request: pb.CheckRequest, name: str, context: Context) -> Query:
        asked = wire.query(request, caller=self._service, rpc=name, trace_id=trace_id(context))
        return self._desk.check(asked)


class RegistryService(rpc.RegistryServiceServicer):
    """Change, GetPatient."""

    def __init__(self, desk: Desk, service: str) -> None:
        self._desk = desk
        self._service = service

    async def Change(self, request: pb.ChangeRequest, context: Context) -> pb.ChangeResponse:
        """Changes a patient's state, if policy allows it."""
        asked = wire.change_query(
            request, caller=self._service, rpc=product.CHANGE, trace_id=trace_id(context)
        )
        (decided,) = await self._decide(asked)
        return pb.ChangeResponse(decision=wire.decision(decided), revision=decided.changed)

    async def GetPatient(
        self, request: pb.GetPatientRequest, context: Context
    ) -> pb.GetPatientResponse:
        """Reads a patient's state, if policy allows it."""
        check = pb.CheckRequest(
            subject=request.subject,
            action="dossier.read",
            resource=pb.Resource(patient=request.patient),
            context=request.context,
        )
        asked = wire.query(
            check, caller=self._service, rpc=product.GET_PATIENT, trace_id=trace_id(context)
        )
        listing = replace(asked, action="authorisation.list")
        decided, listed = await self._decide(asked, listing)
        answer = pb.GetPatientResponse(
            decision=wire.decision(decided), listing=wire.decision(listed)
        )
        if decided.verdict.effect is Effect.ALLOW:
            with_lists = listed.verdict.effect is Effect.ALLOW
            answer.patient.CopyFrom(wire.patient(decided.state, decided.at, with_lists=with_lists))
        return answer

    async def _decide(self, *asked: Query) -> tuple[Decision, ...]:
        """Decides queries; what is wrong with the first is told in the fields of these two messages."""
        try:
            self._desk.check(asked[0])
        except RequestError as exc:
            raise exc.renamed({"resource.patient": "patient", "resource": "change"}) from None
        return await self._desk.decide(*asked)


class PolicyService(rpc.PolicyServiceServicer):
    """GetBundle, ActivateBundle."""

    def __init__(self, desk: Desk, activator: Activator, service: str) -> None:
        self._desk = desk
        self._activator = activator
        self._service = service

    async def GetBundle(
        self, request: pb.GetBundleRequest, context: Context
    ) -> pb.GetBundleResponse:
        """Tells which bundle decides."""
        decided = await self._decide(request.subject, "policy.read", product.GET_BUNDLE, context)
        answer = pb.GetBundleResponse(decision=wire.decision(decided))
        if decided.verdict.effect is Effect.ALLOW:
            answer.bundle.CopyFrom(wire.bundle(self._activator.standing))
        return answer

    async def ActivateBundle(
        self, request: pb.ActivateBundleRequest, context: Context
    ) -> pb.ActivateBundleResponse:
        """Reads the policy folder again and activates it, if it is sound and policy allows it."""
        decided = await self._decide(
            request.subject, "policy.activate", product.ACTIVATE_BUNDLE, context
        )
        answer = pb.ActivateBundleResponse(decision=wire.decision(decided))
        if decided.verdict.effect is Effect.ALLOW:
            standing = await self._activator.activate(f"decision {decided.id}")
            answer.bundle.CopyFrom(wire.bundle(standing))
        return answer

    async def _decide(
        self, subject: pb.Subject, action: str, name: str, context: Context
    ) -> Decision:
        asked = wire.simple(
            subject, action, caller=self._service, rpc=name, trace_id=trace_id(context)
        )
        (decided,) = await self._desk.decide(self._desk.check(asked))
        return decided


class Guard(grpc.aio.ServerInterceptor):
    """Measures each call, and turns errors into statuses; nothing unexpected reaches the caller."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._handlers: dict[str, Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # noqa: ANN401 - as grpc declares it
        """Wraps the handler of a unary call; health streams pass as they are."""
        method = handler_call_details.method
        if method not in self._handlers:
            handler = await continuation(handler_call_details)
            if handler is None or handler.unary_unary is None:
                return handler
            self._handlers[method] = self._guarded(str(method).lstrip("/"), handler)
        return self._handlers[method]

    def _guarded(self, name: str, handler: Any) -> Any:  # noqa: ANN401 - as grpc declares it
        inner, read = handler.unary_unary, handler.request_deserializer

        async def guarded(data: bytes, context: Context) -> object:
            began = time.perf_counter()
            try:
                answer: object = await inner(_message(data, read, name), context)
            except grpc.aio.AbortError:
                raise
            except Exception as exc:
                status = as_status(exc)
                if status.code is grpc.StatusCode.INTERNAL:
                    _log.exception("call_failed", rpc=name)
                self._metrics.failed(name, status.code.name)
                await context.abort_with_status(status)
                raise
            self._metrics.took(name, time.perf_counter() - began)
            return answer

        return grpc.unary_unary_rpc_method_handler(guarded, None, handler.response_serializer)


def _message(data: bytes, read: Callable[[bytes], Request], name: str) -> Request:
    """The message that the bytes are; reading it here lets what is none be told like any mistake."""
    try:
        return read(data)
    except DecodeError as exc:
        cure = "encode it as authz.proto says, with text in UTF-8"
        raise RequestError([("message", f"not a request of `{name}`", cure)]) from exc


def trace_id(context: Context) -> str:
    """The trace id of an incoming `traceparent` (W3C), "" when there is none."""
    for key, value in context.invocation_metadata() or ():
        if key == "traceparent" and (found := _TRACEPARENT.match(str(value))):
            return found[1]
    return ""


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
    desk: Desk,
    activator: Activator,
    servicer: health.aio.HealthServicer,
    metrics: Metrics,
) -> tuple[grpc.aio.Server, str]:
    """A server for one listener, not started yet, and the address it got.

    Raises:
        ValueError: the address is not local.
        RuntimeError: the address can't be listened on, as when it is in use.
    """
    address = local_only(listener.address)
    server = grpc.aio.server(
        interceptors=[Guard(metrics)],
        options=[
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", MAX_MESSAGE),
        ],
    )
    rpc.add_AuthzServiceServicer_to_server(AuthzService(desk, listener.service), server)
    rpc.add_RegistryServiceServicer_to_server(RegistryService(desk, listener.service), server)
    rpc.add_PolicyServiceServicer_to_server(
        PolicyService(desk, activator, listener.service), server
    )
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    try:
        _leave_alone(address)
        port = server.add_insecure_port(address)
    except (OSError, RuntimeError) as exc:
        raise RuntimeError(
            f"can't listen on `{address}`: it is in use, or this user may not: "
            "stop the other process, or choose another address"
        ) from exc
    if address.startswith("unix:"):
        return server, address
    return server, f"{address.rpartition(':')[0]}:{port}"


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


SERVING: Final = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING

SERVICES: Final = (
    "",
    "authz.v1.AuthzService",
    "authz.v1.RegistryService",
    "authz.v1.PolicyService",
)
LOG_HEALTH: Final = "dmp.log"
BUNDLE_HEALTH: Final = "dmp.bundle"


def utc_now() -> datetime:
    """The clock of the service."""
    return datetime.now(UTC)
