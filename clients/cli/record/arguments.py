"""Arguments that several commands of the record share."""

from typing import Annotated, Final

import typer

Patient = Annotated[
    str, typer.Argument(metavar="INS", help="Of whose dossier: 22 digits, or 15 characters.")
]
Document = Annotated[str, typer.Argument(metavar="ID", help="The document's id, as lists show it.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]
RequestId = Annotated[
    str, typer.Option("--request-id", help="To repeat a request whose answer was lost.")
]
PageSize = Annotated[
    int, typer.Option("--page-size", min=0, max=200, help="How many at once; 0 as usual.")
]
Cursor = Annotated[
    str, typer.Option("--cursor", metavar="TEXT", help="Where the page before ended.")
]
Day = Annotated[str, typer.Option(metavar="YYYY-MM-DD")]

STREET: Final = typer.Option("--street", help="Postal address; may be repeated.")
POSTAL_CODE: Final = typer.Option("--postal-code")
CITY: Final = typer.Option("--city")
PHONE: Final = typer.Option("--phone", help="As +33612345678.")
EMAIL: Final = typer.Option("--email")
