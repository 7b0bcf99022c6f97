"""Servers side by side under load: each asked the same, in turns, and held to its answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import asking, processes
from bench.client import frames, messages
from bench.load import Driver, Outcome
from bench.processes import Keys
from bench.report import DisagreementError


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of call: its method, a file of messages, and how to look into an answer."""

    method: str
    requests: Path
    allows: Callable[[bytes], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A server, and what it is asked.

    * `pids` are its processes, for the time of the processor that it takes.
    * `kinds` of calls, by how many decisions one is.
    * `recorded` tells how many decisions it has on durable record. A server that has none gives answers
      that are all of one length, and is held to that.
    """

    name: str
    address: str
    pids: tuple[int, ...]
    kinds: Mapping[int, Kind]
    recorded: Callable[[], int] | None = None
    keys: Keys | None = None

    def ask(self, size: int) -> bytes:
        """The answer to a call, which allows all that was asked.

        Raises:
            DisagreementError: it does not.
        """
        kind = self.kinds[size]
        (first, *_) = messages(kind.requests.read_bytes())
        answer = asking.ask(self.address, kind.method, first, self.keys)
        if not kind.allows(answer):
            raise DisagreementError(f"{self.name} does not allow what was asked")
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The best of the rounds: what the load came to, and the time of the processor that a call took."""

    outcome: Outcome
    cpu_us: float


def compete(
    sides: Sequence[Side], driver: Driver, *, size: int, calls: int, in_flight: int, rounds: int
) -> dict[str, Measured]:
    """The best of several interleaved runs against each side.

    Raises:
        RuntimeError: a call failed, or fewer decisions are on record than were answered.
        DisagreementError: there were other answers than those expected.
    """
    best: dict[str, Measured] = {}
    lengths = {side.name: len(frames([side.ask(size)])) for side in sides}
    for side in [*sides] * rounds:
        measured = _run(
            side,
            driver,
            size=size,
            calls=calls,
            in_flight=in_flight,
            length=lengths[side.name],
        )
        if side.name not in best or measured.outcome.rate > best[side.name].outcome.rate:
            best[side.name] = measured
    for side in sides:
        side.ask(size)
    return best


def _run(
    side: Side, driver: Driver, *, size: int, calls: int, in_flight: int, length: int
) -> Measured:
    kind = side.kinds[size]
    before = side.recorded() if side.recorded else 0
    used = processes.processor_s(*side.pids)
    found = driver.run(side.address, kind.method, kind.requests, calls=calls, in_flight=in_flight)
    used = processes.processor_s(*side.pids) - used
    if found.errors:
        raise RuntimeError(f"{side.name}: calls failed: {found.errors}")
    if side.recorded:
        on_record = side.recorded() - before
        if on_record < found.answered * size:
            raise RuntimeError(
                f"{side.name}: {found.answered} answers to {size} requests each, {on_record} on record"
            )
    elif found.body not in (None, found.answered * length):
        raise DisagreementError(f"{side.name} gave other answers than the one expected")
    return Measured(outcome=found, cpu_us=used / max(1, found.answered) * 1e6)
