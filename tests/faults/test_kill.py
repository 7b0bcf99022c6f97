"""A server that is killed at any instant: what it had answered is on record, and it goes on from there.

Ten kills without a loss say that fewer than 3 in 10 lose an answer, with 95 % confidence (rule of three);
the long form, run by `make faults`, has 3,000 and says so of 1 in 1,000.
"""

import asyncio
import random
import signal
import time
from pathlib import Path

import pytest

from tests.databases import Database
from tests.faults.callers import SOMEBODY, Caller, Told, check_standing, load
from tests.faults.figures import Figures
from tests.faults.records import Record
from tests.faults.served import Served, served
from tests.service import copied, door, intact

SEED = 20260504
WHOM = ("decider", "decider", "decider", "door", "all")
"""Its decider more often: that costs the least time."""


async def kill(one: Served, caller: Caller, whom: str) -> bool:
    """Kills a process of it, or all; whether it serves again. Else nothing of it is left."""
    killed = one.signal(signal.SIGKILL, whom)
    while not await one.gone():
        if not {*killed} & {*one.processes()}:
            with caller.refusal():
                await caller.look(SOMEBODY)
                return True
        await asyncio.sleep(0.01)
    return False


async def survive(database: Database, folder: Path, *, rounds: int, seed: int = SEED) -> Figures:
    """Kills it so many times under load, and checks after each restart."""
    chance, policies = random.Random(seed), copied(folder, "20", "30", "80")
    figures, told, record = Figures("kills"), Told(), Record(database.url)
    settings = {"database": database.url, "policies": policies, "nursery": True}
    with served(folder, **settings) as one:

        def count(kind: str) -> None:
            figures.faults[f"{kind} ({database.kind})"] += 1
            if figures.faults.total() % 25 == 0:
                figures.tell(f"{figures.faults.total()} of {rounds} kills")

        while figures.faults.total() < rounds:
            figures.restarted(f"kill ({database.kind})", await one.start())
            async with door(one.address) as talk:
                await check_standing(talk, told)
            record.check(told)
            async with load(one.address, told) as (caller, *_):
                runs = True
                while runs and figures.faults.total() < rounds:
                    await asyncio.sleep(chance.uniform(0.02, 0.25))
                    whom = chance.choice(WHOM)
                    count(whom)
                    began = time.monotonic()
                    runs = await kill(one, caller, whom)
                    if runs:
                        figures.restarted(
                            f"kill of the decider ({database.kind})", time.monotonic() - began
                        )
            if chance.random() < 0.2:  # killed while it starts, or just after
                one.spawn()
                await asyncio.sleep(chance.uniform(0, 1.2))
                count("at start")
            one.signal(signal.SIGKILL, "door")  # its decider ends by itself
            await one.ended()
        await one.start()
        async with door(one.address) as talk:
            await check_standing(talk, told)
        record.check(told)
        assert one.metric("dmp_answered_without_record_total") == 0
    assert intact(database.url) > record.checked
    figures.answers, figures.refusals = record.checked, told.refusals
    return figures


@pytest.mark.timeout(300)
async def test_a_kill_loses_no_answer(blank, tmp_path):
    """Killed again and again at random instants under load, it has every answer on record, and one chain."""
    figures = await survive(blank, tmp_path, rounds=5)

    assert figures.answers > 50


@pytest.mark.slow
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("part", range(6))
async def test_many_kills_lose_no_answer(blank, tmp_path, part):
    """The same three thousand times."""
    figures = await survive(blank, tmp_path, rounds=250, seed=SEED + part)

    figures.save()
