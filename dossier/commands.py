"""`dmp dossier keys` and `dmp dossier database`: for whoever operates the record. They need no service."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from dossier.database import MIGRATIONS
from dossier.errors import Error
from dossier.keys.keyring import MIGRATIONS as KEYS_MIGRATIONS
from dossier.keys.keyring import Keyring
from dossier.keys.masters import Masters
from serving.clock import utc_now
from serving.servicelog import cause_of
from storage.database import connect
from storage.errors import Error as StorageError

USAGE: Final = 2
UNUSABLE: Final = 3

keys = typer.Typer(
    help="Create, rotate and retire the master keys, and destroy keys of patients. Needs no service.",
    no_args_is_help=True,
)
database = typer.Typer(
    help="Bring the tables of the record up to date. Needs no service.", no_args_is_help=True
)

MastersFolder = Annotated[
    Path, typer.Option("--masters", metavar="FOLDER", help="As the service has it.")
]
KeysUrl = Annotated[
    str,
    typer.Option("--keys", envvar="DMP_DOSSIER_KEYS", metavar="URL", help="As the service has it."),
]
RecordUrl = Annotated[
    str,
    typer.Option(
        "--database", envvar="DMP_DOSSIER_DATABASE", metavar="URL", help="As the service has it."
    ),
]
_MASTERS: Final = Path("var/masters")
_KEYS: Final = "sqlite:///var/dossier-keys.db"
_RECORD: Final = "sqlite:///var/dossier.db"


@keys.callback()
def _of_keys() -> None:
    """Create, rotate and retire the master keys, and destroy keys of patients. Needs no service."""


@database.callback()
def _of_database() -> None:
    """Bring the tables of the record up to date. Needs no service."""


@keys.command()
def create(masters: MastersFolder = _MASTERS) -> None:
    """Make a master key, which wraps from now on; the service needs one before it starts.

    Keep a copy where no backup of the databases is: without it nothing can be read, with it all.

    Examples:
      dmp dossier keys create
      dmp dossier keys create --masters /etc/dmp/masters

    Exit: 0 made, 2 the folder can't be used.
    """
    with _told():
        print(Masters(masters).create())


@keys.command("list")
def list_keys(
    masters: MastersFolder = _MASTERS,
    url: KeysUrl = _KEYS,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """List the master keys, the oldest first, and how many keys of patients each wraps.

    Examples:
      dmp dossier keys list
      dmp dossier keys list --json

    Exit: 0 listed, 2 a key can't be used, 3 the database can't be used.
    """
    with _told(), _opened(url) as engine:
        folder = Masters(masters)
        wraps = Keyring.open(engine, folder).tally()
        newest, known = folder.newest(), folder.ids()
    if as_json:
        found = {one: wraps.get(one, 0) for one in (*known, *wraps)}
        print(json.dumps({"newest": newest, "wraps": found}))
        return
    for one in known:
        told = "  newest" if one == newest else ""
        print(f"{one}  wraps {wraps.get(one, 0)}{told}")
    for one in sorted(set(wraps) - set(known)):
        print(f"{one}  wraps {wraps[one]}  not in the folder")


@keys.command()
def rewrap(masters: MastersFolder = _MASTERS, url: KeysUrl = _KEYS) -> None:
    """Wrap the keys of all patients with the newest master key; the service may go on serving.

    Examples:
      dmp dossier keys create && dmp dossier keys rewrap

    Exit: 0 done, 2 some can't be unwrapped, 3 the database can't be used; the same command goes on.
    """
    with _told(), _opened(url) as engine:
        print(f"{Keyring.open(engine, Masters(masters)).rewrap()} keys wrapped anew")


@keys.command()
def retire(
    master: Annotated[str, typer.Argument(metavar="ID", help="As `list` tells it.")],
    masters: MastersFolder = _MASTERS,
    url: KeysUrl = _KEYS,
    yes: Annotated[
        bool, typer.Option("--yes", help="Yes: older backups of the keys are worth nothing then.")
    ] = False,
) -> None:
    """Remove a master key that wraps nothing any more, for good.

    Examples:
      dmp dossier keys retire 0001-5d3f0a9b2c417e68 --yes

    Exit: 0 removed, 2 it is the newest or still wraps, or --yes is missing, 3 the database can't be used.
    """
    if not yes:
        _fail(
            f"`{master}` would be gone for good, with what older backups need it for: --yes", USAGE
        )
    with _told(), _opened(url) as engine:
        Keyring.open(engine, Masters(masters)).retire(master)
        print(f"{master} is gone")


@keys.command()
def destroy(
    patient: Annotated[str, typer.Argument(metavar="INS", help="Whose.")],
    masters: MastersFolder = _MASTERS,
    url: KeysUrl = _KEYS,
    yes: Annotated[
        bool, typer.Option("--yes", help="Yes: nobody will ever read these documents again.")
    ] = False,
) -> None:
    """Destroy the key of a patient, ten years after closure: the documents can't be read any more, by nobody.

    Older backups of the keys still hold it until the master key of then is retired: docs/keys.md.

    Examples:
      dmp dossier keys destroy 1541187387477485562488 --yes

    Exit: 0 destroyed, 2 there is no such key or --yes is missing, 3 the database can't be used.
    """
    if not yes:
        _fail("nobody could read the documents of this patient any more, ever: --yes", USAGE)
    with _told(), _opened(url) as engine:
        Keyring.open(engine, Masters(masters)).destroy(patient, at=utc_now())
        print(
            "the key is destroyed; to make older backups of it useless, create, rewrap and retire"
        )


@keys.command("migrate")
def migrate_keys(url: KeysUrl = _KEYS) -> None:
    """Bring the tables of the keys to the shape that this version of dmp works with.

    Examples:
      dmp dossier keys migrate --keys postgresql+psycopg://owner@db/keys

    Exit: 0 done, 3 the database can't be used, or a step failed and nothing changed.
    """
    with _told(), _opened(url) as engine:
        before = KEYS_MIGRATIONS.shape(engine)
        KEYS_MIGRATIONS.migrate(engine)
        _shape(before, KEYS_MIGRATIONS.newest)


@database.command()
def migrate(url: RecordUrl = _RECORD) -> None:
    """Bring the tables of the record to the shape that this version of dmp works with.

    A service whose role owns the tables does so itself when it starts.

    Examples:
      dmp dossier database migrate --database postgresql+psycopg://owner@db/dossier

    Exit: 0 done, 3 the database can't be used, or a step failed and nothing changed.
    """
    with _told(), _opened(url) as engine:
        before = MIGRATIONS.shape(engine)
        MIGRATIONS.migrate(engine)
        _shape(before, MIGRATIONS.newest)


def _shape(before: str, now: str) -> None:
    print(f"tables at {now}" + ("" if before == now else f", were at {before or 'none'}"))


@contextmanager
def _opened(url: str) -> Iterator[Engine]:
    engine = connect(url)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _told() -> Iterator[None]:
    """Tells what goes wrong in one line."""
    try:
        yield
    except StorageError as exc:
        _fail(" ".join(str(exc).split()), UNUSABLE)
    except SQLAlchemyError as exc:
        _fail(cause_of(exc), UNUSABLE)
    except Error as exc:
        _fail(str(exc), USAGE)


def _fail(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(code)
