"""A server that is killed at any instant: what it had answered is on record, and it goes on from there.

Fifty rounds without a loss say that fewer than 6 kills in 100 lose an answer, with 95 % confidence (rule of
three); the long form, run by `make faults`, has 500 and says so of 6 in 1,000.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from sqlalchemy import select

from audit.database import reader, snapshot
from audit.reader import read
from authz.registry import tables
from authz.v1 import authz_pb2 as pb
from tests.service import (
    POLICIES,
    Door,
    change,
    copied,
    door,
    intact,
    opening,
    patient,
    reading,
    stranger,
)
from tests.shared import ROOT

NURSERY = Path(__file__).with_name("nursery.py")
CALLERS = 6
SEED = 20260504


class Nursery:
    """A process that starts servers for us; only these are ever killed."""

    def __init__(self, popen: "subprocess.Popen[str]") -> None:
        self._popen = popen
        self._pid = 0

    def start(self, *arguments: str) -> None:
        """Starts a server; the one before has ended."""
        print(json.dumps(arguments), file=self._popen.stdin, flush=True)
        kind, number = self._line().split()
        assert kind == "pid"
        self._pid = int(number)

    def ready(self) -> None:
        """Waits until the server serves."""
        assert self._line().startswith("serving on ")

    def kill(self) -> None:
        """Kills the server, without any warning."""
        os.kill(self._pid, signal.SIGKILL)
        self._pid = 0
        line = self._line()
        if line.startswith("serving on "):  # it had just come so far
            line = self._line()
        assert line.strip() == f"ended {-signal.SIGKILL}"

    def end(self) -> None:
        """Ends the nursery, and the server that still runs."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
        self._popen.stdin.close()

    def _line(self) -> str:
        line = self._popen.stdout.readline()
        assert line, "the nursery has ended"
        return line


@contextmanager
def nursery(folder: Path) -> Iterator[Nursery]:
    """A nursery; its last server is killed with the block."""
    with subprocess.Popen(
        [sys.executable, NURSERY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as popen:
        made = Nursery(popen)
        try:
            yield made
        finally:
            made.end()


@dataclass
class Told:
    """What clients were told, and what they wanted when the server was gone."""

    decisions: set[str] = field(default_factory=set)
    changes: dict[str, int] = field(default_factory=dict)
    """Of each answered change the revision, by the id of its decision."""
    authorised: dict[str, set[bool]] = field(default_factory=dict)
    """By patient, how a stranger may stand: as last answered, or as was being asked for."""


async def look(one: Door, told: Told, whose: str) -> None:
    """Asks without pause, singly and in batches."""
    batch = pb.CheckBatchRequest(checks=[reading(whose=whose)] * 5)
    with contextlib.suppress(grpc.aio.AioRpcError):
        while True:
            told.decisions.add((await one.check(reading(whose=whose))).id)
            answer = await one.authz.CheckBatch(batch)
            told.decisions.update(decision.id for decision in answer.decisions)


async def switch(one: Door, told: Told, whose: str) -> None:
    """Authorises a stranger and ends it again, without pause."""
    with contextlib.suppress(grpc.aio.AioRpcError):
        if whose not in told.authorised:
            answer = await one.registry.Change(opening(whose=whose))
            if answer.revision:  # else it was created before, and the answer got lost
                told.changes[answer.decision.id] = answer.revision
            told.authorised[whose] = {False}
        while True:
            wanted = told.authorised[whose] != {True}
            told.authorised[whose] = {not wanted, wanted}
            own = pb.OwnAuthorisation(authorise=wanted)
            answer = await one.registry.Change(change(stranger(), whose, own_authorisation=own))
            assert answer.decision.effect == pb.EFFECT_ALLOW
            told.changes[answer.decision.id] = answer.revision
            told.authorised[whose] = {wanted}


async def check_standing(one: Door, told: Told) -> None:
    """After a restart, each patient's state is as last answered, or as was being asked for."""
    for whose, allowed in told.authorised.items():
        decision = await one.check(reading(whose=whose))
        assert (decision.reason_code == "AUTHORISED") in allowed, decision
        told.authorised[whose] = {decision.reason_code == "AUTHORISED"}
        assert decision.revision >= max(told.changes.values(), default=0)
        told.decisions.add(decision.id)


def check_record(url: str, told: Told, start: int) -> int:
    """All answers since `start` are on record, without a hole; where the log ends now."""
    engine = reader(url)
    with snapshot(engine) as conn:
        entries = [stored.entry for stored in read(conn, origin="authz-1", start=start)]
        rows = conn.execute(select(tables.changes.c.decision_id, tables.changes.c.revision))
        feed = {row.decision_id: row.revision for row in rows}
        revision = conn.execute(select(tables.head.c.revision)).scalar_one()
    engine.dispose()
    found = {entry["id"] for entry in entries}
    assert told.decisions <= found, "an answer is not on record"
    assert [entry["index"] for entry in entries] == list(range(start, start + len(entries)))
    assert told.changes.items() <= feed.items(), "a change that was answered is not there"
    made = {e["id"] for e in entries if e["kind"] == "change" and e["effect"] == "allow"}
    assert made == feed.keys() & found, "registry and log differ"
    assert revision == max(feed.values(), default=1)
    told.decisions.clear()
    return start + len(entries)


async def survive(folder: Path, policies: Path, rounds: int) -> int:
    """Kills a server so many times under load, and checks after each restart; how much was answered."""
    url, socket = f"sqlite:///{folder}/authz.db", f"unix:{folder}/authz.sock"
    arguments = ["--listen", f"{socket}=operator", "--database", url, "--policies", str(policies)]
    chance = random.Random(SEED)
    told, end, answered = Told(), 0, 0
    with nursery(folder) as servers:
        for turn in range(rounds):
            servers.start(*arguments)
            if turn % 5 == 4:  # killed while it starts, or just after
                await asyncio.sleep(chance.uniform(0, 0.5))
                servers.kill()
                continue
            await asyncio.to_thread(servers.ready)
            async with door(socket) as one:
                await check_standing(one, told)
                end = check_record(url, told, end)
                asking = [look(one, told, patient(n)) for n in range(CALLERS)]
                asking += [switch(one, told, patient(n)) for n in range(CALLERS)]
                running = asyncio.gather(*asking)
                await asyncio.sleep(chance.uniform(0.02, 0.25))
                servers.kill()
                await running
            answered += len(told.decisions)
        servers.start(*arguments)
        await asyncio.to_thread(servers.ready)
        async with door(socket) as one:
            await check_standing(one, told)
        check_record(url, told, end)
        assert intact(url) > answered + len(told.changes)
    return answered


@pytest.mark.timeout(300)
async def test_a_kill_loses_no_answer(tmp_path):
    """Killed fifty times at random instants under load, it has every answer on record, and one chain."""
    answered = await survive(tmp_path, copied(tmp_path, "20", "30", "80"), rounds=50)

    assert answered > 1_000


@pytest.mark.slow
@pytest.mark.timeout(1_800)
async def test_many_kills_lose_no_answer(tmp_path):
    """The same five hundred times, under the whole policies."""
    await survive(tmp_path, POLICIES, rounds=500)
