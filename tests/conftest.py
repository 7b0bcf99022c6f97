"""Fixtures for all rooms."""

import structlog

from tests.databases import blank, database, kept, postgresql

__all__ = ["blank", "database", "kept", "postgresql"]

# Without the values of all variables, which take seconds to print.
structlog.configure(
    processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()]
)
