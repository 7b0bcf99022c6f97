"""Opens the database safely and brings its tables up to date: SQLite or PostgreSQL, by its url."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Engine, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from authz.errors import ConflictError, DatabaseError
from authz.registry import sqlite

if TYPE_CHECKING:
    from alembic.config import Config

NEWEST_SHAPE: Final = "0002"
"""The shape of the tables that this program works with: that of the last step in `migrations`."""

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_EXAMPLE: Final = (
    "give one like `sqlite:////var/lib/dmp/authz.db` or `postgresql+psycopg://dmp@host/dmp`"
)
_FASTER: Final = {"40001", "40P01"}
"""PostgreSQL's codes for a transaction that gave way to another: serialization failure, deadlock."""
_FORBIDDEN: Final = "42501"
"""PostgreSQL's code for a lack of rights."""


def connect(url: str, *, read_only: bool = False) -> Engine:
    """Opens the database of `url` so that a commit that returned is durable.

    Args:
        url: `sqlite:///` and a path, or `postgresql+psycopg://user@host/name`. An SQLite database in
            memory is refused: it keeps no record.
        read_only: never write, and require that the database exists.

    Raises:
        DatabaseError: the url can't be used, or what it leads to can lose commits.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as exc:
        raise DatabaseError(f"database is not a url: {_EXAMPLE}") from exc
    match parsed.drivername:
        case "sqlite" | "sqlite+pysqlite":
            name = parsed.database or ":memory:"
            if name == ":memory:" or name.startswith("file:") or parsed.query or parsed.host:
                shown = parsed.render_as_string(hide_password=True)
                raise DatabaseError(f"database `{shown}` is not a plain file: {_EXAMPLE}")
            return sqlite.connect(Path(name), read_only=read_only)
        case "postgresql" | "postgresql+psycopg":
            from authz.registry import postgresql  # noqa: PLC0415 - only those who use it pay for it

            return postgresql.connect(parsed, read_only=read_only)
        case other:
            raise DatabaseError(f"unknown kind of database: `{other}`: {_EXAMPLE}")


def is_conflict(error: BaseException) -> bool:
    """Whether another transaction was faster, so that it makes sense to decide the batch again."""
    code = getattr(getattr(error, "orig", None), "sqlstate", None)
    return isinstance(error, ConflictError) or code in _FASTER


def migrate(engine: Engine) -> None:
    """Brings the tables to the newest shape, in one transaction; only looks when nothing is to do.

    So who may not change tables can start on those that are up to date.

    Raises:
        DatabaseError: a step failed, or the database is newer than this program; nothing changed.
    """
    if shape(engine) != NEWEST_SHAPE:
        _alembic(engine, "upgrade", "head")


def downgrade(engine: Engine, revision: str = "base") -> None:
    """Takes the tables back to an older shape in one transaction; loses what only newer ones hold.

    Raises:
        DatabaseError: a step failed; nothing changed.
    """
    _alembic(engine, "downgrade", revision)


def entitle(engine: Engine, role: str) -> None:
    """Lets a role serve on migrated tables that others own, and no more than that; PostgreSQL only.

    Raises:
        DatabaseError: rights can't be given or can't bind it; nothing changed.
    """
    from authz.registry import roles  # noqa: PLC0415 - only those who use it pay for it

    try:
        with engine.begin() as conn:
            roles.entitle(conn, role)
    except SQLAlchemyError as exc:
        cause = getattr(exc, "orig", None) or exc
        raise DatabaseError(
            f"role `{role}` can't be given its rights: {cause}: do it as the owner of the tables"
        ) from exc


def shape(engine: Engine) -> str:
    """The shape of the tables, "" where there are none.

    Raises:
        DatabaseError: it can't be read.
    """
    try:
        with engine.connect() as conn:
            if not inspect(conn).has_table("alembic_version"):
                return ""
            return conn.scalar(text("SELECT version_num FROM alembic_version")) or ""
    except SQLAlchemyError as exc:
        raise _trouble(engine, NEWEST_SHAPE, exc) from exc


def shapes() -> list[str]:
    """All shapes that this program knows, the oldest first."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - slow to load, seldom needed

    steps = ScriptDirectory.from_config(_config()).walk_revisions()
    return [step.revision for step in steps][::-1]


def _config() -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    # A percent sign is special to the configuration parser, and may stand in a path.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _alembic(engine: Engine, direction: str, revision: str) -> None:
    from alembic import command  # noqa: PLC0415 - as above
    from alembic.util.exc import CommandError  # noqa: PLC0415 - as above

    config = _config()
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                from authz.registry.postgresql import prepare_migration  # noqa: PLC0415 - as above

                prepare_migration(connection)
            config.attributes["connection"] = connection
            getattr(command, direction)(config, revision)
    except (SQLAlchemyError, CommandError) as exc:
        raise _trouble(engine, revision, exc) from exc


def _trouble(engine: Engine, revision: str, error: Exception) -> DatabaseError:
    cause = getattr(error, "orig", None) or error
    remedy = "check that it belongs to this version of dmp"
    if getattr(cause, "sqlstate", None) == _FORBIDDEN:
        remedy = "let its owner run `dmp database migrate`, with --service-role for who serves"
    where = f"database `{engine.url.database}`"
    said = " ".join(str(cause).split())
    return DatabaseError(f"{where} can't be brought to revision `{revision}`: {said}: {remedy}")
