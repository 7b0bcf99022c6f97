"""Runs migrations in the transaction that `storage.migration` hands in."""

from alembic import context

attributes = context.config.attributes
context.configure(connection=attributes["connection"], version_table=attributes["table"])
context.run_migrations()
