"""The database of the index: an SQLite file of its own, or a schema of its own in PostgreSQL."""

from pathlib import Path
from typing import Final

from sqlalchemy import Engine, make_url, text

from storage.database import connect
from storage.migration import Migrations

SCHEMA: Final = "audit"
"""Where the tables stand in PostgreSQL, unless the url names another by `options=-csearch_path=...`."""

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
    if url.startswith("postgresql") and "options" not in make_url(url).query:
        if not read_only:
            _make_schema(url)
        there = make_url(url).update_query_dict({"options": f"-csearch_path={SCHEMA}"})
        url = there.render_as_string(hide_password=False)
    engine = connect(url, read_only=read_only)
    if not read_only:
        MIGRATIONS.migrate(engine)
    return engine


def _make_schema(url: str) -> None:
    engine = connect(url)
    try:
        with engine.begin() as conn:
            conn.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    finally:
        engine.dispose()
