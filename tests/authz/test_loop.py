"""The decision loop: who is answered, when, and what happens to everyone else."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from authz import loop as loops
from authz import waiting
from authz.bundle import Summary
from authz.decider import Item, Report
from authz.errors import LateError, OverloadedError, UnavailableError, UnrecordableError
from authz.loop import Loop
from authz.procedures import Answered, Asked
from serving.clock import boottime
from serving.errors import RequestError

BUNDLE = Summary("0" * 64, 1, 1, 1)


def call(name: object, caller: str = "dossier") -> Asked:
    return Asked("Check", str(name).encode(), caller)


def answer(asked: Asked, *, changed: bool = False) -> Answered:
    return Answered(b"answer to " + asked.data, 1, 0, changed)


class Decider:
    """Stands in for the one that decides: it can be held up, and told to fail."""

    def __init__(self) -> None:
        self.batches: list[list[Item]] = []
        self.probes = self.confirmed = 0
        self.free = asyncio.Event()
        self.free.set()
        self.fault: Callable[[Sequence[Item]], Exception | None] = lambda _: None
        self.committed: list[Item] = []
        self.ages: list[float] = []
        self.changed = False

    async def run(self, items: Sequence[Item]) -> Report:
        if not items:
            self.confirmed += 1
        else:
            self.batches.append(list(items))
        await self.free.wait()
        if error := self.fault(items):
            raise error
        self.committed += items
        age = self.ages.pop(0) if self.ages else 0.0
        outcomes = [answer(item, changed=self.changed) for item in items]
        return Report(outcomes, BUNDLE, len(self.committed), boottime() - age)

    async def probe(self) -> None:
        self.probes += 1
        if error := self.fault(()):
            raise error


class World:
    """A loop on such a decider, and what it said of its health."""

    def __init__(self) -> None:
        self.decider = Decider()
        self.health: list[tuple[bool, str]] = []
        self.loop = Loop(
            self.decider,
            bundle=BUNDLE,
            on_health=lambda error: self.health.append((error is None, str(error or ""))),
        )
        self.running = asyncio.create_task(self.loop.run())

    async def ask(
        self, count: int = 1, size: int = 1, **how: object
    ) -> list[asyncio.Task[Answered]]:
        """Submits so many calls of so many requests each."""
        tasks = [
            asyncio.create_task(self.loop.submit(call(n), weight=size, **how)) for n in range(count)
        ]
        await asyncio.sleep(0.01)
        return tasks


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    made.decider.free.set()
    await made.loop.close()
    await asyncio.wait_for(made.running, 5)


async def results(tasks: Sequence[asyncio.Task[Answered]]) -> list[object]:
    """The answers, or the classes of the errors."""
    done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    return [type(one) if isinstance(one, BaseException) else one for one in done]


async def test_nobody_is_answered_before_the_commit():
    """While a batch is being committed none of its callers has an answer."""
    async with world() as w:
        w.decider.free.clear()
        tasks = await w.ask(3)

        before = [task.done() for task in tasks]
        w.decider.free.set()

        await results(tasks)
        assert before == [False] * 3
        assert len(w.decider.committed) == 3


async def test_what_waits_is_the_next_batch():
    """Whatever came during a commit is decided together, in the order in which it came."""
    async with world() as w:
        w.decider.free.clear()
        first = await w.ask()
        rest = await w.ask(5)
        w.decider.free.set()

        await results(first + rest)

        assert [len(batch) for batch in w.decider.batches] == [1, 5]


async def test_each_caller_gets_its_own_answer():
    """Answers go to those who asked, whatever the batch."""
    async with world() as w:
        calls = [call(number) for number in range(700)]

        answers = await asyncio.gather(*map(w.loop.submit, calls))

        assert answers == [answer(one) for one in calls]


async def test_a_batch_has_a_limit_and_no_call_is_split():
    """Batches stay below the limit, but a call that is larger is a batch of its own."""
    async with world() as w:
        w.decider.free.clear()
        tasks = await w.ask()
        tasks += await w.ask(2, size=200)
        tasks += await w.ask(1, size=1_000)
        tasks += await w.ask(2, size=100)
        w.decider.free.set()

        await results(tasks)

        assert [len(batch) for batch in w.decider.batches] == [1, 1, 1, 1, 2]


async def test_what_can_not_be_recorded_is_not_answered():
    """When the log fails, everyone in the batch is told so, and health says it with the cause."""
    async with world() as w:
        w.decider.fault = lambda _: UnavailableError("disk full")

        outcome = await results(await w.ask(3))

        assert outcome == [UnavailableError] * 3
        assert w.health == [(False, "disk full")]


async def test_the_loop_recovers_by_itself(monkeypatch):
    """It probes while nobody asks, and says once that it is well again."""
    monkeypatch.setattr(loops, "PROBE_S", 0.01)
    async with world() as w:
        w.decider.fault = lambda _: UnavailableError("disk full")
        await results(await w.ask())
        await asyncio.sleep(0.05)
        failing = w.decider.probes

        w.decider.fault = lambda _: None
        await asyncio.sleep(0.05)

        assert failing > 1
        assert w.health == [(False, "disk full"), (True, "")]
        assert len(await results(await w.ask())) == 1


async def test_a_caller_may_be_the_probe():
    """A request that succeeds after a failure says that all is well, before any probe."""
    async with world() as w:
        w.decider.fault = lambda _: UnavailableError("locked")
        await results(await w.ask())
        w.decider.fault = lambda _: None

        await results(await w.ask())

        assert [well for well, _ in w.health] == [False, True]


async def test_one_bad_item_costs_the_others_nothing():
    """An item that can't be recorded is found and refused; all the others are answered."""
    async with world() as w:
        w.decider.free.clear()
        blocker = await w.ask()
        bad = call("bad")
        calls = [call(n) for n in range(50)] + [bad] + [call(n) for n in range(50)]
        w.decider.fault = lambda items: UnrecordableError("bad") if bad in items else None
        tasks = [asyncio.create_task(w.loop.submit(one)) for one in calls]
        await asyncio.sleep(0.01)
        w.decider.free.set()

        outcome = await results(tasks)

        assert outcome == [UnrecordableError if one is bad else answer(one) for one in calls]
        assert w.decider.committed[1:] == [one for one in calls if one is not bad]
        assert w.health == []
        await results(blocker)


