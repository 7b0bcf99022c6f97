"""What the service counts, for Prometheus. No label ever carries a person, a patient or a document."""

from typing import Final

from prometheus_client import Counter, Gauge

from serving.metrics import SECONDS, Calls

_SECONDS: Final = (*SECONDS, 60, 600)  # streams last long


class Metrics(Calls):
    """The counters of the audit, beside those of its calls.

    Attributes:
        taken: entries that were taken into the index.
        failures: times that a part of the service failed, by part: index, tree, log.
        index_behind: entries that are stored and not in the index.
        index_lag: how long ago the index had all that was stored then, in seconds.
        tree_behind: entries that are stored and not under a signed checkpoint.
        tree_lag: how long ago all that was stored then was sealed, in seconds.
        last_checkpoint: when a checkpoint was signed last, in seconds since 1970.
        last_witness: when the witnesses that are asked for had last cosigned what is published.
    """

    def __init__(self) -> None:
        super().__init__("audit", seconds=_SECONDS)
        self.taken = Counter(
            "audit_entries_taken", "Entries taken into the index.", registry=self.registry
        )
        self.failures = Counter(
            "audit_failures", "Times that a part failed.", ["part"], registry=self.registry
        )
        for part in ("index", "tree", "log"):
            self.failures.labels(part)
        self.index_behind = self._gauge(
            "audit_index_behind_entries", "Entries that are stored and not in the index."
        )
        self.index_lag = self._gauge(
            "audit_index_lag_seconds", "How long ago the index had all that was stored then."
        )
        self.tree_behind = self._gauge(
            "audit_tree_behind_entries", "Entries that are stored and not under a checkpoint."
        )
        self.tree_lag = self._gauge(
            "audit_tree_lag_seconds", "How long ago all that was stored then was sealed."
        )
        self.last_checkpoint = self._gauge(
            "audit_last_checkpoint_timestamp_seconds", "When a checkpoint was published last."
        )
        self.last_witness = self._gauge(
            "audit_last_witness_timestamp_seconds", "When a cosigned checkpoint was published last."
        )
        self.alarms = self._gauge(
            "audit_decided_otherwise", "Decisions that come out otherwise when made again."
        )

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)
