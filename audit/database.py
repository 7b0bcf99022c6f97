"""Opens the database of the log for reading, in a way that cannot change it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pysqlite3 import dbapi2
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    NullPool,
    QueuePool,
    create_engine,
    event,
    inspect,
    make_url,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from audit.errors import AddressError, UnreachableError
from audit.tables import log_batches

_WAIT_S: Final = 5
"""How long to wait for a writer, or for a server that does not answer, in seconds."""


def reader(url: str, *, kept: int = 0) -> Engine:
    """An engine that only reads; nothing is opened yet.

    SQLite is opened read-only and takes no part in checkpoints; PostgreSQL is told the same. Each
    transaction sees one state of the database.

    Args:
        url: of the database.
        kept: so many connections to PostgreSQL stay open between two uses, until the engine is disposed of.

    Raises:
        AddressError: `url` is no address of a database that can hold a log.
        UnreachableError: it names a file that is not there.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed.database or "")
        return create_engine(
            parsed,
            isolation_level="REPEATABLE READ",
            execution_options={"postgresql_readonly": True},
            **_pool(kept),
            connect_args={} if "connect_timeout" in parsed.query else {"connect_timeout": _WAIT_S},
        )
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as exc:
        # Only the scheme is repeated: the rest may hold a password.
        scheme, remedy = url.partition(":")[0], "give one as `sqlite:///var/dmp.db`"
        raise AddressError(f"no usable database address (`{scheme}:...`): {remedy}") from exc


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection on one state of the database, which holds a log.

    Raises:
        UnreachableError: the database cannot be read, or holds no log.
    """
    place = engine.url.database
    try:
        with engine.connect() as conn:
            if not inspect(conn).has_table(log_batches.name):
                raise UnreachableError(f"`{place}` holds no decision log: is it the service's?")
            yield conn
    except DBAPIError as exc:
        cause = " ".join(str(exc.orig).split())
        raise UnreachableError(f"`{place}` cannot be read: {cause}") from exc


def _pool(kept: int) -> dict[str, Any]:
    if not kept:  # a connection is closed after use: nobody closes the engine
        return {"poolclass": NullPool}
    return {"poolclass": QueuePool, "pool_size": kept, "max_overflow": -1, "pool_pre_ping": True}


def _sqlite(path: str) -> Engine:
    if path in ("", ":memory:"):
        raise AddressError("an SQLite address names a file, as in `sqlite:///var/dmp.db`")
    if not Path(path).is_file():
        raise UnreachableError(f"no database file `{path}`: start the service, or give its address")
    uri = f"file:{quote(str(Path(path).absolute()))}?mode=ro"

    def connect() -> dbapi2.Connection:
        conn = dbapi2.connect(uri, uri=True, timeout=_WAIT_S, isolation_level=None)
        conn.execute("PRAGMA query_only = ON")
        conn.execute("PRAGMA wal_autocheckpoint = 0")
        return conn

    # A connection is closed after use: a file that was put in the place of another is seen at once.
    engine = create_engine(
        URL.create("sqlite", database=path), module=dbapi2, creator=connect, poolclass=NullPool
    )
    event.listen(engine, "begin", lambda conn: conn.exec_driver_sql("BEGIN"))
    return engine
