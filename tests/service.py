"""A decision point to talk to: in this process, or in one of its own, always over real sockets."""

import asyncio
import functools
import io
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import grpc
import structlog
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from sqlalchemy import Engine

from audit.database import reader, snapshot
from audit.entry import Entry
from audit.reader import origins, read
from audit.verify import verify
from authz import bundle as bundles
from authz.batch import Batcher
from authz.bundle import Bundle, Product
from authz.product import DMP
from authz.service import Service, Settings
from authz.v1 import authz_pb2 as pb
from authz.v1 import authz_pb2_grpc as rpc
from serving.listener import Listener
from tests.shared import ROOT

POLICIES = ROOT / "policies"
START_S = 30.0
LINGER_S = 0.01
"""For how long a service of a test tells those who come late: its tests have no such callers."""
CHANNEL = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.max_send_message_length", -1),
]


class Deadline(grpc.aio.UnaryUnaryClientInterceptor):
    """Gives a deadline to every call that has none, as the service wants it."""

    async def intercept_unary_unary(self, continuation, details, request):
        if details.timeout is None:
            details = details._replace(timeout=30.0)
        return await continuation(details, request)


NOW = datetime(2026, 5, 4, 10, tzinfo=UTC)
ANASTA = "1113109067725142806651"


def patient(number: int) -> str:
    """The INS-C of the patient with this number."""
    return f"{number:020}{97 - number % 97:02}"


# What is asked.


def doctor(**changes: object) -> pb.Subject:
    """Dr MEDECIN3857, or somebody else who is so but for `changes`."""
    fields: dict[str, object] = {
        "kind": "professional",
        "id": "00B1038575",
        "profession": "10",
        "structure": "10B0193488",
        "authentication": "individual_card",
        "capacity": "care",
        "name": "Dr MEDECIN3857",
    }
    return pb.Subject(**{**fields, **changes})


def stranger(**changes: object) -> pb.Subject:
    """A doctor whom no patient knows."""
    return doctor(
        **{"id": "899700301015", "structure": "10B0252419", "name": "Dr AUTRE", **changes}
    )


def officer(**changes: object) -> pb.Subject:
    """A compliance officer."""
    kind = "compliance_officer"
    return pb.Subject(
        **{"kind": kind, "id": "CONF-0001", "authentication": "individual_card", **changes}
    )


def auditor() -> pb.Subject:
    """An auditor."""
    return pb.Subject(kind="auditor", id="AUD-0001", authentication="individual_card")


def holder(number: str = ANASTA) -> pb.Subject:
    """The patient."""
    return pb.Subject(kind="patient", id=number, authentication="patient_code")


def note(**changes: object) -> pb.Document:
    """A consultation note by Dr MEDECIN3857."""
    fields: dict[str, object] = {
        "id": "doc-1",
        "type": "11488-4",
        "authors": ["00B1038575"],
        "author_structure": "10B0193488",
        "visibility": ["N"],
        "status": "approved",
    }
    return pb.Document(**{**fields, **changes})


def reading(
    who: pb.Subject | None = None, whose: str = ANASTA, what: pb.Document | None = None
) -> pb.CheckRequest:
    """May this one read this document, in normal access?"""
    return pb.CheckRequest(
        subject=who or stranger(),
        action="document.read",
        resource=pb.Resource(patient=whose, document=what or note()),
        context=pb.Context(mode="normal"),
    )


def opening(
    who: pb.Subject | None = None, whose: str = ANASTA, *, agreement: bool = True, **answers: object
) -> pb.ChangeRequest:
    """The creation of a dossier; who creates it is authorised unless the answers say otherwise."""
    given = {"birth_date": "1979-03-28", "authorise": True, "samu": True, "break_glass": True}
    return pb.ChangeRequest(
        subject=who or doctor(),
        patient=whose,
        context=pb.Context(mode="normal", agreement=agreement),
        open_dossier=pb.OpenDossier(**{**given, **answers}),
    )


def change(
    who: pb.Subject, whose: str = ANASTA, *, agreement: bool = True, **what: Message
) -> pb.ChangeRequest:
    """Any change, by the name of its field."""
    context = pb.Context(mode="normal", agreement=agreement)
    return pb.ChangeRequest(subject=who, patient=whose, context=context, **what)


# Who answers.


