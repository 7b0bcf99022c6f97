"""Check over grpc.aio, each decision on disk before its answer, against an empty grpc.aio server.

The decision point, the empty server and the client are processes of their own. Short runs against the two
servers are interleaved, and the best of each counts: on a shared machine that is what varies least.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from authz.v1 import authz_pb2 as pb
from bench import processes
from bench.client import frames, messages
from bench.processes import Outcome
from bench.report import Figure, Section, Tell
from bench.scale import Scale

TARGET_AT, TARGET_SHARE = 32, 0.85
BATCH = 50
BATCHES_IN_FLIGHT = 4

Load = Callable[[str, int], Outcome]
"""Puts an address under load, with so many calls in flight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """The two servers, and where the decision point keeps its log."""

    authz: str
    echo: str
    folder: Path


def run(scale: Scale, tell: Tell) -> list[Section]:
    """Measures Check at several loads, and CheckBatch."""
    with (
        tempfile.TemporaryDirectory() as name,
        processes.decision_point(Path(name)) as (_, authz),
        processes.running("bench.server") as (_, echo),
    ):
        servers = Servers(authz=authz, echo=echo, folder=Path(name))
        tell("serving: opening dossiers")
        requests = processes.prepare(authz, servers.folder, processes.patients(scale.patients))
        sections = [
            _checks(servers, requests, scale, tell),
            _batches(servers, requests, scale, tell),
        ]
        if processes.has_h2load():
            sections.append(_by_h2load(servers, requests, scale, tell))
    return sections


def _best(servers: Servers, load: Load, in_flight: int, rounds: int) -> tuple[Outcome, Outcome]:
    """The best of several interleaved runs against the empty server and the decision point.

    Raises:
        RuntimeError: a call failed, or the log holds fewer decisions than were answered.
    """
    best: dict[str, Outcome] = {}
    for address in [servers.echo, servers.authz] * rounds:
        before = processes.recorded(servers.folder)
        found = load(address, in_flight)
        if found.errors:
            raise RuntimeError(f"calls failed: {found.errors}")
        on_record = processes.recorded(servers.folder) - before
        if address == servers.authz and on_record < found.answered:
            raise RuntimeError(f"{found.answered} answers, {on_record} on record")
        if address not in best or found.rate > best[address].rate:
            best[address] = found
    return best[servers.echo], best[servers.authz]


def _checks(servers: Servers, requests: Path, scale: Scale, tell: Tell) -> Section:
    def load(address: str, in_flight: int) -> Outcome:
        calls = scale.calls // 4 if in_flight == 1 else scale.calls
        return processes.load(
            address, requests, "--calls", str(calls), "--in-flight", str(in_flight)
        )

    figures: list[Figure] = []
    for in_flight in scale.in_flight:
        tell(f"serving: Check, {in_flight} in flight")
        echo, ours = _best(servers, load, in_flight, min(5, scale.rounds))
        figures += _rates(f"Check, {in_flight} in flight", echo, ours, aimed=in_flight == TARGET_AT)
    return Section(
        title="Check over gRPC, durable on SQLite",
        note=f"client in Python, {scale.patients} patients; the ratio is to the empty server",
        figures=tuple(figures),
    )


def _rates(what: str, echo: Outcome, ours: Outcome, *, aimed: bool) -> list[Figure]:
    share = ours.rate / echo.rate
    return [
        Figure(what=f"{what}: empty server", value=echo.rate, unit="/s", ratio=1.0),
        Figure(
            what=f"{what}: dmp",
            value=ours.rate,
            unit="/s",
            ratio=share,
            target=f">= {TARGET_SHARE} x" if aimed else "",
            met=share >= TARGET_SHARE if aimed else None,
        ),
        *(
            Figure(what=f"{what}: {name}", value=value, unit="ms", ratio=value / base)
            for name, value, base in (
                ("dmp, p50", ours.p50_ms, echo.p50_ms),
                ("dmp, p99", ours.p99_ms, echo.p99_ms),
            )
        ),
    ]


def _batches(servers: Servers, requests: Path, scale: Scale, tell: Tell) -> Section:
    tell(f"serving: CheckBatch of {BATCH}")
    checks = [pb.CheckRequest.FromString(data) for data in messages(requests.read_bytes())]
    fifty = [checks[i % len(checks)] for i in range(BATCH)]
    path = requests.with_name("batches")
    path.write_bytes(frames([pb.CheckBatchRequest(checks=fifty).SerializeToString()]))

    def load(address: str, in_flight: int) -> Outcome:
        calls = str(max(1, scale.calls // BATCH))
        options = ("--calls", calls, "--in-flight", str(in_flight), "--method", "CheckBatch")
        return processes.load(address, path, *options)

    echo, ours = _best(servers, load, BATCHES_IN_FLIGHT, min(5, scale.rounds))
    return Section(
        title=f"CheckBatch of {BATCH}",
        note=f"decisions a second, {BATCHES_IN_FLIGHT} calls in flight; the ratio is to the empty server",
        figures=(
            Figure(what="empty server", value=echo.rate * BATCH, unit="/s", ratio=1.0),
            Figure(what="dmp", value=ours.rate * BATCH, unit="/s", ratio=ours.rate / echo.rate),
        ),
    )


def _by_h2load(servers: Servers, requests: Path, scale: Scale, tell: Tell) -> Section:
    """The same load from a client in C: what the client in Python costs shows in the difference."""
    tell("serving: Check, from h2load")
    first = messages(requests.read_bytes())[0]
    path = requests.with_name("request")
    path.write_bytes(frames([first]))

    def load(address: str, in_flight: int) -> Outcome:
        return processes.h2load(address, path, calls=scale.calls, in_flight=in_flight)

    figures: list[Figure] = []
    for in_flight in (n for n in scale.in_flight if n > 1):
        echo, ours = _best(servers, load, in_flight, min(5, scale.rounds))
        share = ours.rate / echo.rate
        what = f"Check, {in_flight} in flight"
        figures += [
            Figure(what=f"{what}: empty server", value=echo.rate, unit="/s", ratio=1.0),
            Figure(what=f"{what}: dmp", value=ours.rate, unit="/s", ratio=share),
        ]
    return Section(
        title="The same, from h2load",
        note="client in C, one and the same request",
        figures=tuple(figures),
    )
