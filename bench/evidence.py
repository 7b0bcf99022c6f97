"""What the evidence of a log costs: writing it, sealing it, verifying all of it, proving one entry."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from audit.database import reader, snapshot
from audit.entry import Entry, rfc3339, uuid7s
from audit.evidence import Evidence
from audit.inspection import inspect
from audit.log import Log
from audit.reader import read
from audit.receipts import receipt_of
from audit.sealing import Sealer
from audit.trusted import Trust
from authz.registry.database import migrate
from bench.report import Figure, Section, Tell
from bench.scale import Scale
from storage.database import connect

ORIGIN: Final = "bench/1"
BATCH: Final = 64
PROOFS: Final = 500
TARGET: Final = 100_000

_BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)


def run(scale: Scale, tell: Tell) -> list[Section]:
    """Measures a log of so many entries on SQLite."""
    count = max(BATCH, scale.entries // BATCH * BATCH)
    with TemporaryDirectory() as name:
        folder = Path(name)
        url, evidence = f"sqlite:///{folder}/log.db", Evidence(folder / "evidence", ORIGIN)
        evidence.make_key("bench.example/1", os.urandom)
        tell(f"evidence: writing {count:,} entries")
        figures = [_rate("append, a commit for each 64", count, lambda: _write(url, count))]
        tell("evidence: sealing and verifying")
        figures.append(_rate("seal", count, lambda: _seal(url, evidence)))
        for jobs, said in ((1, "one process"), (None, "all processors")):
            figures.append(_verified(url, evidence, jobs, f"verify, {said}", count))
        figures += _proofs(url, evidence, count)
    note = (
        f"{count // 100:,} patients; to verify is to derive chain, tree, tiles and patients again"
    )
    return [Section(title=f"Evidence of {count:,} entries", note=note, figures=tuple(figures))]


def _write(url: str, count: int) -> None:
    engine, log = connect(url), Log(ORIGIN)
    migrate(engine)
    with engine.connect() as conn:
        log.open(conn, random=os.urandom)
        conn.commit()
        for first in range(0, count, BATCH):
            at = _BEGIN + timedelta(milliseconds=first)
            log.append(conn, list(_drafts(first, at, count)), at=rfc3339(at), random=os.urandom)
            conn.commit()
            log.committed()
    engine.dispose()


def _drafts(first: int, at: datetime, count: int) -> Iterator[Entry]:
    ids = uuid7s(int(at.timestamp() * 1000), os.urandom(10 * BATCH))
    for number, id_ in enumerate(ids, first):
        who = f"8997{number % 1_000:08}"
        yield Entry(
            id=id_,
            kind="decision",
            call=id_,
            caller="dossier",
            subject={
                "kind": "professional",
                "id": who,
                "profession": "10",
                "structure": "10B0193488",
            },
            action="document.read",
            patient=f"{number % max(1, count // 100):022}",
            document={"id": f"{number:032x}", "type": "11488-4", "class": "11", "space": "reports"},
            origin={"author_structure": "10B0193488", "authors": [who]},
            mode="normal",
            facts=[1] * 24 + [who, [who], "10B0193488"] + [0] * 24,
            effect="allow",
            reason_code="AUTHORISED",
            rules=["read-authorised"],
            obligations=[],
            bundle="ab" * 32,
            revision=number,
        )


def _seal(url: str, evidence: Evidence) -> None:
    sealer = Sealer(reader(url), evidence)
    while sealer.step() is not None:
        pass
    sealer.close()


def _verified(url: str, evidence: Evidence, jobs: int | None, what: str, count: int) -> Figure:
    made = _rate(what, count, lambda: inspect(url, evidence, jobs=jobs))
    return Figure(
        what=made.what,
        value=made.value,
        unit=made.unit,
        target=f">= {TARGET:,}",
        met=made.value >= TARGET,
    )


def _proofs(url: str, evidence: Evidence, count: int) -> Iterator[Figure]:
    """Receipts, made and verified, of entries all over the log."""
    with snapshot(reader(url)) as conn:
        wanted = [
            next(iter(read(conn, origin=ORIGIN, start=number * count // PROOFS, limit=1)))
            for number in range(PROOFS)
        ]
    receipts = []
    yield _rate(
        "make a receipt",
        PROOFS,
        lambda: receipts.extend(receipt_of(one, evidence, None) for one in wanted),
        "receipts/s",
    )
    trust = Trust(logs=(evidence.verifier(),))
    yield _rate(
        "verify a receipt",
        PROOFS,
        lambda: [one.verify(trust) for one in receipts],
        "receipts/s",
    )


def _rate(what: str, count: int, work: Callable[[], object], unit: str = "entries/s") -> Figure:
    began = time.perf_counter()
    work()
    return Figure(what=what, value=count / (time.perf_counter() - began), unit=unit)
