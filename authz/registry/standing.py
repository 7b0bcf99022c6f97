"""What reviews of emergency accesses have left professionals with: of no patient, so in no state of one.

Few professionals have a standing, so all of them are held in memory at once (`Store.standings`).
"""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from authz.registry import tables
from authz.registry.changes import SetReviewStanding
from authz.registry.guards import require_identifier, require_text
from authz.registry.state import ReviewStanding, Standings

_t: Final = tables.standings
_ALL: Final = select(_t.c.professional, _t.c.standing)


def require_possible(change: SetReviewStanding) -> None:
    """The change names a professional, and says why in plain text.

    Raises:
        ChangeError: it does not.
    """
    require_identifier("professional", change.professional)
    require_text("why", change.why)


def load(conn: Connection) -> Standings:
    """All standings but `none`."""
    return {who: ReviewStanding(standing) for who, standing in conn.execute(_ALL)}


def write(conn: Connection, change: SetReviewStanding, at: datetime) -> None:
    """Puts a standing in the place of the one before; `none` leaves no row."""
    conn.execute(delete(_t).where(_t.c.professional == change.professional))
    if change.standing is not ReviewStanding.NONE:
        row = {"professional": change.professional, "standing": change.standing.value}
        conn.execute(insert(_t).values(**row, why=change.why, since=at))
