"""A decision point for other people's tests: it decides as it is told, and remembers what it was asked.

    pdp = Pdp({"document.read": allow("notify_holder"), "document.deposit": deny("FEEDING_OPPOSED")})
    service = Service(client=pdp.client(duties={"notify_holder": outbox.append}))
    service.read("img-1")
    assert [q.document.id for q in pdp.asked] == ["img-1"]

The clients are the real ones; only the way to the decision point is short. `serving` makes it long again:
a real gRPC server on this machine.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast
from uuid import UUID

import grpc
from google.protobuf.message import Message

from authz.v1 import authz_pb2 as pb
from clients.sdk import aio, changes, wire
from clients.sdk.asking import TIMEOUT_S, TOKEN_KEY
from clients.sdk.client import Client, Duty
from clients.sdk.errors import DeadlineError, Error, OverloadedError, UnavailableError
from clients.sdk.procedures import CHANGE, CHECK, CHECK_BATCH, EXPLAIN, Procedure
from clients.sdk.refusal import refusal
from clients.sdk.retry import Metadata, Request, Response
from clients.sdk.values import Effect, Query

_EFFECTS: Final = {Effect.ALLOW: pb.EFFECT_ALLOW, Effect.DENY: pb.EFFECT_DENY}
_AT: Final = datetime(2026, 5, 4, 10, tzinfo=UTC)
_ACTIONS: Final = {
    kind.field: kind.action
    for kind in vars(changes).values()
    if isinstance(kind, type) and issubclass(kind, changes.Change) and kind is not changes.Change
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is to be decided."""

    effect: Effect
    reason_code: str
    obligations: tuple[str, ...] = ()


def allow(*obligations: str, reason_code: str = "ALLOWED") -> Answer:
    """Yes, with these obligations."""
    return Answer(effect=Effect.ALLOW, reason_code=reason_code, obligations=obligations)


def deny(reason_code: str = "DENIED", *obligations: str) -> Answer:
    """No, for this reason."""
    return Answer(effect=Effect.DENY, reason_code=reason_code, obligations=obligations)


Decide = Callable[[Query], Answer | Error]


