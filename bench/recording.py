"""The record end to end: documents read, listed and deposited through two services, over TLS, all on disk.

Beside it stands the same service without the question to the decision point, so the difference is what the
decision costs.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import grpc

from authz.v1 import authz_pb2 as authz
from bench.processes import Keys, Running, decision_point, processor_s, running, sqlite
from bench.report import Figure, Section, Tell
from bench.scale import Scale
from clients.pki import authority
from clients.pki.folder import SERVICES, Folder
from dossier.cda.header import Identifier
from dossier.keys.sealing import Key, Place, Purpose
from dossier.samples import documents as samples
from dossier.v1 import dossier_pb2 as pb
from dossier.v1 import dossier_pb2_grpc as rpc

PATIENT: Final = "1113109067725142806651"
INS_C: Final = "1.2.250.1.213.1.4.2"
DOCUMENTS: Final = 50
"""So many are in the dossier that is read and listed, half of them masked from others."""

IN_FLIGHT: Final = (1, 8)
WITHOUT: Final = "without the decision"
WITH: Final = "decided and logged first"
SIZES: Final = ((2 << 10, "2 kB"), (100 << 10, "100 kB"), (1 << 20, "1 MB"))

DOCTOR: Final = authz.Subject(
    kind="professional",
    id="00B1038575",
    profession="10",
    structure="10B0193488",
    authentication="individual_card",
    capacity="care",
)
NORMAL: Final = authz.Context(mode="normal", agreement=True)

Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A dossier that runs, with all that it asks."""

    name: str
    address: str
    pids: tuple[int, ...]


