"""Three services over mutual TLS: a portal asks the audit, and the audit asks the decision point."""

from contextlib import asynccontextmanager

import grpc
import pytest

from audit.v1 import audit_pb2 as pb
from audit.v1 import audit_pb2_grpc as rpc
from clients.sdk import Tls
from serving import watch
from serving.listener import Listener
from tests import service as deciding
from tests.audit.office.served import serving, settings_of
from tests.authz.tls import World
from tests.service import CHANNEL, auditor, failure, opening, patient, reason, until


@asynccontextmanager
async def audited(folder, world, *, shown="audit"):
    """An audit and a decision point with TLS: the address of the one, and the other."""
    async with deciding.running(
        folder, services=("operator", ""), clock=world.clock, tls=world.tls("authz")
    ) as point:
        key, chain = world.files(shown)
        settings = settings_of(
            folder,
            point.url,
            listeners=(Listener(address="127.0.0.1:0"),),
            tls=world.tls("audit"),
            authz=point.service.addresses[1],
            security=Tls(key=key, chain=chain, roots=world.folder.path / "authorities"),
        )
        async with serving(settings, clock=world.clock) as (service, _):
            yield service.addresses[0], point


def portal(world, address):
    """A portal, at the audit."""
    options = [*CHANNEL, ("grpc.ssl_target_name_override", "audit")]
    return grpc.aio.secure_channel(address, world.credentials("portal"), options)


async def test_each_is_whom_its_certificate_names(tmp_path):
    """The look of an auditor behind a portal is decided for the audit, and stands in the log so."""
    world = World.make(tmp_path / "pki", "authz", "audit", "portal")
    async with audited(tmp_path, world) as (address, point):
        await point.doors["operator"].change(opening(whose=patient(1)))
        async with portal(world, address) as channel:
            request = pb.CountRequest(subject=auditor())
            answer = await rpc.AuditServiceStub(channel).Count(request, timeout=8)
        (look,) = [one for one in point.entries() if one.get("action") == "log.query"]
        assert (look["caller"], look["id"]) == ("audit", answer.look.decision_id)
        assert look["subject"]["id"] == auditor().id
        assert answer.look.pseudonymised


async def test_another_certificate_opens_nothing(tmp_path):
    """An audit that shows the certificate of a service that may not look is denied, and so is the auditor."""
    world = World.make(tmp_path / "pki", "authz", "audit", "portal", "intruder")
    async with audited(tmp_path, world, shown="intruder") as (address, _):
        async with portal(world, address) as channel:
            request = pb.CountRequest(subject=auditor())
            error = await failure(rpc.AuditServiceStub(channel).Count(request, timeout=8))
        assert (error.code(), reason(error)) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "CALLER_REFUSED",
        )


async def test_a_revoked_follower_is_told_nothing_more(tmp_path, monkeypatch):
    """A stream that is open ends with the next entry when its caller was revoked, and tells nothing of it."""
    monkeypatch.setattr(watch, "WATCH_S", 0.02)
    world = World.make(tmp_path / "pki", "authz", "audit", "portal")
    async with audited(tmp_path, world) as (address, point), portal(world, address) as channel:
        stub = rpc.AuditServiceStub(channel)
        stream = aiter(stub.Follow(pb.FollowRequest(subject=auditor()), timeout=30))
        await anext(stream)
        world.revoke("portal")

        async def refused():
            try:
                await stub.ReadStatus(pb.ReadStatusRequest(), timeout=8)
            except grpc.aio.AioRpcError as exc:
                return reason(exc) == "CERTIFICATE_REVOKED"
            return False

        await until(refused)
        await point.doors["operator"].change(opening(whose=patient(1)))
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await anext(stream)
        assert reason(told.value) == "CERTIFICATE_REVOKED"


async def test_without_a_decision_point_nobody_looks(tmp_path):
    """While the decision point is away, a look is UNAVAILABLE, and how the audit stands is still told."""
    async with deciding.running(tmp_path, services=("audit", "operator")) as point:
        settings = settings_of(tmp_path, point.url, authz="127.0.0.1:1")
        async with serving(settings) as (_, stub):
            error = await failure(stub.Count(pb.CountRequest(subject=auditor())))
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert (await stub.ReadStatus(pb.ReadStatusRequest())).health["dmp.log"]
