"""Types of columns that read the same in SQLite and PostgreSQL.

Instants are RFC 3339 text in UTC with microseconds, dates ISO text: both sort as they read.
"""

from datetime import UTC, date, datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Dialect, Integer, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

# SQLite checks types in strict tables only, and these know no other name for a 64-bit integer.
Number: Final = BigInteger().with_variant(Integer(), "sqlite")


class Instant(TypeDecorator[datetime]):
    """An aware instant, as text in UTC; one without time zone is refused."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Writes RFC 3339."""
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError("an instant has no time zone: give an aware one")
        return value.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Reads RFC 3339."""
        return None if value is None else datetime.fromisoformat(value)


class Day(TypeDecorator[date]):
    """A date without time, as ISO text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: date | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Writes YYYY-MM-DD."""
        return None if value is None else value.isoformat()

    def process_result_value(self, value: str | None, dialect: Dialect) -> date | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Reads YYYY-MM-DD."""
        return None if value is None else date.fromisoformat(value)


class Flag(TypeDecorator[bool]):
    """Yes or no; SQLite's strict tables know it as 1 or 0."""

    impl = Boolean
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The type of the column."""
        return Integer() if dialect.name == "sqlite" else Boolean()

    def process_result_value(self, value: Any | None, dialect: Dialect) -> bool | None:  # noqa: ANN401, ARG002 - SQLAlchemy's signature
        """Reads a boolean."""
        return None if value is None else bool(value)