def run(scale: Scale, tell: Tell) -> list[Section]:
    """Measures reading, listing and depositing, and what sealing costs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keys = _keys(folder / "pki")
        with ExitStack() as opened:
            sides = [
                opened.enter_context(_with(folder / "with", keys)),
                opened.enter_context(_without(folder / "without", keys)),
            ]
            return [asyncio.run(_measure(sides, keys, scale, tell)), _sealing(scale)]


def _keys(folder: Path) -> Keys:
    keys, now = Keys.make(folder), datetime.now(UTC)
    holder = authority.service("portal", ["127.0.0.1"])
    Folder(folder).issue(holder, place=SERVICES, name="portal", at=now, lifetime=timedelta(days=2))
    return keys


@contextmanager
def _with(folder: Path, keys: Keys) -> Iterator[Side]:
    folder.mkdir()
    with (
        decision_point(sqlite(folder), keys=keys) as point,
        _record("dossier", folder, keys, point.address) as record,
    ):
        yield Side(name=WITH, address=record.address, pids=(point.pid, record.pid))


@contextmanager
def _without(folder: Path, keys: Keys) -> Iterator[Side]:
    folder.mkdir()
    with _record("bench.open_record", folder, keys, "127.0.0.1:1") as record:
        yield Side(name=WITHOUT, address=record.address, pids=(record.pid,))


@contextmanager
def _record(module: str, folder: Path, keys: Keys, point: str) -> Iterator[Running]:
    its = keys.of("dossier")
    with running(
        module,
        *("--listen", "127.0.0.1:0", "--caller", "portal", "--authz", point),
        *("--tls-key", str(its.key), "--tls-chain", str(its.chain), "--trust", str(keys.folder)),
        *("--authz-roots", str(its.roots), "--database", f"sqlite:///{folder}/dossier.db"),
        *("--keys", f"sqlite:///{folder}/keys.db", "--masters", str(folder / "masters")),
        *("--sms-outbox", str(folder / "sms.jsonl")),
    ) as found:
        yield found


async def _measure(sides: list[Side], keys: Keys, scale: Scale, tell: Tell) -> Section:
    its = keys.of("portal")
    pair = its.key.read_bytes(), its.chain.read_bytes()
    credentials = grpc.ssl_channel_credentials(its.roots.read_bytes(), *pair)
    options = [("grpc.ssl_target_name_override", "dossier"), ("grpc.enable_http_proxy", 0)]
    rows: dict[tuple[str, int], dict[str, tuple[float, float]]] = {}
    for side in sides:
        tell(f"recording: {side.name}")
        async with grpc.aio.secure_channel(side.address, credentials, options) as channel:
            calls = await _filled(rpc.DossierServiceStub(channel), rpc.DocumentServiceStub(channel))
            for what, call in calls.items():
                for in_flight in IN_FLIGHT:
                    best = (0.0, 0.0)
                    for _ in range(scale.runs):
                        best = max(best, await _load(call, scale.calls // 8, in_flight, side))
                    rows.setdefault((what, in_flight), {})[side.name] = best
    figures = [
        Figure(
            what=f"{what}, {in_flight} in flight: {name}",
            value=rate,
            unit="/s",
            ratio=rate / found[WITHOUT][0],
            cpu_us=cpu_us,
        )
        for (what, in_flight), found in rows.items()
        for name, (rate, cpu_us) in found.items()
    ]
    return Section(
        title="The record, end to end over TLS, SQLite",
        note=f"client in Python; a dossier of {DOCUMENTS} documents; the ratio is to `{WITHOUT}`",
        figures=tuple(figures),
    )


async def _filled(dossiers: Any, documents: Any) -> Mapping[str, Call]:  # noqa: ANN401 - stubs
    """What is asked of a dossier that has just been filled."""
    await dossiers.CreateDossier(
        pb.CreateDossierRequest(
            subject=DOCTOR,
            context=NORMAL,
            request_id="bench",
            patient=PATIENT,
            answers=pb.Answers(create=True, authorise=True, samu=True, break_glass=True),
            administrative=pb.Administrative(
                family_name="PASQUIER",
                given_names="ANASTA",
                birth_date="1979-03-28",
                contact=pb.Contact(email="anasta@example.org"),
            ),
        ),
        timeout=10,
    )
    numbers = iter(range(1, 1_000_000))

    async def deposit() -> Any:  # noqa: ANN401 - an answer
        number = next(numbers)
        return await documents.Submit(
            pb.SubmitRequest(
                subject=DOCTOR,
                context=NORMAL,
                patient=PATIENT,
                deposits=[
                    pb.Deposit(
                        content=_document(number), visibility=pb.Visibility(masked=number % 2 == 0)
                    )
                ],
            ),
            timeout=10,
        )

    made = [await deposit() for _ in range(DOCUMENTS)]
    asked = {"subject": DOCTOR, "context": NORMAL, "patient": PATIENT}
    reading = pb.ReadRequest(**asked, document=made[0].deposited[0].document)
    listing = pb.ListRequest(**asked)
    return {
        "read": lambda: documents.Read(reading, timeout=10),
        "list 20": lambda: documents.List(listing, timeout=10),
        "deposit": deposit,
    }


def _document(number: int) -> bytes:
    return samples.document(
        unique_id=f"1.2.250.1.213.9.{number}",
        patient=Identifier(root=INS_C, extension=PATIENT),
        authors=(samples.author(DOCTOR.id),),
        made_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number),
        body="Contenu inventé. " * 100,
    )


async def _load(call: Call, calls: int, in_flight: int, side: Side) -> tuple[float, float]:
    """Calls a second, and microseconds of the processor that each took on the server's side."""
    left = iter(range(calls))

    async def work() -> None:
        for _ in left:
            await call()

    used, began = processor_s(*side.pids), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    took = time.perf_counter() - began
    return calls / took, (processor_s(*side.pids) - used) / calls * 1e6


def _sealing(scale: Scale) -> Section:
    """What it costs to keep the bytes sealed."""
    key, place = Key(bytes(32)), Place(purpose=Purpose.BODY, patient=PATIENT, of="bench")
    figures = []
    for size, name in SIZES:
        plain = bytes(size)
        sealed = key.seal(plain, place)
        for what, work in (
            ("seal", lambda plain=plain: key.seal(plain, place)),
            ("open", lambda sealed=sealed: key.unseal(sealed, place)),
        ):
            best = float("inf")
            for _ in range(scale.rounds):
                began = time.perf_counter()
                for _ in range(20):
                    work()
                best = min(best, (time.perf_counter() - began) / 20)
            figures.append(Figure(what=f"{what} {name}", value=best * 1e6, unit="us"))
    return Section(
        title="Sealing a document",
        note="AES-256-GCM, one thread; the best of the rounds",
        figures=tuple(figures),
    )
