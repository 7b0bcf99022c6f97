"""The database of the index: an SQLite file of its own, or a schema of its own in PostgreSQL."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection

from audit import durable
from audit.errors import EvidenceError
from serving.clock import boottime
from storage.database import connect
from storage.errors import DatabaseError
from storage.migration import Migrations

SCHEMA: Final = "audit"
"""Where the tables stand in PostgreSQL, unless the url names another by `options=-csearch_path=...`."""

_WRITING: Final = 0x_646D70
"""The first number of the lock that whoever writes an index holds."""

_PATIENCE_S: Final = 3.0  # PostgreSQL needs a moment to notice that a process was killed
_PAUSE_S: Final = 0.1
_LOCK: Final = text(
    "SELECT pg_try_advisory_lock(CAST(:lock AS int), hashtext(CAST(current_schema AS text)))"
)

MIGRATIONS: Final = Migrations(
    folder=Path(__file__).parent / "migrations",
    newest="0001",
    table="audit_version",
    command="dmp audit reindex",
)


def opened(url: str, *, read_only: bool = False) -> Engine:
    """The index, with tables of the newest shape unless it is only read.

    Raises:
        DatabaseError: it can't be used.
    """
    engine = connect(_placed(url, make=not read_only), read_only=read_only)
    if not read_only:
        MIGRATIONS.migrate(engine)
        _relax(engine)
    return engine


def _relax(engine: Engine) -> None:
    """Lets commits return before they are on disk: what power takes away is made again from the log.

    They stay whole, and in their order. So following costs no wait for a disk that the log may share.
    """
    quicker = (
        "PRAGMA synchronous=NORMAL"
        if engine.dialect.name == "sqlite"
        # Nobody waits for its one writer, who may think for a while about what it writes.
        else "SET synchronous_commit = off; SET idle_in_transaction_session_timeout = '60s'"
    )

    @event.listens_for(engine, "connect")
    def _begin(connection: DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute(quicker)
        cursor.close()
        connection.commit()

    engine.dispose()  # the connections that are open know nothing of it


def _placed(url: str, *, make: bool = True) -> str:
    """The url with the schema of the index, which is made if it is not there."""
    if not url.startswith("postgresql") or "options" in make_url(url).query:
        return url
    if make:
        _make_schema(url)
    there = make_url(url).update_query_dict({"options": f"-csearch_path={SCHEMA}"})
    return there.render_as_string(hide_password=False)


def _make_schema(url: str) -> None:
    engine = connect(url)
    try:
        with engine.begin() as conn:
            conn.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    finally:
        engine.dispose()


@contextmanager
def alone(url: str) -> Iterator[None]:
    """Keeps other processes from writing this index meanwhile.

    Beside an SQLite file, by whatever link it is named, lies `FILE.lock`; in PostgreSQL the schema is
    locked. Both end with the process.

    Raises:
        DatabaseError: another process writes it, or it can't be reached.
    """
    place = make_url(url).database
    with ExitStack() as held:
        if make_url(url).get_backend_name() == "sqlite":
            try:
                held.enter_context(durable.alone(Path(f"{Path(str(place)).resolve()}.lock")))
                there = True
            except EvidenceError:
                there = False
            except OSError as exc:
                raise DatabaseError(f"index `{place}`: {exc.strerror}") from exc
        else:
            engine = connect(_placed(url))
            held.callback(engine.dispose)
            # No transaction is open meanwhile: those end by themselves after a while.
            conn = held.enter_context(
                engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            )
            end = boottime() + _PATIENCE_S
            while not (there := bool(conn.scalar(_LOCK, {"lock": _WRITING}))) and boottime() < end:
                time.sleep(_PAUSE_S)
        if not there:
            what = "`dmp serve audit` or `dmp audit reindex` writes it: stop that first"
            raise DatabaseError(f"index `{place}`: {what}")
        yield
