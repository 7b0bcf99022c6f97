"""PostgreSQL: several processes, on several machines, and a standby that has every commit.

A commit that returns is durable, on the standbys too where `synchronous_standby_names` asks for it:
`Confirmed` sees to that, and `connect` refuses a server that promises less.

Every transaction is REPEATABLE READ: all that a batch reads is as of its first query, so no change of
another process comes in between the two queries that load a patient. Whoever writes what another has
written since is told so (`is_conflict`) and decides again.
"""

from typing import Any, Final

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.errors import Diagnostic
from psycopg.pq import TransactionStatus
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select
from sqlalchemy.exc import SQLAlchemyError

from storage.errors import DatabaseError

_OLDEST: Final = 14
"""Earlier releases are no longer mended."""

_PROMISES: Final = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "remote_apply"),
    "server_encoding": ("UTF8",),
}
"""Settings of the server without which a commit could be lost or a text not be stored."""

# Each bound leaves the one before it the time to strike first.
_LIMITS: Final = {
    # A process that was stopped in the middle of a batch loses its transaction, and so its locks.
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": "7s",
    "statement_timeout": "8s",
}
_SHORT_QUERIES: Final = {"max_parallel_workers_per_gather": "0"}
"""We look up a few hundred rows at most: to start workers for that takes longer than to do it."""

_PATIENCE_S: Final = 10.0
"""How long to wait for any answer of the server, in seconds; no setting of its own bounds a COMMIT."""

_DRIVER: Final = {
    "application_name": "dmp",
    "client_encoding": "UTF8",
    "connect_timeout": "5",
    # Of several hosts in the url, the one that can be written.
    "target_session_attrs": "read-write",
    # Milliseconds, then seconds: a server that fell silent is given up.
    "tcp_user_timeout": "10000",
    "keepalives_idle": "5",
}


_MIGRATING: Final = 0x_646D70
"""The number of the lock that a process holds while it migrates."""


class Confirmed(psycopg.Connection[tuple[Any, ...]]):
    """A connection whose commit has happened when it returns, and which never waits for ever.

    PostgreSQL answers a COMMIT with success and a warning when the wait for its standby was cancelled,
    and with success and the word ROLLBACK when the transaction had failed. Both are errors here.
    """

    patience: float | None = _PATIENCE_S

    def commit(self) -> None:
        """Commits, durably.

        Raises:
            psycopg.OperationalError: the transaction had failed; or nobody knows whether it is durable,
                and the connection is closed.
        """
        if self.pgconn.transaction_status == TransactionStatus.INERROR:
            self.rollback()
            raise psycopg.OperationalError("the transaction has failed before its commit")
        said: list[str | None] = []

        def note(notice: Diagnostic) -> None:
            said.append(notice.message_primary)  # now: it is gone behind the handler

        self.add_notice_handler(note)
        try:
            super().commit()
        finally:
            self.remove_notice_handler(note)
        if said:
            self.close()
            raise psycopg.OperationalError(f"commit in doubt: {said[0]}")

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Waits for an answer of the server, as long as `patience` lasts.

        To cancel would make a commit succeed without its standby, so the connection is closed instead.
        """
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError as exc:
            # Among several statements sent at once, one may fail while the next are still to be answered.
            if exc.sqlstate or self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.close()
            raise psycopg.OperationalError(f"no answer in {self.patience} s") from exc


def connect(url: URL, *, read_only: bool) -> Engine:
    """Opens a database that exists; each new connection is checked.

    * Refused: a server before version 14, and unless `read_only` a standby and one that may lose commits.
    * One connection is kept, for the one writer; more are opened when asked for, and closed again.
    * Nothing waits for ever: neither we for the server, nor others for a process of ours that was stopped.

    Args:
        url: what stands behind its question mark goes to libpq: `?sslmode=verify-full`.
        read_only: never write; a standby and lesser promises will do.

    Raises:
        DatabaseError: the server can't be reached, or does not promise enough.
    """
    name = url.database or "postgresql"
    driver: dict[str, str] = {k: v for k, v in _DRIVER.items() if k not in url.query}
    if read_only:
        driver.pop("target_session_attrs", None)
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        isolation_level="REPEATABLE READ",
        connect_args=driver,
        pool_size=1,
        use_native_hstore=False,
        hide_parameters=True,  # an error may be logged, and what was to be stored must not
    )

    @event.listens_for(engine, "do_connect")
    def _open(_dialect: object, _record: object, cargs: Any, cparams: Any) -> Confirmed:  # noqa: ANN401 - SQLAlchemy's signature
        connection = Confirmed.connect(*cargs, **cparams, autocommit=True)
        try:
            _check(connection, name, {} if read_only else _PROMISES)
            _limit(connection)
            connection.autocommit, connection.read_only = False, read_only
        except BaseException:
            connection.close()
            raise
        return connection

    try:
        engine.connect().close()
    except SQLAlchemyError as exc:
        cause = " ".join(str(getattr(exc, "orig", None) or exc).split())
        raise DatabaseError(f"database `{name}` can't be used: {cause}") from exc
    return engine


def prepare_migration(conn: Connection) -> None:
    """Begins the transaction of a migration: one process at a time, and each as long as it takes.

    The connection is closed after use, not kept.
    """
    raw = conn.connection.driver_connection
    if isinstance(raw, Confirmed):
        raw.patience = None
    conn.detach()
    # Who had to wait for the lock must see what the one before has done.
    conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
    conn.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))


def _check(connection: Confirmed, name: str, promises: dict[str, tuple[str, ...]]) -> None:
    version = connection.info.server_version // 10_000
    if version < _OLDEST:
        raise DatabaseError(
            f"database `{name}`: PostgreSQL {version} is too old: give one of {_OLDEST} or later"
        )
    for setting, good in promises.items():
        row = connection.execute("SELECT current_setting(%s)", (setting,)).fetchone()
        found = row[0] if row else ""
        if found not in good:
            raise DatabaseError(
                f"database `{name}`: `{setting}` is `{found}`: set it to `{good[0]}`, the service"
                " keeps no record on less"
            )


def _limit(connection: Confirmed) -> None:
    for setting, value in (_LIMITS | _SHORT_QUERIES).items():
        connection.execute("SELECT set_config(%s, %s, false)", (setting, value))
