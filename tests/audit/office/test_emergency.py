"""One emergency from its first second to its verdict, through record, decision point and audit."""

from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from audit.v1 import audit_pb2 as pb
from clients.sdk import PLAIN
from dossier.service import Service, Settings
from serving.listener import Listener
from tests import service as deciding
from tests.audit.office.served import CALLERS, Running, running
from tests.audit.office.test_reviews import close, listed, read
from tests.dossier.served import Record
from tests.dossier.test_service import EMERGENCY
from tests.service import ANASTA, CHANNEL, NOW, Deadline, holder, stranger, until


class Sent:
    """A sender that keeps what it is given, once it may."""

    def __init__(self):
        self.messages = []

    def send(self, message):
        """Keeps a message."""
        self.messages.append(message)


@dataclass(frozen=True, kw_only=True)
class Town:
    """The record before the audit."""

    record: Record
    audit: Running
    mail: Sent


@asynccontextmanager
async def town(folder):
    """All three services."""
    mail = Sent()
    async with running(folder) as audit:
        place = CALLERS.index("dossier")
        settings = Settings(
            listeners=(Listener(address="127.0.0.1:0", service="operator"),),
            database=f"sqlite:///{folder}/dossier.db",
            keys=f"sqlite:///{folder}/keys.db",
            masters=folder / "masters",
            policies=deciding.POLICIES,
            authz=audit.point.service.addresses[place],
            security=PLAIN,
            senders={"email": mail},
        )
        async with (
            Service(settings, clock=lambda: NOW) as service,
            grpc.aio.insecure_channel(
                service.addresses[0], options=CHANNEL, interceptors=[Deadline()]
            ) as channel,
        ):
            yield Town(record=Record(channel), audit=audit, mail=mail)


async def test_an_emergency(tmp_path):
    """A stranger reads, the holder gets an e-mail, an auditor closes the case, the holder sees all of it."""
    async with town(tmp_path) as here:
        await here.record.create()
        document = await here.record.deposit()
        await here.record.list(stranger(), context=EMERGENCY)
        seen = await here.record.read(document, stranger(), context=EMERGENCY)

        async def told():
            (case,) = (await listed(here.audit)).cases
            return all(one.state == "carried_out" for one in case.obligations)

        await here.audit.settled()
        await until(told)
        assert any("bris de glace" in one.text for one in here.mail.messages)
        (case,) = (await listed(here.audit)).cases
        assert (case.accesses, case.reason.code) == (2, "conscience_alteree")
        assert {one.name: one.how for one in case.obligations} == {
            "notify_holder": "email",
            "notify_treating_doctor": "inbox",
        }
        found = await read(here.audit, case.id)
        assert [one.action for one in found.accesses] == ["document.list", "document.read"]
        assert found.accesses[1].id == seen.ruling.decision_id
        assert [one.what for one in found.steps].count("carried_out") == 4

        await close(here.audit, case.id, "justified")
        lines = await _view(here.audit)
        assert {one.review for one in lines if one.mode == "bris_de_glace"} == {"justified"}
        looked = {one.action for one in lines if one.audit}
        assert looked == {"log.identify", "emergency.review"}


async def _view(audit):
    request = pb.ListAccessesRequest(subject=holder(), patient=ANASTA, page_size=100)
    request.context.mode = "normal"
    return [line async for page in audit.stub.ListAccesses(request) for line in page.accesses]
