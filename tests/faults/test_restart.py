"""After a kill the service is back soon, however long its log has grown."""

import os
import random
import signal
from datetime import timedelta
from typing import Final

import pytest

from audit.entry import Entry, rfc3339, uuid7
from audit.log import Log
from authz.registry.database import migrate
from storage.database import connect
from tests.databases import Database
from tests.faults.callers import SOMEBODY, Caller, Told, load
from tests.faults.figures import Figures
from tests.faults.records import Record
from tests.faults.served import served
from tests.service import NOW, door, entries, patient

FILLED_IN: Final = ("v", "index", "at", "salt", "patient_seq", "patient_prev")
BATCH: Final = 1_000
PATIENTS: Final = 100_000
ENTRIES: Final = 1_000_000
KILLS: Final = 20


def fill(url: str, template: Entry, count: int, figures: Figures) -> None:
    """Writes a long log as the service does, but faster: batch after batch, each a commit."""
    engine, log, chance = connect(url), Log("authz-1"), random.Random(0)
    migrate(engine)
    with engine.begin() as conn:
        log.open(conn, random=os.urandom)
    draft = {name: value for name, value in template.items() if name not in FILLED_IN}
    for number in range(count // BATCH):
        at = NOW + timedelta(seconds=number)
        instant = int(at.timestamp() * 1000)
        drafts = [
            {
                **draft,
                "id": uuid7(instant, os.urandom(10)),
                "patient": patient(chance.randrange(PATIENTS)),
            }
            for _ in range(BATCH)
        ]
        with engine.begin() as conn:
            log.append(conn, drafts, at=rfc3339(at), random=os.urandom)
        log.committed()
        if number % 100 == 99:
            figures.tell(f"{(number + 1) * BATCH:,} of {count:,} entries")
    engine.dispose()


@pytest.mark.slow
@pytest.mark.timeout(3_600)
async def test_back_soon_with_a_million_entries(blank: Database, tmp_path):
    """Killed under load with a million entries in its log, it serves again within moments."""
    figures, told = Figures(f"a million entries ({blank.kind})"), Told()
    with served(tmp_path, database=blank.url) as one:
        await one.start()
        async with door(one.address) as talk:
            await Caller(talk, told, "once").look(SOMEBODY)
        one.signal(signal.SIGKILL)
        await one.ended()
        fill(blank.url, entries(blank.url)[-1], ENTRIES, figures)
        record = Record(blank.url)
        for _ in range(KILLS):
            figures.restarted(f"kill, a million entries ({blank.kind})", await one.start())
            async with load(one.address, told) as (caller, *_):
                await caller.look_surely(SOMEBODY)
                figures.faults["all"] += 1
                one.signal(signal.SIGKILL)
                await one.ended()
        await one.start()
        record.check(told)
    figures.answers = record.checked
    figures.save()

    assert max(figures.restarts[f"kill, a million entries ({blank.kind})"]) < 30
