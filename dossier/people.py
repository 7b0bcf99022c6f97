"""People: who the patients are, how they are reached and what they wish to be told; and the dashboard.

Every method takes a permit, spends it first, and is recorded in the transaction of what it does. A change
of the registry that is recorded here may be asked for again, when its answer was lost: the same decision
comes again, and nothing is done twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine

from dossier import accounts, administrative, closures, dashboard, deed, notices, persons, wishes
from dossier.accounts import COST, Account, Cost
from dossier.closures import Closure
from dossier.dashboard import Authorised, Dashboard, Wanted
from dossier.model import PERSONS, Administrative, Guardian
from dossier.permit import Permit, Turnstile
from dossier.records import is_recorded, record, refuse_spent
from dossier.transaction import run
from dossier.wishes import Wishes
from serving.days import FRANCE
from serving.errors import RequestError

__all__ = ["People", "Wanted", "Wishes"]

RIGHTS: Final = (
    "consent.update",
    "authorisation.grant",
    "authorisation.renew",
    "authorisation.revoke",
    "treating_doctor.set",
    "treating_doctor.withdraw",
    "block.set",
    "block.lift",
    "representative.add",
    "representative.remove",
)
"""The changes of the registry that are recorded here and change nothing else here."""


class People:
    """The administrative side of the record. Safe under threads.

    All methods that take a permit raise `PermitError` when it is not for just this, spent, or too old.
    """

    def __init__(
        self,
        writer: Engine,
        reader: Engine,
        turnstile: Turnstile,
        clock: Callable[[], datetime],
        *,
        cost: Cost = COST,
    ) -> None:
        """Over the databases of the record.

        Args:
            writer: to write.
            reader: the same database, to read only.
            turnstile: takes the permits.
            clock: the instant.
            cost: of hashing a password.
        """
        self._writer = writer
        self._reader = reader
        self._turnstile = turnstile
        self._clock = clock
        self._cost = cost

    def check(self, person: Administrative, guardians: Sequence[Guardian] = ()) -> None:
        """Whether these data will do: to be asked before the decision point is, as it can't take back.

        Raises:
            RequestError: with everything that is wrong with them.
        """
        today = self._clock().astimezone(FRANCE).date()
        administrative.check(person, guardians, today=today)

    def create(
        self,
        permit: Permit,
        patient: str,
        person: Administrative,
        guardians: Sequence[Guardian] = (),
    ) -> Account | None:
        """Keeps what is known of the patient of a new dossier.

        Args:
            permit: for `dossier.create`.
            patient: INS.
            person: the administrative data.
            guardians: the legal representatives of a minor.

        Returns:
            The account, told this once; None without e-mail or mobile phone, where there is one already,
            and when it is done again.

        Raises:
            RequestError: the data will not do; nothing is kept, and it may be done again with better ones.
        """
        self._turnstile.spend(permit, action="dossier.create", patient=patient, repeatable=True)
        self.check(person, guardians)
        drawn = accounts.new() if administrative.has_account(person) else None
        # Slow, and so not while others wait for the database.
        password = accounts.hashed(drawn.temporary_password, self._cost) if drawn else ""

        def work(conn: Connection) -> Account | None:
            if is_recorded(conn, permit):
                return None
            at, account = self._clock(), None
            persons.keep(conn, patient, person, guardians, at=at)
            if drawn:
                account = persons.add_account(conn, patient, drawn, password=password, at=at)
            record(conn, permit, at=at)
            return account

        return run(self._writer, work)

    def find(self, permit: Permit, patient: str) -> Closure | None:
        """When and why a dossier was closed; `permit` is for `dossier.find`."""
        self._turnstile.spend(permit, action="dossier.find", patient=patient)

        def work(conn: Connection) -> Closure | None:
            refuse_spent(conn, permit)
            record(conn, permit, at=self._clock())
            return closures.find(conn, patient)

        return run(self._writer, work)

    def reopen(self, permit: Permit, patient: str) -> None:
        """Records that a dossier is open again; `permit` is for `dossier.reopen`."""
        self._record_change(
            permit,
            patient,
            ("dossier.reopen",),
            also=lambda conn, _: closures.forget(conn, patient),
        )

    def close(self, permit: Permit, patient: str, reason: str) -> None:
        """Records that a dossier is closed, and by which reason; `permit` is for `dossier.close`."""
        self._record_change(
            permit,
            patient,
            ("dossier.close",),
            also=lambda conn, at: closures.keep(conn, patient, Closure(at=at, reason=reason)),
        )

    def rights_changed(self, permit: Permit, patient: str) -> None:
        """Records that consents, authorisations or the like changed; `permit` is for one of `RIGHTS`."""
        self._record_change(permit, patient, RIGHTS)

    def read(
        self, permit: Permit, patient: str
    ) -> tuple[Administrative | None, tuple[Guardian, ...]]:
        """The administrative data; None where a dossier was opened without this service.

        Args:
            permit: for `dossier.read`.
            patient: INS.
        """
        self._turnstile.spend(permit, action="dossier.read", patient=patient)

        def work(conn: Connection) -> tuple[Administrative | None, tuple[Guardian, ...]]:
            refuse_spent(conn, permit)
            found = persons.find(conn, patient)
            record(conn, permit, at=self._clock())
            return found

        return run(self._writer, work)

    def update(
        self,
        permit: Permit,
        patient: str,
        person: Administrative,
        guardians: Sequence[Guardian] = (),
    ) -> None:
        """Changes the administrative data: all of them, those left out are gone.

        Args:
            permit: for `dossier.update`.
            patient: INS.
            person: the administrative data.
            guardians: the legal representatives of a minor.

        Raises:
            RequestError: the data will not do; nothing is changed.
        """
        self._turnstile.spend(permit, action="dossier.update", patient=patient)
        self.check(person, guardians)

        def work(conn: Connection) -> None:
            refuse_spent(conn, permit)
            at = self._clock()
            persons.keep(conn, patient, person, guardians, at=at)
            record(conn, permit, at=at)

        run(self._writer, work)

    def settings(self, permit: Permit, patient: str) -> Wishes:
        """Which notices the holder wants; `permit` is for `dossier.read`."""
        self._turnstile.spend(permit, action="dossier.read", patient=patient)

        def work(conn: Connection) -> Wishes:
            refuse_spent(conn, permit)
            found = persons.find_wishes(conn, patient)
            record(conn, permit, at=self._clock())
            return found

        return run(self._writer, work)

    def change_settings(self, permit: Permit, patient: str, wanted: Wishes) -> None:
        """Keeps which notices the holder wants; the holder is told when somebody else decides that.

        Args:
            permit: for `dossier.update`.
            patient: INS.
            wanted: the wishes.

        Raises:
            RequestError: an emergency access could not be told, or there is nobody to be told anything.
        """
        self._turnstile.spend(permit, action="dossier.update", patient=patient)

        def work(conn: Connection) -> None:
            refuse_spent(conn, permit)
            person, _ = persons.find(conn, patient)
            if person is None:
                cure = "give the administrative data first"
                raise RequestError([("patient", "nothing is known of them", cure)])
            wishes.check(wanted, person.contact)
            at = self._clock()
            if permit.subject.kind not in PERSONS:  # by the channels that counted so far
                changed = deed.of_permit(permit, at=at, label=None)
                notices.tell(conn, replace(changed, obligations=("notify_holder",)))
            persons.keep_wishes(conn, patient, wanted)
            record(conn, permit, at=at)

        run(self._writer, work)

    def dashboard(
        self,
        permit: Permit,
        authorised: Sequence[Authorised],
        wanted: Wanted,
        *,
        page: int = 1,
        size: int = 10,
    ) -> Dashboard:
        """One page of a professional's patients.

        Args:
            permit: for `patient.list`.
            authorised: all of them, as the gate says.
            wanted: what is searched for.
            page: from 1.
            size: 10, 20, 30, 40 or 50.

        Raises:
            RequestError: the search or the page is none.
        """
        self._turnstile.spend(permit, action="patient.list", patient="")
        actor = deed.storable(permit.subject.id)
        with self._reader.begin() as conn:
            refuse_spent(conn, permit)
            found = dashboard.look(conn, actor, authorised, wanted, page=page, size=size)
        at = self._clock()
        run(self._writer, lambda conn: record(conn, permit, at=at))
        return found

    def _record_change(
        self,
        permit: Permit,
        patient: str,
        actions: Sequence[str],
        *,
        also: Callable[[Connection, datetime], None] | None = None,
    ) -> None:
        given = getattr(permit, "action", "")
        action = given if given in actions else actions[0]
        self._turnstile.spend(permit, action=action, patient=patient, repeatable=True)

        def work(conn: Connection) -> None:
            if is_recorded(conn, permit):
                return
            at = self._clock()
            if also is not None:
                also(conn, at)
            record(conn, permit, at=at)

        run(self._writer, work)
