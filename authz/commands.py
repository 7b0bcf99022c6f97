"""`dmp database`: the commands of whoever owns the database. They need no service."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final, NoReturn

import typer
from sqlalchemy import Engine

from authz.registry import database
from storage.database import connect
from storage.errors import DatabaseError

app = typer.Typer(
    help="Bring the tables of the service up to date, or back. Needs no service.",
    no_args_is_help=True,
)

Database = Annotated[
    str,
    typer.Option("--database", envvar="DMP_DATABASE", metavar="URL", help="As the service has it."),
]
_DEFAULT: Final = "sqlite:///var/dmp.db"


@app.command()
def migrate(
    url: Database = _DEFAULT,
    service_role: Annotated[
        str,
        typer.Option(
            envvar="DMP_SERVICE_ROLE",
            metavar="NAME",
            help="PostgreSQL: let this role serve, and no more than that.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Bring the tables to the shape that this version of dmp works with.

    A service whose role owns the tables does so itself when it starts. Where it
    shall not be able to alter its log, run this as the owner, and let the service
    run as the role named: it may add to the log, not change it.

    On PostgreSQL the log has a table for each month: run this twice a year, and
    those of the coming year are made. A month without one is kept with others.

    Examples:
      dmp database migrate
      dmp database migrate --database postgresql+psycopg://owner@db/dmp --service-role dmp_service

    Exit: 0 done, 2 wrong usage, 3 the database can't be used, or a step failed and nothing changed.
    """
    with _opened(url) as engine:
        if service_role and engine.dialect.name == "sqlite":
            _fail("SQLite knows no roles: protect its file, and name none", 2)
        before = database.MIGRATIONS.shape(engine)
        database.migrate(engine)
        now = database.MIGRATIONS.newest
        print(f"tables at {now}" + ("" if before == now else f", were at {before or 'none'}"))
        if made := database.prepare_months(engine):
            print(f"months of the log prepared: {made[0]} to {made[-1]}")
        if service_role:
            database.entitle(engine, service_role)
            print(f"role `{service_role}` may serve")


@app.command()
def downgrade(
    revision: Annotated[str, typer.Argument(help="The shape to go back to.", metavar="REVISION")],
    url: Database = _DEFAULT,
    yes: Annotated[
        bool, typer.Option("--yes", help="Yes, forget what only newer shapes hold.")
    ] = False,
) -> None:
    """Take the tables back to an older shape, for an older version of dmp.

    Stop every service on this database first. What only newer shapes hold is
    forgotten; the log and the state of patients are in all of them.

    Examples:
      dmp database downgrade 0001 --yes

    Exit: 0 done, 2 wrong usage, 3 the database can't be used, or a step failed and nothing changed.
    """
    known = database.MIGRATIONS.shapes()
    if revision not in known:
        _fail(f"no shape `{revision}`: there are {', '.join(known)}", 2)
    with _opened(url) as engine:
        before = database.MIGRATIONS.shape(engine)
        if before not in known or revision > before:
            _fail(f"tables at `{before or 'none'}` can't go back to `{revision}`", 2)
        if not yes:
            _fail(f"tables at `{before}` would forget what `{revision}` has no place for: --yes", 2)
        database.downgrade(engine, revision)
        print(f"tables at {revision}, were at {before}")


@contextmanager
def _opened(url: str) -> Iterator[Engine]:
    try:
        engine = connect(url)
        try:
            yield engine
        finally:
            engine.dispose()
    except DatabaseError as exc:
        _fail(str(exc), 3)


def _fail(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(code)
