"""Loads and saves the state of patients, and follows the change feed (which `feed` shows to others).

The caller owns the connection and its transaction, and calls in this order for each batch:

    head = store.catch_up(conn, changes=...)      # forgets what others changed since
    states = store.get_many(conn, patients)
    standings = store.standings(conn)
    revision = store.save(conn, old, new, ...)    # for each change; or store.set_standing
    conn.commit()                                 # on any exception: conn.rollback()
    store.adopt(changed, revision)                # only now does the cache hold the new states

On PostgreSQL each batch sees the database as of its `catch_up`, by REPEATABLE READ. One that may change
something takes a lock first, so that such batches queue: the order of revisions is the order of commits,
and nobody decides in vain. Batches that only read wait for nobody.

What a batch saved and did not commit never enters the cache, so a rolled back batch leaves nothing
to clean up. Errors of the database itself come through as SQLAlchemy's: they are the caller's, like
the transaction.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import DBAPIError

from authz.registry import rows, standing, tables
from authz.registry.changes import SetReviewStanding
from authz.registry.state import PatientState, Standings
from storage.database import is_conflict
from storage.errors import ConflictError, DatabaseError
from storage.statements import first

# Held back are only those who take the same lock or move the head, not those who read it. It must come
# before the first query: that is when PostgreSQL fixes what the transaction sees.
_QUEUE: Final = "LOCK TABLE head IN SHARE ROW EXCLUSIVE MODE"

ACTIVATION: Final = "policy.activate"
"""What the feed says of a revision at which the policies changed."""

_NOBODY: Final = ""
"""Whose line it is in the feed where no patient changed."""

# As it is, because each batch asks it.
_LOOK: Final = "SELECT revision, bundle FROM head"
_MOVE_HEAD: Final = (
    update(tables.head)
    .values(revision=tables.head.c.revision + 1)
    .returning(tables.head.c.revision)
)
_CHANGED: Final = (
    select(tables.changes.c.ins).where(tables.changes.c.revision > bindparam("known")).distinct()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where the registry stands: its revision, and the digest of the active bundle, if any."""

    revision: int
    bundle: str | None


