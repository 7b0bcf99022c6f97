"""The processes of the serving benches: the decision point, the empty server, the load."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from pysqlite3 import dbapi2

from authz import ins
from authz.v1 import authz_pb2 as pb
from authz.v1 import authz_pb2_grpc as rpc
from bench.client import Reign, frames

DOCTOR = pb.Subject(
    kind="professional",
    id="810000000001",
    profession="10",
    authentication="individual_card",
    capacity="care",
    name="Dr BENCH",
)
_SERVING = re.compile(r"serving on (\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a load came to."""

    rate: float
    p50_ms: float
    p99_ms: float
    answered: int
    errors: dict[str, int]
    reigns: tuple[Reign, ...] = ()


@contextmanager
def running(*arguments: str, policies: Path | None = None) -> Iterator[tuple[int, str]]:
    """A Python module as a process; its id, and the address that it says it serves on."""
    environment = dict(os.environ)
    if policies is not None:
        environment["DMP_POLICIES"] = str(policies)
    with subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            found = _SERVING.match(line)
            if found is None:
                raise RuntimeError(f"`{' '.join(arguments)}` does not serve: {line.strip()}")
            yield process.pid, found[1]
        finally:
            process.terminate()


@contextmanager
def decision_point(folder: Path, policies: Path | None = None) -> Iterator[tuple[int, str]]:
    """The real service, durable on SQLite in `folder`."""
    database = f"sqlite:///{folder / 'dmp.db'}"
    listen = "127.0.0.1:0=operator"
    with running("authz", "--listen", listen, "--database", database, policies=policies) as found:
        yield found


def recorded(folder: Path) -> int:
    """How many entries the log of the service in `folder` holds."""
    connection = dbapi2.connect(str(folder / "dmp.db"))
    try:
        (count,) = connection.execute('SELECT sum("count") FROM log_batches').fetchone()
        return int(count)
    finally:
        connection.close()


def patients(count: int) -> list[str]:
    """Numbers of patients whose form is right."""
    return [ins.compute("BENCH", "000000", f"2540650{number:06}") for number in range(count)]


def checks(who: Sequence[str]) -> list[pb.CheckRequest]:
    """The reading of a document of each patient by a doctor whom they authorise."""
    document = pb.Document(
        id="1.2.250.1.999.1",
        type="11488-4",
        authors=["810000000002"],
        status="approved",
        visibility=["N"],
    )
    return [
        pb.CheckRequest(
            subject=DOCTOR,
            action="document.read",
            resource=pb.Resource(patient=patient, document=document),
            context=pb.Context(mode="normal"),
        )
        for patient in who
    ]


def prepare(address: str, folder: Path, who: Sequence[str]) -> Path:
    """Opens the patients' dossiers and writes the file of requests.

    Raises:
        RuntimeError: the policies do not let the doctor read, so the load would be of another kind.
    """
    asked = checks(who)
    asyncio.run(_open(address, who, asked[0]))
    path = folder / "requests"
    path.write_bytes(frames([check.SerializeToString() for check in asked]))
    return path


async def _open(address: str, who: Sequence[str], check: pb.CheckRequest) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        registry, authz = rpc.RegistryServiceStub(channel), rpc.AuthzServiceStub(channel)
        for patient in who:
            opened = await registry.Change(
                pb.ChangeRequest(
                    subject=DOCTOR,
                    patient=patient,
                    context=pb.Context(mode="normal", agreement=True),
                    open_dossier=pb.OpenDossier(
                        birth_date="1979-03-28", authorise=True, samu=True, break_glass=True
                    ),
                )
            )
            _expect_allowed(opened.decision)
        _expect_allowed((await authz.Check(check)).decision)


def _expect_allowed(decision: pb.Decision) -> None:
    if decision.effect != pb.EFFECT_ALLOW:
        raise RuntimeError(f"the doctor of the bench is denied: {decision.reason_code}")


def load(address: str, requests: Path, *options: str) -> Outcome:
    """Runs the load generator to its end."""
    return outcome(start_load(address, requests, *options))


def start_load(address: str, requests: Path, *options: str) -> "subprocess.Popen[bytes]":
    """Starts the load generator; `outcome` waits for its end."""
    command = [sys.executable, "-m", "bench.client", "--address", address]
    return subprocess.Popen(
        [*command, "--requests", str(requests), *options], stdout=subprocess.PIPE
    )


def outcome(client: "subprocess.Popen[bytes]") -> Outcome:
    """What a load generator came to; waits for its end."""
    printed, _ = client.communicate()
    if client.returncode:
        raise RuntimeError(f"the load generator ended with {client.returncode}")
    said = json.loads(printed)
    return Outcome(
        rate=said["rate"],
        p50_ms=said["p50_ms"],
        p99_ms=said["p99_ms"],
        answered=said["answered"],
        errors=said["errors"],
        reigns=tuple(Reign(*reign) for reign in said["bundles"]),
    )


def has_h2load() -> bool:
    """Whether the load generator of nghttp2 is installed."""
    return shutil.which("h2load") is not None


def h2load(address: str, request: Path, *, calls: int, in_flight: int) -> Outcome:
    """Check calls from h2load, a client in C that sends one and the same request.

    It counts what was answered, and does not look into it.
    """
    channels = min(4, in_flight)
    options = f"-n {calls} -c {channels} -m {max(1, in_flight // channels)} -d {request}".split()
    headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    url = f"http://{address}/authz.v1.AuthzService/Check"
    done = subprocess.run(
        ["h2load", *options, *headers, url], stdout=subprocess.PIPE, text=True, check=True
    )
    rate = re.search(r", ([\d.]+) req/s", done.stdout)
    answered = re.search(r"(\d+) succeeded, (\d+) failed", done.stdout)
    if rate is None or answered is None:
        raise RuntimeError(f"h2load said something else: {done.stdout[:200]}")
    failed = int(answered[2])
    return Outcome(
        rate=float(rate[1]),
        p50_ms=0.0,
        p99_ms=0.0,
        answered=int(answered[1]),
        errors={"FAILED": failed} if failed else {},
    )
