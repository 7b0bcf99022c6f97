"""Audits that are killed while they follow a log that grows: nothing may be lost, nothing taken twice."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

from sqlalchemy import func, select

from audit.checkpoint import opened as checkpoint
from audit.database import reader
from audit.entry import rfc3339
from audit.evidence import Evidence
from audit.office.database import alone, opened
from audit.office.derived import derivations
from audit.office.following import Following
from audit.office.handles import Handles
from audit.office.index import Index
from audit.office.indexing import Indexing
from audit.office.metrics import Metrics
from audit.office.part import read_ends
from audit.office.sealing import Sealing
from audit.office.tables import entries, metadata, positions, words
from audit.trusted import Trust
from audit.verify import verify
from serving.clock import utc_now
from serving.servicelog import configure
from tests.audit.office.served import settings_of
from tests.audit.office.world import follow
from tests.audit.world import ORIGIN, draft
from tests.audit.world import opened as log_opened
from tests.shared import ROOT

PATIENCE_S = 60
BEGAN, SECOND = datetime(2026, 11, 18, tzinfo=UTC), timedelta(seconds=1)
EMERGENCY = {
    "mode": "bris_de_glace",
    "action": "document.read",
    "reason": {"code": "risque_vital", "text": "inconscient"},
}

NURSERY = """
import os, sys
from tests.audit.office.killed import child

for line in sys.stdin:
    pid = os.fork()
    if not pid:
        child(*line.split())
    os.write(1, f"{pid}\\n".encode())
    os.waitpid(pid, 0)
    os.write(1, b"dead\\n")
"""


def child(url, index, evidence, key):
    """An audit without a door, until it is killed; tells when it follows."""
    configure()
    with alone(index), following(url, index, evidence, key) as both:
        both.start()
        Event().wait()


@contextmanager
def following(url, index, evidence, key):
    """Both that follow a log, with an index of theirs."""
    engine, handles, metrics = opened(index), Handles.kept(Path(key)), Metrics()
    both = Following(
        Indexing(
            reader(url),
            metrics,
            index=Index(engine, handles, derivations(handles, reader(url))),
            clock=utc_now,
        ),
        Sealing(
            reader(url),
            metrics,
            evidence=Path(evidence),
            trust=Trust(),
            prefix="dmp.test/",
            clock=utc_now,
        ),
        metrics,
    )
    try:
        yield both
    finally:
        both.stop()
        engine.dispose()


def told(engine):
    """All that the index says, with texts in place of their numbers, which are given as they come."""
    with engine.connect() as conn:
        texts = dict(conn.execute(select(words.c.number, words.c.text)).all())
        found = {}
        for table in metadata.sorted_tables:
            if table is words:
                continue
            rows = [row._mapping for row in conn.execute(select(table))]
            if table is entries:
                numbers = (
                    "kind",
                    "caller",
                    "action",
                    "mode",
                    "effect",
                    "reason",
                    "rules",
                    "bundle",
                )
                rows = [{**row, **{name: texts[row[name]] for name in numbers}} for row in rows]
            found[table.name] = sorted(tuple(sorted(row.items())) for row in map(dict, rows))
    return found


def survive(conn, url, folder, *, kills, seed=0):
    """Kills an audit so many times while its log grows; how many entries there are in the end."""
    chance, settings = random.Random(seed), settings_of(folder, url)
    given = (url, settings.index, str(settings.evidence), str(settings.key))
    engine, log = opened(settings.index), log_opened(conn)
    stored = batch = 0
    with subprocess.Popen(
        [sys.executable, "-c", NURSERY],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as nursery:
        for _ in range(kills):
            print(*given, file=nursery.stdin, flush=True)
            pid = int(nursery.stdout.readline())
            end = time.monotonic() + chance.uniform(0, 0.6)
            while time.monotonic() < end:
                size, batch = chance.choice((1, 3, 40)), batch + 1
                drafts = [some(chance) for _ in range(size)]
                log.append(conn, drafts, at=rfc3339(BEGAN + batch * SECOND), random=os.urandom)
                conn.commit()
                log.committed()
                stored += size
                time.sleep(chance.uniform(0, 0.03))
            os.kill(pid, signal.SIGKILL)
            assert nursery.stdout.readline() == "dead\n"
            with engine.connect() as index:
                taken = index.scalar(select(func.coalesce(func.sum(positions.c.next_index), 0)))
                assert index.scalar(select(func.count()).select_from(entries)) == taken <= stored
            sealed(settings.evidence, stored)
        nursery.stdin.close()
    check(url, given, engine, stored)
    return stored


def check(url, given, engine, stored):
    """Lets it catch up: the index is the one that is made at once, and the tree is that of the log."""
    with following(*given) as both:
        both.start()
        end = time.monotonic() + PATIENCE_S
        while both.indexing.taken.get(ORIGIN) != stored or both.standing().sealed != stored:
            assert time.monotonic() < end, (both.standing(), both.indexing.progress)
            time.sleep(0.02)
    found = told(engine)
    handles = Handles.kept(Path(given[3]))
    again = Index(engine, handles, derivations(handles, reader(url)))
    again.clear()
    assert follow(again, url) == stored
    assert told(engine) == found
    engine.dispose()
    with reader(url).connect() as log:
        assert verify(log, ORIGIN).count == read_ends(log)[ORIGIN] == stored
    assert sealed(Path(given[2]), stored) == stored


def sealed(folder, stored):
    """How many entries are under the published checkpoint, which its key has signed; 0 before the first."""
    evidence = Evidence(folder, ORIGIN)
    note = evidence.checkpoint()
    if note is None:
        return 0
    size = checkpoint(note, [evidence.verifier()]).checkpoint.size
    assert size <= stored
    return size


def some(chance):
    """An entry of somebody about somebody, an emergency among others."""
    return draft(f"{chance.randrange(20):022}", **(EMERGENCY if chance.random() < 0.2 else {}))
