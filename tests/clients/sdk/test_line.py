"""The line to the decision point: real sockets, real statuses, real deadlines."""

import asyncio
import socket
import threading
import time
from concurrent import futures
from contextlib import contextmanager

import grpc
import grpc_testing
import pytest
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from authz.v1 import authz_pb2 as pb
from clients.sdk import (
    PLAIN,
    Client,
    DeadlineError,
    FailedError,
    InvalidError,
    OverloadedError,
    SettingsError,
    Tls,
    UnauthenticatedError,
    UnavailableError,
    aio,
    connect,
)
from clients.sdk.line import Line
from clients.sdk.procedures import CHECK
from clients.sdk.security import check_address
from clients.sdk.testing import Pdp, allow
from tests.clients.sdk.samples import INS, reading

REASON = error_details_pb2.ErrorInfo


@contextmanager
def answering(behaviour):
    """A server that answers each Check as it is told; its address."""

    class Handlers(grpc.GenericRpcHandler):
        def service(self, _):
            return grpc.unary_unary_rpc_method_handler(behaviour)

    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((Handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def aborting(code, *details, text="as it is"):
    """A behaviour: this status."""
    status = status_pb2.Status(code=code, message=text)
    for detail in details:
        box = any_pb2.Any()
        box.Pack(detail)
        status.details.append(box)

    def behave(_, context):
        context.abort_with_status(rpc_status.to_status(status))

    return behave


async def outcome(kind, address, **settings):
    """What becomes of a check by the client of this kind."""
    if kind == "aio":
        async with aio.connect(address, PLAIN, **settings) as client:
            return await client.check(reading())
    with connect(address, PLAIN, **settings) as client:
        return await asyncio.to_thread(client.check, reading())


KINDS = pytest.mark.parametrize("kind", ["sync", "aio"])


@KINDS
async def test_over_tcp(kind):
    """A decision comes over TCP."""
    pdp = Pdp(allow(reason_code="AUTHOR"))
    with pdp.serving() as address:
        decision = await outcome(kind, address)

    assert decision.reason_code == "AUTHOR"
    assert pdp.asked == [reading()]


@KINDS
async def test_over_a_unix_socket(kind, tmp_path):
    """A decision comes over a unix socket."""
    with Pdp(allow(reason_code="AUTHOR")).serving(f"unix:{tmp_path}/authz.sock") as address:
        decision = await outcome(kind, address)

    assert decision.reason_code == "AUTHOR"


@KINDS
@pytest.mark.parametrize(
    ("behaviour", "error", "attributes"),
    [
        pytest.param(
            aborting(
                code_pb2.INVALID_ARGUMENT,
                REASON(reason="INVALID_REQUEST"),
                error_details_pb2.BadRequest(
                    field_violations=[
                        error_details_pb2.BadRequest.FieldViolation(field="f", description="wrong")
                    ]
                ),
            ),
            InvalidError,
            {"violations": (("f", "wrong"),)},
            id="malformed",
        ),
        pytest.param(
            aborting(code_pb2.UNAUTHENTICATED, REASON(reason="CERTIFICATE_REVOKED")),
            UnauthenticatedError,
            {"reason": "CERTIFICATE_REVOKED"},
            id="not believed",
        ),
        pytest.param(
            aborting(code_pb2.UNAVAILABLE, REASON(reason="NOT_RECORDED")),
            UnavailableError,
            {"reason": "NOT_RECORDED"},
            id="not recorded",
        ),
        pytest.param(
            aborting(
                code_pb2.RESOURCE_EXHAUSTED,
                REASON(reason="OVERLOADED"),
                error_details_pb2.RetryInfo(retry_delay=Duration(seconds=2, nanos=500_000_000)),
            ),
            OverloadedError,
            {"retry_after_s": 2.5},
            id="overloaded",
        ),
        pytest.param(
            aborting(code_pb2.RESOURCE_EXHAUSTED, text="Concurrent RPC limit exceeded!"),
            OverloadedError,
            {"retry_after_s": 0},
            id="limit of gRPC",
        ),
        pytest.param(
            aborting(code_pb2.DEADLINE_EXCEEDED, REASON(reason="TOO_LATE")),
            DeadlineError,
            {"reason": "TOO_LATE"},
            id="too late",
        ),
        pytest.param(aborting(code_pb2.INTERNAL), FailedError, {}, id="failed"),
        pytest.param(aborting(code_pb2.UNIMPLEMENTED), FailedError, {}, id="another service"),
        pytest.param(aborting(code_pb2.PERMISSION_DENIED), FailedError, {}, id="refused"),
        pytest.param(aborting(code_pb2.CANCELLED), UnavailableError, {}, id="cancelled there"),
        pytest.param(lambda *_: b"\xff", FailedError, {}, id="garbage"),
        pytest.param(lambda *_: b"", FailedError, {}, id="nothing"),
    ],
)
async def test_every_failure_has_its_error(kind, behaviour, error, attributes):
    """Each status becomes an error of the SDK, with what it says; none is a permit."""
    with answering(behaviour) as address, pytest.raises(error) as caught:
        await outcome(kind, address, timeout_s=5)

    assert type(caught.value) is error
    assert attributes == {name: getattr(caught.value, name) for name in attributes}
    assert INS not in str(caught.value)


@KINDS
async def test_details_that_are_none(kind):
    """Details that can't be read change nothing about the failure."""

    def behave(_, context):
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff"),))
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "wrong")

    with answering(behave) as address, pytest.raises(InvalidError) as caught:
        await outcome(kind, address)

    assert caught.value.violations == ()


@KINDS
async def test_nobody_there(kind):
    """Where nobody listens, there is no answer."""
    with pytest.raises(UnavailableError) as caught:
        await outcome(kind, "127.0.0.1:1")

    assert caught.value.reason == ""


@KINDS
async def test_nobody_answers(kind):
    """Who never answers is given up at the deadline, without anyone having set one."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        with pytest.raises(DeadlineError):
            await outcome(kind, f"127.0.0.1:{mute.getsockname()[1]}")

    assert time.monotonic() - began < 10


@KINDS
async def test_slow_answer(kind):
    """An answer after the deadline is none."""
    pdp = Pdp(allow())
    pdp.slow(0.5)
    with pdp.serving() as address, pytest.raises(DeadlineError):
        await outcome(kind, address, timeout_s=0.1)


@KINDS
async def test_found_again(kind):
    """A decision point that comes back is found again within the deadline of a call."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    pdp = Pdp(allow())
    client = (aio.connect if kind == "aio" else connect)(address, PLAIN, timeout_s=5)

    async def asked():
        if kind == "aio":
            return await client.check(reading())
        return await asyncio.to_thread(client.check, reading())

    with pytest.raises(UnavailableError):
        await asked()
    with pdp.serving(address):
        for _ in range(50):
            try:
                await asked()
                break
            except UnavailableError:
                await asyncio.sleep(0.05)

    assert pdp.asked == [reading()]
    if kind == "aio":
        await client.close()
    else:
        client.close()


@KINDS
async def test_no_proxy_is_asked(kind, monkeypatch):
    """A proxy of the environment is not asked."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("grpc_proxy", "http://127.0.0.1:1")
    with Pdp(allow()).serving() as address:
        assert (await outcome(kind, address)).reason_code == "ALLOWED"


@KINDS
async def test_answer_that_is_too_large(kind):
    """An answer beyond the limit is not read."""
    with (
        answering(lambda *_: bytes(5 << 20)) as address,
        pytest.raises(InvalidError, match="too large"),
    ):
        await outcome(kind, address, timeout_s=5)


@KINDS
async def test_closed(kind):
    """A client that is closed takes no more calls, and may be closed again."""
    with Pdp(allow()).serving() as address:
        if kind == "aio":
            client = aio.connect(address, PLAIN)
            await client.close()
            await client.close()
            with pytest.raises(SettingsError, match="closed"):
                await client.check(reading())
        else:
            client = connect(address, PLAIN)
            client.close()
            client.close()
            with pytest.raises(SettingsError, match="closed"):
                client.check(reading())


def test_closed_under_way():
    """A call that is under way when the client is closed ends without a permit."""
    began, go = threading.Event(), threading.Event()

    def behave(*_):
        began.set()
        go.wait(10)
        return b""

    with answering(behave) as address, futures.ThreadPoolExecutor(1) as pool:
        client = connect(address, PLAIN, timeout_s=20)
        call = pool.submit(client.check, reading())
        began.wait(10)

        client.close()

        assert isinstance(call.exception(10), UnavailableError | SettingsError)
        go.set()


async def test_cancelled():
    """A task that is cancelled while it asks is cancelled, as any other."""
    pdp = Pdp(allow())
    pdp.slow(1)
    with pdp.serving() as address:
        async with aio.connect(address, PLAIN, timeout_s=5) as client:
            asking = asyncio.create_task(client.check(reading()))
            await asyncio.sleep(0.1)

            asking.cancel()

            with pytest.raises(asyncio.CancelledError):
                await asking


def test_threads_share_a_client():
    """Threads that share a client get each their own answer."""

    def decide(query):
        return allow(reason_code=query.document.id)

    names = [f"D{number}" for number in range(200)]
    with Pdp(decide).serving() as address, connect(address, PLAIN, timeout_s=20) as client:

        def ask(name):
            document = type(reading().document)(id=name, type="t", status="approved")
            return client.require(reading(document=document)).decision.reason_code

        with futures.ThreadPoolExecutor(8) as pool:
            assert names == list(pool.map(ask, names))


def test_what_goes_over_the_line():
    """A call has its path, what is left of its deadline, and what goes along with it."""
    service = pb.DESCRIPTOR.services_by_name["AuthzService"]
    clock = grpc_testing.strict_fake_time(0)
    channel = grpc_testing.channel([service], clock)
    client = Client(Line("127.0.0.1:1", PLAIN, make=lambda _: channel))
    answer = pb.CheckResponse(decision=pb.Decision(id="1", effect=pb.EFFECT_ALLOW))
    with futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.check, reading(), token="t.o.k", traceparent="00-a-b-01")

        metadata, request, rpc = channel.take_unary_unary(service.methods_by_name["Check"])
        rpc.terminate(answer, (), grpc.StatusCode.OK, "")

    assert call.result().id == "1"
    assert request.action == "document.read"
    assert {("dmp-subject", "t.o.k"), ("traceparent", "00-a-b-01")} <= set(map(tuple, metadata))


@pytest.mark.parametrize(
    "address", ["127.0.0.1:7443", "[::1]:7443", "localhost:1", "unix:/run/dmp/authz.sock"]
)
def test_local_address(address):
    """Loopback addresses and unix sockets are spoken to without TLS."""
    assert address == check_address(address, PLAIN)


@pytest.mark.parametrize("address", ["10.0.0.1:7443", "dmp.example:7443", "[2001:db8::1]:7443"])
def test_remote_address(address, tmp_path):
    """Other addresses are spoken to by TLS only."""
    tls = Tls(key=tmp_path, chain=tmp_path, roots=tmp_path)

    assert address == check_address(address, tls)
    with pytest.raises(SettingsError, match="without TLS only loopback"):
        check_address(address, PLAIN)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", ":7443", "unix:", "127.0.0.1:0", "", "::1", "::1:7"]
)
def test_no_address(address):
    """What is no address is refused at once."""
    with pytest.raises(SettingsError, match="is no address"):
        Line(address, PLAIN)


def test_once_is_once():
    """The line itself asks once."""
    pdp = Pdp(allow())
    pdp.down()
    with pdp.serving() as address:
        line = Line(address, PLAIN)
        with pytest.raises(UnavailableError):
            line.once(CHECK, pb.CheckRequest(), timeout_s=5)
        line.close()

    assert pdp.calls == 1
