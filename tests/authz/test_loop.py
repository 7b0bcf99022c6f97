"""The decision loop: who is answered, when, and what happens to everyone else."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from authz import loop as loops
from authz.batch import Answer, Call, Item
from authz.errors import OverloadedError, UnavailableError, UnrecordableError
from authz.loop import Loop


class Batcher:
    """Stands in for the one that decides: it can be held up, and told to fail."""

    def __init__(self) -> None:
        self.batches: list[list[Item]] = []
        self.probes = 0
        self.free = threading.Event()
        self.free.set()
        self.fault: Callable[[Sequence[Item]], Exception | None] = lambda _: None
        self.committed: list[Item] = []

    def run(self, items: Sequence[Item]) -> list[Answer]:
        self.batches.append(list(items))
        self.free.wait()
        if error := self.fault(items):
            raise error
        self.committed += items
        return [(item,) for item in items]

    def probe(self) -> None:
        self.probes += 1
        if error := self.fault(()):
            raise error


class World:
    """A loop on such a batcher, and what it said of its health."""

    def __init__(self) -> None:
        self.batcher = Batcher()
        self.health: list[tuple[bool, str]] = []
        self.loop = Loop(self.batcher, on_health=lambda *said: self.health.append(said))
        self.running = asyncio.create_task(self.loop.run())

    async def ask(self, count: int = 1, size: int = 1) -> list[asyncio.Task[Answer]]:
        """Submits so many calls of so many queries each."""
        calls = [Call(tuple(range(size))) for _ in range(count)]
        tasks = [asyncio.create_task(self.loop.submit(call)) for call in calls]
        await asyncio.sleep(0.01)
        return tasks


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    made.batcher.free.set()
    await made.loop.close()
    await asyncio.wait_for(made.running, 5)


async def results(tasks: Sequence[asyncio.Task[Answer]]) -> list[object]:
    """The answers, or the classes of the errors."""
    done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    return [type(one) if isinstance(one, BaseException) else one for one in done]


async def test_nobody_is_answered_before_the_commit():
    """While a batch is being committed none of its callers has an answer."""
    async with world() as w:
        w.batcher.free.clear()
        tasks = await w.ask(3)

        before = [task.done() for task in tasks]
        w.batcher.free.set()

        await results(tasks)
        assert before == [False] * 3
        assert len(w.batcher.committed) == 3


async def test_what_waits_is_the_next_batch():
    """Whatever came during a commit is decided together, in the order in which it came."""
    async with world() as w:
        w.batcher.free.clear()
        first = await w.ask()
        rest = await w.ask(5)
        w.batcher.free.set()

        await results(first + rest)

        assert [len(batch) for batch in w.batcher.batches] == [1, 5]


async def test_each_caller_gets_its_own_answer():
    """Answers go to those who asked, whatever the batch."""
    async with world() as w:
        calls = [Call((number,)) for number in range(700)]

        answers = await asyncio.gather(*map(w.loop.submit, calls))

        assert answers == [(call,) for call in calls]


async def test_a_batch_has_a_limit_and_no_call_is_split():
    """Batches stay below the limit, but a call that is larger is a batch of its own."""
    async with world() as w:
        w.batcher.free.clear()
        tasks = await w.ask()
        tasks += await w.ask(2, size=200)
        tasks += await w.ask(1, size=1_000)
        tasks += await w.ask(2, size=100)
        w.batcher.free.set()

        await results(tasks)

        sizes = [[len(call.queries) for call in batch] for batch in w.batcher.batches]
        assert sizes == [[1], [200], [200], [1_000], [100, 100]]


async def test_what_can_not_be_recorded_is_not_answered():
    """When the log fails, everyone in the batch is told so, and health says it with the cause."""
    async with world() as w:
        w.batcher.fault = lambda _: UnavailableError("disk full")

        outcome = await results(await w.ask(3))

        assert outcome == [UnavailableError] * 3
        assert w.health == [(False, "disk full")]


async def test_the_loop_recovers_by_itself(monkeypatch):
    """It probes while nobody asks, and says once that it is well again."""
    monkeypatch.setattr(loops, "PROBE_S", 0.01)
    async with world() as w:
        w.batcher.fault = lambda _: UnavailableError("disk full")
        await results(await w.ask())
        await asyncio.sleep(0.05)
        failing = w.batcher.probes

        w.batcher.fault = lambda _: None
        await asyncio.sleep(0.05)

        assert failing > 1
        assert w.health == [(False, "disk full"), (True, "")]
        assert len(await results(await w.ask())) == 1


async def test_a_caller_may_be_the_probe():
    """A request that succeeds after a failure says that all is well, before any probe."""
    async with world() as w:
        w.batcher.fault = lambda _: UnavailableError("locked")
        await results(await w.ask())
        w.batcher.fault = lambda _: None

        await results(await w.ask())

        assert [well for well, _ in w.health] == [False, True]


async def test_one_bad_item_costs_the_others_nothing():
    """An item that can't be recorded is found and refused; all the others are answered."""
    async with world() as w:
        w.batcher.free.clear()
        blocker = await w.ask()
        bad = Call(("bad",))
        calls = [Call((n,)) for n in range(50)] + [bad] + [Call((n,)) for n in range(50)]
        w.batcher.fault = lambda items: UnrecordableError("bad") if bad in items else None
        tasks = [asyncio.create_task(w.loop.submit(call)) for call in calls]
        await asyncio.sleep(0.01)
        w.batcher.free.set()

        outcome = await results(tasks)

        assert outcome == [UnrecordableError if call is bad else (call,) for call in calls]
        assert w.batcher.committed[1:] == [call for call in calls if call is not bad]
        assert w.health == []
        await results(blocker)


