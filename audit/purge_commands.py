"""`dmp audit purge`: an owner's command, straight on the database of the log. It needs no service."""

import getpass
import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from sqlalchemy.exc import DBAPIError

from audit import database
from audit.checkpoint import opened
from audit.comparison import Published
from audit.erased import Purges
from audit.errors import EvidenceError, FormatError
from audit.evidence import Evidence
from audit.evidence_commands import EVIDENCE, Folder, bar
from audit.purging import Plan, bound, plan
from audit.purging import purge as carry_out
from audit.retention import RETENTION, Period, Purge
from audit.scouring import scour
from audit.terminal import DATABASE, Database, exit_codes, fail
from serving.clock import utc_now
from storage.database import connect
from storage.errors import DatabaseError

_KEY: Final = f"make one with `dmp audit keys make {RETENTION}`, and let it be sealed"


def purge(
    *,
    origin: Annotated[str, typer.Option("--origin", metavar="NAME", help="The log.")],
    keep: Annotated[
        str,
        typer.Option(metavar="PERIOD", help="How long; else as policy `trace.retention` says."),
    ] = "",
    before: Annotated[
        str, typer.Option(metavar="INSTANT", help="Erase what is older than this, instead.")
    ] = "",
    by: Annotated[
        str, typer.Option(metavar="NAME", help="Who does it; else who is logged in.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Verify and say what would go; erase nothing.")
    ] = False,
    unsealed: Annotated[
        bool, typer.Option("--unsealed", help="Yes, of a log that nobody seals.")
    ] = False,
    evidence: Folder = EVIDENCE,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    url: Database = DATABASE,
) -> None:
    """Erase the entries of a log whose time is over. Services may go on serving.

    What goes are their bytes; their commitments stay, so everything verifies as before, and who
    looks is told when they were erased and why. That stands in the log `retention` before
    anything is erased. Nothing younger than three years goes, nor younger than the policies say,
    nor what is not sealed, nor the newest batch. A purge that was interrupted is finished first.

    On PostgreSQL run it as the owner of the tables. Backups keep what they hold.

    Examples:
      dmp audit purge --origin authz-1 --dry-run
      dmp audit purge --origin authz-1
      dmp audit purge --origin authz-1 --keep P12Y --by "B. Martin"

    Exit: 0 done, 1 the log is damaged, 2 not allowed so, 3 the database can't be used, or its files
    still hold something of what was erased: run it again.
    """
    with exit_codes():
        if keep and before:
            fail("--keep and --before: give one of them", 2)
        period = Period.parse(keep) if keep else None
        instant = _instant(before) if before else None
        sealed = partial(_published, evidence, origin, unsealed=unsealed)
        wanted, last = _planned(url, origin, period, instant, sealed)
        done, left = None, ""
        if not dry_run:
            done, left = _carried_out(url, wanted, last, by or getpass.getuser())
    _tell(wanted, done, as_json=as_json)
    if left:
        fail(f"erased, but {left}: run this again when that is over", 3)


def _planned(
    url: str,
    origin: str,
    keep: Period | None,
    before: datetime | None,
    sealed: Callable[[], Published | None],
) -> tuple[Plan, Purge | None]:
    """What is to go, and what went before."""
    with database.snapshot(database.reader(url)) as conn:
        until, retention = bound(conn, origin, utc_now(), keep=keep, before=before)
        published = sealed()
        with bar(origin) as progress:
            wanted = plan(
                conn,
                origin,
                before=until,
                retention=retention,
                published=published,
                progress=progress,
            )
        return wanted, Purges(conn).last(origin)


def _carried_out(url: str, wanted: Plan, last: Purge | None, by: str) -> tuple[Purge | None, str]:
    """The purge, and why something of it is left in the files."""
    try:
        engine = connect(url)
        try:
            with bar(wanted.log) as progress:
                done = carry_out(
                    engine, wanted, by=by, now=utc_now(), random=os.urandom, progress=progress
                )
            scoured = done or last
            return done, "" if scoured is None else scour(engine, scoured)
        finally:
            engine.dispose()
    except DatabaseError as exc:
        fail(str(exc), 3)
    except DBAPIError as exc:
        cause = " ".join(str(exc.orig).split())
        fail(f"the database can't be written: {cause}: do it as the owner of the tables", 3)


def _published(folder: Path, origin: str, *, unsealed: bool) -> Published | None:
    """What was sealed of a log; None if it is said not to be."""
    evidence, retention = Evidence(folder, origin), Evidence(folder, RETENTION)
    if not evidence.has_key():
        if unsealed:
            return None
        what = f"log `{origin}` is not sealed in `{folder}`, so nobody could tell later what was erased"
        raise EvidenceError(f"{what}: seal it first, or say --unsealed")
    if not retention.has_key():
        raise EvidenceError(f"log `{RETENTION}` has no key in `{folder}`: {_KEY}")
    note = evidence.signed() or evidence.checkpoint()
    if note is None:
        raise EvidenceError(f"log `{origin}`: nothing of it is sealed yet")
    return Published(evidence, opened(note, [evidence.verifier()]).checkpoint.size)


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as exc:
        raise FormatError(f"--before `{text}`: give an instant like 2020-01-01T00:00:00Z") from exc
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _tell(wanted: Plan, done: Purge | None, *, as_json: bool) -> None:
    if as_json:
        told = {"log": wanted.log, "first": wanted.first, "end": wanted.end}
        told |= {"entries": wanted.entries, "before": wanted.before, "retention": wanted.retention}
        print(orjson.dumps(told | {"purge": done.index if done else None}).decode())
        return
    what = f"log `{wanted.log}`: entries {wanted.first} to {wanted.end - 1}, all before {wanted.before}"
    if not wanted.entries:
        print(f"log `{wanted.log}`: nothing to erase that is before {wanted.before}")
    elif done is None:
        print(f"{what}: {wanted.entries} would be erased")
    else:
        said = f"as entry {done.index} of log `{RETENTION}` says"
        print(f"{what}: {wanted.entries} erased, {said}")
