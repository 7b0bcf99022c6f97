"""Recording: nothing is read or written in the record without a row that says who did it (CSP R.1111-43).

The decision log says what was permitted; `acts` says what was done with it, joined by the id of the decision.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection, Engine, bindparam, select

from dossier import deed, inbox, notices, tables, trace
from dossier.dialects import insert_once
from dossier.errors import PermitError
from dossier.gate import Refused
from dossier.inbox import NoticePage
from dossier.model import Label
from dossier.permit import Permit, Turnstile
from dossier.trace import TracePage
from dossier.transaction import run

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
    notices.tell(conn, done)


def is_recorded(conn: Connection, permit: Permit) -> bool:
    """Whether this use was recorded before: a change is asked for again when its answer was lost."""
    return conn.execute(_KNOWN, {"id": permit.decision}).first() is not None


def refuse_spent(conn: Connection, *permits: Permit) -> None:
    """Refuses what another process has spent already, before anything is read.

    Raises:
        PermitError: one of them was used.
    """
    if any(is_recorded(conn, permit) for permit in permits):
        raise PermitError("spent: a permit pays for one touch")


class Records:
    """What was done: recorded, and shown to those who may see it. Safe under threads.

    All methods that take a permit spend it first, and raise `PermitError` when it is not for just this.
    """

    def __init__(
        self,
        writer: Engine,
        reader: Engine,
        turnstile: Turnstile,
        clock: Callable[[], datetime],
    ) -> None:
        """Over the databases of the record.

        Args:
            writer: to record.
            reader: the same database, to read only.
            turnstile: takes the permits.
            clock: the instant.
        """
        self._writer = writer
        self._reader = reader
        self._turnstile = turnstile
        self._clock = clock

    def refused(self, refused: Refused) -> None:
        """Records a denial, and writes the notices that its obligations ask for; once, however often told."""
        attempt = deed.of_denial(refused.denied, at=self._clock(), label=refused.label)

        def work(conn: Connection) -> None:
            if insert_once(conn, tables.acts, attempt.row):
                notices.tell(conn, attempt)

        run(self._writer, work)

    def trace(
        self,
        permit: Permit,
        patient: str,
        *,
        actor: str = "",
        since: date | None = None,
        until: date | None = None,
        refused: bool = False,
        size: int = 50,
        after: str = "",
    ) -> TracePage:
        """One page of who did what in a dossier, the latest first. To read it is itself recorded.

        Args:
            permit: for `trace.read`.
            patient: INS.
            actor: of this person or structure only.
            since: from this day on, in France.
            until: until this day, in France.
            refused: refused attempts only.
            size: how many at most.
            after: the cursor of the page before.

        Raises:
            RequestError: the cursor is not one of this question.
        """
        self._turnstile.spend(permit, action="trace.read", patient=patient)
        question = trace.Question(actor=actor, since=since, until=until, refused=refused)
        with self._reader.begin() as conn:
            refuse_spent(conn, permit)
            page = trace.look(conn, permit, question, size=size, after=after)
        self._record(permit)
        return page

    def notices(
        self,
        permit: Permit,
        patient: str = "",
        *,
        patients: Sequence[str] = (),
        size: int = 50,
        after: str = "",
    ) -> NoticePage:
        """One page of the notices about a patient, or about all patients of a treating doctor.

        Args:
            permit: for `trace.read` of the patient; without one, for `patient.list`.
            patient: INS; "" for all of `patients`.
            patients: INS of those whose treating doctor the permit's subject is, as the gate says.
            size: how many at most.
            after: the cursor of the page before.

        Raises:
            RequestError: the cursor is not one of this question.
        """
        action = "trace.read" if patient else "patient.list"
        self._turnstile.spend(permit, action=action, patient=patient)
        with self._reader.begin() as conn:
            refuse_spent(conn, permit)
            if patient:
                page = inbox.of_patient(conn, permit, size=size, after=after)
            else:
                page = inbox.of_patients(conn, permit, patients, size=size, after=after)
        self._record(permit)
        return page

    def _record(self, permit: Permit) -> None:
        at = self._clock()
        run(self._writer, lambda conn: record(conn, permit, at=at))
