"""Runs migrations in the transaction that `authz.registry.database` hands in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
