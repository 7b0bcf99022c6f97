"""A record with a real decision point behind it, and the patient's view of the log beside its own trace."""

from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import grpc
from sqlalchemy import Engine

from audit.database import reader
from audit.office.accesses import Accesses
from audit.office.asking import Asking
from audit.office.casebook import Casebook
from audit.office.database import opened
from audit.office.handles import Handles
from audit.office.index import Index
from audit.office.office import Office, Standing
from audit.v1 import audit_pb2 as pb
from authz.v1 import authz_pb2 as authz
from clients.sdk import PLAIN, aio
from dossier.service import Service, Settings
from dossier.v1 import dossier_pb2 as dossier
from serving.listener import Listener
from tests import service as deciding
from tests.audit.office.world import KEY, follow
from tests.dossier.served import NORMAL, Record
from tests.service import ANASTA, CHANNEL, NOW, Deadline, auditor, holder

SERVICES = ("dossier", "audit", "operator")
HIDDEN = dossier.Visibility(hidden_from_patient=True)
KEPT = dossier.Visibility(hidden_from_representatives=True)
SECRETLY = authz.Context(mode="normal", secret_connection=True)
ANNOUNCED = authz.Context(mode="normal", announced=True)
BREAK_GLASS = authz.Context(
    mode="bris_de_glace", reason=authz.Reason(code="risque_vital", text="coma")
)
MOTHER = authz.Subject(
    kind="representative",
    id="0833910461279517589858",
    name="Rose PASQUIER",
    authentication="patient_code",
)
GUARDIAN = dossier.Guardian(id=MOTHER.id, relation="MTH", family_name="PASQUIER")
STEP = timedelta(milliseconds=5)
DEADLINE_S = 20.0


def clock(step=STEP):
    """An instant that moves on whenever somebody looks."""
    at = NOW

    def now():
        nonlocal at
        at += step
        return at

    return now


@dataclass(kw_only=True)
class Story:
    """Both services in this process, and a desk over an index of their log.

    Attributes:
        record: the dossier, to talk to.
        point: the decision point.
        desk: the patient's view.
        url: of the log.
        index: the index, which is brought up to date before it is asked.
    """

    record: Record
    point: deciding.Running
    desk: Accesses
    url: str
    index: Index
    engine: Engine

    async def pages(
        self, who: authz.Subject | None = None, patient: str = ANASTA, **asked: object
    ) -> list[pb.ListAccessesResponse]:
        """What the desk answers; as the holder unless said otherwise."""
        follow(self.index, self.url)
        context = asked.pop("context", NORMAL)
        fields = {"from" if name == "since" else name: value for name, value in asked.items()}
        request = pb.ListAccessesRequest(
            subject=who or holder(), context=context, patient=patient, **fields
        )
        how = {"timeout_s": DEADLINE_S, "token": "", "traceparent": ""}
        return [page async for page in self.desk.list_accesses(request, how)]

    async def view(
        self, who: authz.Subject | None = None, patient: str = ANASTA, **asked: object
    ) -> list[pb.Access]:
        """All lines on one page."""
        (page,) = await self.pages(who, patient, **{"page_size": 1_000, **asked})
        return list(page.accesses)

    async def look_in(self, action: str, patient: str = ANASTA, **fields: object) -> authz.Decision:
        """A look of an auditor, or a review of what `about` tells, as the audit service asks for it."""
        aimed = fields.pop("target", None)
        request = authz.CheckRequest(
            subject=auditor(),
            action=action,
            resource=authz.Resource(
                patient=patient, about=str(fields.pop("about", "")), target=aimed
            ),
            context=authz.Context(mode="normal", **fields),
        )
        return await self.point.doors["audit"].check(request)

    async def report(
        self, about: str, reason: authz.Reason, patient: str = ANASTA
    ) -> authz.Decision:
        """The dossier says that an obligation was carried out."""
        request = authz.CheckRequest(
            subject=authz.Subject(kind="service", id="dossier", authentication="service_channel"),
            action="obligation.report",
            resource=authz.Resource(patient=patient, about=about),
            context=authz.Context(mode="normal", reason=reason),
        )
        return await self.point.doors["dossier"].check(request)


async def tried(call: Awaitable[object]) -> None:
    """Something that is allowed or not: either way it is on record."""
    with suppress(grpc.aio.AioRpcError):
        await call


@asynccontextmanager
async def story(folder: Path, **settings: object) -> AsyncIterator[Story]:
    """Both services, an index of their log, and the desk."""
    now = settings.pop("clock", clock())
    async with deciding.running(folder, services=SERVICES, clock=now) as point:
        addresses = dict(zip(SERVICES, point.service.addresses, strict=True))
        wanted = Settings(
            listeners=(Listener(address="127.0.0.1:0", service="operator"),),
            database=f"sqlite:///{folder}/dossier.db",
            keys=f"sqlite:///{folder}/keys.db",
            masters=folder / "masters",
            policies=deciding.POLICIES,
            authz=addresses["dossier"],
            security=PLAIN,
        )
        service = Service(replace(wanted, **settings), clock=now)
        async with (
            service,
            grpc.aio.insecure_channel(
                service.addresses[0], options=CHANNEL, interceptors=[Deadline()]
            ) as channel,
            aio.connect(addresses["audit"], PLAIN) as client,
        ):
            with desk(folder, point.url, client) as (made, index, engine):
                yield Story(
                    record=Record(channel),
                    point=point,
                    desk=made,
                    url=point.url,
                    index=index,
                    engine=engine,
                )


@contextmanager
def desk(folder: Path, url: str, client: aio.Client) -> Iterator[tuple[Accesses, Index, Engine]]:
    """The desk of the patient's view over an index of its own."""
    handles = Handles(KEY)
    engine = opened(f"sqlite:///{folder}/audit.db")
    try:
        office = Office(
            index=engine,
            log=reader(url),
            evidence=folder / "evidence",
            handles=handles,
            asking=Asking(client),
            clock=lambda: NOW,
            standing=Standing,
        )
        yield Accesses(office), Index(engine, handles, [Casebook(handles)]), engine
    finally:
        engine.dispose()
