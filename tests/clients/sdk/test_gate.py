"""The gate before the methods of a sibling service; the health service stands in for one."""

from contextlib import asynccontextmanager

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc as rpc
from grpc_reflection.v1alpha import reflection_pb2  # noqa: F401 - known to the pool
from hypothesis import given
from hypothesis import strategies as st

from clients.archive.v1 import archive_pb2  # noqa: F401 - known to the pool
from clients.sdk import (
    Denied,
    Error,
    FailedError,
    InvalidError,
    OverloadedError,
    SettingsError,
    UnauthenticatedError,
    UnavailableError,
    Violation,
)
from clients.sdk.gate import Gate, Needs, permit, permits
from clients.sdk.needs import check_needs
from clients.sdk.refusal import refusal
from clients.sdk.testing import Pdp, allow, deny
from tests.clients.sdk.samples import DOCTOR, INS, NOTE, reading
from tests.service import CHANNEL, detail, failure, reason

CHECK, WATCH, LIST = (f"grpc.health.v1.Health/{name}" for name in ("Check", "Watch", "List"))
ARCHIVE = "clients.archive.v1.ArchiveService"


def labelled(request, _):
    """The note, under the name that the request gives."""
    return type(NOTE)(id=request.service, type=NOTE.type, status="approved")


def needing(**changes):
    """Reading the document that the request names, by the doctor."""
    fields = {
        "action": "document.read",
        "subject": lambda *_: DOCTOR,
        "patient": lambda *_: INS,
        "document": labelled,
    }
    return Needs(**{**fields, **changes})


class Sibling(rpc.HealthServicer):
    """A sibling service: what it gives out is the id of its decision."""

    def __init__(self):
        self.ran = []
        self.fulfils = ()
        self.fails = None

    async def Check(self, request, _):  # noqa: N802 - gRPC names methods
        self.ran.append(request.service)
        if self.fails:
            raise self.fails
        permit().fulfil(*self.fulfils)
        return pb.HealthCheckResponse(status=1)

    async def Watch(self, request, _):  # noqa: N802 - gRPC names methods
        self.ran.append(request.service)
        for number in range(3):
            permit().fulfil(*self.fulfils)
            yield pb.HealthCheckResponse(status=number)

    async def List(self, _request, _context):  # noqa: N802 - gRPC names methods
        answer = pb.HealthListResponse()
        for one in permits():
            answer.statuses[one.query.document.id].status = 1
        return answer


