"""What follows the logs of one database: one part takes entries into the index, the other seals them.

Neither waits for the other; where one stops, the other goes on.
"""

from collections.abc import Mapping

from audit.office.indexing import Indexing
from audit.office.metrics import Metrics
from audit.office.office import Standing
from audit.office.sealing import Sealing


class Following:
    """Both of them."""

    def __init__(self, indexing: Indexing, sealing: Sealing, metrics: Metrics) -> None:
        self.indexing = indexing
        self.sealing = sealing
        self._metrics = metrics
        self.alarms = 0
        """Decisions that come out otherwise when they are made again, as was seen last."""

    def start(self) -> None:
        """Begins."""
        self.indexing.start()
        self.sealing.start()

    def stop(self) -> None:
        """Ends both, after the steps that are under way."""
        self.indexing.stop()
        self.sealing.stop()

    def standing(self) -> Standing:
        """How far what is shown follows the log."""
        return Standing(
            behind=self.indexing.progress.behind,
            complete_until=self.indexing.complete_until,
            sealed=sum(one.size or 0 for one in self.sealing.standings.values()),
        )

    def health(self) -> Mapping[str, bool]:
        """How index, decisions, tree and witnesses are, by their names in the health service."""
        return {
            "dmp.index": self.indexing.progress.well,
            "dmp.replay": self.alarms == 0,
            "dmp.tree": self.sealing.progress.well,
            "dmp.witness": self.sealing.witnessed,
        }

    def measure(self) -> None:
        """Brings the metrics up to date."""
        index, tree = self.indexing.progress, self.sealing.progress
        self._metrics.index_behind.set(index.behind)
        self._metrics.index_lag.set(_shown(index.lag_s))
        self._metrics.alarms.set(self.alarms)
        self._metrics.tree_behind.set(tree.behind)
        self._metrics.tree_lag.set(_shown(tree.lag_s))


def _shown(lag_s: float | None) -> float:
    return float("inf") if lag_s is None else lag_s
