"""Who waits to be decided, and in which order: emergencies first, then the calling services in turn.

What waits is bounded, so that an overload is told at once and memory stays as it is. A part is kept for
emergencies, and no single service can fill the rest.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from authz.errors import OverloadedError
from authz.procedures import Answered, Asked

LIMIT: Final = 20_000
"""Requests that may wait; a call of many requests counts as many."""

EMERGENCY_SHARE: Final = 2_000
"""How many of them only emergencies may take."""

CALLER_SHARE: Final = 10_000
"""How many of them one calling service may take."""

BATCH: Final = 256
"""Requests in one batch; a single call with more is a batch of its own."""


Fresh = tuple[Answered, float]
"""An answer, and when what it rests on began to be read, on the clock of `boottime`."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call that waits: its weight in requests, and until when the caller does (on the loop's clock)."""

    asked: Asked
    weight: int
    urgent: bool
    until: float
    future: "asyncio.Future[Fresh]"


class WaitingRoom:
    """Calls that wait."""

    def __init__(self) -> None:
        self._urgent: deque[Waiting] = deque()
        self._callers: OrderedDict[str, deque[Waiting]] = OrderedDict()
        self._of_caller: dict[str, int] = {}
        self.size = 0

    def enter(self, one: Waiting) -> None:
        """Takes a call in.

        Raises:
            OverloadedError: there is no room for it.
        """
        caller, limit = one.asked.caller, LIMIT if one.urgent else LIMIT - EMERGENCY_SHARE
        if self.size + one.weight > limit:
            raise OverloadedError(f"{self.size} requests are waiting, at most {limit} may")
        taken = self._of_caller.get(caller, 0)
        if taken + one.weight > CALLER_SHARE and not one.urgent:
            raise OverloadedError(
                f"{taken} requests of `{caller}` wait, at most {CALLER_SHARE} may"
            )
        self._urgent.append(one) if one.urgent else self._line(caller).append(one)
        self._count(one, 1)

    def take(self, now: float) -> tuple[list[Waiting], list[Waiting]]:
        """The next batch, of those who are still there, and those for whom it is too late at `now`."""
        batch: list[Waiting] = []
        late: list[Waiting] = []
        weight = 0
        for one in self._in_turn():
            if batch and weight + one.weight > BATCH:
                self._give_back(one)
                break
            self._count(one, -1)
            if one.future.done():
                continue
            if one.until <= now:
                late.append(one)
                continue
            batch.append(one)
            weight += one.weight
        return batch, late

    def empty(self) -> list[Waiting]:
        """Everyone; nobody waits any more."""
        everyone = list(self._in_turn())
        self.size = 0
        self._of_caller.clear()
        return everyone

    def _in_turn(self) -> Iterator[Waiting]:
        while self._urgent:
            yield self._urgent.popleft()
        while self._callers:
            caller, line = self._callers.popitem(last=False)
            one = line.popleft()
            if line:
                self._callers[caller] = line
            yield one

    def _give_back(self, one: Waiting) -> None:
        if one.urgent:
            self._urgent.appendleft(one)
            return
        line = self._line(one.asked.caller)
        line.appendleft(one)
        self._callers.move_to_end(one.asked.caller, last=False)

    def _line(self, caller: str) -> deque[Waiting]:
        return self._callers.setdefault(caller, deque())

    def _count(self, one: Waiting, sign: int) -> None:
        self.size += sign * one.weight
        caller = one.asked.caller
        left = self._of_caller.get(caller, 0) + sign * one.weight
        if left:
            self._of_caller[caller] = left
        else:
            self._of_caller.pop(caller, None)
