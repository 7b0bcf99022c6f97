"""What the service counts, for Prometheus. No label ever carries a person, a patient or a document."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The service's counters, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "dossier_call_seconds",
            "Time from call to answer.",
            ["rpc"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._failed = Counter(
            "dossier_calls_failed",
            "Calls that got a status other than OK.",
            ["rpc", "code"],
            registry=self.registry,
        )
        self._trust = Gauge(
            "dossier_trust_sound",
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
