"""More callers than there is room for: they are told to come again, nobody loses, memory stays bounded."""

import asyncio
import time
from collections.abc import Iterator
from typing import Final

import pytest

from tests.databases import Server, server
from tests.faults.callers import Caller, Told, at_work
from tests.faults.figures import Figures
from tests.faults.records import Record
from tests.faults.served import Served
from tests.faults.test_postgresql import Harm, apart
from tests.service import POLICIES, copied, door, intact, patient

CALLERS: Final = 30
AT_ONCE: Final = 1_000
ROOM_MIB: Final = 400
"""By so much memory may grow, whatever happens: what waits is bounded."""


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """A server for these tests alone."""
    with server() as made:
        yield made


async def press(caller: Caller, whose: str) -> None:
    """Asks a thousand things at once, for ever, and at most twice a second."""
    while True:
        with caller.refusal():
            await caller.look_often(whose, AT_ONCE)
        await asyncio.sleep(0.5)


async def overload(
    one: Served, harm: Harm, url: str, figures: Figures, *, holds: int, hold_s: float
) -> list[float]:
    """Presses while the database stands still for a time, again and again; the memory at each second."""
    told, record, memory = Told(), Record(url), [one.resident_mib()]
    async with door(one.address) as talk:
        callers = [Caller(talk, told, "press") for _ in range(CALLERS)]
        work = [press(caller, patient(n)) for n, caller in enumerate(callers)]
        async with at_work(*work):
            for number in range(holds):
                harm.way.hold()
                until = time.monotonic() + hold_s
                while time.monotonic() < until:
                    await asyncio.sleep(1)
                    memory.append(one.resident_mib())
                harm.way.release()
                await callers[0].look_surely(patient(0))
                memory.append(one.resident_mib())
                record.check(told)
                figures.faults["database held under overload"] += 1
                figures.tell(f"{number + 1} of {holds} times, {memory[-1]:.0f} MiB")
        await callers[0].look_surely(patient(0))
    record.check(told)
    assert told.refusals["RESOURCE_EXHAUSTED"] > 0
    assert one.metric("dmp_answered_without_record_total") == 0
    assert intact(url) > record.checked
    figures.answers, figures.refusals = record.checked, told.refusals
    figures.other["MiB resident before an overload"] = memory[0]
    figures.other["MiB resident at most under overload"] = max(memory)
    return memory


@pytest.mark.timeout(180)
async def test_an_overload_is_told(own, tmp_path):
    """With the database held and thousands of requests waiting, callers are told when to ask again."""
    figures = Figures("overload")
    async with apart(own, tmp_path, copied(tmp_path, "20", "30")) as (one, harm, url):
        memory = await overload(one, harm, url, figures, holds=1, hold_s=8)

    assert max(memory) - memory[0] < ROOM_MIB


@pytest.mark.slow
@pytest.mark.timeout(3_600)
async def test_a_long_overload_takes_no_more_memory(own, tmp_path):
    """Ten minutes of it take no more memory than the first two."""
    figures = Figures("overload")
    async with apart(own, tmp_path, POLICIES) as (one, harm, url):
        memory = await overload(one, harm, url, figures, holds=30, hold_s=18)

    assert max(memory) - memory[0] < ROOM_MIB
    fifth = len(memory) // 5
    assert max(memory[-fifth:]) < max(memory[:fifth]) + 40
    figures.save()