class Door:
    """The stubs of one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.authz = rpc.AuthzServiceStub(channel)
        self.registry = rpc.RegistryServiceStub(channel)
        self.policy = rpc.PolicyServiceStub(channel)
        self._health = health_pb2_grpc.HealthStub(channel)

    async def healthy(self, service: str = "") -> bool:
        """Whether a service says SERVING."""
        answer = await self._health.Check(health_pb2.HealthCheckRequest(service=service))
        return answer.status == health_pb2.HealthCheckResponse.SERVING

    async def check(self, request: pb.CheckRequest, **options: object) -> pb.Decision:
        """The decision of one check."""
        return (await self.authz.Check(request, **options)).decision

    async def change(self, request: pb.ChangeRequest) -> pb.Decision:
        """The decision of one change."""
        return (await self.registry.Change(request)).decision


@asynccontextmanager
async def door(address: str) -> AsyncIterator[Door]:
    """A door to an address."""
    async with grpc.aio.insecure_channel(
        address, options=CHANNEL, interceptors=[Deadline()]
    ) as channel:
        yield Door(channel)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A service in this process; `doors` by the name of the calling service."""

    service: Service
    doors: dict[str, Door]
    url: str

    @property
    def door(self) -> Door:
        """The first door."""
        return next(iter(self.doors.values()))

    @property
    def batcher(self) -> Batcher:
        """What decides and records."""
        return self.service.loop._deciding._decider._batcher

    @property
    def engine(self) -> Engine:
        """The engine that the service writes with."""
        return self.batcher._engine

    def entries(self) -> list[Entry]:
        """All entries of the log so far, by another connection."""
        return entries(self.url)

    def metric(self, name: str) -> float | None:
        """The value of a metric without labels."""
        return self.service.metrics.registry.get_sample_value(name)


@asynccontextmanager
async def running(
    folder: Path,
    *,
    services: tuple[str, ...] = ("operator",),
    policies: Path = POLICIES,
    clock: Callable[[], datetime] | None = None,
    url: str = "",
    **settings: str,
) -> AsyncIterator[Running]:
    """A service in this process, on a database in `folder` or elsewhere; its log is verified at the end."""
    url = url or f"sqlite:///{folder}/authz.db"
    listeners = tuple(Listener(address="127.0.0.1:0", service=name) for name in services)
    wanted = Settings(
        listeners=listeners, database=url, policies=policies, one_process=True, **settings
    )
    service = Service(wanted, **({"clock": clock} if clock else {}))
    with patch("authz.service.build", _build):  # the same files make the same bundle
        await service.__aenter__()
    try:
        doors = {
            name: Door(
                grpc.aio.insecure_channel(address, options=CHANNEL, interceptors=[Deadline()])
            )
            for name, address in zip(services, service.addresses, strict=True)
        }
        try:
            yield Running(service=service, doors=doors, url=url)
        finally:
            for one in doors.values():
                await one.channel.close()
    finally:
        with patch("serving.served.LINGER_S", LINGER_S):
            await service.__aexit__(None, None, None)
    intact(url)


def bundle_of(policies: Path = POLICIES) -> Bundle:
    """The bundle of a policy folder; built once for all tests."""
    return _build(bundles.read_folder(policies), DMP)


def _build(files: dict[str, bytes], _: Product) -> Bundle:
    return _build_once(tuple(files.items()))


@functools.lru_cache(8)
def _build_once(files: tuple[tuple[str, bytes], ...]) -> Bundle:
    return bundles.build(dict(files), DMP)


def copied(folder: Path, *themes: str) -> Path:
    """A copy of the policies to work on; only the rule files that begin so, if any are named."""
    target = folder / "policies"
    shutil.copytree(POLICIES, target, ignore=shutil.ignore_patterns("scenarios", "properties.yaml"))
    if themes:
        for path in target.glob("rules/*.yaml"):
            if not path.name.startswith(themes):
                path.unlink()
        forget_themes(target)
    return target


def forget_themes(folder: Path) -> None:
    """Takes the list of themes out of a copy, so that files of rules may go."""
    path = folder / "vocabulary.yaml"
    path.write_text(path.read_text(encoding="utf-8").partition("\nthemes:")[0] + "\n")


# What is on record.


def entries(url: str) -> list[Entry]:
    """All entries of the log, in order."""
    engine = reader(url)
    try:
        with snapshot(engine) as conn:
            return [stored.entry for stored in read(conn)]
    finally:
        engine.dispose()


