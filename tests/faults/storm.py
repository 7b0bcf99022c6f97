"""One fault after another under load, each of which must heal by itself and lose nothing."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from tests.faults.callers import SOMEBODY, Told, check_standing, load
from tests.faults.figures import Figures
from tests.faults.records import Record
from tests.faults.served import Served
from tests.service import door, intact

Fault = Callable[[], Awaitable[None]]
"""Does harm; its cause is gone again when it returns."""

CHECK_EVERY: Final = 10


async def storm(
    one: Served,
    url: str,
    faults: Mapping[str, Fault],
    *,
    rounds: int,
    figures: Figures,
    seed: int = 0,
) -> None:
    """Lets so many faults come over a service that runs, each kind at least once; then all is checked.

    Args:
        one: the service.
        url: its database, as the test reaches it.
        faults: by their names.
        rounds: how many.
        figures: where they are counted.
        seed: of the order and the moments.
    """
    chance, told, record = random.Random(seed), Told(), Record(url)
    names = list(faults)
    async with load(one.address, told) as (caller, *_):
        for turn in range(rounds):
            await asyncio.sleep(chance.uniform(0.05, 0.25))
            name = names[turn] if turn < len(names) else chance.choice(names)
            await faults[name]()
            over = time.monotonic()
            await caller.look_surely(SOMEBODY)
            figures.faults[name] += 1
            figures.restarted(name, time.monotonic() - over)
            if turn % CHECK_EVERY == CHECK_EVERY - 1:
                record.check(told)
                figures.tell(f"{turn + 1} of {rounds} faults")
    await one.serving()
    async with door(one.address) as talk:
        await check_standing(talk, told)
    record.check(told)
    assert one.metric("dmp_answered_without_record_total") == 0
    assert intact(url) > record.checked
    figures.answers, figures.refusals = record.checked, told.refusals
