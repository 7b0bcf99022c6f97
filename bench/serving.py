"""Check and CheckBatch over gRPC, each decision on disk before its answer, beside those who keep none.

The contestants and the client are processes of their own. Short runs against them are interleaved, and the
best of each counts: on a shared machine that is what varies least.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.contestants import BATCH, CERBOS, EMPTY, OURS, SQLITE, all_of_them
from bench.load import Certificate, Driver, H2load, InPython
from bench.processes import Keys
from bench.report import Figure, Section, Tell
from bench.scale import Scale
from bench.server import CALLER
from bench.sides import Measured, Side, compete

DURABLE: Final = "dmp has all on disk before it answers, Cerbos logs behind its answers"
TARGET_AT, TARGET_SHARE = 32, 0.85
TARGET_TIMES: Final = 3.0
"""How many times the decisions a second of Cerbos, in batches."""

BATCHES_IN_FLIGHT: Final = 4


def run(scale: Scale, tell: Tell) -> list[Section]:
    """Measures Check at several loads, and CheckBatch."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with all_of_them(folder, scale, tell) as sides:
            driver = client(tell, folder)
            sections = [
                _checks("Check", sides, driver, scale, tell),
                _batches(f"CheckBatch of {BATCH}", sides, driver, scale, tell),
            ]
            if not isinstance(driver, InPython):
                few = [side for side in sides if side.name in (EMPTY, SQLITE)]
                title = "Check, another patient each time"
                sections.append(_checks(title, few, InPython(), scale, tell))
    return sections


def over_tls(scale: Scale, tell: Tell) -> list[Section]:
    """The same with mutual TLS; Cerbos asks for no certificate."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keys = Keys.make(folder / "pki")
        with all_of_them(folder, scale, tell, keys=keys) as sides:
            driver = client(tell, folder, keys.of(CALLER))
            return [
                _checks("Check over TLS", sides, driver, scale, tell),
                _batches(f"CheckBatch of {BATCH} over TLS", sides, driver, scale, tell),
            ]


def client(tell: Tell, folder: Path, certificate: Certificate | None = None) -> Driver:
    """h2load where it is installed, else the client in Python.

    Args:
        tell: told when it is not.
        folder: for what it writes.
        certificate: what it shows, if it is to speak TLS; for h2load that takes a C compiler.
    """
    if not shutil.which("h2load"):
        tell(
            "SKIPPED, NOT MEASURED: h2load is not installed; the client in Python measures instead"
        )
    elif certificate is not None and not shutil.which("cc"):
        tell(
            "SKIPPED, NOT MEASURED: h2load needs cc to show a certificate; the client in Python does"
        )
    else:
        return H2load(folder, certificate)
    return InPython(certificate)


def _checks(title: str, sides: Sequence[Side], driver: Driver, scale: Scale, tell: Tell) -> Section:
    rows: list[Figure] = []
    for in_flight in scale.in_flight:
        tell(f"serving: {title}, {in_flight} in flight")
        found = compete(
            sides,
            driver,
            size=1,
            calls=scale.calls // 4 if in_flight == 1 else scale.calls,
            in_flight=in_flight,
            rounds=scale.runs,
        )
        aim = TARGET_SHARE if in_flight == TARGET_AT else None
        rows += figures(found, in_flight, base=EMPTY, size=1, aim=aim)
    return Section(
        title=title,
        note=f"{driver.name}; the ratio is to the empty server, of grpc.aio; {DURABLE}",
        figures=tuple(rows),
    )


def _batches(
    title: str, sides: Sequence[Side], driver: Driver, scale: Scale, tell: Tell
) -> Section:
    tell(f"serving: {title}")
    found = compete(
        sides,
        driver,
        size=BATCH,
        calls=max(BATCHES_IN_FLIGHT, scale.calls // BATCH * 4),
        in_flight=BATCHES_IN_FLIGHT,
        rounds=scale.runs,
    )
    base, aim = (CERBOS, TARGET_TIMES) if CERBOS in found else (EMPTY, None)
    return Section(
        title=title,
        note=f"{driver.name}; decisions a second; the ratio is to `{base}`; {DURABLE}",
        figures=tuple(figures(found, BATCHES_IN_FLIGHT, base=base, size=BATCH, aim=aim)),
    )


def figures(
    found: Mapping[str, Measured], in_flight: int, *, base: str, size: int, aim: float | None = None
) -> list[Figure]:
    """Decisions a second of each side, and how many times they are those of `base`."""
    rows = []
    for name, measured in found.items():
        outcome, ratio = measured.outcome, measured.outcome.rate / found[base].outcome.rate
        aimed = aim is not None and name in OURS
        rows.append(
            Figure(
                what=f"{in_flight} in flight: {name}",
                value=outcome.rate * size,
                unit="/s",
                ratio=ratio,
                target=f">= {aim:g} x" if aimed else "",
                met=ratio >= (aim or 0) if aimed else None,
                latency_ms=(outcome.p50_ms, outcome.p90_ms, outcome.p99_ms),
                cpu_us=measured.cpu_us / size,
            )
        )
    return rows