async def test_an_unexpected_error_does_not_end_the_loop():
    """Whatever the batcher raises, callers are told and the next ones are served."""
    async with world() as w:
        w.decider.fault = lambda _: ZeroDivisionError("oops")
        first = await results(await w.ask(2))
        w.decider.fault = lambda _: None

        second = await results(await w.ask())

        assert first == [UnavailableError] * 2
        assert second == [answer(w.decider.batches[-1][0])]


async def test_who_leaves_before_its_turn_is_not_decided_for():
    """A call that was cancelled while it waited never reaches the batcher."""
    async with world() as w:
        w.decider.free.clear()
        blocker = await w.ask()
        left, stayed = await w.ask(2)

        left.cancel()
        await asyncio.sleep(0.01)
        w.decider.free.set()

        await results([*blocker, stayed])
        assert [len(batch) for batch in w.decider.batches] == [1, 1]


async def test_who_leaves_in_the_middle_harms_nobody():
    """A caller that is gone when the commit ends has its entry; the others have their answers."""
    async with world() as w:
        w.decider.free.clear()
        blocker = await w.ask()
        tasks = await w.ask(3)
        w.decider.free.set()
        await results(blocker)
        w.decider.free.clear()
        tasks += await w.ask(3)
        tasks[4].cancel()
        w.decider.free.set()

        outcome = await results(tasks)

        assert [one is asyncio.CancelledError for one in outcome] == [
            place == 4 for place in range(6)
        ]


async def test_too_many_waiting_are_turned_away(monkeypatch):
    """Beyond the limit a call is refused at once; when the queue is shorter, calls are taken again."""
    monkeypatch.setattr(waiting, "LIMIT", 10)
    monkeypatch.setattr(waiting, "EMERGENCY_SHARE", 0)
    async with world() as w:
        w.decider.free.clear()
        blocker = await w.ask()
        tasks = await w.ask(2, size=5)

        with pytest.raises(OverloadedError, match="10 requests are waiting, at most 10 may"):
            await w.loop.submit(call(1))

        tasks[0].cancel()
        w.decider.free.set()
        await results([*blocker, *tasks])
        assert len(await results(await w.ask())) == 1


async def test_close_answers_what_waits_and_takes_nothing_more():
    """Everything that was accepted is decided before the loop ends; later calls are refused."""
    w = World()
    w.decider.free.clear()
    tasks = await w.ask(3)

    await w.loop.close()
    with pytest.raises(UnavailableError, match="stopping"):
        await w.loop.submit(call(1))
    w.decider.free.set()

    assert all(isinstance(one, Answered) for one in await results(tasks))
    await asyncio.wait_for(w.running, 5)