class Pdp:
    """Decides by a function of the query, by a table of actions, or always the same.

    What is not in the table is denied. An `Error` in place of an answer is raised in the client.

    Attributes:
        asked: every query so far, in order; those of a batch one by one.
        tokens: the token that came with each call, or "".
        calls: how many calls came, the failed ones too.
    """

    def __init__(self, decide: Decide | Mapping[str, Answer | Error] | Answer | Error) -> None:
        self._decide = decide
        self._failure: Error | None = None
        self._slow_s = 0.0
        self.asked: list[Query] = []
        self.tokens: list[str] = []
        self.calls = 0

    def down(self) -> None:
        """From now on nobody answers."""
        self._failure = UnavailableError("nobody answers, as this test wants it")

    def overloaded(self, retry_after_s: float = 1.0) -> None:
        """From now on too many are asking."""
        self._failure = OverloadedError("too many are asking, as this test wants it", retry_after_s)

    def up(self) -> None:
        """From now on all is well."""
        self._failure, self._slow_s = None, 0.0

    def slow(self, seconds: float) -> None:
        """From now on each answer takes so long. Clients of this object don't really wait for it."""
        self._slow_s = seconds

    def client(
        self, *, timeout_s: float = TIMEOUT_S, duties: Mapping[str, Duty] | None = None
    ) -> Client:
        """A client that asks here."""
        return Client(_Short(self), timeout_s=timeout_s, duties=duties)

    def aio_client(
        self, *, timeout_s: float = TIMEOUT_S, duties: Mapping[str, aio.Duty] | None = None
    ) -> aio.Client:
        """An asynchronous client that asks here."""
        return aio.Client(_AioShort(self), timeout_s=timeout_s, duties=duties)

    @contextmanager
    def serving(
        self, address: str = "127.0.0.1:0", *, credentials: grpc.ServerCredentials | None = None
    ) -> Iterator[str]:
        """Serves over a real socket, by TLS if there are credentials; gives the address."""
        pool = futures.ThreadPoolExecutor(4)
        server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((_Handlers(self),))
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
        server.start()
        try:
            unix = address.startswith("unix:")
            yield address if unix else f"{address.rpartition(':')[0]}:{port}"
        finally:
            server.stop(None).wait()
            pool.shutdown()

    def answer(self, path: str, request: Message, metadata: Metadata) -> Message:
        """The answer to a call.

        Raises:
            Error: it fails, as the test wants it.
        """
        self.calls += 1
        if self._failure is not None:
            raise self._failure
        self.tokens.append(dict(metadata).get(TOKEN_KEY, ""))
        match request:
            case pb.CheckRequest():
                return pb.CheckResponse(decision=self._decision(wire.query(request)))
            case pb.CheckBatchRequest():
                made = [self._decision(wire.query(check)) for check in request.checks]
                return pb.CheckBatchResponse(decisions=made)
            case pb.ExplainRequest():
                return pb.ExplainResponse(decision=self._decision(wire.query(request.check)))
            case pb.ChangeRequest():
                query = Query(
                    subject=wire.subject(request.subject),
                    action=_ACTIONS[request.WhichOneof("change") or ""],
                    patient=request.patient,
                    context=wire.context(request.context),
                )
                return pb.ChangeResponse(decision=self._decision(query), revision=self.calls)
            case _:
                raise UnavailableError(f"`{path}` is not among what this stand-in can do")

    @property
    def slow_s(self) -> float:
        """How long an answer takes."""
        return self._slow_s

    def _decision(self, query: Query) -> pb.Decision:
        self.asked.append(query)
        match self._decide:
            case Mapping():
                answer = self._decide.get(query.action, deny("NO_RULE"))
            case Answer() | Error():
                answer = self._decide
            case _:
                answer = self._decide(query)
        if isinstance(answer, Error):
            raise answer
        made = pb.Decision(
            id=str(UUID(int=len(self.asked))),
            effect=_EFFECTS[answer.effect],
            reason_code=answer.reason_code,
            told_fr=f"Test : {answer.reason_code}.",
            told_en=f"Test: {answer.reason_code}.",
            obligations=answer.obligations,
            bundle="0" * 64,
            revision=1,
        )
        made.at.FromDatetime(_AT)
        return made


class _Short:
    """The short way to a stand-in."""

    def __init__(self, pdp: Pdp) -> None:
        self._pdp = pdp

    def once(
        self,
        procedure: Procedure[Request, Response],
        request: Request,
        *,
        timeout_s: float,
        metadata: Metadata,
    ) -> Response:
        """Its answer, as it would be after a journey."""
        if self._pdp.slow_s >= timeout_s:
            raise DeadlineError("no answer in time, as this test wants it")
        sent = procedure.request.FromString(request.SerializeToString())
        return cast("Response", self._pdp.answer(procedure.path, sent, metadata))

    def close(self) -> None:
        """Nothing is open."""


class _AioShort:
    """The same, asynchronously."""

    def __init__(self, pdp: Pdp) -> None:
        self._short = _Short(pdp)

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

    async def close(self) -> None:
        """Nothing is open."""


class _Handlers(grpc.GenericRpcHandler):
    """The long way to a stand-in."""

    def __init__(self, pdp: Pdp) -> None:
        self._pdp = pdp

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:  # noqa: ANN401 - as grpc declares it
        """The handler of a procedure that it knows."""
        path = str(handler_call_details.method)
        known = {one.path: one for one in (CHECK, CHECK_BATCH, EXPLAIN, CHANGE)}
        if path not in known:
            return None
        metadata = tuple((str(k), str(v)) for k, v in handler_call_details.invocation_metadata)

        def handle(request: Message, context: grpc.ServicerContext) -> Message:
            time.sleep(self._pdp.slow_s)
            try:
                return self._pdp.answer(path, request, metadata)
            except Error as exc:
                context.abort_with_status(refusal(exc))
                raise

        return grpc.unary_unary_rpc_method_handler(
            handle, known[path].request.FromString, known[path].response.SerializeToString
        )
