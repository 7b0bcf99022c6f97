"""What every service counts of its calls, for Prometheus. No label ever carries a person or a patient."""

from collections.abc import Sequence
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Counted(Protocol):
    """What a service counts with."""

    registry: CollectorRegistry

    def trust(self, *, sound: bool) -> None:
        """Whether the newest certificates and lists are in use."""


class Calls:
    """The counters of a service's calls, in a registry of their own."""

    def __init__(self, service: str, *, seconds: Sequence[float] = SECONDS) -> None:
        """Counters at zero.

        Args:
            service: what their names begin with.
            seconds: the upper ends of what the durations are counted in.
        """
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            f"{service}_call_seconds",
            "Time from call to the end of the answer.",
            ["rpc"],
            buckets=seconds,
            registry=self.registry,
        )
        self._failed = Counter(
            f"{service}_calls_failed",
            "Calls that got a status other than OK.",
            ["rpc", "code"],
            registry=self.registry,
        )
        self._trust = Gauge(
            f"{service}_trust_sound",
            "1 while the newest certificates and lists are in use.",
            registry=self.registry,
        )
        self._trust.set(1)

    def answered(self, rpc: str, seconds: float) -> None:
        """A call was answered."""
        self._seconds.labels(rpc).observe(seconds)

    def failed(self, rpc: str, code: str) -> None:
        """A call ended with a status."""
        self._failed.labels(rpc, code).inc()

    def trust(self, *, sound: bool) -> None:
        """Whether the newest certificates and lists are in use."""
        self._trust.set(int(sound))
