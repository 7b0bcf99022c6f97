"""`dmp serve`: turns this process into a service."""

import os
import sys
from collections.abc import Sequence
from typing import Final

import typer

app = typer.Typer(help="Run a service in this terminal.", no_args_is_help=True)

_PASSED_ON: Final = {"ignore_unknown_options": True, "allow_extra_args": True}


@app.callback()
def main() -> None:
    """Run a service in this terminal."""


@app.command(context_settings=_PASSED_ON, add_help_option=False)
def authz(context: typer.Context) -> None:
    """Serve the decision point; `dmp serve authz --help` shows its settings."""
    _become("authz", context.args)


@app.command(context_settings=_PASSED_ON, add_help_option=False)
def dossier(context: typer.Context) -> None:
    """Serve the record itself; `dmp serve dossier --help` shows its settings."""
    _become("dossier", context.args)


@app.command(context_settings=_PASSED_ON, add_help_option=False)
def audit(context: typer.Context) -> None:
    """Serve the audit; `dmp serve audit --help` shows its settings."""
    _become("audit", context.args)


def _become(room: str, arguments: Sequence[str]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    # -P: the rooms that are installed, whatever folder of the same name we are in.
    server = [sys.executable, "-P", "-m", room, *arguments]
    os.execv(sys.executable, server)  # noqa: S606 - ourselves, and no shell
