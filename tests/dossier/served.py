"""A dossier to talk to, in front of a real decision point, always over real sockets."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from unittest.mock import patch

import grpc
from sqlalchemy import create_engine, text

from audit.completeness import Completeness, check
from audit.database import reader, snapshot
from authz.v1 import authz_pb2 as authz
from clients.sdk import PLAIN, aio
from dossier.cda.header import Identifier, Traits
from dossier.people import People
from dossier.samples import documents as samples
from dossier.service import Service, Settings
from dossier.v1 import dossier_pb2 as pb
from dossier.v1 import dossier_pb2_grpc as rpc
from serving.listener import Listener
from tests import service as deciding
from tests.dossier.town import CHEAP
from tests.service import ANASTA, CHANNEL, NOW, Deadline, doctor, holder

INS_C = "1.2.250.1.213.1.4.2"
ROOT = "1.2.250.1.213.9"
NORMAL = authz.Context(mode="normal")
AGREED = authz.Context(mode="normal", agreement=True)

_numbers = count(1)


def cda(
    who: authz.Subject | None = None, patient: str = ANASTA, *, number: int = 0, **changes: object
) -> bytes:
    """A document by somebody about a patient, with an id of its own unless one is given."""
    who = who or doctor()
    fields: dict[str, object] = {
        "unique_id": f"{ROOT}.{number or 1_000_000 + next(_numbers)}",
        "patient": Identifier(root=INS_C, extension=patient),
        "traits": Traits(family_name="PASQUIER", given_names=("ANASTA",), used_name="ANASTA"),
        "authors": (samples.author(who.id, structure=who.structure or "10B0193488"),),
        "made_at": datetime(2026, 5, 1, 9, tzinfo=UTC),
    }
    return samples.document(**{**fields, **changes})


class Record:
    """The stubs of one channel, and what is asked most."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.dossiers = rpc.DossierServiceStub(channel)
        self.documents = rpc.DocumentServiceStub(channel)

    async def create(
        self,
        who: authz.Subject | None = None,
        patient: str = ANASTA,
        *,
        request_id: str = "",
        guardians: tuple[pb.Guardian, ...] = (),
        born: str = "1979-03-28",
        email: str = "anasta@example.org",
        **answers: bool,
    ) -> pb.CreateDossierResponse:
        """A dossier, with the answers of the consent screen as they are shown unless told otherwise."""
        given = {"create": True, "authorise": True, "samu": True, "break_glass": True} | answers
        return await self.dossiers.CreateDossier(
            pb.CreateDossierRequest(
                subject=who or doctor(),
                context=AGREED,
                request_id=request_id or f"create-{patient}",
                patient=patient,
                answers=pb.Answers(**given),
                administrative=person(born=born, email=email),
                guardians=guardians,
            )
        )

    async def submit(
        self,
        *contents: bytes,
        who: authz.Subject | None = None,
        patient: str = ANASTA,
        context: authz.Context = NORMAL,
        visibility: pb.Visibility | None = None,
        replaces: str = "",
    ) -> pb.SubmitResponse:
        """Documents, deposited together."""
        return await self.documents.Submit(
            pb.SubmitRequest(
                subject=who or doctor(),
                context=context,
                patient=patient,
                deposits=[
                    pb.Deposit(content=content, visibility=visibility, replaces=replaces)
                    for content in contents
                ],
            )
        )

    async def deposit(self, content: bytes | None = None, **how: object) -> str:
        """One document; its id."""
        who = how.get("who") or doctor()
        answer = await self.submit(
            content or cda(who, how.get("patient", ANASTA)), **{**how, "who": who}
        )
        return answer.deposited[0].document

    async def read(
        self,
        document: str,
        who: authz.Subject | None = None,
        patient: str = ANASTA,
        context: authz.Context = NORMAL,
    ) -> pb.ReadResponse:
        """A document."""
        return await self.documents.Read(
            pb.ReadRequest(
                subject=who or doctor(), context=context, patient=patient, document=document
            )
        )

    async def list(
        self,
        who: authz.Subject | None = None,
        patient: str = ANASTA,
        context: authz.Context = NORMAL,
        search: pb.Search | None = None,
        **page: object,
    ) -> pb.ListResponse:
        """A list of documents."""
        return await self.documents.List(
            pb.ListRequest(
                subject=who or doctor(), context=context, patient=patient, search=search, **page
            )
        )

    async def act(
        self,
        act: "pb.Act.ValueType",
        document: str,
        who: authz.Subject | None = None,
        patient: str = ANASTA,
        context: authz.Context = NORMAL,
    ) -> pb.ChangeResponse:
        """Something done to a document."""
        return await self.documents.Change(
            pb.ChangeRequest(
                subject=who or doctor(),
                context=context,
                patient=patient,
                document=document,
                act=act,
            )
        )

    async def rights(
        self,
        who: authz.Subject | None = None,
        patient: str = ANASTA,
        context: authz.Context = AGREED,
        **change: object,
    ) -> pb.ChangeRightsResponse:
        """A change of rights, by the name of its field."""
        return await self.dossiers.ChangeRights(
            pb.ChangeRightsRequest(
                subject=who or holder(),
                context=context,
                request_id=f"rights-{next(_numbers)}",
                patient=patient,
                **change,
            )
        )

    async def trace(
        self, who: authz.Subject | None = None, patient: str = ANASTA, **page: object
    ) -> pb.ReadTraceResponse:
        """Who did what."""
        return await self.dossiers.ReadTrace(
            pb.ReadTraceRequest(subject=who or holder(), context=NORMAL, patient=patient, **page)
        )


