"""What it costs a decision point to be followed by an audit, and how far the audit is behind meanwhile.

Loads with the audit at work and standing still (SIGSTOP) are interleaved; before each, it has caught up.
Where there are two processors, the decision point has one for itself, the audit and the load the other.
"""

import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc

from audit.v1 import audit_pb2 as pb
from audit.v1 import audit_pb2_grpc as rpc
from bench import asking, processes, samples
from bench.contestants import kinds
from bench.load import Driver, Outcome
from bench.processes import Running
from bench.report import Figure, Section, Tell
from bench.scale import Scale
from bench.serving import client
from bench.sides import Kind

IN_FLIGHT: Final = 64
LOADS: Final = 2
"""So many times the calls of a run: the audit looks only four times a second."""

TARGET_SHARE: Final = 0.95
TARGET_LAG_S: Final = 1.0
_LOOK_S: Final = 0.1
_PATIENCE_S: Final = 60.0


@dataclass(slots=True)
class Found:
    """What the loads came to, and how far the audit was behind while it followed."""

    alone: list[Outcome] = field(default_factory=list)
    followed: list[Outcome] = field(default_factory=list)
    cpu_us: dict[str, list[float]] = field(
        default_factory=lambda: {"alone": [], "followed": [], "audit": []}
    )
    index_s: list[float] = field(default_factory=list)
    tree_s: list[float] = field(default_factory=list)


def run(scale: Scale, tell: Tell) -> list[Section]:
    """Measures it on SQLite, where both share a disk."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = processes.sqlite(folder)
        with processes.decision_point(database) as point:
            who = asking.patients(scale.patients)
            asked = asking.prepare(point.address, who, bundle=samples.shipped())
            question = kinds(folder, asked)[1]
            driver = client(tell, folder)
            with _audit(folder, database, point) as audit, _apart(point, audit):
                tell("following: loads with and without an audit")
                return [_section(_measure(point, audit, driver, question, scale))]


def _measure(point: Running, audit: Running, driver: Driver, question: Kind, scale: Scale) -> Found:
    found, calls = Found(), scale.calls * LOADS
    with grpc.insecure_channel(audit.address) as channel:
        stub = rpc.AuditServiceStub(channel)

        def load(name: str) -> Outcome:
            used = processes.processor_s(point.pid)
            done = driver.run(
                point.address, question.method, question.requests, calls=calls, in_flight=IN_FLIGHT
            )
            used = processes.processor_s(point.pid) - used
            found.cpu_us[name].append(used / max(1, done.answered) * 1e6)
            return done

        for _ in range(scale.runs):
            _caught_up(stub)
            with _still(audit):
                found.alone.append(load("alone"))
            _caught_up(stub)
            used = processes.processor_s(audit.pid)
            with _watched(stub, found):
                done = load("followed")
            found.followed.append(done)
            used = processes.processor_s(audit.pid) - used
            found.cpu_us["audit"].append(used / max(1, done.answered) * 1e6)
    return found


def _section(found: Found) -> Section:
    pairs = zip(found.alone, found.followed, strict=True)
    share = statistics.median(after.rate / before.rate for before, after in pairs)
    lag = max([*found.index_s, *found.tree_s], default=0.0)
    return Section(
        title="A decision point that is followed",
        note="decisions a second, median of all loads; the ratio is the median of pairs",
        figures=(
            _figure("alone", found.alone, found.cpu_us["alone"]),
            _figure(
                "followed by an audit",
                found.followed,
                found.cpu_us["followed"],
                ratio=share,
                target=f">= {TARGET_SHARE:g} x",
                met=share >= TARGET_SHARE,
            ),
            Figure(
                what="the audit itself, for an entry",
                value=statistics.median(found.cpu_us["audit"]),
                unit="us",
            ),
            Figure(what="lag of the index, median", value=_median(found.index_s), unit="s"),
            Figure(what="lag of the seal, median", value=_median(found.tree_s), unit="s"),
            Figure(
                what="the largest lag",
                value=lag,
                unit="s",
                target=f"<= {TARGET_LAG_S:g} s",
                met=lag <= TARGET_LAG_S,
            ),
        ),
    )


def _figure(what: str, found: list[Outcome], cpu_us: list[float], **more: object) -> Figure:
    return Figure(
        what=what,
        value=statistics.median(one.rate for one in found),
        unit="/s",
        latency_ms=(
            statistics.median(one.p50_ms for one in found),
            statistics.median(one.p90_ms for one in found),
            statistics.median(one.p99_ms for one in found),
        ),
        cpu_us=statistics.median(cpu_us),
        **more,  # type: ignore[arg-type]  # of the other fields
    )


def _median(found: list[float]) -> float:
    return statistics.median(found) if found else 0.0


@contextmanager
def _audit(folder: Path, database: str, point: Running) -> Iterator[Running]:
    options = ["--listen", "127.0.0.1:0=operator", "--authz", point.address, "--database", database]
    options += ["--index", f"sqlite:///{folder}/audit.db", "--index-key", str(folder / "audit.key")]
    options += ["--evidence", str(folder / "evidence")]
    with processes.running("audit", *options) as found:
        yield found


def _caught_up(stub: rpc.AuditServiceStub) -> None:
    """Waits until the audit has all that is stored, and has looked since."""
    end = time.monotonic() + _PATIENCE_S
    time.sleep(1)  # what it says may be from before it was stopped
    while time.monotonic() < end:
        said = stub.ReadStatus(pb.ReadStatusRequest(), timeout=10)
        if said.logs and all(one.stored == one.indexed == one.sealed for one in said.logs):
            return
        time.sleep(_LOOK_S)
    raise RuntimeError(f"the audit does not catch up within {_PATIENCE_S:g} s")


@contextmanager
def _still(audit: Running) -> Iterator[None]:
    os.kill(audit.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(audit.pid, signal.SIGCONT)


@contextmanager
def _watched(stub: rpc.AuditServiceStub, found: Found) -> Iterator[None]:
    """Meanwhile its lag is written down."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(_LOOK_S):
            said = stub.ReadStatus(pb.ReadStatusRequest(), timeout=10)
            found.index_s.append(said.index_lag)
            found.tree_s.append(said.tree_lag)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def _apart(point: Running, audit: Running) -> Iterator[None]:
    """The decision point has a processor for itself, where there are two."""
    before = os.sched_getaffinity(0)
    if len(before) > 1:
        first, *others = sorted(before)
        for pid in processes.family(point.pid):
            _pin(pid, {first})
        _pin(audit.pid, set(others))
        os.sched_setaffinity(0, others)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _pin(pid: int, processors: set[int]) -> None:
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), processors)
