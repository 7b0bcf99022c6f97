"""What the service counts, for Prometheus. No label ever carries a person, a patient or a document."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from authz.bundle import Standing
from authz.errors import TokenError
from authz.model import Effect
from authz.procedures import Answered
from serving.errors import UntrustedError


class Metrics:
    """The service's counters, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        decisions = Counter(
            "dmp_decisions", "Decisions answered.", ["effect"], registry=self.registry
        )
        self._decisions = {effect: decisions.labels(effect) for effect in Effect}
        self._seconds = Histogram(
            "dmp_call_seconds", "Time from call to answer.", ["rpc"], registry=self.registry
        )
        self._refused_calls = Counter(
            "dmp_calls_failed",
            "Calls that got no decision.",
            ["rpc", "code"],
            registry=self.registry,
        )
        self.answered_without_record = Counter(
            "dmp_answered_without_record",
            "Answers that were given without a durable record; stays 0.",
            registry=self.registry,
        )
        self._log_writable = Gauge(
            "dmp_log_writable", "1 while the decision log can be written.", registry=self.registry
        )
        self._candidate_refused = Gauge(
            "dmp_bundle_candidate_refused",
            "1 while the newest policy files are refused and an older bundle decides.",
            registry=self.registry,
        )
        self._mistakes = Gauge(
            "dmp_bundle_mistakes", "Mistakes in the newest policy files.", registry=self.registry
        )
        self._rules = Gauge("dmp_bundle_rules", "Active rules.", registry=self.registry)
        self._bundle = Gauge(
            "dmp_bundle_info", "1 for the bundle that decides.", ["digest"], registry=self.registry
        )
        self._callers = Counter(
            "dmp_callers_refused",
            "Calls of services whose certificate is not trusted.",
            ["reason"],
            registry=self.registry,
        )
        self._tokens = Counter(
            "dmp_tokens_refused",
            "Calls with a token that is not accepted.",
            ["reason"],
            registry=self.registry,
        )
        self._trust = Gauge(
            "dmp_trust_sound",
            "1 while certificates, lists and token keys are in use as they are in the files, and good.",
            registry=self.registry,
        )
        self.log_writable(writable=True)
        self.trust(sound=True)

    def answered(self, answered: Answered) -> None:
        """Counts the decisions of an answer."""
        if answered.allowed:
            self._decisions[Effect.ALLOW].inc(answered.allowed)
        if answered.denied:
            self._decisions[Effect.DENY].inc(answered.denied)
        if not (answered.allowed or answered.denied):
            self.answered_without_record.inc()

    def clock_of(self, rpc: str) -> Callable[[float], None]:
        """Counts the calls of one procedure that were answered, each with its seconds."""
        return self._seconds.labels(rpc).observe

    def failed(self, rpc: str, code: str, error: Exception) -> None:
        """Counts a call that was not, and why if it is for who calls."""
        self._refused_calls.labels(rpc, code).inc()
        if isinstance(error, UntrustedError):
            self._callers.labels(error.reason).inc()
        elif isinstance(error, TokenError):
            self._tokens.labels(error.reason).inc()

    def trust(self, *, sound: bool) -> None:
        """Tells whether the files that say whom to trust are in use, and good."""
        self._trust.set(int(sound))

    def log_writable(self, *, writable: bool) -> None:
        """Tells whether the log can be written."""
        self._log_writable.set(int(writable))

    def standing(self, standing: Standing) -> None:
        """Tells which bundle decides, and whether the newest files were refused."""
        self._bundle.clear()
        self._bundle.labels(standing.bundle.digest).set(1)
        self._rules.set(standing.bundle.rules)
        self._candidate_refused.set(int(bool(standing.refused)))
        self._mistakes.set(len(standing.refused))
