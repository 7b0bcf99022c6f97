"""Where the time of one Check goes, and a picture of it: `python -m bench profiling --svg FILE`.

How much of a processor each process of the service takes is read while h2load keeps 32 calls in flight.
What the decider does is looked at in this process, which decides batches of the size that was seen then.
"""

import itertools
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from audit.database import reader, snapshot
from audit.tables import log_batches
from authz import product
from authz.decider import Decider
from authz.procedures import Asked
from bench import asking, contestants, processes, samples
from bench.asking import Questions
from bench.report import Figure, Section, Tell
from bench.sampling import REST, Piece, sampled
from bench.scale import Scale
from bench.server import CALLER
from bench.serving import client

IN_FLIGHT: Final = 32
COMMIT: Final = "commit, which waits for the disk"
PIECES: Final = (
    Piece(name=COMMIT, function="do_commit"),
    Piece(name="SQL", file="/sqlalchemy/"),
    Piece(name="SQL", file="/storage/"),
    Piece(name="facts", file="/authz/facts.py"),
    Piece(name="form", file="/authz/query.py"),
    Piece(name="decide", file="<policy>"),
    Piece(name="decide", file="/authz/compile.py"),
    Piece(name="draft", file="/authz/record.py"),
    Piece(name="bytes and chain", file="/audit/"),
    Piece(name="answer", file="/authz/", function="finish"),
    Piece(name="read", file="/authz/procedures.py"),
    Piece(name="read", file="/authz/wire.py"),
)
"""What the decider does, by where it stands; the first that is on the stack counts."""

ORDER: Final = (
    *("read", "form", "facts", "decide", "draft", "bytes and chain", "SQL"),
    *(COMMIT, "answer", REST),
)
"""The same as they follow each other."""

TITLE: Final = "Where the time of one Check goes"
DOOR, DECIDER, IN_A_BATCH = "door", "decider", "deciding a batch"
TRANSPORT: Final = "the transport, as an empty server has it"


def run(scale: Scale, tell: Tell) -> list[Section]:
    """Measures the two processes of the service, and the pieces of the second one's work."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loaded = _under_load(folder, scale, tell)
        tell(f"profiling: batches of {loaded.batch}")
        pieces = _pieces(folder, loaded, scale)
    return [_section(loaded, pieces)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What was seen under load: calls a second, decisions a commit, and processor time of a call."""

    rate: float
    batch: int
    transport_us: float
    door_us: float
    decider_us: float
    questions: Questions


def _under_load(folder: Path, scale: Scale, tell: Tell) -> Loaded:
    database = processes.sqlite(folder)
    with processes.decision_point(database) as ours, processes.empty() as nothing:
        tell("profiling: opening dossiers")
        who = asking.patients(scale.patients)
        questions = asking.prepare(ours.address, who, bundle=samples.shipped())
        requests = contestants.kinds(folder, questions)[1].requests
        load = partial(
            client(tell, folder).run,
            method=asking.CHECK,
            requests=requests,
            calls=scale.calls,
            in_flight=IN_FLIGHT,
        )
        tell(f"profiling: {IN_FLIGHT} in flight")
        rates, taken = [], dict[int, float]()
        before = _recorded(database)
        for _ in range(scale.runs):
            for server in (nothing, ours):
                pids = processes.family(server.pid)
                used = {pid: processes.used_s(pid) for pid in pids}
                found = load(server.address)
                for pid in pids:
                    taken[pid] = taken.get(pid, 0.0) + processes.used_s(pid) - used[pid]
                if server is ours:
                    rates.append(found.rate)
        commits, decisions = (b - a for a, b in zip(before, _recorded(database), strict=True))
        each = {pid: seconds / scale.calls / scale.runs * 1e6 for pid, seconds in taken.items()}
    own = {nothing.pid, ours.pid}
    return Loaded(
        rate=max(rates),
        batch=max(1, round(decisions / commits)),
        transport_us=each[nothing.pid],
        door_us=max(0.0, each[ours.pid] - each[nothing.pid]),
        decider_us=sum(us for pid, us in each.items() if pid not in own),
        questions=questions,
    )


def _recorded(database: str) -> tuple[int, int]:
    """How many commits the log of a database holds, and how many entries."""
    columns = func.count(), func.coalesce(func.sum(log_batches.c.count), 0)
    with snapshot(reader(database)) as connection:
        commits, entries = connection.execute(select(*columns)).one()
        return int(commits), int(entries)


def _pieces(folder: Path, loaded: Loaded, scale: Scale) -> dict[str, float]:
    """Microseconds of a decision by piece; batches of the same size, in this process."""
    decider = Decider.open(
        database=processes.sqlite(folder), origin="profile", bundle=samples.shipped()
    )
    try:
        asked = [
            Asked(product.CHECK, check.SerializeToString(), CALLER)
            for check in loaded.questions.checks
        ]
        turns = itertools.cycle(asked)
        decided = 0
        end = time.perf_counter() + scale.profile_s
        with sampled(PIECES) as seconds:
            while time.perf_counter() < end:
                decider.run([next(turns) for _ in range(loaded.batch)])
                decided += loaded.batch
    finally:
        decider.close()
    return {name: seconds[name] / decided * 1e6 for name in ORDER}


def _section(loaded: Loaded, pieces: Mapping[str, float]) -> Section:
    each_us = 1e6 / loaded.rate
    rows = {
        f"{DOOR}: {TRANSPORT}": loaded.transport_us,
        f"{DOOR}: what it does itself": loaded.door_us,
        f"{DECIDER}: all of it, processor time": loaded.decider_us,
        **{f"{IN_A_BATCH}: {name}": us for name, us in pieces.items()},
    }
    return Section(
        title=TITLE,
        note=f"{IN_FLIGHT} in flight: {loaded.rate:,.0f} calls a second, one each {each_us:,.0f} us, "
        f"{loaded.batch} decisions a commit; the two processes work side by side",
        figures=tuple(
            Figure(what=what, value=us, unit="us", ratio=us / each_us) for what, us in rows.items()
        ),
    )
