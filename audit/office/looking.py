"""What all desks of questions have in common: leave to look, and entries as the reader may see them."""

from typing import Any, Final

from audit.office import filters, wire
from audit.office.asking import Asker, Look
from audit.office.browsing import Browser
from audit.office.filters import Filter
from audit.office.given import NOBODY, Given
from audit.office.office import Office
from audit.office.policies import Policies
from audit.office.replaying import Replayer
from audit.office.shown import Shown, shown
from audit.reader import Stored
from clients.sdk.asking import How

PORTION: Final = 500
"""So many entries are read at once where all that a filter finds is wanted."""


class Looking:
    """A desk that shows entries."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._browser = Browser(office.index, office.log, office.handles)
        self._replayer = Replayer(office.log)

    async def _look(self, asker: Asker, what: str, asked: Filter, **more: object) -> Look:
        """Leave to look at what a filter finds."""
        return await self._office.asking.look_into_log(
            asker,
            what,
            {**asked.asked(), **more},
            patient=asked.patient,
            field="filter.patient",
        )

    def _shown(self, stored: Stored, look: Look, policies: Policies | None = None) -> Shown:
        return shown(stored, self._office.handles, hidden=look.pseudonymised, policies=policies)


def begun(request: Any, how: How) -> tuple[Given, Asker, Filter]:  # noqa: ANN401 - any request with a filter
    """A request that is being read: who asks, and for which entries."""
    given = Given()
    asker = given.read(lambda: wire.asker(request, how), NOBODY)
    asked = given.read(lambda: filters.read(request.filter), Filter())
    return given, asker, asked
