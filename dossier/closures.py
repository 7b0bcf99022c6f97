"""When and why a dossier was closed, for those who find it closed (TD0.2)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select

from dossier.dialects import put
from dossier.tables import closures

_WHOSE: Final = closures.c.patient == bindparam("whose")


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """When a dossier was closed, and by which reason: FERMETURE_DEMANDE_PATIENT, DECES."""

    at: datetime
    reason: str


def keep(conn: Connection, patient: str, closure: Closure) -> None:
    """Writes that a dossier is closed."""
    put(conn, closures, {"patient": patient, "at": closure.at, "reason": closure.reason})


def forget(conn: Connection, patient: str) -> None:
    """Takes it back: the dossier is open again."""
    conn.execute(delete(closures).where(_WHOSE), {"whose": patient})


def find(conn: Connection, patient: str) -> Closure | None:
    """The closure of a dossier; None where it is open, or was closed without this service."""
    row = conn.execute(select(closures).where(_WHOSE), {"whose": patient}).one_or_none()
    return None if row is None else Closure(at=row.at, reason=row.reason)
