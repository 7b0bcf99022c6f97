"""Fixtures for all rooms."""

from tests.databases import blank, database, kept, postgresql
from tests.service import plain_log

__all__ = ["blank", "database", "kept", "postgresql"]

plain_log()
