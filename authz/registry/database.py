"""The tables of registry and log: their migrations, and the rights of the role that serves on them."""

from pathlib import Path
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from storage.errors import DatabaseError
from storage.migration import Migrations

MIGRATIONS: Final = Migrations(
    folder=Path(__file__).parent / "migrations",
    newest="0005",
    table="alembic_version",
    command="dmp database migrate",
)


migrate: Final = MIGRATIONS.migrate
downgrade: Final = MIGRATIONS.downgrade


def prepare_months(engine: Engine) -> list[str]:
    """Makes the tables of the coming months of the log, and names the months; on PostgreSQL only.

    Raises:
        DatabaseError: they can't be made; nothing changed.
    """
    if engine.dialect.name == "sqlite":
        return []
    from audit import months  # noqa: PLC0415 - only those who use it pay for it
    from storage.postgresql import prepare_migration  # noqa: PLC0415 - as above

    try:
        with engine.begin() as conn:
            prepare_migration(conn)
            return months.extend(conn)
    except SQLAlchemyError as exc:
        cause = getattr(exc, "orig", None) or exc
        what = f"the coming months of the log can't be prepared: {cause}"
        raise DatabaseError(f"{what}: do it as the owner of the tables") from exc


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
