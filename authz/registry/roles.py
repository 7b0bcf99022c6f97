"""PostgreSQL: what the role that serves may do, and what the database itself keeps it from.

Two roles: the owner of the tables, who migrates, and the role of the service. Whoever takes over the service
can then add to the log, but neither alter nor remove what stands in it, nor change a table.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, text

from audit import months
from storage.errors import DatabaseError

RIGHTS: Final[Mapping[str, str]] = {
    "patients": "SELECT, INSERT, UPDATE",
    "authorisations": "SELECT, INSERT, DELETE",
    "treating_doctors": "SELECT, INSERT, DELETE",
    "blocks": "SELECT, INSERT, DELETE",
    "representatives": "SELECT, INSERT, DELETE",
    "standings": "SELECT, INSERT, DELETE",
    "changes": "SELECT, INSERT",
    "requests": "SELECT, INSERT, DELETE",
    "bundles": "SELECT, INSERT, UPDATE",
    "head": "SELECT, UPDATE",
    "log_batches": "SELECT, INSERT",
    "log_head": "SELECT, INSERT, UPDATE",
    "log_patients": "SELECT, INSERT, UPDATE",
    "alembic_version": "SELECT",
}
"""Table by table, no more than the service uses. On the tables of months it needs none."""

_KNOWN: Final = text("SELECT 1 FROM pg_roles WHERE rolname = :role")
_KINDS: Final = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]
_MAY: Final = text("SELECT has_table_privilege(:role, :name, :right)")
# A superuser counts as a member of every role.
_OWNED: Final = text(
    "SELECT 1 FROM pg_class WHERE oid = CAST(:name AS regclass)"
    " AND pg_has_role(:role, relowner, 'MEMBER')"
)


def entitle(conn: Connection, role: str) -> None:
    """Gives a role the rights to serve, and takes away all others on these tables.

    Args:
        conn: a connection of the owner, in a transaction, on tables of the newest shape.
        role: who is to serve.

    Raises:
        DatabaseError: there is no such role, or it may do more or less than it should in the end.
    """
    if conn.scalar(_KNOWN, {"role": role}) is None:
        raise DatabaseError(f"no role `{role}`: create it first, with `CREATE ROLE ... LOGIN`")
    parts = months.tables(conn)
    if any(conn.scalar(_OWNED, {"name": name, "role": role}) for name in (*RIGHTS, *parts)):
        raise DatabaseError(
            f"role `{role}` owns the tables or is a superuser, so no right binds it: name another one,"
            " that only serves"
        )
    whom = conn.dialect.identifier_preparer.quote_identifier(role)
    schema = conn.dialect.identifier_preparer.quote_identifier(
        conn.execute(text("SELECT current_schema()")).scalar_one()
    )
    conn.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {whom}")
    for table, rights in RIGHTS.items():
        conn.exec_driver_sql(f"REVOKE ALL ON {table} FROM {whom}")
        conn.exec_driver_sql(f"GRANT {rights} ON {table} TO {whom}")
    for part in parts:
        conn.exec_driver_sql(f"REVOKE ALL ON {part} FROM {whom}")
    _verify(conn, role, dict.fromkeys(parts, ("", "SELECT")))


def _verify(conn: Connection, role: str, parts: Mapping[str, tuple[str, str]]) -> None:
    """Who may not give rights is only warned by PostgreSQL, and rights come through other roles too.

    Of tables of months two things are told: what the role must be able to do, and what it may be.
    """
    due = {table: (rights, rights) for table, rights in RIGHTS.items()}
    for table, (rights, most) in (due | dict(parts)).items():
        for right in _KINDS:
            may = conn.scalar(_MAY, {"role": role, "name": table, "right": right})
            if may and right not in most:
                raise DatabaseError(
                    f"role `{role}` may {right} `{table}` through PUBLIC or a role that it is a member of:"
                    " take that away first"
                )
            if not may and right in rights:
                raise DatabaseError(
                    f"role `{role}` could not be let {right} `{table}`: do it as the owner of the tables"
                )
