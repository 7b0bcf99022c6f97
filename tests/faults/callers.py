"""Callers that never tire: they ask and change, whatever happens, and write down what they were told."""

import asyncio
import contextlib
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import grpc
from google.rpc import error_details_pb2

from authz.v1 import authz_pb2 as pb
from tests.service import Door, change, detail, door, holder, opening, patient, reading, stranger

DEADLINE_S: Final = 5.0
PAUSE_S: Final = 0.02
SOMEBODY: Final = patient(999)
WHO: Final = pb.Grantee(id="899700301015", kind="professional")

REFUSED: Final = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
"""How a call may end without an answer; anything else is a mistake of the service."""


class Answer(NamedTuple):
    """A decision that somebody was told, and when the call began and ended."""

    began: float
    ended: float
    by: str
    id: str
    patient: str
    revision: int
    reason: str
    bundle: str
    changed: int
    """Of a change the revision at which it took place, else 0."""


@dataclass(slots=True)
class Told:
    """All that callers were told."""

    answers: list[Answer] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    standing: dict[str, bool] = field(default_factory=dict)
    """By patient, whether the stranger is authorised, as last answered; absent while in doubt."""

    def note(self, by: str, began: float, whose: str, decision: pb.Decision, changed: int) -> None:
        """Writes down one decision."""
        self.answers.append(
            Answer(
                began,
                time.monotonic(),
                by,
                decision.id,
                whose,
                decision.revision,
                decision.reason_code,
                decision.bundle,
                changed,
            )
        )


class Caller:
    """One service that calls one decision point, as often as it takes."""

    def __init__(self, talk: Door, told: Told, by: str) -> None:
        self.by = by
        self.told = told
        self._talk = talk

    async def look(self, whose: str) -> pb.Decision:
        """Whether the stranger may read, now.

        Raises:
            grpc.aio.AioRpcError: there was no answer.
        """
        began = time.monotonic()
        decision = await self._talk.check(reading(whose=whose), timeout=DEADLINE_S)
        self.told.note(self.by, began, whose, decision, 0)
        return decision

    async def look_surely(self, whose: str) -> pb.Decision:
        """The same, until there is an answer."""
        return await self.surely(lambda: self.look(whose))

    async def look_often(self, whose: str, times: int = 5) -> None:
        """The same, several times in one call.

        Raises:
            grpc.aio.AioRpcError: there was no answer.
        """
        began = time.monotonic()
        asked = pb.CheckBatchRequest(checks=[reading(whose=whose)] * times)
        answer = await self._talk.authz.CheckBatch(asked, timeout=DEADLINE_S)
        for decision in answer.decisions:
            self.told.note(self.by, began, whose, decision, 0)

    async def change(self, request: pb.ChangeRequest) -> pb.Decision:
        """Asks for a change.

        Raises:
            grpc.aio.AioRpcError: there was no answer; it may have taken place.
        """
        began = time.monotonic()
        answer = await self._talk.registry.Change(request, timeout=DEADLINE_S)
        self.told.note(self.by, began, request.patient, answer.decision, answer.revision)
        return answer.decision

    async def surely(self, call: Callable[[], Coroutine[None, None, pb.Decision]]) -> pb.Decision:
        """Calls until there is an answer."""
        while True:
            with self.refusal():
                return await call()
            await asyncio.sleep(PAUSE_S)

    async def open(self, whose: str) -> None:
        """Sees to it that a patient has a dossier."""
        decision = await self.surely(lambda: self.change(opening(whose=whose)))
        assert decision.reason_code in {"CREATED_WITH_CONSENT", "DOSSIER_EXISTS"}, decision

    async def do(self, request: pb.ChangeRequest) -> pb.Decision:
        """Asks for a change until there is an answer; however often that takes, it is done once."""
        request.request_id = str(uuid.uuid4())
        decision = await self.surely(lambda: self.change(request))
        assert decision.effect == pb.EFFECT_ALLOW, decision
        return decision

    async def authorise(self, whose: str, *, wanted: bool) -> None:
        """The stranger is authorised, or that ends."""
        self.told.standing.pop(whose, None)
        own = pb.OwnAuthorisation(authorise=wanted)
        await self.do(change(stranger(), whose, own_authorisation=own))
        self.told.standing[whose] = wanted

    async def block(self, whose: str, *, wanted: bool) -> None:
        """The patient blocks the stranger, or lifts that; either way the stranger is not authorised."""
        what = (
            {"set_block": pb.SetBlock(grantee=WHO)}
            if wanted
            else {"lift_block": pb.LiftBlock(grantee=WHO)}
        )
        self.told.standing.pop(whose, None)
        await self.do(change(holder(whose), whose, **what))
        self.told.standing[whose] = False

    @contextlib.contextmanager
    def refusal(self):
        """Counts a call that was refused, and lets its caller go on."""
        try:
            yield
        except grpc.aio.AioRpcError as exc:
            if exc.code() not in REFUSED:
                raise
            if exc.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                advice = detail(exc, error_details_pb2.RetryInfo())
                if advice.retry_delay.ToMilliseconds() <= 0:
                    raise
            self.told.refusals[exc.code().name] += 1


async def look_on(caller: Caller, whose: str) -> None:
    """Asks for ever, singly and in batches."""
    while True:
        with caller.refusal():
            await caller.look(whose)
            await caller.look_often(whose)
            continue
        await asyncio.sleep(PAUSE_S)


async def switch_on(caller: Caller, whose: str) -> None:
    """Authorises the stranger and ends it again, for ever."""
    if whose not in caller.told.standing:
        await caller.open(whose)
    while True:
        await caller.authorise(whose, wanted=not caller.told.standing.get(whose, False))


@asynccontextmanager
async def at_work(*work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Work that goes on for as long as the block lasts; where one part fails, all ends."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


@asynccontextmanager
async def load(address: str, told: Told, *, callers: int = 6) -> AsyncIterator[list[Caller]]:
    """Callers at work for as long as the block lasts; each works on a patient of its own."""
    async with door(address) as talk:
        made = [Caller(talk, told, address) for _ in range(callers)]
        work = [look_on(caller, patient(number)) for number, caller in enumerate(made)]
        work += [switch_on(caller, patient(number)) for number, caller in enumerate(made)]
        async with at_work(*work):
            yield made


async def check_standing(talk: Door, told: Told) -> None:
    """Every patient's state is as it was last answered."""
    caller = Caller(talk, told, "afterwards")
    for whose, allowed in tuple(told.standing.items()):
        decision = await caller.look(whose)
        assert (decision.reason_code == "AUTHORISED") is allowed, decision
