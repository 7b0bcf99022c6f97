"""A million patients and a million entries: what they cost in memory, in time, and at the start."""

import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from authz.v1 import authz_pb2 as pb
from bench import asking, load, population, processes
from bench.client import frames
from bench.report import Figure, Section, Tell
from bench.scale import Scale

MEMORY_MB: Final = 500
START_S: Final = 2.0

_CHECK: Final = "/authz.v1.AuthzService/Check"
_BATCH: Final = "/authz.v1.AuthzService/CheckBatch"
_BATCH_SIZE: Final = 500
_SMALL: Final = 50  # times smaller than the large registry


def run(scale: Scale, tell: Tell) -> list[Section]:
    """Measures both databases."""
    patients = asking.patients(scale.population)
    random.Random(population.SEED).shuffle(patients)
    sections = []
    for kind, database in (("PostgreSQL", _postgresql), ("SQLite", _sqlite)):
        with database() as small, database() as large:
            tell(f"populating: {kind}, filling")
            few = patients[: max(1, len(patients) // _SMALL)]
            population.fill(small, few)
            population.fill(large, patients)
            population.fill_log(large, patients, scale.entries)
            sections.append(_measure(kind, scale, tell, (small, few), (large, patients)))
    return sections


@contextmanager
def _sqlite() -> Iterator[str]:
    with TemporaryDirectory() as folder:
        yield processes.sqlite(Path(folder))


@contextmanager
def _postgresql() -> Iterator[str]:
    with processes.postgresql() as (_, url):
        yield url


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A registry that is served, and the patients to ask about."""

    address: str
    pid: int
    patients: Sequence[str]


Registry = tuple[str, Sequence[str]]


def _measure(kind: str, scale: Scale, tell: Tell, small: Registry, large: Registry) -> Section:
    with ExitStack() as opened, TemporaryDirectory() as folder:
        sides = []
        for url, patients in (small, large):
            one = opened.enter_context(processes.decision_point(url))
            sides.append(Side(address=one.address, pid=one.pid, patients=patients))
        at_first = _resident_mb(sides[1].pid)
        tell(f"populating: {kind}, checking")
        times = _times(sides, scale, Path(folder))
        tell(f"populating: {kind}, reading many patients")
        seen = _read_many(sides[1])
        in_the_end = _resident_mb(sides[1].pid)
        _kill_under_load(sides[1], Path(folder))
    tell(f"populating: {kind}, starting")
    starts = [_start_s(url) for url, _ in (large, small)]
    memory = (
        Figure(what="memory of the service, just started", value=at_first, unit="MB"),
        Figure(
            what=f"after checks of {seen:,} patients",
            value=in_the_end,
            unit="MB",
            target=f"< {MEMORY_MB} MB",
            met=in_the_end < MEMORY_MB,
        ),
    )
    restarted = Figure(
        what=f"start after a kill, {scale.entries:,} entries in the log",
        value=starts[0],
        unit="s",
        target=f"< {START_S:g} s",
        met=starts[0] < START_S,
    )
    start = Figure(what="start with a short log", value=starts[1], unit="s")
    return Section(
        title=f"{scale.population:,} patients on {kind}",
        note=f"beside a registry of {len(small[1]):,}; one Check at a time, durable",
        figures=(*memory, *times, restarted, start),
    )


def _times(sides: Sequence[Side], scale: Scale, folder: Path) -> list[Figure]:
    """The median time of a Check, of patients met for the first time and again; interleaved."""
    driver, found = load.InPython(), dict[tuple[str, int], list[float]]()
    calls = max(1, min(scale.calls, len(sides[0].patients)) // scale.runs)
    for turn in range(scale.runs):
        for place, side in enumerate(sides):
            some = side.patients[turn * calls : (turn + 1) * calls]
            path = folder / "requests"
            path.write_bytes(frames([asking.check(one).SerializeToString() for one in some]))
            for again in ("met for the first time", "met again"):
                said = driver.run(side.address, _CHECK, path, calls=calls, in_flight=1)
                if said.errors:
                    raise RuntimeError(f"calls failed: {said.errors}")
                found.setdefault((again, place), []).append(said.p50_ms)
    figures = []
    for (again, place), times in sorted(found.items()):
        median = sorted(times)[len(times) // 2]
        first = sorted(found[again, 0])[len(times) // 2]
        registry = ("small", "large")[place]
        what = f"Check, patient {again}, {registry} registry"
        figures.append(Figure(what=what, value=median, unit="ms", ratio=median / first))
    return figures


def _read_many(side: Side) -> int:
    """Decides about so many patients that whatever the service remembers is full of them."""
    patients = side.patients[:300_000]
    with processes.channel(side.address, None) as channel:
        for start in range(0, len(patients), _BATCH_SIZE):
            some = patients[start : start + _BATCH_SIZE]
            request = pb.CheckBatchRequest(checks=map(asking.check, some))
            answer = asking.call(channel, _BATCH, request.SerializeToString())
            if not asking.all_allowed(answer):
                raise RuntimeError("the doctor of the bench is denied")
    return len(patients)


def _kill_under_load(side: Side, folder: Path) -> None:
    options = ("--method", _CHECK, "--calls", "100000", "--in-flight", "8")
    client = load.start(side.address, folder / "requests", *options)
    time.sleep(1)
    for pid in processes.family(side.pid):
        os.kill(pid, signal.SIGKILL)
    client.kill()
    client.communicate()


def _start_s(url: str) -> float:
    """From the command to the first answer that may be asked for."""
    began = time.monotonic()
    with processes.decision_point(url):
        return time.monotonic() - began


def _resident_mb(pid: int) -> float:
    """What the processes of a service have in memory together; what they share counts twice."""
    total = 0
    for one in processes.family(pid):
        for line in Path(f"/proc/{one}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total / 1024
