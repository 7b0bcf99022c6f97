"""`dmp dossier`: which commands there are."""

import typer

from clients.cli.record import (
    card,
    changes,
    deposit,
    documents,
    dossiers,
    follow,
    pathway,
    rights,
    sample,
)
from dossier.commands import database, keys

app = typer.Typer(
    help="Use the record itself: create dossiers, deposit and read documents, see who came.",
    epilog="Exit: 0 done, 1 denied, 2 wrong usage, 3 no answer. Start with: dmp dossier card FILE",
    no_args_is_help=True,
)
for part in (card, dossiers, deposit, documents, changes, pathway, follow, sample):
    app.registered_commands += part.app.registered_commands
app.add_typer(rights.app, name="rights")
app.add_typer(keys, name="keys")
app.add_typer(database, name="database")


@app.callback()
def _dossier() -> None:
    """Use the record itself: create dossiers, deposit and read documents, see who came."""