def intact(url: str) -> int:
    """Verifies all logs of a database; how many entries they hold."""
    engine = reader(url)
    try:
        with snapshot(engine) as conn:
            return sum(verify(conn, origin).count for origin in origins(conn))
    finally:
        engine.dispose()


class _Aside(io.StringIO):
    """Standard output; but what a command under test prints there is that command's alone."""

    def write(self, text: str) -> int:
        """Writes, beside the output of a command that runs in this process."""
        runs = type(sys.stdout).__module__.endswith(".testing")
        return ((sys.__stderr__ if runs else sys.stdout) or self).write(text)


def plain_log() -> None:
    """The service log of this process, without the values of all variables, which take seconds to print."""
    structlog.reset_defaults()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()],
        logger_factory=structlog.PrintLoggerFactory(file=_Aside()),
    )


# What goes wrong.


async def failure(call: object) -> grpc.aio.AioRpcError:
    """The error that a call ends with; that it ends well is a failure of the test."""
    try:
        answer = await call  # type: ignore[misc]  # a unary call
    except grpc.aio.AioRpcError as exc:
        return exc
    raise AssertionError(f"answered: {answer}")


def violations(error: grpc.aio.AioRpcError) -> dict[str, str]:
    """The field violations of an error: description by field."""
    bad = detail(error, error_details_pb2.BadRequest())
    return {v.field: v.description for v in bad.field_violations}


def reason(error: grpc.aio.AioRpcError) -> str:
    """The machine-readable reason of an error."""
    return str(detail(error, error_details_pb2.ErrorInfo()).reason)


def detail(error: grpc.aio.AioRpcError, kind: Message) -> Message:
    """The detail of this kind, empty when the error has none."""
    status = rpc_status.from_call(error)
    for box in status.details if status else ():
        if box.Is(kind.DESCRIPTOR):
            box.Unpack(kind)
    return kind


async def until(what: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    """Waits until a coroutine function says yes."""
    end = time.monotonic() + seconds
    while not await what():
        assert time.monotonic() < end, "it never came"
        await asyncio.sleep(0.02)


# A process of its own.


class Process:
    """A service of ours in a process of its own, started by us; its lines are gathered as they come."""

    def __init__(self, popen: "subprocess.Popen[str]") -> None:
        self.popen = popen
        self.out: list[str] = []
        self.err: list[str] = []
        self._said = threading.Condition()
        self._readers = [
            threading.Thread(target=self._gather, args=(popen.stdout, self.out)),
            threading.Thread(target=self._gather, args=(popen.stderr, self.err)),
        ]
        for thread in self._readers:
            thread.start()

    @property
    def address(self) -> str:
        """The first address it serves on, once it does."""
        with self._said:
            ready = self._said.wait_for(lambda: self.out or self.popen.poll() is not None, START_S)
        assert ready, "not ready in time"
        assert self.out, f"ended with {self.popen.returncode}: {self.errors}"
        return self.out[0].removeprefix("serving on ").strip().split(", ")[0]

    @property
    def errors(self) -> str:
        """All that it has written to standard error."""
        return "".join(self.err)

    def wait(self) -> int:
        """The exit code, once it has ended by itself."""
        code = self.popen.wait(START_S)
        for thread in self._readers:
            thread.join()
        return code

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to this process."""
        self.popen.send_signal(number)

    def _gather(self, stream: Iterator[str], lines: list[str]) -> None:
        for line in stream:
            with self._said:
                lines.append(line)
                self._said.notify_all()
        with self._said:
            self._said.notify_all()


@contextmanager
def process(
    folder: Path, *arguments: str, listen: str = "127.0.0.1:0=operator", policies: Path = POLICIES
) -> Iterator[Process]:
    """A server in a process of its own, on a database in `folder`; ended with the block."""
    given = ["--listen", listen, "--database", f"sqlite:///{folder}/authz.db"]
    with started(folder, "authz", *given, "--policies", str(policies), *arguments) as one:
        yield one


@contextmanager
def started(folder: Path, room: str, *arguments: str) -> Iterator[Process]:
    """`python -m ROOM` with these arguments, in a folder; ended with the block."""
    # -P: the rooms that are installed, not those of the folder.
    with subprocess.Popen(
        [sys.executable, "-P", "-m", room, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    ) as popen:
        one = Process(popen)
        try:
            yield one
        finally:
            if popen.poll() is None:
                popen.kill()
            one.wait()
