"""Two decision points on one PostgreSQL: what was answered through one is always seen through the other.

Every race is a change, answered through one, and a check through either that begins afterwards. All answers
together must be in order: whoever asks after an answer is answered at its revision or a later one.
"""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from authz.v1 import authz_pb2 as pb
from tests.databases import Server, server
from tests.faults.callers import DEADLINE_S, Caller, Told, at_work, load, look_on, switch_on
from tests.faults.figures import Figures
from tests.faults.proxy import Proxy, proxy
from tests.faults.records import Record, check_age, check_order
from tests.faults.served import Served, served, serves
from tests.faults.test_postgresql import apart
from tests.service import Door, copied, door, intact, officer, patient, until

BOUND_S: Final = 2.0
"""No answer rests on what was read longer ago."""

LAG_S: Final = 1.5
"""What a busy machine may add to that on the way, before it is called a violation."""

STOPPED_S: Final = 4.0

ORIGINS: Final = ("authz-a", "authz-b")
RACES: Final = "races of a change and a check"
THEME: Final = "rules/20-dossier.yaml"
WORDS: Final = "Ce patient n'a pas de dossier."


@dataclass(frozen=True, slots=True, kw_only=True)
class One:
    """One of the two: the service, its way to the database, a channel to it."""

    served: Served
    way: Proxy
    talk: Door


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Both, with their database, and what their callers were told."""

    ones: tuple[One, One]
    told: Told
    url: str

    def caller(self, place: int) -> Caller:
        """A caller of one of them."""
        return Caller(self.ones[place].talk, self.told, ORIGINS[place])

    def check(self, figures: Figures) -> None:
        """No answer was stale, and all of them are on record."""
        figures.answers += check_order(self.told.answers)
        Record(self.url).check(self.told)
        figures.refusals = self.told.refusals
        assert intact(self.url) > 0
        for one in self.ones:
            assert one.served.metric("dmp_answered_without_record_total") == 0


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """A server for these tests alone."""
    with server() as made:
        yield made


@asynccontextmanager
async def pair(
    own: Server, folder: Path, *, environment: dict[str, str] | None = None
) -> AsyncIterator[Pair]:
    """Two services on one database, each with its own way to it, policies and perhaps clock."""
    ones = []
    async with AsyncExitStack() as opened:
        name = opened.enter_context(own.database())
        for origin, more in zip(ORIGINS, ({}, environment or {}), strict=True):
            own_folder = folder / origin
            own_folder.mkdir()
            way = await opened.enter_async_context(proxy(own.folder / ".s.PGSQL.5432"))
            url = f"postgresql+psycopg://dmp@127.0.0.1:{way.port}/{name}"
            one = opened.enter_context(
                served(
                    own_folder,
                    database=f"{url}?sslmode=disable&gssencmode=disable",
                    policies=copied(own_folder, "20", "30", "70", "80", "90"),
                    origin=origin,
                    environment=more,
                )
            )
            await one.start()
            talk = await opened.enter_async_context(door(one.address))
            ones.append(One(served=one, way=way, talk=talk))
        yield Pair(ones=(ones[0], ones[1]), told=Told(), url=own.url(name))


async def race(pair: Pair, number: int, races: int, figures: Figures) -> None:
    """Changes how a stranger stands with one patient, and looks each time whether that is seen."""
    whose, callers = patient(number), (pair.caller(0), pair.caller(1))
    await callers[0].open(whose)
    for turn in range(races):
        changer = callers[turn % 2]
        match turn % 4:
            case 0:
                await changer.authorise(whose, wanted=True)
                due = "AUTHORISED"
            case 1 if number % 2:
                await changer.block(whose, wanted=True)
                due = "BLOCKED"
            case 2 if number % 2:
                await changer.block(whose, wanted=False)
                due = "NOT_AUTHORISED"
            case _:
                await changer.authorise(whose, wanted=False)
                due = "NOT_AUTHORISED"
        for decision in await asyncio.gather(*(one.look_surely(whose) for one in callers)):
            assert decision.reason_code == due, f"{due} was answered before: {decision}"
            figures.faults[RACES] += 1
            if figures.faults[RACES] % 1_000 == 0:
                figures.tell(f"{figures.faults[RACES]} races")


async def disturb(pair: Pair, chance: random.Random, figures: Figures) -> None:
    """Stops one process for a moment, or cuts its connections, or slows them down, for ever."""
    while True:
        await asyncio.sleep(chance.uniform(0.1, 0.6))
        one = chance.choice(pair.ones)
        kind = chance.choice(["door stopped", "decider stopped", "both stopped", "cut", "slow"])
        figures.faults[kind] += 1
        match kind:
            case "cut":
                one.way.cut()
            case "slow":
                one.way.delay_s = 0.02
                await asyncio.sleep(0.2)
                one.way.delay_s = 0.0
            case _:
                whom = {"both stopped": "all"}.get(kind, kind.partition(" ")[0])
                with one.served.stopped(whom):
                    await asyncio.sleep(chance.uniform(0.02, 0.5))


async def run_races(pair: Pair, figures: Figures, *, patients: int, races: int, seed: int) -> None:
    """Races with several patients at once, while one process after the other is disturbed."""
    async with at_work(disturb(pair, random.Random(seed), figures)), asyncio.TaskGroup() as group:
        for number in range(patients):
            group.create_task(race(pair, number, races, figures))
    pair.check(figures)


async def activate(caller: Caller, talk: Door, folder: Path, number: int) -> str:
    """Writes and activates policies that were never active before; their digest."""
    path = folder / THEME
    text = path.read_text(encoding="utf-8")
    start = text.index(WORDS)
    end = text.index('"', start)
    path.write_text(f"{text[:start]}{WORDS} ({number}){text[end:]}", encoding="utf-8")
    request = pb.ActivateBundleRequest(subject=officer())
    while True:
        with caller.refusal():
            answer = await talk.policy.ActivateBundle(request, timeout=DEADLINE_S)
            return str(answer.bundle.digest)


async def race_policies(pair: Pair, rounds: int, figures: Figures) -> None:
    """Activates policies through one, and looks at once through the other whether they decide."""
    for turn in range(rounds):
        one, looker = pair.ones[turn % 2], pair.caller((turn + 1) % 2)
        digest = await activate(pair.caller(turn % 2), one.talk, one.served.policies, turn)
        decision = await looker.look_surely(patient(turn))
        assert decision.bundle == digest, f"not under the policies activated before: {decision}"
        figures.faults["races of an activation and a check"] += 1


@pytest.mark.timeout(600)
async def test_what_was_answered_is_seen(own, tmp_path):
    """A change or an activation answered before a check begins is seen by it, though one stood or died."""
    figures = Figures("never stale")
    async with pair(own, tmp_path) as both:
        await run_races(both, figures, patients=4, races=12, seed=1)
        await race_policies(both, 2, figures)
        await grow_old(both, ("door",), figures)
        await bring_back(both, 1, figures)


async def grow_old(pair: Pair, whom: tuple[str, ...], figures: Figures) -> None:
    """Stops one process under load again and again, while the other goes on changing."""
    work = [switch_on(pair.caller(0), patient(n)) for n in range(3)]
    work += [look_on(pair.caller(1), patient(n)) for n in range(12)]
    async with at_work(*work):
        await asyncio.sleep(1)
        for who in whom:
            with pair.ones[1].served.stopped(who):
                await asyncio.sleep(STOPPED_S)
            figures.faults[f"stopped for {STOPPED_S:g} s ({who})"] += 1
            await asyncio.sleep(1)
    check_age(pair.told.answers, BOUND_S + LAG_S)
    pair.check(figures)


async def test_an_idle_process_tells_that_it_is_cut_off(own, tmp_path):
    """A process that can't reach the database says so, asked or not, and serves again when it can."""
    policies = copied(tmp_path, "20", "30")
    async with apart(own, tmp_path, policies) as (one, harm, _), door(one.address) as talk:
        harm.way.refusing = True
        harm.way.cut()

        await until(lambda: is_not(talk, "dmp.log"), 10)
        assert not await serves(talk)
        harm.way.refusing = False
        await until(lambda: serves(talk), 10)
        assert await serves(talk, "dmp.log")


