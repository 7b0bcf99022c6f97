"""`dmp audit`: which commands there are, those that ask the service and those that need none."""

from types import ModuleType
from typing import Final

import typer

from audit.commands import audit as direct
from audit.office import commands as again
from clients.cli.audit import accesses, emergencies, exports, queries, replays, status

PARTS: Final[tuple[ModuleType, ...]] = (
    queries,
    exports,
    replays,
    accesses,
    emergencies,
    status,
    again,
)
"""Modules with commands, each in an `app`; those that ask the service first."""

app = typer.Typer(
    help="See who did what, whether it was right, and whether the log adds up.",
    epilog="Exit: 0 done, 1 denied or it does not add up, 2 wrong usage, 3 no answer.",
    no_args_is_help=True,
)
for part in PARTS:
    app.registered_commands += part.app.registered_commands
app.registered_commands += direct.registered_commands
app.registered_groups += direct.registered_groups


@app.callback()
def _audit() -> None:
    """See who did what, whether it was right, and whether the log adds up."""
