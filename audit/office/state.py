"""How the audit itself stands: what is stored, indexed, sealed and cosigned. Tells nothing of any entry."""

from collections.abc import Mapping

from audit.office import wire
from audit.office.following import Following
from audit.sealing import Standing
from audit.v1 import audit_pb2 as pb
from clients.sdk.asking import How


class State:
    """Answers `ReadStatus`."""

    def __init__(self, following: Following, health: Mapping[str, bool]) -> None:
        """Takes those that follow the log, and what the health service says."""
        self._following = following
        self._health = health

    async def read_status(self, _request: pb.ReadStatusRequest, _how: How) -> pb.ReadStatusResponse:
        """All of it."""
        indexing, sealing = self._following.indexing, self._following.sealing
        logs = sorted({*indexing.stored, *sealing.standings})
        return pb.ReadStatusResponse(
            standing=wire.standing(self._following.standing()),
            index_lag=indexing.progress.lag_s,
            tree_lag=sealing.progress.lag_s,
            index_trouble=indexing.progress.trouble,
            decided_otherwise=self._following.alarms,
            logs=[
                _log(
                    sealing.standings.get(origin, Standing(origin=origin)),
                    stored=indexing.stored.get(origin, 0),
                    indexed=indexing.taken.get(origin, 0),
                )
                for origin in logs
            ],
            health={name: well for name, well in self._health.items() if name.startswith("dmp.")},
        )


def _log(one: Standing, *, stored: int, indexed: int) -> pb.LogStatus:
    return pb.LogStatus(
        log=one.origin,
        stored=stored,
        indexed=indexed,
        sealed=one.size or 0,
        trouble=one.trouble,
        refused=one.refused,
        witnesses=[pb.WitnessStatus(name=name, trouble=why) for name, why in one.witnesses],
    )
