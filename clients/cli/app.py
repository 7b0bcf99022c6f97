"""The command `dmp`: which commands there are."""

from importlib import metadata
from typing import Annotated, Final

import typer

from audit.commands import app as log
from authz.commands import app as database
from authz.workbench.commands import app as policy
from clients.cli import serve
from clients.cli.audit.app import app as audit
from clients.cli.check import check
from clients.cli.demo import demo
from clients.cli.ins import app as ins
from clients.cli.pki import app as pki
from clients.cli.populate.command import populate
from clients.cli.record.app import app as record
from clients.cli.watch import watch

EXIT_CODES: Final = """\
0  done; for `check`: allowed; for `policy` and `log`: what was to be shown holds
1  it does not hold: denied, a test failed, the log is damaged, a number is not valid
2  wrong usage, or input that cannot be used
3  a service or a database can't be reached, or can't answer now

130 when stopped by Ctrl-C before it was done.
"""

app = typer.Typer(
    help="The shared medical record (DMP), built around its access decision.",
    epilog="Exit: 0 done or allowed, 1 denied, 2 wrong usage, 3 no answer; see dmp help exit-codes",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(check)
app.command()(watch)
app.command()(populate)
app.add_typer(serve.app, name="serve")
app.add_typer(record, name="dossier")
app.add_typer(policy, name="policy", help="Check and test the policies. Needs no service.")
app.add_typer(log, name="log")
app.add_typer(audit, name="audit")
app.add_typer(database, name="database")
app.add_typer(ins, name="ins")
app.add_typer(pki, name="pki")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"dmp {metadata.version('dmp-acces')}")
        raise typer.Exit


@app.callback()
def main(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """The shared medical record (DMP), built around its access decision."""


@app.command("help", hidden=True)
def help_about(
    topic: Annotated[
        list[str] | None, typer.Argument(metavar="[COMMAND | exit-codes]", show_default=False)
    ] = None,
) -> None:
    """Tell about a command, or about the exit codes.

    Examples:
      dmp help check
      dmp help log tail
      dmp help exit-codes
    """
    if topic == ["exit-codes"]:
        print(EXIT_CODES, end="")
    else:
        app([*(topic or ()), "--help"], prog_name="dmp")
