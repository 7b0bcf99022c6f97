"""A decision point for other people's tests: it decides as it is told, and remembers what it was asked.

    pdp = Pdp({"document.read": allow("notify_holder"), "document.deposit": deny("FEEDING_OPPOSED")})
    service = Service(client=pdp.client(duties={"notify_holder": outbox.append}))
    service.read("img-1")
    assert [q.document.id for q in pdp.asked] == ["img-1"]

The clients are the real ones; only the way to the decision point is short. `serving` makes it long again:
a real gRPC server on this machine.
"""

from collections.abc import Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager

import grpc
from google.protobuf.message import Message

from authz.v1 import authz_pb2 as pb
from clients.sdk import aio
from clients.sdk.asking import TIMEOUT_S, TOKEN_KEY
from clients.sdk.client import Client, Duty
from clients.sdk.condition import Condition
from clients.sdk.errors import Error, OverloadedError, UnavailableError
from clients.sdk.pretence import Answer, Decide, Pretence
from clients.sdk.retry import Metadata
from clients.sdk.standin import AioShort, Handlers, Short
from clients.sdk.values import Effect

__all__ = ["Answer", "Pdp", "allow", "deny"]


def allow(
    *obligations: str, reason_code: str = "ALLOWED", condition: Condition | None = None
) -> Answer:
    """Yes, with these obligations; to a filter, for the documents that meet the condition, or for all."""
    return Answer(
        effect=Effect.ALLOW, reason_code=reason_code, obligations=obligations, condition=condition
    )


def deny(reason_code: str = "DENIED", *obligations: str) -> Answer:
    """No, for this reason."""
    return Answer(effect=Effect.DENY, reason_code=reason_code, obligations=obligations)


class Pdp(Pretence):
    """Decides by a function of the query, by a table of actions, or always the same.

    What is not in the table is denied. An `Error` in place of an answer is raised in the client.

    Attributes:
        asked: every query so far, in order; those of a batch one by one.
        tokens: the token that came with each call, or "".
        calls: how many calls came, the failed ones too; a stream is one.
        patients: what it knows of patients, by INS; yours to fill.
        events: what has happened in its registry; the permitted changes, and what `happens`.
        refused: what is wrong with the policies that are to be activated; yours to fill.
        hung_up: how often it has.
    """

    def __init__(self, decide: Decide) -> None:
        super().__init__(decide)
        self._failure: Error | None = None
        self._slow_s = 0.0
        self.tokens: list[str] = []
        self.calls = 0
        self.hung_up = 0

    def hang_up(self) -> None:
        """Ends all streams, as after a quarter of an hour."""
        self.hung_up += 1

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
        return Client(Short(self), timeout_s=timeout_s, duties=duties)

    def aio_client(
        self, *, timeout_s: float = TIMEOUT_S, duties: Mapping[str, aio.Duty] | None = None
    ) -> aio.Client:
        """An asynchronous client that asks here."""
        return aio.Client(AioShort(self), timeout_s=timeout_s, duties=duties)

    @contextmanager
    def serving(
        self, address: str = "127.0.0.1:0", *, credentials: grpc.ServerCredentials | None = None
    ) -> Iterator[str]:
        """Serves over a real socket, by TLS if there are credentials; gives the address."""
        pool = futures.ThreadPoolExecutor(8)
        server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((Handlers(self),))
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

    def answer(
        self,
        path: str,  # noqa: ARG002 - for those who want to look at it
        request: Message,
        metadata: Metadata,
    ) -> Message:
        """The answer to a call.

        Raises:
            Error: it fails, as the test wants it.
        """
        self.calls += 1
        if self._failure is not None:
            raise self._failure
        self.tokens.append(dict(metadata).get(TOKEN_KEY, ""))
        return self.told(request)

    def news(self, after: int) -> pb.WatchResponse:
        """What has happened after a revision.

        Raises:
            AheadError: it has not been reached.
            Error: it fails, as the test wants it.
        """
        if self._failure is not None:
            raise self._failure
        return self.happened(after)

    @property
    def slow_s(self) -> float:
        """How long an answer takes."""
        return self._slow_s
