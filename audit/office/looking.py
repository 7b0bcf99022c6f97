"""What all desks of questions have in common: leave to look, and entries as the reader may see them."""

from typing import Final

from audit.office import wire
from audit.office.asking import Asker, Look
from audit.office.browsing import Browser
from audit.office.filters import Filter
from audit.office.office import Office
from audit.office.policies import Policies
from audit.office.shown import Shown, shown
from audit.reader import Stored
from clients.sdk import InvalidError

QUERY: Final = "log.query"
IDENTIFY: Final = "log.identify"


class Looking:
    """A desk that shows entries."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._browser = Browser(office.index, office.log, office.handles)

    async def _look(self, asker: Asker, what: str, asked: Filter, **more: object) -> Look:
        """Leave to look; for a patient who is named, leave for that patient."""
        try:
            return await self._office.asking.look(
                asker,
                IDENTIFY if asked.patient else QUERY,
                patient=asked.patient,
                what=what,
                asked={**asked.asked(), **more},
            )
        except InvalidError as exc:
            raise wire.renamed(exc, {"resource.patient": "filter.patient"}) from exc

    def _shown(self, stored: Stored, look: Look, policies: Policies | None = None) -> Shown:
        return shown(stored, self._office.handles, hidden=look.pseudonymised, policies=policies)