async def test_close_ends_a_loop_that_can_not_write(monkeypatch):
    """A failing log does not keep the service from stopping."""
    monkeypatch.setattr(loops, "PROBE_S", 0.01)
    w = World()
    w.decider.fault = lambda _: UnavailableError("disk full")
    await results(await w.ask())
    await asyncio.sleep(0.03)

    await w.loop.close()

    await asyncio.wait_for(w.running, 5)


async def test_a_loop_that_is_killed_leaves_nobody_waiting():
    """When its task is cancelled, everyone who was accepted is told that there is no answer."""
    w = World()
    w.decider.free.clear()
    tasks = await w.ask()
    tasks += await w.ask(3)

    w.running.cancel()

    assert await results(tasks) == [UnavailableError] * 4
    w.decider.free.set()


async def test_an_answer_that_rests_on_old_facts_is_decided_again():
    """Held up for longer than two seconds, a decision is made anew, and only that one is given."""
    async with world() as w:
        w.decider.ages = [2.5, 60.0]

        answers = await results(await w.ask(3))

        assert answers == [answer(call(n)) for n in range(3)]
        assert [len(batch) for batch in w.decider.batches] == [3, 3, 3]


async def test_a_change_is_not_made_twice():
    """What was changed is answered however late: it can't have been overtaken."""
    async with world() as w:
        w.decider.ages, w.decider.changed = [60.0], True

        answers = await results(await w.ask())

        assert answers == [answer(call(0), changed=True)]
        assert len(w.decider.batches) == 1


async def test_who_has_no_time_left_is_not_decided_for():
    """A call whose deadline is over when its turn comes is told so, and leaves no entry."""
    async with world() as w:
        w.decider.free.clear()
        blocker = await w.ask()
        late = await w.ask(until=asyncio.get_running_loop().time() + 0.001)
        w.decider.free.set()

        outcome = await results([*late, *blocker])

        assert outcome == [LateError, answer(call(0))]
        assert len(w.decider.committed) == 1


async def test_a_malformed_call_harms_nobody():
    """It gets its error, in a batch whose other calls are answered."""
    async with world() as w:
        bad = RequestError([("action", "missing", "name one")])
        run = w.decider.run

        async def some_are_bad(items: Sequence[Item]) -> Report:
            report = await run(items)
            report.outcomes[1:3] = [bad, None]
            return report

        w.decider.run = some_are_bad

        outcome = await results(await w.ask(4))

        assert outcome == [answer(call(0)), RequestError, RuntimeError, answer(call(3))]


async def test_emergencies_go_first():
    """What is urgent is in the next batch, however many wait before it."""
    async with world() as w:
        w.decider.free.clear()
        blocker = await w.ask()
        many = await w.ask(600)
        urgent = asyncio.create_task(w.loop.submit(call("samu"), urgent=True))
        await asyncio.sleep(0.01)
        w.decider.free.set()

        await results([*blocker, *many, urgent])

        assert w.decider.batches[1][0] == call("samu")


async def test_an_idle_loop_finds_out_whether_it_could_answer(monkeypatch):
    """While nobody asks it looks; when that fails health says so, and a probe brings it back."""
    monkeypatch.setattr(loops, "CONFIRM_S", 0.01)
    monkeypatch.setattr(loops, "PROBE_S", 0.01)
    async with world() as w:
        await asyncio.sleep(0.05)
        looked = w.decider.confirmed

        w.decider.fault = lambda _: UnavailableError("unreachable")
        await asyncio.sleep(0.05)
        w.decider.fault = lambda _: None
        await asyncio.sleep(0.05)

        assert looked > 0
        assert w.decider.batches == []
        assert w.health == [(False, "unreachable"), (True, "")]


async def test_one_who_does_not_decide_is_not_well(monkeypatch):
    """A batch that takes too long is told in health before it ends, and again when it has."""
    monkeypatch.setattr(loops, "MAX_AGE_S", 0.02)
    async with world() as w:
        w.decider.changed = True
        w.decider.free.clear()
        tasks = await w.ask()
        await asyncio.sleep(0.05)
        meanwhile = list(w.health)
        w.decider.free.set()

        await results(tasks)

        assert [well for well, _ in meanwhile] == [False]
        assert [well for well, _ in w.health] == [False, True]
