"""Fixtures for all rooms."""

from tests.databases import blank, database, kept, postgresql

__all__ = ["blank", "database", "kept", "postgresql"]
