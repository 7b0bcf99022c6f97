"""The keys of patients: one each, wrapped by a master key, in a database of their own.

Who destroys a key makes all that it sealed unreadable, wherever a copy of that lies. Copies of the key lie in
backups of this database, wrapped: they are worth nothing once their master key is retired (`docs/keys.md`).
"""

import os
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import Connection, Engine, Row, func, select, update

from dossier import transaction
from dossier.dialects import insert_once
from dossier.errors import KeyDestroyedError, KeyMissingError, MasterError, SealError
from dossier.keys import rotation, tables
from dossier.keys.masters import MasterKeys
from dossier.keys.rotation import place
from dossier.keys.sealing import KEY_BYTES, Key, Random
from storage.migration import Migrations

MIGRATIONS: Final = Migrations(
    folder=Path(__file__).parent / "migrations",
    newest="0001",
    table="keys_version",
    command="dmp dossier keys migrate",
)

Progress = Callable[[int, int], None]
"""Is told how many are done, and of how many."""

_keys: Final = tables.keys.c
_masters: Final = tables.masters.c


class Keyring:
    """The keys; safe under threads and for several processes.

    All methods raise:
        MasterError: a master key that is needed is not there, or can't be used.
        SealError: a wrapped key is damaged, or was wrapped by something else than its master key.
        SQLAlchemyError: the database can't be used.
    """

    def __init__(
        self,
        engine: Engine,
        masters: MasterKeys,
        *,
        reader: Engine | None = None,
        random: Random = os.urandom,
    ) -> None:
        """A keyring over migrated tables.

        Args:
            engine: the database of the keys.
            masters: the master keys.
            reader: the same database, to read from; so that on SQLite who reads waits for nobody who writes.
            random: where keys come from.
        """
        self._engine = engine
        self._reader = reader or engine
        self._masters = masters
        self._random = random

    @classmethod
    def open(cls, engine: Engine, masters: MasterKeys, *, reader: Engine | None = None) -> Self:
        """A keyring that is ready: its tables are of the newest shape, and there is a master key.

        Raises:
            DatabaseError: the tables can't be brought to the newest shape.
        """
        MIGRATIONS.migrate(engine)
        masters.newest()
        return cls(engine, masters, reader=reader)

    def key_of(self, patient: str) -> Key:
        """The key of a patient.

        Raises:
            KeyMissingError: there is none.
            KeyDestroyedError: it was destroyed.
        """
        with self._reader.connect() as conn:
            row = _row(conn, patient)
        if row is None:
            raise KeyMissingError(
                "no key of this patient: restore the database of the keys from its newest backup"
            )
        return self._opened(patient, row)

    def make(self, patient: str) -> Key:
        """The key of a patient, made now if there is none. Two who make it at once get the same.

        Raises:
            KeyDestroyedError: it was destroyed.
        """

        def work(conn: Connection) -> Key:
            row = _row(conn, patient)
            if row is not None:
                return self._opened(patient, row)
            secret, values = self._new(conn, patient)
            insert_once(conn, tables.keys, {"patient": patient, **values})
            return Key(secret)

        return transaction.run(self._engine, work)

    def destroy(self, patient: str, *, at: datetime) -> None:
        """Destroys the key of a patient; that it was destroyed stays known. Again changes nothing.

        Raises:
            KeyMissingError: there never was one.
        """

        def work(conn: Connection) -> None:
            rotation.wipe(conn)
            row = _row(conn, patient)
            if row is None:
                raise KeyMissingError("no key of this patient: look whether the number is right")
            if row.wrapped is not None:
                gone = update(tables.keys).where(_keys.patient == patient)
                conn.execute(gone.values(wrapped=None, destroyed_at=at))

        transaction.run(self._engine, work)
        self._settle()

    def rewrap(self, *, progress: Progress | None = None) -> int:
        """Wraps all keys with the newest master key; from now on no older one wraps.

        Portion by portion: after a crash, call it again. Keys that can't be unwrapped are left.

        Returns:
            How many keys were wrapped anew.

        Raises:
            SealError: some keys are damaged; all others are wrapped anew.
        """
        newest = self._masters.newest()
        transaction.run(self._engine, lambda conn: self._succeed(conn, newest))
        with self._reader.connect() as conn:
            total = conn.scalar(select(func.count()).where(*rotation.older(newest))) or 0
        done = 0
        while True:
            well = damaged = 0
            for some, ill in rotation.portions(self._engine, self._masters, newest):
                well, damaged = well + some, damaged + ill
                if progress is not None:
                    progress(done + well + damaged, total)
            done += well
            if not well:
                break
        self._settle()
        if damaged:
            raise SealError(
                f"`{damaged}` of `{total}` keys can't be unwrapped: restore them from a backup, then"
                " rewrap again"
            )
        return done

    def retire(self, master: str) -> None:
        """Removes a master key that wraps nothing any more; backups that need it are useless from now on.

        Raises:
            MasterError: it is the newest, or still wraps keys.
        """
        if master == self._masters.newest():
            raise MasterError(f"`{master}` is the newest: create another one, then rewrap")

        def close(conn: Connection) -> None:
            self._register(conn, master)
            conn.execute(update(tables.masters).where(_masters.id == master).values(closed=True))

        # In a transaction of its own: whoever was about to wrap with it is done, or will be refused.
        transaction.run(self._engine, close)
        left = self.tally().get(master, 0)
        if left:
            raise MasterError(f"`{master}` still wraps `{left}` keys: rewrap first")
        self._masters.remove(master)

    def tally(self) -> Mapping[str, int]:
        """How many keys each master key wraps."""
        wrapped = select(_keys.master, func.count()).where(_keys.wrapped.is_not(None))
        with self._reader.connect() as conn:
            found = conn.execute(wrapped.group_by(_keys.master)).all()
        return {row[0]: row[1] for row in found}

    def _opened(self, patient: str, row: Row[Any]) -> Key:
        if row.wrapped is None:
            raise KeyDestroyedError(
                "the key of this patient was destroyed: what it sealed is gone for good"
            )
        return Key(self._masters.unwrap(row.master, row.wrapped, place(patient, row.master)))

    def _new(self, conn: Connection, patient: str) -> tuple[bytes, dict[str, object]]:
        """A new key, and the columns that hold it wrapped."""
        master = self._masters.newest()
        if self._register(conn, master):
            raise MasterError(
                f"`{master}` is the newest, and was replaced: bring back the one that replaced it, or create"
                " another one"
            )
        secret = self._random(KEY_BYTES)
        wrapped = self._masters.wrap(master, secret, place(patient, master))
        return secret, {"master": master, "wrapped": wrapped}

    def _register(self, conn: Connection, master: str) -> bool:
        """Whether a master key is closed; it stays as it is until this transaction ends."""
        insert_once(conn, tables.masters, {"id": master, "closed": False})
        held = select(_masters.closed).where(_masters.id == master).with_for_update(read=True)
        closed: bool = conn.execute(held).scalar_one()
        return closed

    def _succeed(self, conn: Connection, newest: str) -> None:
        """Closes all master keys but the newest."""
        if self._register(conn, newest):
            raise MasterError(f"`{newest}` was replaced: bring back the one that replaced it")
        conn.execute(update(tables.masters).where(_masters.id != newest).values(closed=True))

    def _settle(self) -> None:
        """Lets SQLite overwrite its write-ahead log, where what was removed still stands."""
        if self._engine.dialect.name != "sqlite":
            return
        with closing(self._engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _row(conn: Connection, patient: str) -> Row[Any] | None:
    return conn.execute(select(tables.keys).where(_keys.patient == patient)).one_or_none()