async def test_a_door_tells_that_its_decider_hangs(tmp_path):
    """A door whose decider does not answer says so, and serves again when it does."""
    policies = copied(tmp_path)
    with served(tmp_path, database=f"sqlite:///{tmp_path}/authz.db", policies=policies) as one:
        await one.start()
        async with load(one.address, Told(), callers=1), door(one.address) as talk:
            with one.stopped("decider"):
                await until(lambda: is_not(talk, "dmp.log"), 12)
            await until(lambda: serves(talk))


async def bring_back(pair: Pair, times: int, figures: Figures) -> None:
    """Kills the decider of one after policies were activated through the other: they stay."""
    first, second = pair.ones
    for turn in range(times):
        folder = second.served.policies
        digest = await activate(pair.caller(1), second.talk, folder, 1_000 + turn)
        assert (await pair.caller(0).look_surely(patient(0))).bundle == digest
        first.served.signal(signal.SIGKILL, "decider")
        for place in (0, 1, 0, 1):
            decision = await pair.caller(place).look_surely(patient(0))
            assert decision.bundle == digest, f"old policies came back: {decision}"
        figures.faults["decider killed after an activation"] += 1
    pair.check(figures)


async def is_not(talk: Door, name: str) -> bool:
    """Whether health does not say that it serves."""
    return not await serves(talk, name)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("part", range(2))
async def test_thousands_of_races(own, tmp_path, part):
    """The same ten thousand times, and with hundreds of activations."""
    figures = Figures("never stale")
    async with pair(own, tmp_path) as both:
        await run_races(both, figures, patients=10, races=250, seed=part)
        await race_policies(both, 50, figures)
        await bring_back(both, 25, figures)

    figures.save()


@pytest.mark.slow
@pytest.mark.timeout(3_600)
async def test_thousands_of_races_an_hour_apart(own, tmp_path, faketime):
    """It is seen as well when the clocks of the two are an hour apart."""
    figures = Figures("never stale, an hour apart")
    async with pair(own, tmp_path, environment={**faketime, "FAKETIME": "+1h"}) as both:
        await run_races(both, figures, patients=10, races=100, seed=5)

    figures.save()


@pytest.mark.slow
@pytest.mark.timeout(3_600)
async def test_no_answer_is_old_however_often(own, tmp_path):
    """The same a hundred times."""
    figures = Figures("bounded age")
    async with pair(own, tmp_path) as both:
        await grow_old(both, ("all", "door", "decider", "door") * 25, figures)

    figures.save()
