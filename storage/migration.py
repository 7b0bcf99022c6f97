"""Brings the tables of a room to the shape its program works with, and back; a step is all or nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from storage.errors import DatabaseError

if TYPE_CHECKING:
    from alembic.config import Config

_FORBIDDEN: Final = "42501"
"""PostgreSQL's code for a lack of rights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrations:
    """The steps from one shape of the tables to the next.

    Attributes:
        folder: of Alembic, with `env.py` and `versions`.
        newest: the shape of the tables that this program works with, that of the last step.
        table: where a database keeps the shape it has.
        command: what an operator brings a database up to date with.
    """

    folder: Path
    newest: str
    table: str
    command: str

    def migrate(self, engine: Engine) -> None:
        """Brings the tables to the newest shape, in one transaction; only looks when nothing is to do.

        So who may not change tables can start on those that are up to date.

        Raises:
            DatabaseError: a step failed, or the database is newer than this program; nothing changed.
        """
        if self.shape(engine) != self.newest:
            self._run(engine, "upgrade", "head")

    def downgrade(self, engine: Engine, revision: str = "base") -> None:
        """Takes the tables back to an older shape in one transaction; loses what only newer ones hold.

        Raises:
            DatabaseError: a step failed; nothing changed.
        """
        self._run(engine, "downgrade", revision)

    def shape(self, engine: Engine) -> str:
        """The shape of the tables, "" where there are none.

        Raises:
            DatabaseError: it can't be read.
        """
        try:
            with engine.connect() as conn:
                if not inspect(conn).has_table(self.table):
                    return ""
                return conn.scalar(text(f"SELECT version_num FROM {self.table}")) or ""  # noqa: S608 - our own name
        except SQLAlchemyError as exc:
            raise self._trouble(engine, self.newest, exc) from exc

    def shapes(self) -> list[str]:
        """All shapes that this program knows, the oldest first."""
        from alembic.script import ScriptDirectory  # noqa: PLC0415 - slow to load, seldom needed

        steps = ScriptDirectory.from_config(self._config()).walk_revisions()
        return [step.revision for step in steps][::-1]

    def _config(self) -> "Config":
        from alembic.config import Config  # noqa: PLC0415 - as above

        config = Config()
        # A percent sign is special to the configuration parser, and may stand in a path.
        config.set_main_option("script_location", str(self.folder).replace("%", "%%"))
        return config

    def _run(self, engine: Engine, direction: str, revision: str) -> None:
        from alembic import command  # noqa: PLC0415 - as above
        from alembic.util.exc import CommandError  # noqa: PLC0415 - as above

        config = self._config()
        try:
            with engine.begin() as connection:
                if engine.dialect.name == "postgresql":
                    from storage.postgresql import prepare_migration  # noqa: PLC0415 - as above

                    prepare_migration(connection)
                config.attributes["connection"] = connection
                config.attributes["table"] = self.table
                getattr(command, direction)(config, revision)
        except (SQLAlchemyError, CommandError) as exc:
            raise self._trouble(engine, revision, exc) from exc

    def _trouble(self, engine: Engine, revision: str, error: Exception) -> DatabaseError:
        cause = getattr(error, "orig", None) or error
        remedy = "check that it belongs to this version of dmp"
        if getattr(cause, "sqlstate", None) == _FORBIDDEN:
            remedy = f"let its owner run `{self.command}`, with --service-role for who serves"
        where = f"database `{engine.url.database}`"
        said = " ".join(str(cause).split())
        return DatabaseError(f"{where} can't be brought to revision `{revision}`: {said}: {remedy}")