async def test_an_unexpected_error_does_not_end_the_loop():
    """Whatever the batcher raises, callers are told and the next ones are served."""
    async with world() as w:
        w.batcher.fault = lambda _: ZeroDivisionError("oops")
        first = await results(await w.ask(2))
        w.batcher.fault = lambda _: None

        second = await results(await w.ask())

        assert first == [UnavailableError] * 2
        assert second == [(w.batcher.batches[-1][0],)]


async def test_who_leaves_before_its_turn_is_not_decided_for():
    """A call that was cancelled while it waited never reaches the batcher."""
    async with world() as w:
        w.batcher.free.clear()
        blocker = await w.ask()
        left, stayed = await w.ask(2)

        left.cancel()
        await asyncio.sleep(0.01)
        w.batcher.free.set()

        await results([*blocker, stayed])
        assert [len(batch) for batch in w.batcher.batches] == [1, 1]


async def test_who_leaves_in_the_middle_harms_nobody():
    """A caller that is gone when the commit ends has its entry; the others have their answers."""
    async with world() as w:
        w.batcher.free.clear()
        blocker = await w.ask()
        tasks = await w.ask(3)
        w.batcher.free.set()
        await results(blocker)
        w.batcher.free.clear()
        tasks += await w.ask(3)
        tasks[4].cancel()
        w.batcher.free.set()

        outcome = await results(tasks)

        assert [one is asyncio.CancelledError for one in outcome] == [
            place == 4 for place in range(6)
        ]


async def test_too_many_waiting_are_turned_away(monkeypatch):
    """Beyond the limit a call is refused at once; when the queue is shorter, calls are taken again."""
    monkeypatch.setattr(loops, "WAITING", 10)
    async with world() as w:
        w.batcher.free.clear()
        blocker = await w.ask()
        tasks = await w.ask(2, size=5)

        with pytest.raises(OverloadedError, match="10 requests are waiting, at most 10 may"):
            await w.loop.submit(Call((1,)))

        tasks[0].cancel()
        w.batcher.free.set()
        await results([*blocker, *tasks])
        assert len(await results(await w.ask())) == 1


async def test_close_answers_what_waits_and_takes_nothing_more():
    """Everything that was accepted is decided before the loop ends; later calls are refused."""
    w = World()
    w.batcher.free.clear()
    tasks = await w.ask(3)

    await w.loop.close()
    with pytest.raises(UnavailableError, match="stopping"):
        await w.loop.submit(Call((1,)))
    w.batcher.free.set()

    assert all(isinstance(one, tuple) for one in await results(tasks))
    await asyncio.wait_for(w.running, 5)


async def test_close_ends_a_loop_that_can_not_write(monkeypatch):
    """A failing log does not keep the service from stopping."""
    monkeypatch.setattr(loops, "PROBE_S", 0.01)
    w = World()
    w.batcher.fault = lambda _: UnavailableError("disk full")
    await results(await w.ask())
    await asyncio.sleep(0.03)

    await w.loop.close()

    await asyncio.wait_for(w.running, 5)


async def test_a_loop_that_is_killed_leaves_nobody_waiting():
    """When its task is cancelled, everyone who was accepted is told that there is no answer."""
    w = World()
    w.batcher.free.clear()
    tasks = await w.ask()
    tasks += await w.ask(3)

    w.running.cancel()

    assert await results(tasks) == [UnavailableError] * 4
    w.batcher.free.set()


async def test_the_event_loop_is_free_while_a_batch_is_written():
    """Deciding and writing take place in a thread of their own, always the same one."""
    async with world() as w:
        threads = set()
        w.batcher.fault = lambda _: threads.add(threading.current_thread().name)
        w.batcher.free.clear()
        tasks = await w.ask()

        ticks = 0
        for _ in range(20):
            await asyncio.sleep(0)
            ticks += 1
        w.batcher.free.set()
        await results(tasks + await w.ask())

        assert ticks == 20
        assert threads == {"decide_0"}