def person(
    *, born: str = "1979-03-28", email: str = "anasta@example.org", phone: str = ""
) -> pb.Administrative:
    """Anasta PASQUIER of the slides of 2011, who is invented."""
    return pb.Administrative(
        family_name="PASQUIER",
        given_names="ANASTA MARIE",
        birth_date=born,
        sex="F",
        contact=pb.Contact(
            email=email,
            phone=phone,
            address=["1 rue de la Paix"],
            postal_code="86000",
            city="Poitiers",
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Running:
    """Both services in this process."""

    record: Record
    service: Service
    point: deciding.Running
    url: str

    def completeness(self) -> Completeness:
        """What was done, held against what was permitted."""
        engine = create_engine(self.url) if self.url.startswith("postgresql") else reader(self.url)
        try:
            with engine.connect() as acts, snapshot(reader(self.point.url)) as log:
                return check(log, acts, service="dossier", at=datetime(2100, 1, 1, tzinfo=UTC))
        finally:
            engine.dispose()

    def count(self, table: str) -> int:
        """How many rows a table has."""
        with reader(self.url).connect() as conn:
            return conn.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()


@asynccontextmanager
async def running(
    folder: Path,
    *,
    clock: Callable[[], datetime] | None = None,
    url: str = "",
    client: aio.Client | None = None,
    **settings: object,
) -> AsyncIterator[Running]:
    """A decision point and a dossier; in the end nothing was done that was not decided."""
    clock = clock or (lambda: NOW)
    url = url or f"sqlite:///{folder}/dossier.db"
    async with deciding.running(folder, services=("dossier", "operator"), clock=clock) as point:
        wanted = Settings(
            listeners=(Listener(address="127.0.0.1:0", service="operator"),),
            database=url,
            keys=f"sqlite:///{folder}/keys.db",
            masters=folder / "masters",
            policies=deciding.POLICIES,
            authz=point.service.addresses[0],
            security=PLAIN,
        )
        service = Service(replace(wanted, **settings), clock=clock, client=client)
        with (
            patch("dossier.service.People", partial(People, cost=CHEAP)),
            patch("serving.served.LINGER_S", deciding.LINGER_S),
        ):
            async with (
                service,
                grpc.aio.insecure_channel(
                    service.addresses[0],
                    options=[*CHANNEL, ("grpc.max_receive_message_length", -1)],
                    interceptors=[Deadline()],
                ) as channel,
            ):
                yield Running(record=Record(channel), service=service, point=point, url=url)
