"""The same procedures behind other transports: what grpcio's threads and pygrpc-native would bring.

All without TLS, which pygrpc-native does not have.
"""

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from bench import asking, contestants, processes, samples
from bench.load import Driver
from bench.report import Figure, Section, Tell
from bench.scale import Scale
from bench.server import THREADS, TRANSPORTS
from bench.serving import client, figures
from bench.sides import Side, compete

FIRST: Final = TRANSPORTS[0]
"""The product's own."""


def run(scale: Scale, tell: Tell) -> list[Section]:
    """Measures an empty server and the decision point behind each transport."""
    known = [name for name in TRANSPORTS if find_spec(name.partition(".")[0])]
    for name in TRANSPORTS:
        if name not in known:
            tell(f"SKIPPED, NOT MEASURED: `{name}` is not installed")
    with tempfile.TemporaryDirectory() as name, ExitStack() as opened:
        folder = Path(name)
        driver = client(tell, folder)
        with processes.decision_point(processes.sqlite(folder)) as before:
            who = asking.patients(scale.patients)
            questions = asking.prepare(before.address, who, bundle=samples.shipped())
        kinds = contestants.kinds(folder, questions)
        files = [*folder.glob("dmp.db*")]
        empty, full = [], []
        for transport in known:
            tell(f"transports: {transport}")
            own = folder / transport
            own.mkdir()
            for file in files:
                shutil.copy(file, own)
            database = processes.sqlite(own)
            running = opened.enter_context(processes.empty(transport))
            empty.append(
                Side(name=transport, address=running.address, pids=(running.pid,), kinds=kinds)
            )
            running = opened.enter_context(processes.behind(transport, database))
            full.append(
                Side(
                    name=transport,
                    address=running.address,
                    pids=(running.pid,),
                    kinds=kinds,
                    recorded=partial(processes.recorded, database),
                )
            )
        return [
            _section("Transports, empty server", empty, driver, scale, tell),
            _section("Transports, dmp on SQLite", full, driver, scale, tell),
        ]


def _section(
    title: str, sides: Sequence[Side], driver: Driver, scale: Scale, tell: Tell
) -> Section:
    rows: list[Figure] = []
    for in_flight in scale.in_flight:
        tell(f"{title}, {in_flight} in flight")
        found = compete(
            sides,
            driver,
            size=1,
            calls=scale.calls // 4 if in_flight == 1 else scale.calls,
            in_flight=in_flight,
            rounds=scale.runs,
        )
        rows += figures(found, in_flight, base=FIRST, size=1)
    return Section(
        title=title,
        note=f"{driver.name}; those without `aio` have {THREADS} threads; the ratio is to `{FIRST}`",
        figures=tuple(rows),
    )
