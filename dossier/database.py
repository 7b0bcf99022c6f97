"""The tables of the record: their migrations. They may share a database with those of the decision point."""

from pathlib import Path
from typing import Final

from storage.migration import Migrations

MIGRATIONS: Final = Migrations(
    folder=Path(__file__).parent / "migrations",
    newest="0001",
    table="dossier_version",
    command="dmp dossier database migrate",
)
