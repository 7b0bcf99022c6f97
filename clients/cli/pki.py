"""`dmp pki`: a development authority in a folder. Its keys are not protected: it is not for real records."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from cryptography import x509
from rich.console import Console
from rich.table import Table

from authz.errors import Error as AuthzError
from clients.pki import authority
from clients.pki.errors import Error, InputError
from clients.pki.folder import LIST_LIFETIME, PERSONS, SERVICES, STRUCTURES, Folder, Issued
from serving.certificate import serial
from serving.errors import Error as ServingError
from serving.errors import UntrustedError
from serving.identity import peer_of
from serving.trust import Trust

app = typer.Typer(
    help="Make and revoke certificates of a development authority. Needs no service.",
    no_args_is_help=True,
)

_DEFAULT: Final = Path("var/pki")
_GOOD: Final = "GOOD"
_DATES: Final = ("not_before", "not_after")
_STANDING: Final = 1
_USAGE: Final = 2
_WIDE: Final = 160  # columns, when the output is no terminal

Dir = Annotated[
    Path, typer.Option("--dir", envvar="DMP_PKI", metavar="DIR", help="The authority's folder.")
]
Renew = Annotated[
    bool, typer.Option("--renew", help="Replace what is there by a new key and certificate.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", envvar="DMP_PKI")] = _DEFAULT,
) -> None:
    """Make an authority: a root, one authority for services, one for persons and structures.

    What is there already stays as it is.

    Examples:
      dmp pki init
      dmp pki init /tmp/pki

    Exit: 0 it is there, 1 the folder holds something else, 2 wrong usage.
    """
    with _exit_codes():
        new = Folder(folder).create(_now())
        print(f"{'made' if new else 'unchanged'}: authority in {folder}")


@app.command()
def service(
    name: Annotated[str, typer.Argument(help="As in policies/services/services.csv.")],
    host: Annotated[
        list[str] | None,
        typer.Option("--host", help="Another DNS name or address that it listens on; repeatable."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it is valid.")] = 90,
    renew: Renew = False,
    folder: Dir = _DEFAULT,
) -> None:
    """Make a service's certificate, to call and to be called.

    Examples:
      dmp pki service dossier
      dmp pki service authz --host authz.internal --host 127.0.0.1
      dmp pki service dossier --renew

    Exit: 0 it is there, 1 another one is there, 2 wrong usage.
    """
    with _exit_codes():
        holder = authority.service(name, host or ())
        _issue(Folder(folder), holder, SERVICES, name, days=days, renew=renew)


@app.command()
def professional(
    *,
    number: Annotated[
        str, typer.Option("--id", help="idNat_PS: 8 + RPPS, 0 + ADELI, 3 + FINESS/…")
    ],
    name: Annotated[str, typer.Option("--name", help="Surname, as on the card.")],
    given_name: Annotated[str, typer.Option("--given-name", help="As on the card.")],
    profession: Annotated[str, typer.Option("--profession-label", help="As on the card.")],
    test: Annotated[
        bool, typer.Option("--test", help="A test card; numbers of a test range always make one.")
    ] = False,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it is valid.")] = 1095,
    renew: Renew = False,
    folder: Dir = _DEFAULT,
) -> None:
    """Make a professional's certificate as on a CPS card, or an employee's (CPE) for such a number.

    Examples:
      dmp pki professional --id 00B1038575 --name MEDECIN3857 --given-name PAUL --profession-label Médecin
      dmp pki professional --id 899700218896 --name DOE --given-name JANE --profession-label Pharmacien

    Exit: 0 it is there, 1 another one is there, 2 wrong usage.
    """
    with _exit_codes():
        holder = authority.person(
            number, surname=name, given_name=given_name, profession=profession, test=test
        )
        _issue(Folder(folder), holder, PERSONS, number, days=days, renew=renew)


@app.command()
def structure(
    number: Annotated[str, typer.Option("--id", help="idNat_Struct: 1 + FINESS, 3 + SIRET, …")],
    name: Annotated[str, typer.Option("--name", help="The structure's name.")],
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it is valid.")] = 1095,
    renew: Renew = False,
    folder: Dir = _DEFAULT,
) -> None:
    """Make a structure's certificate.

    Examples:
      dmp pki structure --id 10B0167011 --name "CENTRE DE SANTE RPPS12718"

    Exit: 0 it is there, 1 another one is there, 2 wrong usage.
    """
    with _exit_codes():
        holder = authority.structure(number, name)
        _issue(Folder(folder), holder, STRUCTURES, number, days=days, renew=renew)


@app.command()
def signer(
    name: Annotated[str, typer.Argument(help="The service that vouches for end users.")],
    renew: Annotated[
        bool, typer.Option("--renew", help="A new key; the one before counts until the next time.")
    ] = False,
    folder: Dir = _DEFAULT,
) -> None:
    """Make the key with which a service signs tokens of end users.

    Examples:
      dmp pki signer portal
      dmp pki signer portal --renew

    Exit: 0 it is there, 1 it can't be replaced, 2 wrong usage.
    """
    with _exit_codes():
        _tell(Folder(folder).issue_signer(name, renew=renew))


@app.command()
def revoke(
    what: Annotated[str, typer.Argument(metavar="SERIAL|FILE", help="A certificate issued here.")],
    folder: Dir = _DEFAULT,
) -> None:
    """Revoke a certificate for ever, and sign the revocation list of its authority again.

    Examples:
      dmp pki revoke var/pki/services/dossier.pem
      dmp pki revoke 3F2A91…

    Exit: 0 it is revoked, 1 the list can't be changed, 2 no such certificate.
    """
    with _exit_codes():
        certificate, new = Folder(folder).revoke(what, _now())
        print(f"{'revoked' if new else 'unchanged, revoked before'}: {serial(certificate)}")


@app.command()
def crl(
    days: Annotated[
        int, typer.Option(min=1, max=365, help="When the next ones must be there.")
    ] = LIST_LIFETIME.days,
    folder: Dir = _DEFAULT,
) -> None:
    """Sign the revocation lists again; without it, nothing is trusted any more when they end.

    Examples:
      dmp pki crl
      dmp pki crl --days 7

    Exit: 0 done, 1 a list can't be changed, 2 wrong usage.
    """
    with _exit_codes():
        now = _now()
        Folder(folder).renew_lists(now, timedelta(days=days))
        print(f"renewed: revocation lists, until {now + timedelta(days=days):%Y-%m-%d %H:%M} UTC")


@app.command("list")
def list_issued(as_json: AsJson = False, folder: Dir = _DEFAULT) -> None:
    """List the certificates that were issued, the oldest first.

    Examples:
      dmp pki list
      dmp pki list --json | jq -r 'select(.state == "REVOKED").serial'

    Exit: 0 done, 2 no authority there.
    """
    with _exit_codes():
        its = Folder(folder)
        trusts = _trusts(its)
        rows = [_row(certificate, trusts) for certificate in its.certificates()]
    if as_json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return
    table = Table("serial", "state", "kind", "who", "until", box=None, pad_edge=False)
    for row in rows:
        who = " ".join(filter(None, (row["service"], row["subject_id"], row["name"])))
        table.add_row(row["serial"], row["state"], row["kind"], who, row["not_after"][:10])
    console = Console() if sys.stdout.isatty() else Console(width=_WIDE)
    console.print(table)


@app.command()
def show(
    what: Annotated[str, typer.Argument(metavar="FILE|SERIAL", help="A certificate.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    folder: Dir = _DEFAULT,
) -> None:
    """Show whom a certificate names, and whether it is trusted by this authority's folder now.

    Examples:
      dmp pki show var/pki/persons/00B1038575.pem
      dmp pki show 3F2A91… --json

    Exit: 0 trusted, 1 not trusted, 2 it can't be read.
    """
    with _exit_codes():
        its = Folder(folder)
        row = _row(its.find(what), _trusts(its))
    if as_json:
        print(json.dumps(row, ensure_ascii=False))
    else:
        for name, value in row.items():
            if value not in ("", None):
                print(f"{name + ':':18}{value}")
    if row["state"] != _GOOD:
        raise typer.Exit(_STANDING)


def _issue(
    folder: Folder, holder: authority.Holder, place: str, name: str, *, days: int, renew: bool
) -> None:
    lifetime = timedelta(days=days)
    _tell(folder.issue(holder, place=place, name=name, at=_now(), lifetime=lifetime, renew=renew))


def _tell(issued: Issued) -> None:
    print(f"{'made' if issued.new else 'unchanged'}: {issued.certificate}, key {issued.key}")


def _trusts(folder: Folder) -> Mapping[bool, Trust]:
    """What trusts real ones, and what trusts those of the test ranges."""
    return {test: folder.trust(test=test) for test in (False, True)}


def _row(certificate: x509.Certificate, trusts: Mapping[bool, Trust]) -> dict[str, Any]:
    """A certificate as it is printed: whom it names, and GOOD or why it is not trusted now."""
    peer = peer_of(certificate)
    try:
        trusts[bool(peer.test)].check(certificate, _now())
        state = _GOOD
    except UntrustedError as exc:
        state = exc.reason
    words = {name: value for name, value in asdict(peer).items() if name not in _DATES}
    dates = {name: getattr(peer, name).isoformat() for name in _DATES}
    return {"serial": peer.serial, "state": state, **words, **dates}


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Turns what went wrong into a message and a code, instead of a traceback."""
    try:
        yield
    except InputError as exc:
        _fail(str(exc), _USAGE)
    except Error as exc:
        _fail(str(exc), _STANDING)
    except (AuthzError, ServingError, OSError) as exc:
        _fail(str(exc), _USAGE)


def _fail(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(code)


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the command is where the clock is read
