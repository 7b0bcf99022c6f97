"""The gate of servers with a thread pool, over real sockets."""

from concurrent import futures
from contextlib import contextmanager

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc as rpc

from clients.sdk import SettingsError
from clients.sdk.gate import permit, permits
from clients.sdk.testing import Pdp, allow, deny
from clients.sdk.threadgate import ThreadGate
from tests.clients.sdk.test_gate import CHECK, LIST, WATCH, labelled, needing, request
from tests.service import CHANNEL, detail, reason


class Sibling(rpc.HealthServicer):
    """A sibling service: what it gives out is how many permits it has."""

    def __init__(self):
        self.ran = []
        self.fulfils = ()

    def Check(self, request, _):  # noqa: N802 - gRPC names methods
        self.ran.append(request.service)
        permit().fulfil(*self.fulfils)
        return pb.HealthCheckResponse(status=1)

    def Watch(self, request, _):  # noqa: N802 - gRPC names methods
        self.ran.append(request.service)
        for number in range(3):
            permit().fulfil(*self.fulfils)
            yield pb.HealthCheckResponse(status=number)

    def List(self, _request, _context):  # noqa: N802 - gRPC names methods
        answer = pb.HealthListResponse()
        for one in permits():
            answer.statuses[one.query.document.id].status = 1
        return answer


@contextmanager
def gated(pdp, needs=None, *, sibling=None, **settings):
    """A sibling service behind a gate; its stub."""
    gate = ThreadGate(
        pdp.client(), needs or {CHECK: needing(), WATCH: needing(), LIST: needing()}, **settings
    )
    pool = futures.ThreadPoolExecutor(1)
    server = grpc.server(pool, interceptors=[gate], options=[("grpc.so_reuseport", 0)])
    rpc.add_HealthServicer_to_server(sibling or Sibling(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=CHANNEL) as channel:
        try:
            yield rpc.HealthStub(channel)
        finally:
            server.stop(None).wait()


def failure(call):
    """The error that a call ends with."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


def test_allowed_and_denied():
    """A handler runs under its permit, or not at all, and the caller is told why."""
    pdp = Pdp(lambda query: allow() if query.document.id == "a" else deny("BLOCKED"))
    sibling = Sibling()
    with gated(pdp, sibling=sibling) as stub:
        answer = stub.Check(request("a"))
        error = failure(lambda: stub.Check(request("b")))

    assert answer.status == 1
    assert (error.code(), reason(error)) == (grpc.StatusCode.PERMISSION_DENIED, "BLOCKED")
    assert detail(error, error_details_pb2.ErrorInfo()).metadata["decision_id"]
    assert sibling.ran == ["a"]


def test_undone_obligation():
    """An answer without its obligations is not sent."""
    sibling = Sibling()
    needs = {CHECK: needing(supports={"show_mode"}), WATCH: needing(), LIST: needing()}
    with gated(Pdp(allow("show_mode")), needs, sibling=sibling) as stub:
        error = failure(lambda: stub.Check(request()))
        sibling.fulfils = ("show_mode",)
        answer = stub.Check(request())

    assert reason(error) == "OBLIGATION_UNFULFILLED"
    assert answer.status == 1


def test_stream():
    """A stream runs under its permit, and not even begins without, or with something undone."""
    pdp = Pdp(lambda query: allow() if query.document.id == "a" else allow("show_mode"))
    sibling = Sibling()
    needs = {CHECK: needing(), WATCH: needing(supports={"show_mode"}), LIST: needing()}
    with gated(pdp, needs, sibling=sibling) as stub:
        answers = [answer.status for answer in stub.Watch(request("a"))]
        error = failure(lambda: next(stub.Watch(request("b"))))
        sibling.fulfils = ("show_mode",)
        fulfilled = [answer.status for answer in stub.Watch(request("b"))]

    assert answers == fulfilled == [0, 1, 2]
    assert reason(error) == "OBLIGATION_UNFULFILLED"


def test_each_of_many():
    """A method over many documents gets the permits of those that are allowed."""
    pdp = Pdp(lambda query: deny() if query.document.id == "b" else allow())

    def labels(_request, _context):
        return [labelled(request(name), None) for name in "abc"]

    needs = {CHECK: needing(), WATCH: needing(), LIST: needing(document=None, documents=labels)}
    with gated(pdp, needs) as stub:
        answer = stub.List(pb.HealthListRequest())

    assert set(answer.statuses) == {"a", "c"}


def test_no_permit_is_left_behind():
    """A handler without a permit finds none that another one has left in its thread."""
    sibling = Sibling()
    with gated(
        Pdp(allow()), {CHECK: needing()}, sibling=sibling, open_to_all=[WATCH, LIST]
    ) as stub:
        stub.Check(request("a"))
        error = failure(lambda: list(stub.Watch(request("b"))))

    assert "there is no permit here" in error.details()


def test_closed():
    """A service of which nobody has said anything is closed."""
    pdp = Pdp(allow())
    archive = "clients.archive.v1.ArchiveService"
    needs = {f"{archive}/{name}": needing() for name in ("ListImages", "ReadImage", "DepositImage")}
    with gated(pdp, needs) as stub:
        error = failure(lambda: stub.Check(request()))

    assert (error.code(), reason(error)) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "METHOD_NOT_OPEN",
    )
    assert pdp.calls == 0


def test_unavailable():
    """Without an answer no handler runs."""
    pdp, sibling = Pdp(allow()), Sibling()
    pdp.down()
    with gated(pdp, sibling=sibling) as stub:
        error = failure(lambda: stub.Check(request()))

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert sibling.ran == []


def test_what_is_found_asynchronously():
    """A part that an async function finds can't be had here, and then nothing is permitted."""

    async def label(*_):
        raise AssertionError("never run")

    needs = {CHECK: needing(document=label), WATCH: needing(), LIST: needing()}
    with gated(Pdp(allow()), needs) as stub:
        error = failure(lambda: stub.Check(request()))

    assert error.code() is grpc.StatusCode.INTERNAL


def test_cause_stays_inside():
    """What goes wrong while a request is looked at is not told outside."""

    def label(*_):
        raise RuntimeError("secret")

    needs = {CHECK: needing(document=label), WATCH: needing(), LIST: needing()}
    with gated(Pdp(allow()), needs) as stub:
        error = failure(lambda: stub.Check(request()))

    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in error.details()


def test_needs_are_checked():
    """What is said of methods is checked here, too."""
    with pytest.raises(SettingsError, match="say what it needs"):
        ThreadGate(Pdp(allow()).client(), {CHECK: needing()})
