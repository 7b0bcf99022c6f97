"""The end of a service that is asked to stop: everyone is told, nothing is lost, nothing is left."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pysqlite3.dbapi2 as sqlite
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from authz import apart, service
from authz.door import MAX_DEADLINE_S
from authz.v1 import authz_pb2 as pb
from serving import served
from tests.e2e.served import children, gone
from tests.service import (
    Door,
    copied,
    door,
    entries,
    failure,
    intact,
    opening,
    patient,
    process,
    reading,
    until,
)

GRACE_S = service.DRAIN_S + served.LINGER_S + apart.CLOSE_S + 3
SERVING, NOT_SERVING = "SERVING", "NOT_SERVING"


@pytest.fixture
def policies(tmp_path) -> Path:
    """A small copy of the policies, quick to build."""
    return copied(tmp_path, "20", "30", "90")


@dataclass
class Told:
    """What callers were told: the decisions by their ids, and the codes of refusals."""

    answers: list[str] = field(default_factory=list)
    refusals: Counter[grpc.StatusCode] = field(default_factory=Counter)

    async def ask(
        self, call: Callable[[], Awaitable[list[pb.Decision]]], *, after: int = 3
    ) -> None:
        """Calls again and again without a pause, until so many calls were refused."""
        for _ in range(after):
            try:
                while True:
                    self.answers += [decision.id for decision in await call()]
            except grpc.aio.AioRpcError as exc:
                self.refusals[exc.code()] += 1


def calls(one: Door, number: int) -> Callable[[], Awaitable[list[pb.Decision]]]:
    """One kind of call in three."""
    whose = patient(number)

    async def check() -> list[pb.Decision]:
        return [await one.check(reading(whose=whose))]

    async def batch() -> list[pb.Decision]:
        asked = pb.CheckBatchRequest(checks=[reading(whose=whose)] * 5)
        return list((await one.authz.CheckBatch(asked)).decisions)

    async def alter() -> list[pb.Decision]:
        return [await one.change(opening(whose=whose))]

    return (check, batch, alter)[number % 3]


async def health(one: Door, name: str, found: list[str]) -> list[str]:
    """What a watcher of health is told until the end, and how that comes."""
    stub = health_pb2_grpc.HealthStub(one.channel)
    try:
        async for answer in stub.Watch(health_pb2.HealthCheckRequest(service=name)):
            word = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
            found.append(word)
    except grpc.aio.AioRpcError as exc:
        found.append(exc.code().name)
    return found


async def holds(what: Callable[[], object]) -> bool:
    """Whether something is so."""
    return bool(what())


async def test_a_service_that_is_asked_to_stop_under_load(tmp_path, policies):
    """Each call is answered and on record, or UNAVAILABLE and nothing else; both processes end at once."""
    told = Told()
    with process(tmp_path, policies=policies) as started:
        address = await asyncio.to_thread(lambda: started.address)
        family = [started.popen.pid, *children(started.popen.pid)]
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_with(address, lambda one: health(one, "", [])))
            for line in range(6):
                group.create_task(_with(address, lambda one, line=line: _load(told, one, line)))
            await until(lambda: holds(lambda: len(told.answers) > 200), 60)

            started.signal(signal.SIGTERM)
            await asyncio.sleep(0.01)
            started.signal(signal.SIGTERM)
            started.signal(signal.SIGINT)
        ended = await gone(family)
        code = await asyncio.to_thread(started.wait)

    assert 2 == len(family)
    assert ended
    assert 0 == code
    assert "Traceback" not in started.errors
    assert "stopped" == json.loads(started.err[-1])["event"]
    assert len(told.answers) > 100
    assert {grpc.StatusCode.UNAVAILABLE} == set(told.refusals)
    assert [SERVING, NOT_SERVING, "UNAVAILABLE"] == watching.result()
    assert set(told.answers) <= {entry["id"] for entry in entries(url(tmp_path))}
    assert intact(url(tmp_path)) > len(told.answers)


async def test_what_was_accepted_is_waited_for(tmp_path, policies):
    """A call that waits for the database is answered, a stream ends well, and newcomers are UNAVAILABLE."""
    path = tmp_path / "authz.sock"
    with process(tmp_path, listen=f"unix:{path}=dossier", policies=policies) as started:
        address = await asyncio.to_thread(lambda: started.address)
        async with door(address) as one:
            stream = one.registry.Watch(pb.WatchRequest())
            await stream.read()
            other = sqlite.connect(tmp_path / "authz.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            early = asyncio.create_task(one.change(opening()))
            heard: list[str] = []
            watching = asyncio.create_task(health(one, "", heard))
            await until(lambda: holds(lambda: heard))  # what came before it has come, too
            await asyncio.sleep(0.2)

            started.signal(signal.SIGTERM)
            await until(lambda: holds(lambda: NOT_SERVING in heard))
            late = await failure(one.check(reading()))
            other.execute("ROLLBACK")
            other.close()
            decision = await early
            statuses = await watching
            while await stream.read() is not grpc.aio.EOF:
                pass
            streamed = await stream.code()
        code = await asyncio.to_thread(started.wait)

    assert 0 == code
    assert grpc.StatusCode.UNAVAILABLE is late.code()
    assert pb.EFFECT_ALLOW == decision.effect
    assert grpc.StatusCode.OK is streamed
    assert not path.exists()
    assert [SERVING, NOT_SERVING, "UNAVAILABLE"] == statuses
    assert decision.id == entries(url(tmp_path))[-1]["id"]


@pytest.mark.slow
async def test_a_decider_that_is_stuck_does_not_hold_up_the_end(tmp_path, policies):
    """Those who wait for it are told that there is no decision; it is killed, and the service ends."""
    with process(tmp_path, policies=policies) as started:
        address = await asyncio.to_thread(lambda: started.address)
        (decider,) = children(started.popen.pid)
        async with door(address) as one:
            await one.check(reading())
            os.kill(decider, signal.SIGSTOP)
            waiting = [asyncio.create_task(failure(one.check(reading()))) for _ in range(10)]
            await asyncio.sleep(0.3)

            started.signal(signal.SIGTERM)
            codes = {error.code() for error in await asyncio.gather(*waiting)}
            ended = await gone([started.popen.pid, decider], GRACE_S)
        code = await asyncio.to_thread(started.wait)

    assert ended
    assert 0 == code
    assert codes <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert service.DRAIN_S > MAX_DEADLINE_S
    assert intact(url(tmp_path)) == 2


def url(folder: Path) -> str:
    """Where its record is."""
    return f"sqlite:///{folder}/authz.db"


async def _with(address: str, work: Callable[[Door], Awaitable[object]]) -> object:
    """Works at a door of its own."""
    async with door(address) as one:
        return await work(one)


async def _load(told: Told, one: Door, line: int) -> None:
    await asyncio.gather(*(told.ask(calls(one, 100 * line + n)) for n in range(6)))