class Store:
    """The registry's one reader and writer in a process.

    * The cache holds committed states only, of bounded size; the least used leave first.
    * A state from the cache is as new as the last `catch_up`.
    * Not safe under threads: it belongs to the loop that batches.
    """

    def __init__(self, *, capacity: int = 250_000) -> None:
        """Starts with an empty cache.

        Args:
            capacity: how much is kept in memory, in units of about 240 bytes. A patient takes two, and one
                more for each authorisation, treating doctor, block and representative; so what is
                kept is bounded in bytes, however long the lists are.
        """
        self._limit = capacity
        self._held = 0
        self._cache: OrderedDict[str, PatientState] = OrderedDict()
        self._standings: Standings | None = None  # all of them, or not in memory
        self._revision = 0  # what the cache reflects
        self._next = 0  # the revision as this batch has moved it
        self._unsettled: set[str] = set()  # patients this batch saved: not to be cached yet

    def catch_up(self, conn: Connection, *, changes: bool = False) -> Head:
        """Forgets the patients that others changed; the first step of every transaction.

        One query when nothing is new. When the database is behind the cache, after a restore or a
        fail-over, the whole cache is forgotten.

        Args:
            conn: a connection that has begun no transaction, or has not used it yet.
            changes: whether this batch may call `save` or `activate`. It can without, but may then
                conflict with another writer.

        Raises:
            DatabaseError: the head is missing, so this is no registry.
        """
        if changes and conn.dialect.name == "postgresql":
            conn.exec_driver_sql(_QUEUE)
        row = first(conn, _LOOK)
        if row is None:
            raise DatabaseError("registry head is missing: restore the database from a backup")
        revision, bundle = row
        if revision < self._revision:
            self.forget_all()
        elif revision > self._revision and (self._cache or self._standings is not None):
            self.forget(conn.scalars(_CHANGED, {"known": self._revision}))
        self._revision = self._next = revision
        self._unsettled.clear()
        return Head(revision=revision, bundle=bundle)

    def get(self, conn: Connection, patient: str) -> PatientState:
        """The state of one patient; `unknown` when there is no dossier."""
        return self.get_many(conn, (patient,))[patient]

    def get_many(self, conn: Connection, patients: Iterable[str]) -> dict[str, PatientState]:
        """The states of all `patients`; those not in memory cost two queries together."""
        found: dict[str, PatientState] = {}
        missing: list[str] = []
        for patient in dict.fromkeys(patients):
            state = None if patient in self._unsettled else self._cache.get(patient)
            if state is None:
                missing.append(patient)
            else:
                self._cache.move_to_end(patient)
                found[patient] = state
        for state in rows.load(conn, missing):
            found[state.patient] = state
            if state.patient not in self._unsettled:
                self._keep(state)
        return found

    def save(
        self,
        conn: Connection,
        old: PatientState,
        new: PatientState,
        *,
        action: str,
        decision_id: str,
        at: datetime,
    ) -> int:
        """Writes what differs between two states of a patient, and announces it in the feed.

        A change that leaves everything as it was is announced too: it was decided.

        Args:
            conn: a connection in the transaction of the batch, after `catch_up`.
            old: the state as it is stored, or as this batch saved it before.
            new: the state to be stored.
            action: the action that was decided, for the feed.
            decision_id: the decision that permitted it.
            at: the instant of the change.

        Returns:
            The revision of the change, one more than the last.

        Raises:
            ConflictError: another writer was faster; roll back and decide the batch again.
        """
        revision = self._move_head(conn)
        self._unsettled.add(new.patient)
        rows.write(conn, old, new, revision)
        _announce(conn, revision, ins=new.patient, action=action, decision_id=decision_id, at=at)
        return revision

    def standings(self, conn: Connection) -> Standings:
        """The standings of all professionals who have one; one query when they are not in memory."""
        if self._standings is not None:
            return self._standings
        found = standing.load(conn)
        if _NOBODY not in self._unsettled:
            self._standings = found
        return found

    def set_standing(
        self,
        conn: Connection,
        change: SetReviewStanding,
        *,
        action: str,
        decision_id: str,
        at: datetime,
    ) -> int:
        """Writes the standing of a professional, and announces it in the feed, the same again too.

        Args:
            conn: as for `save`.
            change: whose standing, and which.
            action: as for `save`.
            decision_id: as for `save`.
            at: the instant of the change.

        Returns:
            The revision of the change, one more than the last.

        Raises:
            ConflictError: another writer was faster; roll back and decide the batch again.
        """
        revision = self._move_head(conn)
        self._unsettled.add(_NOBODY)
        self._standings = None
        standing.write(conn, change, at)
        _announce(conn, revision, ins=_NOBODY, action=action, decision_id=decision_id, at=at)
        return revision

    def adopt(self, states: Iterable[PatientState], revision: int) -> None:
        """Takes the states of a batch into the cache, once its transaction is committed.

        Args:
            states: the last state of each patient that the batch saved.
            revision: what the last `save` or `activate` of the batch answered.
        """
        self._unsettled.clear()
        self._revision = self._next = revision
        for state in states:
            self._keep(state)

    def forget(self, patients: Iterable[str]) -> None:
        """Drops patients from memory; they are loaded when next asked for. "" drops the standings."""
        for patient in patients:
            if patient == _NOBODY:
                self._standings = None
            state = self._cache.pop(patient, None)
            if state is not None:
                self._held -= _size(state)

    def forget_all(self) -> None:
        """Drops all patients and standings from memory."""
        self._cache.clear()
        self._standings = None
        self._held = 0

    def activate(
        self,
        conn: Connection,
        digest: str,
        content: bytes,
        *,
        at: datetime,
        decision_id: str,
    ) -> int:
        """Makes a bundle the active one, and keeps its content for ever.

        Nothing changes when it is active already.

        Args:
            conn: a connection in the transaction of the batch, after `catch_up`.
            digest: the bundle's digest.
            content: the bundle, enough to decide again what was decided under it.
            at: the instant of the activation.
            decision_id: the log entry of the activation, for the feed.

        Returns:
            The revision at which the bundle is active.

        Raises:
            ConflictError: another writer was faster; roll back and try again.
        """
        _, active = first(conn, _LOOK)
        if active == digest:
            return self._next
        bundles = tables.bundles
        again = update(bundles).where(bundles.c.digest == digest).values(activated_at=at)
        if conn.execute(again).rowcount == 0:
            new = {"digest": digest, "content": content, "activated_at": at}
            conn.execute(insert(bundles).values(new))
        revision = self._move_head(conn, bundle=digest)
        _announce(conn, revision, ins=_NOBODY, action=ACTIVATION, decision_id=decision_id, at=at)
        return revision

    def bundle(self, conn: Connection, digest: str) -> bytes | None:
        """The content of a bundle that is or was active; None when it never was."""
        wanted = tables.bundles.c.digest == digest
        return conn.scalar(select(tables.bundles.c.content).where(wanted))

    def _move_head(self, conn: Connection, **values: str) -> int:
        statement = _MOVE_HEAD.values(values) if values else _MOVE_HEAD
        try:
            revision: int = conn.execute(statement).scalar_one()
        except DBAPIError as exc:
            if not is_conflict(exc):
                raise
            raise ConflictError("another writer moved on: catch up and decide again") from exc
        if revision != self._next + 1:
            raise ConflictError(
                f"registry is at revision `{revision - 1}`, not `{self._next}`:"
                " catch up and decide again"
            )
        self._next = revision
        return revision

    def _keep(self, state: PatientState) -> None:
        self.forget([state.patient])
        self._cache[state.patient] = state
        self._held += _size(state)
        while self._held > self._limit:
            _, oldest = self._cache.popitem(last=False)
            self._held -= _size(oldest)


def _size(state: PatientState) -> int:
    lists = (state.authorisations, state.treating_doctors, state.blocks, state.representatives)
    return 2 + sum(map(len, lists))


def _announce(conn: Connection, revision: int, **line: object) -> None:
    """Adds to the feed what moved the registry to a revision."""
    conn.execute(insert(tables.changes).values(revision=revision, **line))
