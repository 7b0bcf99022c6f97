"""An audit service to talk to, behind a real decision point, always over real sockets.

async with running(tmp_path) as audit:
    await audit.open()                     # a dossier, by Dr MEDECIN3857
    decision = await audit.decide(reading(doctor()))
    await audit.settled()                  # all of it is in the index
    answer = await audit.stub.Count(pb.CountRequest(subject=auditor()))
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import grpc
from sqlalchemy import text

from audit.database import reader, snapshot
from audit.office.database import SCHEMA
from audit.office.service import Service, Settings
from audit.reader import count
from audit.v1 import audit_pb2 as pb
from audit.v1 import audit_pb2_grpc as rpc
from authz.v1 import authz_pb2 as authz
from clients.sdk import PLAIN, aio
from serving.listener import Listener
from storage.database import connect
from tests import service as deciding
from tests.databases import Database
from tests.service import ANASTA, CHANNEL, NOW, Deadline, doctor, opening

CALLERS = ("audit", "dossier", "operator")
"""The services that the decision point has a listener for; the first is the audit's own."""


class StreamDeadline(grpc.aio.UnaryStreamClientInterceptor):
    """Gives a deadline to every stream that has none."""

    async def intercept_unary_stream(self, continuation, details, request):
        if details.timeout is None:
            details = details._replace(timeout=30.0)
        return await continuation(details, request)


@dataclass(frozen=True, kw_only=True)
class Running:
    """Both services in this process.

    Attributes:
        stub: of the audit.
        channel: that it speaks over.
        service: the audit.
        point: the decision point; its doors are called `audit`, `dossier` and `operator`.
        settings: of the audit.
    """

    stub: rpc.AuditServiceStub
    channel: grpc.aio.Channel
    service: Service
    point: deciding.Running
    settings: Settings

    async def decide(self, request: authz.CheckRequest, caller: str = "dossier") -> authz.Decision:
        """A decision, asked for by a service."""
        return await self.point.doors[caller].check(request)

    async def change(self, request: authz.ChangeRequest, caller: str = "dossier") -> authz.Decision:
        """A change of the registry."""
        return await self.point.doors[caller].change(request)

    async def open(
        self, who: authz.Subject | None = None, whose: str = ANASTA, **answers: object
    ) -> authz.Decision:
        """A dossier, with the answers of the consent screen as they are shown unless told otherwise."""
        return await self.change(opening(who or doctor(), whose, **answers))

    async def settled(self, seconds: float = 20) -> int:
        """Waits until all that is stored is in the index and under a checkpoint; how many entries that is."""
        wanted, end = self.stored(), time.monotonic() + seconds
        while True:
            following = self.service.following
            if sum(following.indexing.taken.values()) >= wanted <= following.standing().sealed:
                return wanted
            assert time.monotonic() < end, f"never followed: {await self.status()}"
            await asyncio.sleep(0.02)

    async def status(self) -> pb.ReadStatusResponse:
        """How the audit stands."""
        return await self.stub.ReadStatus(pb.ReadStatusRequest())

    def stored(self) -> int:
        """How many entries the log holds."""
        with snapshot(reader(self.settings.database)) as conn:
            return count(conn)

    def metric(self, name: str, **labels: str) -> float | None:
        """The value of a metric."""
        return self.service.metrics.registry.get_sample_value(name, labels)


def settings_of(folder: Path, url: str, **settings: object) -> Settings:
    """Of an audit with its files in `folder`, on the log of `url`; its index is of the same kind, and new."""
    if url.startswith("postgresql"):  # where tests share a server
        engine = connect(url)
        with engine.begin() as conn:
            conn.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
        engine.dispose()
    wanted = Settings(
        listeners=(Listener(address="127.0.0.1:0", service="operator"),),
        authz="127.0.0.1:1",
        security=PLAIN,
        database=url,
        index=f"sqlite:///{folder}/audit.db" if url.startswith("sqlite") else url,
        evidence=folder / "evidence",
        key=folder / "audit.key",
        prefix="dmp.test/",
    )
    return replace(wanted, **settings)


@asynccontextmanager
async def serving(
    wanted: Settings, *, clock: Callable[[], datetime] | None = None
) -> AsyncIterator[tuple[Service, rpc.AuditServiceStub]]:
    """An audit alone, that nobody asks for what a decision point must be asked for."""
    service = Service(wanted, clock=clock or (lambda: NOW))
    async with service, channel_of(service) as channel:
        yield service, rpc.AuditServiceStub(channel)


def channel_of(service: Service) -> grpc.aio.Channel:
    """A channel to its first listener."""
    return grpc.aio.insecure_channel(
        service.addresses[0],
        options=[*CHANNEL, ("grpc.max_receive_message_length", -1)],
        interceptors=[Deadline(), StreamDeadline()],
    )


@asynccontextmanager
async def running(
    folder: Path,
    *,
    database: Database | None = None,
    clock: Callable[[], datetime] | None = None,
    client: aio.Client | None = None,
    policies: Path = deciding.POLICIES,
    **settings: object,
) -> AsyncIterator[Running]:
    """A decision point and an audit behind it; the log is verified at the end.

    Args:
        folder: for files, and for both databases if no other is given.
        database: of the log, and of the index if it is PostgreSQL.
        clock: of both.
        client: of the decision point, instead of a real one.
        policies: of the decision point.
        settings: of the audit, instead of those here.
    """
    clock = clock or (lambda: NOW)
    url = database.url if database else f"sqlite:///{folder}/authz.db"
    async with deciding.running(
        folder, services=CALLERS, clock=clock, url=url, policies=policies
    ) as point:
        given = {"authz": point.service.addresses[0], **settings}
        wanted = settings_of(folder, url, **given)
        service = Service(wanted, clock=clock, client=client)
        async with service, channel_of(service) as channel:
            yield Running(
                stub=rpc.AuditServiceStub(channel),
                channel=channel,
                service=service,
                point=point,
                settings=wanted,
            )


@contextmanager
def process(
    folder: Path, point: str, *arguments: str, listen: str = "127.0.0.1:0=operator"
) -> Iterator[deciding.Process]:
    """An audit in a process of its own, on the log that `tests.service.process` writes in `folder`."""
    # -P: the rooms that are installed, not those of the folder.
    command = [sys.executable, "-P", "-m", "audit", "--listen", listen, "--authz", point]
    command += ["--database", f"sqlite:///{folder}/authz.db", "--evidence", f"{folder}/evidence"]
    command += ["--index", f"sqlite:///{folder}/audit.db", "--index-key", f"{folder}/audit.key"]
    with subprocess.Popen(
        [*command, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    ) as popen:
        started = deciding.Process(popen)
        try:
            yield started
        finally:
            if popen.poll() is None:
                popen.kill()
            started.wait()
