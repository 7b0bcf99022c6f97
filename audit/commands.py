"""`dmp log` and `dmp audit`: read the decision log, straight from its database and without changing it."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console
from sqlalchemy import Connection, inspect, text

from audit import database, display, reader
from audit.completeness import check
from audit.errors import LogDamagedError
from audit.evidence_commands import keys, receipt, verifying
from audit.purge_commands import purge
from audit.reader import Stored
from audit.terminal import DATABASE, Database, exit_codes, fail, missing, named
from audit.verify import verify as verify_log
from serving.clock import utc_now

app = typer.Typer(help="Read and verify the decision log. Needs no service.", no_args_is_help=True)
audit = typer.Typer(help="See whether everything adds up. Needs no service.", no_args_is_help=True)


@audit.callback()
def _audit() -> None:
    """See whether everything adds up. Needs no service."""


audit.add_typer(verifying, name="verify")
audit.add_typer(keys, name="keys")
audit.command()(receipt)
audit.command()(purge)

_POLL_S: Final = 0.5
_WIDE: Final = 160  # columns, when the output is no terminal

AsJson = Annotated[bool, typer.Option("--json", help="The exact entries, one JSON object a line.")]


@app.command()
def tail(
    n: Annotated[int, typer.Option("-n", min=0, help="How many entries.")] = 20,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C.")] = False,
    as_json: AsJson = False,
    url: Database = DATABASE,
) -> None:
    """Print the last entries of the log, oldest first.

    Examples:
      dmp log tail
      dmp log tail -n 100 --json | jq -r .reason_code | sort | uniq -c
      dmp log tail -f

    Exit: 0 done, 1 the log is damaged, 2 wrong usage, 3 the database can't be read.
    """
    with exit_codes():
        engine = database.reader(url)
        with database.snapshot(engine) as conn:
            found, seen = reader.tail(conn, n), reader.ends(conn)
            known = display.fates(conn, found)
        _print(found, as_json=as_json, known=known)
        while follow:
            time.sleep(_POLL_S)
            with database.snapshot(engine) as conn:
                found = list(_since(conn, seen))
                known = display.fates(conn, found)
            _print(found, as_json=as_json, header=False, known=known)


@app.command()
def show(
    wanted: Annotated[str, typer.Argument(metavar="ID", help="A decision's id, or its # in tail.")],
    as_json: AsJson = False,
    url: Database = DATABASE,
) -> None:
    """Print one entry with all its fields, its facts in words.

    Examples:
      dmp log show 0198c5a0-7e1c-7d3a-9b57-3f5a1c9e2b44
      dmp log show 41
      dmp log show 41 --json

    Exit: 0 done, 1 no such entry, 2 wrong usage, 3 the database can't be read.
    """
    with exit_codes(), database.snapshot(database.reader(url)) as conn:
        found = list(named(conn, wanted))
        if not found:
            fail(missing(conn, wanted), 1)
        known = display.fates(conn, found)
        for stored in found:
            if as_json:
                _print([stored], as_json=True, known=known)
            else:
                _console().print(display.sheet(stored, _vocabulary(conn, stored), known))


@app.command()
def verify(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a log.")] = False,
    url: Database = DATABASE,
) -> None:
    """Derive the log again from its stored bytes, and say the first thing that is wrong.

    Keep the hash that is printed: a later log that begins with other entries can be told by it.

    Examples:
      dmp log verify
      dmp log verify --json --database postgresql+psycopg://auditor@db/dmp

    Exit: 0 intact, 1 damaged, 2 wrong usage, 3 the database can't be read.
    """
    with exit_codes(), database.snapshot(database.reader(url)) as conn:
        verdicts = [_verdict(conn, origin) for origin in reader.origins(conn)]
    for verdict in verdicts:
        if as_json:
            print(orjson.dumps(verdict).decode())
        elif verdict["intact"]:
            what = "{count} entries intact, hash {hash}".format_map(verdict)
            gone = verdict["erased"]
            told = f", the first {gone} of them erased as was logged" if gone else ""
            print(f"log `{verdict['origin']}`: {what}{told}")
        else:
            print(verdict["error"])
    if not verdicts and not as_json:
        print("no log yet: nothing to verify")
    if not all(verdict["intact"] for verdict in verdicts):
        raise typer.Exit(1)


@audit.command()
def completeness(
    dossier: Annotated[
        str,
        typer.Option(
            "--dossier",
            envvar="DMP_DOSSIER_DATABASE",
            metavar="URL",
            help="Where the dossier keeps its record.",
        ),
    ] = "sqlite:///var/dossier.db",
    service: Annotated[
        str, typer.Option(metavar="NAME", help="As whom it calls the decision point.")
    ] = "dossier",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    url: Database = DATABASE,
) -> None:
    """Hold what the dossier did against what it was permitted: exactly one decision for each act.

    A permission that was not used is counted, and is no fault.

    Examples:
      dmp audit completeness
      dmp audit completeness --json --dossier postgresql+psycopg://auditor@db/dossier

    Exit: 0 complete, 1 something is missing or differs, 2 wrong usage, 3 a database can't be read.
    """
    with (
        exit_codes(),
        database.reader(dossier).connect() as record,
        database.snapshot(database.reader(url)) as log,
    ):
        found = check(log, record, service=service, at=utc_now())
    if as_json:
        print(orjson.dumps(asdict(found) | {"holds": found.holds}).decode())
    else:
        print(f"{found.acts} acts, {found.decided} of them with their one decision")
        print(f"{found.unused} permissions that were not used")
        if found.erased:
            print(f"{found.erased} acts of a time whose decisions are erased: not judged")
        for finding in found.faults:
            print(f"{finding.fault}: {finding.action}, decision {finding.decision}")
    if not found.holds:
        raise typer.Exit(1)


def _verdict(conn: Connection, origin: str) -> dict[str, object]:
    try:
        verified = verify_log(conn, origin)
    except LogDamagedError as exc:
        where = {"index": exc.index, "damage": str(exc.damage), "error": str(exc)}
        return {"origin": origin, "intact": False, **where}
    found: dict[str, object] = {"count": verified.count, "erased": verified.erased}
    found["hash"] = verified.hash.hex()
    return {"origin": origin, "intact": True, **found}


def _since(conn: Connection, seen: dict[str, int]) -> Iterator[Stored]:
    """The entries behind those `seen`, which moves on with them."""
    for origin in reader.origins(conn):
        for stored in reader.read(conn, origin=origin, start=seen.get(origin, 0)):
            seen[origin] = stored.index + 1
            yield stored


def _vocabulary(conn: Connection, stored: Stored) -> Sequence[Mapping[str, object]] | None:
    """The facts of the entry's bundle, where the database keeps that bundle."""
    digest: object = "" if stored.erased is not None else stored.entry.get("bundle", "")
    if not (isinstance(digest, str) and digest.isalnum() and inspect(conn).has_table("bundles")):
        return None
    query = text("SELECT content FROM bundles WHERE digest = :digest")
    content = conn.execute(query, {"digest": digest}).scalar()
    try:
        facts = orjson.loads(content or b"{}")["vocabulary"]["facts"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    ok = isinstance(facts, list) and all(isinstance(fact, dict) for fact in facts)
    return facts if ok else None


def _print(
    found: Iterable[Stored], *, as_json: bool, header: bool = True, known: display.Fates
) -> None:
    if as_json:
        for stored in found:
            line = (
                stored.bytes if stored.erased is None else orjson.dumps(display.left(stored, known))
            )
            sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()
    elif header or found:
        _console().print(display.rows(found, header=header, known=known))


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)
