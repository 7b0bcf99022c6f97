"""Runs contenders against each other: same requests, answers compared first, rounds interleaved."""

import gc
import itertools
import statistics
import time
from collections.abc import Sequence
from typing import Any

from authz.compile import compile_rules
from authz.model import Vector, Verdict
from bench.peers import Peer, Policies
from bench.report import DisagreementError
from bench.scale import Scale


class Contender:
    """A loaded engine with its requests."""

    def __init__(self, peer: Peer, vectors: Sequence[Vector]) -> None:
        self.peer = peer
        self._requests = peer.prepare(vectors)
        began = time.perf_counter()
        self.answers = peer.decide(self._requests)
        self._each_s = (time.perf_counter() - began) / len(self._requests)
        self._turn = itertools.count()
        self.us: list[float] = []

    def round(self, seconds: float) -> None:
        """Decides for about `seconds`: a slow engine some requests, a fast one all, again and again."""
        size = max(1, min(len(self._requests), int(seconds / self._each_s)))
        repeat = max(1, int(seconds / self._each_s / size))
        piece = self._piece(size)
        began = time.perf_counter()
        for _ in range(repeat):
            self.peer.decide(piece)
        self.us.append((time.perf_counter() - began) / repeat / size * 1e6)

    @property
    def median_us(self) -> float:
        """Microseconds a decision, the median of the rounds."""
        return statistics.median(self.us)

    def _piece(self, size: int) -> list[Any]:
        start = next(self._turn) * size
        return [self._requests[(start + i) % len(self._requests)] for i in range(size)]


def compete(peers: Sequence[Peer], vectors: Sequence[Vector], scale: Scale) -> list[Contender]:
    """Lets `peers` decide the same requests.

    Raises:
        DisagreementError: two of them do not give the same answers.
    """
    contenders = [Contender(peer, vectors) for peer in peers]
    first, *others = contenders
    for other in others:
        wrong = sum(a != b for a, b in zip(first.answers, other.answers, strict=True))
        if wrong:
            message = f"{other.peer.name} disagrees with {first.peer.name} on {wrong} requests"
            raise DisagreementError(message)
    gc.collect()
    for _ in range(scale.rounds):
        for contender in contenders:
            contender.round(scale.round_s)
    return contenders


def first_time(policies: Policies, vectors: Sequence[Vector], scale: Scale) -> tuple[float, float]:
    """Microseconds of a decision whose combination of rules was not met before, and how many are.

    The same combination always gives the same verdict object, and that is how a new one is known.
    """
    found: list[float] = []
    met: dict[int, Verdict] = {}
    for _ in range(min(3, scale.rounds)):
        decide = compile_rules(policies.vocabulary, policies.rules)
        met.clear()
        for vector in vectors:
            began = time.perf_counter()
            verdict = decide(vector)
            took = time.perf_counter() - began
            if id(verdict) not in met:
                found.append(took * 1e6)
                met[id(verdict)] = verdict
    return statistics.median(found), len(met) / len(vectors)