@asynccontextmanager
async def gated(pdp, needs=None, *, sibling=None, duties=None, **settings):
    """A sibling service behind a gate; its stub."""
    needs = needs or {CHECK: needing(), WATCH: needing(), LIST: needing()}
    gate = Gate(pdp.aio_client(duties=duties), needs, **settings)
    server = grpc.aio.server(interceptors=[gate], options=[("grpc.so_reuseport", 0)])
    rpc.add_HealthServicer_to_server(sibling or Sibling(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=CHANNEL) as channel:
        try:
            yield rpc.HealthStub(channel)
        finally:
            await server.stop(0)


def request(name="a"):
    """A request that names a document."""
    return pb.HealthCheckRequest(service=name)


async def drained(stream):
    """All of a stream."""
    return [answer.status async for answer in stream]


async def test_allowed():
    """A handler runs under the permit for what its request names."""
    pdp, sibling = Pdp(allow()), Sibling()
    async with gated(pdp, sibling=sibling) as stub:
        await stub.Check(request("scan"))

    (query,) = pdp.asked
    assert (query.subject, query.action, query.patient) == (DOCTOR, "document.read", INS)
    assert query.document.id == "scan"
    assert sibling.ran == ["scan"]


async def test_denied():
    """Nothing of the handler runs when it is denied; the caller is told why."""
    sibling = Sibling()
    async with gated(Pdp(deny("DOCUMENT_MASKED")), sibling=sibling) as stub:
        error = await failure(stub.Check(request()))

    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    info = detail(error, error_details_pb2.ErrorInfo())
    assert (info.reason, info.domain) == ("DOCUMENT_MASKED", "authz.dmp")
    assert dict(info.metadata) == {"decision_id": "00000000-0000-0000-0000-000000000001"}
    assert sibling.ran == []


async def test_undone_obligation():
    """An answer without its obligations is not sent."""
    sibling = Sibling()
    needs = {CHECK: needing(supports={"show_mode"}), WATCH: needing(), LIST: needing()}
    async with gated(Pdp(allow("show_mode")), needs, sibling=sibling) as stub:
        error = await failure(stub.Check(request()))
        sibling.fulfils = ("show_mode",)
        answer = await stub.Check(request())

    assert (error.code(), reason(error)) == (
        grpc.StatusCode.INTERNAL,
        "OBLIGATION_UNFULFILLED",
    )
    assert answer.status == 1


async def test_unsupported_obligation():
    """An obligation that nobody here can carry out closes the method, in words that say so."""
    async with gated(Pdp(allow("confirm"))) as stub:
        error = await failure(stub.Check(request()))

    assert reason(error) == "OBLIGATION_UNSUPPORTED"
    assert error.details() == "Access is permitted on terms that this service can't keep: confirm."


async def test_stream():
    """A stream runs under its permit, and is denied before its first message."""
    pdp = Pdp(lambda query: allow() if query.document.id == "a" else deny("BLOCKED"))
    async with gated(pdp) as stub:
        answers = await drained(stub.Watch(request("a")))
        error = await failure(drained(stub.Watch(request("b"))))

    assert answers == [0, 1, 2]
    assert reason(error) == "BLOCKED"


async def test_stream_with_obligation():
    """Of a stream whose obligations are undone not even the first message is sent."""
    sibling = Sibling()
    needs = {CHECK: needing(), WATCH: needing(supports={"show_mode"}), LIST: needing()}
    async with gated(Pdp(allow("show_mode")), needs, sibling=sibling) as stub:
        stream = stub.Watch(request())
        error = await failure(anext(aiter(stream)))
        sibling.fulfils = ("show_mode",)
        answers = await drained(stub.Watch(request()))

    assert reason(error) == "OBLIGATION_UNFULFILLED"
    assert answers == [0, 1, 2]


async def test_each_of_many():
    """A method over many documents gets the permits of those that are allowed, in one call."""
    pdp = Pdp(lambda query: deny() if query.document.id == "b" else allow())

    async def labels(_request, _context):
        return [labelled(request(name), None) for name in "abc"]

    needs = {CHECK: needing(), WATCH: needing(), LIST: needing(document=None, documents=labels)}
    async with gated(pdp, needs) as stub:
        answer = await stub.List(pb.HealthListRequest())

    assert set(answer.statuses) == {"a", "c"}
    assert pdp.calls == 1


async def test_none_of_none():
    """A method over no document runs without any permit, and without a call."""
    pdp = Pdp(allow())
    needs = {
        CHECK: needing(),
        WATCH: needing(),
        LIST: needing(document=None, documents=lambda *_: []),
    }
    async with gated(pdp, needs) as stub:
        answer = await stub.List(pb.HealthListRequest())

    assert (len(answer.statuses), pdp.calls) == (0, 0)


async def test_open_to_all():
    """What is said to be open is open, and nothing is asked."""
    pdp, sibling = Pdp(deny()), Sibling()
    sibling.Check = opened
    async with gated(pdp, {LIST: needing()}, sibling=sibling, open_to_all=[CHECK, WATCH]) as stub:
        answer = await stub.Check(request())

    assert answer.status == 1
    assert pdp.calls == 0


async def opened(_request, _context):
    """A handler that needs no permit, and has none."""
    with pytest.raises(SettingsError, match="no permit here"):
        permit()
    return pb.HealthCheckResponse(status=1)


async def test_other_services_are_closed():
    """A service of which nobody has said anything is closed."""
    pdp = Pdp(allow())
    async with gated(pdp, {f"{ARCHIVE}/{name}": needing() for name in METHODS}) as stub:
        error = await failure(stub.Check(request()))
        stream = await failure(drained(stub.Watch(request())))

    assert {(e.code(), reason(e)) for e in (error, stream)} == {
        (grpc.StatusCode.PERMISSION_DENIED, "METHOD_NOT_OPEN")
    }
    assert pdp.calls == 0


METHODS = ("ListImages", "ReadImage", "DepositImage")


@pytest.mark.parametrize(
    ("error", "code", "code_reason"),
    [
        (UnavailableError("x"), "UNAVAILABLE", "DECISION_UNAVAILABLE"),
        (OverloadedError("x", 2.0), "RESOURCE_EXHAUSTED", "OVERLOADED"),
        (InvalidError("x", (Violation("f", "p"),)), "INVALID_ARGUMENT", "INVALID_REQUEST"),
        (UnauthenticatedError("x", "TOKEN_EXPIRED"), "UNAUTHENTICATED", "TOKEN_EXPIRED"),
        (UnauthenticatedError("x", "CERTIFICATE_REVOKED"), "INTERNAL", "DECISION_FAILED"),
        (FailedError("secret"), "INTERNAL", "DECISION_FAILED"),
    ],
    ids=["down", "overloaded", "malformed", "token", "our certificate", "failed"],
)
async def test_no_answer(error, code, code_reason):
    """Without an answer no handler runs, and the caller is told what to make of it, and no more."""
    sibling = Sibling()
    async with gated(Pdp(error), sibling=sibling) as stub:
        told = await failure(stub.Check(request()))

    assert (told.code().name, reason(told)) == (code, code_reason)
    assert "secret" not in told.details()
    assert sibling.ran == []


async def test_request_that_is_not_understood():
    """When what a request names can't be found out, it is closed, and the cause stays inside."""

    def broken(*_):
        raise RuntimeError("secret")

    needs = {CHECK: needing(document=broken), WATCH: needing(), LIST: needing()}
    async with gated(Pdp(allow()), needs) as stub:
        error = await failure(stub.Check(request()))

    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in error.details()


async def test_denied_within_a_handler():
    """A handler that asks for more itself, and is denied, is answered alike."""
    sibling = Sibling()
    with pytest.raises(Denied) as caught:
        Pdp(deny("BLOCKED")).client().require(reading())
    sibling.fails = caught.value
    async with gated(Pdp(allow()), sibling=sibling) as stub:
        error = await failure(stub.Check(request()))

    assert reason(error) == "BLOCKED"


async def test_what_goes_along():
    """The token of the end user and the caller's deadline go along to the decision point."""
    pdp = Pdp(allow())
    pdp.slow(0.3)
    async with gated(pdp) as stub:
        await stub.Check(request(), metadata=(("dmp-subject", "a.b.c"),), timeout=5)
        error = await failure(stub.Check(request(), timeout=0.25))

    assert pdp.tokens == ["a.b.c"]
    assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


# What is said of methods is checked before anything serves.


@pytest.mark.parametrize(
    ("needs", "problem"),
    [
        ({"grpc.health.v1.Health/Peek": needing()}, "no such method"),
        ({"Check": needing()}, "no such method"),
        ({CHECK: needing()}, "`grpc.health.v1.Health/List`: say what it needs"),
        ({CHECK: needing(patient="ins")}, "no field `ins`"),
        ({CHECK: needing(subject="service")}, "no field `service` that is authz.v1.Subject"),
        ({CHECK: needing(patient="service.ins")}, "no field `service.ins`"),
        ({f"{ARCHIVE}/ReadImage": needing(subject="context")}, "that is authz.v1.Subject"),
        ({f"{ARCHIVE}/ReadImage": needing(patient="subject")}, "that is a text"),
        ({f"{ARCHIVE}/DepositImage": needing(patient="visibility")}, "no field `visibility`"),
        ({CHECK: needing(documents=lambda *_: [])}, "not both"),
        (
            {"grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": needing()},
            "takes a stream",
        ),
    ],
    ids=range(11),
)
def test_needs_that_can_not_be(needs, problem):
    """What is said of a method is refused when it can't be so."""
    with pytest.raises(SettingsError, match=problem):
        check_needs(needs, ())


def test_fields_are_found():
    """Paths into the request are found, also below another message."""
    needs = {
        f"{ARCHIVE}/{name}": Needs(action="document.read", context="context") for name in METHODS
    }
    needs[f"{ARCHIVE}/ReadImage"] = Needs(action="document.read", patient="subject.id")

    check_needs(needs, ())


def test_absent_message_is_empty():
    """A message that the caller left out is asked about as empty, not as something better."""
    from clients.archive.v1 import archive_pb2 as archive  # noqa: PLC0415 - named here only

    need = Needs(action="document.read", context="context", document=lambda *_: NOTE)

    (query,) = need.queries(need.find(archive.ReadImageRequest(patient=INS), None))

    assert (query.subject.kind, query.subject.id, query.context.mode) == ("", "", "")


@given(st.sampled_from([*Error.__subclasses__(), *UnavailableError.__subclasses__()]), st.text())
def test_every_error_has_a_status(kind, text):
    """There is a status for every error, and none of them is OK."""
    error = kind.__new__(kind)
    Exception.__init__(error, text)
    for name, value in {
        "violations": (),
        "reason": "",
        "retry_after_s": 0.0,
        "obligations": (),
        "decision_id": "1",
    }.items():
        setattr(error, name, value)

    assert refusal(error).code is not grpc.StatusCode.OK
