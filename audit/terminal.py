"""What the commands of this room share: options, the way an entry is named, and how errors end."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final, NoReturn

import typer
from sqlalchemy import Connection

from audit import reader
from audit.errors import (
    AddressError,
    EntryError,
    ErasedError,
    Error,
    FormatError,
    LogDamagedError,
    ProofError,
    RetentionError,
)
from audit.reader import Stored

DATABASE: Final = "sqlite:///var/dmp.db"

_MAX_DIGITS: Final = 18  # what a 64-bit index surely holds; 32 digits may be a UUID

Database = Annotated[
    str,
    typer.Option("--database", envvar="DMP_DATABASE", metavar="URL", help="Where the log is kept."),
]


def named(conn: Connection, wanted: str) -> Iterator[Stored]:
    """The entry with an id; or, of every log, the one with a number."""
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= _MAX_DIGITS):
        found = reader.find(conn, wanted)
        if found is not None:
            yield found
        return
    index = int(wanted)
    for origin in reader.origins(conn):
        for stored in reader.read(conn, origin=origin, start=index, limit=1):
            if stored.index == index:  # not so where a batch was removed
                yield stored


def missing(conn: Connection, wanted: str) -> str:
    """Why `named` finds nothing."""
    until = reader.erased_until(conn)
    told = f"; those up to {until} are erased, and can be named by their # alone" if until else ""
    return f"no entry `{wanted}` in the log{told}"


@contextmanager
def exit_codes() -> Iterator[None]:
    """Errors of the room become a line on standard error and an exit code."""
    try:
        yield
    except (AddressError, EntryError, FormatError, RetentionError) as exc:
        fail(str(exc), 2)
    except (LogDamagedError, ProofError, ErasedError) as exc:
        fail(str(exc), 1)
    except Error as exc:
        fail(str(exc), 3)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def fail(message: str, code: int) -> NoReturn:
    """Ends with a message and an exit code."""
    print(f"error: {message}", file=sys.stderr)  # noqa: T201 - a command prints
    raise typer.Exit(code)


def is_for_command(context: typer.Context) -> bool:
    """Whether a group that does something by itself was called with a command.

    Options before that command would reach the group alone, so they are refused.
    """
    command = context.invoked_subcommand
    if command is None:
        return False
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            fail(f"an option of `{command}` stands behind it: `{command} --{name} ...`", 2)
    return True
