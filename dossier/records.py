"""Recording: nothing is read or written in the record without a row that says who did it (CSP R.1111-43).

The decision log says what was permitted; `acts` says what was done with it, joined by the id of the decision.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, select

from dossier import deed, notices, tables
from dossier.errors import PermitError
from dossier.model import Label
from dossier.dialects import insert_once
from dossier.permit import Permit

_KNOWN: Final = select(tables.acts.c.decision).where(tables.acts.c.decision == bindparam("id"))


def record(
    conn: Connection, permit: Permit, *, at: datetime, label: Label | None = None, shown: int = 0
) -> None:
    """Records the use of a permit, and writes the notices that its obligations ask for.

    Args:
        conn: the transaction of what the permit is used for; both are committed, or neither.
        permit: what is used; it has been spent at the turnstile.
        at: the instant.
        label: of the document that is touched; of a list, None.
        shown: how many documents a list shows.

    Raises:
        PermitError: it was used before, by whatever process.
    """
    done = deed.of_permit(permit, at=at, label=label, shown=shown)
    if not insert_once(conn, tables.acts, done.row):
        raise PermitError("spent: a permit pays for one touch")
    notices.owe(conn, permit, at=at, label=label)


def is_recorded(conn: Connection, permit: Permit) -> bool:
    """Whether this use was recorded before: a change is asked for again when its answer was lost."""
    return conn.execute(_KNOWN, {"id": permit.decision}).first() is not None
