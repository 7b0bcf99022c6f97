"""The decider in a process of its own: what it answers, and what happens when one of the two ends."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from authz import product
from authz.apart import Apart
from authz.batch import Activation
from authz.decider import Decider
from authz.errors import UnavailableError
from authz.procedures import Asked, measure
from authz.v1 import authz_pb2 as pb
from serving.errors import RequestError
from storage.errors import DatabaseError
from tests.service import (
    ANASTA,
    bundle_of,
    copied,
    doctor,
    door,
    entries,
    intact,
    opening,
    patient,
    process,
    reading,
    until,
)

NOISE = b"\xff\xff"


def asked(message: object, rpc: str = product.CHECK) -> Asked:
    return Asked(rpc, message.SerializeToString(), "operator")


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/authz.db"


@pytest.fixture
async def apart(url) -> AsyncIterator[Apart]:
    made = Apart(database=url, origin="authz-1")
    await made.start()
    await made.open(bundle_of().content)
    yield made
    await made.close()


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(one) for one in found.split()]


async def gone(pid: int) -> None:
    async def is_gone() -> bool:
        return not alive(pid)

    await until(is_gone)


async def test_it_answers_as_one_in_this_process_does(apart, tmp_path):
    """The same calls get the same outcomes, whether they cross a process boundary or not."""
    calls = [
        asked(reading()),
        Asked(product.CHECK, NOISE, "operator"),
        asked(opening(), product.CHANGE),
        asked(pb.CheckBatchRequest(checks=[reading(), reading(doctor())]), product.CHECK_BATCH),
        asked(reading(whose="12")),
    ]
    here = Decider.open(
        database=f"sqlite:///{tmp_path}/other.db", origin="authz-1", bundle=bundle_of()
    )

    there = await apart.run(calls)

    expected = here.run(calls)
    here.close()
    assert [kind(one) for one in there.outcomes] == [kind(one) for one in expected.outcomes]
    assert there.bundle == bundle_of().summary
    assert there.revision == expected.revision


def kind(outcome: object) -> object:
    """What an outcome amounts to, without ids and instants."""
    if isinstance(outcome, RequestError):
        return outcome.violations
    return (outcome.allowed, outcome.denied, outcome.changed)


async def test_a_bundle_crosses_the_boundary(apart, url, tmp_path):
    """What is activated decides from the next call on, and stands in the log."""
    other = bundle_of(copied(tmp_path, "10", "20"))

    report = await apart.run([Activation(other, "test")])

    assert report.bundle == other.summary
    assert entries(url)[-1]["change"]["after"] == other.digest


async def test_a_decider_that_is_killed_is_started_again(apart, url, tmp_path):
    """What was under way has no answer; after that calls are answered, under the same bundle."""
    other = bundle_of(copied(tmp_path, "10", "20"))
    await apart.run([Activation(other, "test")])
    apart._process.kill()

    with pytest.raises(UnavailableError, match="the decider has ended"):
        await apart.run([asked(reading())])
    report = await apart.run([asked(reading())])

    assert report.outcomes[0].denied == 1
    assert report.bundle == other.summary
    await apart.close()
    assert intact(url) == len(entries(url))


async def test_a_call_that_is_given_up_does_not_shift_the_answers(apart):
    """After a caller was cancelled in the middle, the next one gets its own answer."""
    task = asyncio.create_task(apart.run([asked(opening(), product.CHANGE)]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    report = await apart.run([asked(reading()), asked(reading(whose=patient(3)))])

    assert len(report.outcomes) == 2


@pytest.mark.parametrize("database", ["mysql://x/y", "sqlite:////proc/none/authz.db"])
async def test_a_database_that_can_not_be_used_is_told(database):
    """The reason crosses the boundary, and no process stays behind."""
    made = Apart(database=database, origin="authz-1")
    await made.start()

    with pytest.raises(DatabaseError, match=r"mysql|authz\.db"):
        await made.open(bundle_of().content)

    pid = made._process.pid
    await made.close()
    assert not alive(pid)


async def test_the_decider_ends_with_the_door(tmp_path):
    """When the process that serves is killed, the one that decides ends too."""
    with process(tmp_path) as started:
        assert started.address
        (decider,) = children(started.popen.pid)
        started.signal(signal.SIGKILL)
        await gone(decider)

    assert not alive(decider)


async def test_the_door_outlives_the_decider(tmp_path):
    """A decider that was killed is replaced by itself: UNAVAILABLE for a moment, then answers."""
    with process(tmp_path) as started:
        async with door(started.address) as one:
            await one.change(opening())
            (first,) = children(started.popen.pid)
            os.kill(first, signal.SIGKILL)

            async def answered() -> bool:
                try:
                    decision = await one.check(reading(doctor()))
                except grpc.aio.AioRpcError:
                    return False
                return decision.effect == pb.EFFECT_ALLOW

            await until(answered)
            (second,) = children(started.popen.pid)

            assert await one.healthy()
    assert second != first
    assert intact(f"sqlite:///{tmp_path}/authz.db") == len(
        entries(f"sqlite:///{tmp_path}/authz.db")
    )


async def test_signals_of_the_terminal_are_for_the_door(tmp_path):
    """Ctrl-C reaches both processes; the decider leaves it to the door, which drains and stops."""
    with process(tmp_path) as started:
        async with door(started.address) as one:
            await one.change(opening())
        (decider,) = children(started.popen.pid)
        os.kill(decider, signal.SIGINT)
        os.kill(decider, signal.SIGTERM)
        async with door(started.address) as one:
            decision = await one.check(reading(doctor()))
        started.signal(signal.SIGTERM)
        code = await asyncio.to_thread(started.wait)

    assert decision.effect == pb.EFFECT_ALLOW
    assert code == 0
    assert not alive(decider)


@pytest.mark.parametrize(
    ("message", "rpc", "expected"),
    [
        (reading(), product.CHECK, (1, False)),
        (pb.CheckBatchRequest(checks=[reading()] * 7), product.CHECK_BATCH, (7, False)),
        (pb.CheckBatchRequest(), product.CHECK_BATCH, (1, False)),
        (opening(), product.CHANGE, (1, False)),
    ],
)
def test_a_call_weighs_as_much_as_it_asks(message, rpc, expected):
    """A batch counts as many requests as are in it."""
    assert measure(rpc, message.SerializeToString()) == expected


@pytest.mark.parametrize("mode", ["bris_de_glace", "centre_15"])
def test_an_emergency_is_known_at_the_door(mode):
    """One request in an emergency mode makes the call urgent, alone, explained or in a batch."""
    check = reading(whose=ANASTA)
    check.context.mode = mode
    batch = pb.CheckBatchRequest(checks=[reading(), check])
    explained = pb.ExplainRequest(check=check)

    found = [
        measure(rpc, message.SerializeToString())
        for rpc, message in (
            (product.CHECK, check),
            (product.CHECK_BATCH, batch),
            (product.EXPLAIN, explained),
        )
    ]

    assert [urgent for _, urgent in found] == [True] * 3
