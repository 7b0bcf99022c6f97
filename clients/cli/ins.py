"""`dmp ins`: compute and verify the patient's number, without any service."""

import json
from typing import Annotated

import typer

from authz import ins
from authz.errors import InsError

app = typer.Typer(
    help="Compute and verify the patient's number (INS). Needs no service.", no_args_is_help=True
)

_OPTIONS = {ins.Rule.FIRST_NAME: "--first-name", ins.Rule.BIRTH_DATE: "--birth"}

FirstName = Annotated[
    str,
    typer.Option("--first-name", help="As on the Vitale card; may be empty.", show_default=False),
]
Birth = Annotated[
    str, typer.Option("--birth", metavar="YYMMDD", help="As on the card; 000000 if unknown.")
]
Nir = Annotated[
    str, typer.Option("--nir", help="13 characters (2A and 2B in Corsica), or 15 with the key.")
]
Number = Annotated[
    str, typer.Argument(help="An INS-C of 22 digits or an INS-NIR of 15 characters, no spaces.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


@app.command()
def compute(first_name: FirstName, birth: Birth, nir: Nir, as_json: AsJson = False) -> None:
    """Print the INS-C that the traits of a Vitale card give.

    Examples:
      dmp ins compute --first-name JEAN --birth 500801 --nir 1500815051040
      dmp ins compute --first-name DAVID --birth 850717 --nir 285072B502024 --json

    Exit: 0 computed, 2 a trait cannot be used.
    """
    try:
        number = ins.compute(first_name, birth, nir)
    except InsError as exc:
        option = _OPTIONS.get(ins.Rule(exc.rule), "--nir")
        raise typer.BadParameter(str(exc), param_hint=option) from exc
    print(_json(ins.verify(number)) if as_json else number)


@app.command()
def verify(number: Number, as_json: AsJson = False) -> None:
    """Say whether a number is a valid INS-C or INS-NIR, and if not, which rules it breaks.

    Nothing is corrected: the expected key is told, but any other character may be the wrong one.

    Examples:
      dmp ins verify 1541187387477485562488
      dmp ins verify 279035121518989 --json

    Exit: 0 valid, 1 not valid, 2 wrong usage.
    """
    try:
        checked = ins.verify(number)
    except InsError as exc:
        print(_refusal(exc, as_json=as_json))
        raise typer.Exit(1) from exc
    print(_json(checked) if as_json else f"valid {checked.kind}, key {checked.key}")


def _json(checked: ins.Ins) -> str:
    return json.dumps(
        {
            "valid": True,
            "kind": checked.kind,
            "number": checked.number,
            "body": checked.body,
            "key": checked.key,
        }
    )


def _refusal(error: InsError, *, as_json: bool) -> str:
    if as_json:
        failures = [{"rule": rule, "detail": detail} for rule, detail in error.failures]
        return json.dumps({"valid": False, "failures": failures})
    return "\n".join(["not valid", *(f"  {rule}: {detail}" for rule, detail in error.failures)])
