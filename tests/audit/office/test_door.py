"""The door of the audit: who comes in, with what, for how long, and what is said to those who do not."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest
from sqlalchemy.exc import OperationalError

from audit.errors import EntryError, ErasedError
from audit.office import door as limits
from audit.office import service as module
from audit.office.door import Stream, Unary
from audit.office.errors import NotPossibleError, NotReadyError, UnknownError
from audit.office.status import as_status
from audit.v1 import audit_pb2 as pb
from audit.v1 import audit_pb2_grpc as rpc
from serving.errors import RequestError
from serving.listener import Listener
from tests.audit.office.served import serving, settings_of
from tests.audit.world import fill
from tests.authz.tls import World
from tests.service import CHANNEL, auditor, failure, reason, until, violations

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def served(conn, url, tmp_path, monkeypatch):
    """A service with procedures that tests have made, in place of the real ones."""
    fill(conn)

    @asynccontextmanager
    async def made(desks, *, clock=None, **settings):
        monkeypatch.setattr(module, "procedures", lambda _office, _state: desks)
        async with serving(settings_of(tmp_path, url, **settings), clock=clock) as one:
            yield one

    return made


async def count(_request, _how):
    return pb.CountResponse(total=7)


async def slowly(_request, _how):
    await asyncio.sleep(1)
    return pb.CountResponse(total=7)


async def endlessly(_request, _how):
    while True:
        yield pb.QueryResponse()
        await asyncio.sleep(0.02)


async def briefly(_request, _how):
    for number in range(3):
        yield pb.ReplayResponse(same=number)


async def failing(_request, _how):
    yield pb.QueryResponse()
    raise ValueError("a name that nobody must see")


COUNT = {"Count": Unary(pb.CountRequest, count)}
FOLLOW = {"Follow": Stream(pb.FollowRequest, endlessly, endless=True)}


async def test_answers_come_one_by_one(served):
    """A stream has all of its answers, and ends well."""
    async with served({"Replay": Stream(pb.ReplayRequest, briefly)}) as (_, stub):
        assert [one.same async for one in stub.Replay(pb.ReplayRequest())] == [0, 1, 2]


async def test_drains_without_a_call_that_is_lost(served):
    """Who has asked is answered; who follows is told that the service stops; who comes later, too."""
    async with served({"Count": Unary(pb.CountRequest, slowly), **FOLLOW}) as (service, stub):
        following = stub.Follow(pb.FollowRequest(), timeout=20)
        assert await following.read() is not grpc.aio.EOF
        counting = asyncio.ensure_future(_awaited(stub.Count(pb.CountRequest(), timeout=8)))
        await asyncio.sleep(0.3)
        draining = asyncio.create_task(service.drain())
        error = await failure(_to_the_end(following))
        assert (error.code(), reason(error)) == (grpc.StatusCode.UNAVAILABLE, "STOPPING")
        error = await failure(stub.Count(pb.CountRequest(), timeout=5))
        assert reason(error) == "STOPPING"
        assert (await counting).total == 7
        await draining


async def test_follower_is_sent_home_in_the_end(served, monkeypatch):
    """What goes on without end ends well when its time is over."""
    monkeypatch.setattr(limits, "FOLLOW_S", 0.3)
    async with served(FOLLOW) as (_, stub):
        assert await _to_the_end(stub.Follow(pb.FollowRequest())) > 1


async def test_what_takes_too_long_is_told(served, monkeypatch):
    """A file that takes too long does not end as if it were whole."""
    monkeypatch.setattr(limits, "STREAM_S", 0.3)
    async with served({"Export": Stream(pb.ExportRequest, endlessly)}) as (_, stub):
        error = await failure(_to_the_end(stub.Export(pb.ExportRequest())))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert reason(error) == "TOO_LATE"


async def test_mistake_of_ours_tells_nothing(served):
    """What is unexpected leaves as INTERNAL, without its words, in the middle of a stream as well."""
    async with served({"Query": Stream(pb.QueryRequest, failing)}) as (service, stub):
        error = await failure(_to_the_end(stub.Query(pb.QueryRequest())))
        assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "internal error")
        labels = {"rpc": "Query", "code": "INTERNAL"}
        assert service.metrics.registry.get_sample_value("audit_calls_failed_total", labels) == 1


async def test_deadline_is_wanted(served):
    """Who does not say how long he waits is told to, of one answer and of many."""
    async with (
        served({**COUNT, **FOLLOW}) as (service, _),
        grpc.aio.insecure_channel(service.addresses[0], options=CHANNEL) as channel,
    ):
        path = "/audit.v1.AuditService/"
        error = await failure(channel.unary_unary(f"{path}Count")(b""))
        assert violations(error)["deadline"].startswith("missing")
        error = await failure(_to_the_end(channel.unary_stream(f"{path}Follow")(b"")))
        assert violations(error)["deadline"].startswith("missing")


@pytest.mark.parametrize("data", [b"\xff" * 1000, b"\x0a\xff\xff\xff\xff\x0f"])
async def test_garbage_is_no_request(served, data):
    """Bytes that are no message are refused; the service stays."""
    async with (
        served(COUNT) as (service, stub),
        grpc.aio.insecure_channel(service.addresses[0], options=CHANNEL) as channel,
    ):
        error = await failure(channel.unary_unary("/audit.v1.AuditService/Count")(data, timeout=5))
        assert "not a request of" in error.details()
        assert (await stub.Count(pb.CountRequest())).total == 7


async def test_files_take_no_room_from_pages(served, monkeypatch):
    """However many files are being written, and read by nobody, who wants a page gets it."""
    monkeypatch.setattr(limits, "MAX_STREAMS", 1)
    files = Stream(pb.ExportRequest, endlessly, whole=True)
    pages = Stream(pb.ListAccessesRequest, briefly)
    async with served({"Export": files, "ListAccesses": pages}) as (_, stub):
        slow = stub.Export(pb.ExportRequest(), timeout=20)
        await slow.read()
        error = await failure(_to_the_end(stub.Export(pb.ExportRequest(), timeout=5)))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await _to_the_end(stub.ListAccesses(pb.ListAccessesRequest(), timeout=5)) == 3
        slow.cancel()


async def test_who_takes_no_answer_is_given_up(served, monkeypatch):
    """A reader who stops reading does not keep a place for long."""
    monkeypatch.setattr(limits, "MAX_STREAMS", 1)
    monkeypatch.setattr(limits, "WRITE_S", 0.5)

    async def much(_request, _how):
        while True:
            yield pb.ExportResponse(piece=bytes(1 << 20))

    async with served({"Export": Stream(pb.ExportRequest, much, whole=True)}) as (_, stub):
        slow = stub.Export(pb.ExportRequest(), timeout=30)
        await slow.read()

        async def free():
            another = stub.Export(pb.ExportRequest(), timeout=5)
            try:
                return await another.read() is not grpc.aio.EOF
            except grpc.aio.AioRpcError:
                return False
            finally:
                another.cancel()

        await until(free)


async def test_there_is_room_for_so_many(served, monkeypatch):
    """Beyond a number, who follows is turned away at once, and others are still answered."""
    monkeypatch.setattr(limits, "MAX_STREAMS", 2)
    async with served({**COUNT, **FOLLOW}) as (_, stub):
        inside = [stub.Follow(pb.FollowRequest(), timeout=20) for _ in range(2)]
        for one in inside:
            await one.read()
        error = await failure(_to_the_end(stub.Follow(pb.FollowRequest(), timeout=5)))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await stub.Count(pb.CountRequest())).total == 7
        for one in inside:
            one.cancel()
        await asyncio.sleep(0.3)
        again = stub.Follow(pb.FollowRequest(), timeout=5)
        assert await again.read() is not grpc.aio.EOF
        again.cancel()


async def test_certificate_says_who_calls(served, tmp_path):
    """Over TLS the portal is answered, and a service that is not expected is turned away."""
    world = World.make(tmp_path / "pki", "authz", "portal", "intruder")
    secured = {"listeners": (Listener(address="127.0.0.1:0"),), "tls": world.tls("authz")}
    async with served(COUNT, clock=world.clock, **secured) as (service, _):
        address = service.addresses[0]
        for name, expected in (("portal", None), ("intruder", "CALLER_UNKNOWN")):
            async with world.channel(address, name) as channel:
                call = rpc.AuditServiceStub(channel).Count(pb.CountRequest(), timeout=5)
                if expected is None:
                    assert (await call).total == 7
                else:
                    assert reason(await failure(call)) == expected


@pytest.mark.parametrize(
    ("error", "code", "why"),
    [
        (UnknownError("no"), grpc.StatusCode.NOT_FOUND, "UNKNOWN"),
        (ErasedError("authz-1", 7, 0), grpc.StatusCode.NOT_FOUND, "ERASED"),
        (EntryError("id: `x` is no UUID"), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        (NotPossibleError("closed"), grpc.StatusCode.FAILED_PRECONDITION, "NOT_POSSIBLE"),
        (NotReadyError("wait"), grpc.StatusCode.UNAVAILABLE, "NOT_READY"),
        (
            OperationalError("SELECT secret", {"id": "secret"}, Exception("secret")),
            grpc.StatusCode.UNAVAILABLE,
            "STORE_UNAVAILABLE",
        ),
        (RequestError([("id", "?", "!")]), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        (ValueError("secret"), grpc.StatusCode.INTERNAL, "INTERNAL"),
    ],
)
async def test_errors_leave_as_statuses(served, error, code, why):
    """Each error has its code and reason, and no word of what was to be stored."""

    async def raising(_request, _how):
        raise error

    async with served({"Count": Unary(pb.CountRequest, raising)}) as (_, stub):
        got = await failure(stub.Count(pb.CountRequest(subject=auditor())))
        assert (got.code(), reason(got)) == (code, why)
        assert "secret" not in got.details()
    assert as_status(error).code is code


async def _awaited(call):
    return await call


async def _to_the_end(call):
    return len([one async for one in call])
