"""`dmp audit reindex`: makes the index again from the log's bytes."""

from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from audit.database import reader, snapshot
from audit.errors import UnreachableError
from audit.office.database import MIGRATIONS, alone, opened
from audit.office.derived import derivations
from audit.office.handles import Handles
from audit.office.index import Index
from audit.office.part import read_ends
from audit.terminal import DATABASE, Database, exit_codes
from serving.clock import boottime
from storage.errors import Error as StorageError

INDEX: Final = "sqlite:///var/audit.db"
KEY: Final = Path("var/audit.key")

app = typer.Typer()


@app.command()
def reindex(
    *,
    index: Annotated[
        str,
        typer.Option(
            "--index", envvar="DMP_AUDIT_INDEX", metavar="URL", help="What is made again."
        ),
    ] = INDEX,
    key: Annotated[
        Path,
        typer.Option(
            "--index-key", envvar="DMP_AUDIT_KEY", metavar="FILE", help="As of `dmp serve audit`."
        ),
    ] = KEY,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    url: Database = DATABASE,
) -> None:
    """Make the index again from the log's bytes: lines, cases, all that follows from them.

    Stop the audit first; nobody can look into the log meanwhile. Interrupted, it is gone on with by the next
    `dmp serve audit`.

    Examples:
      dmp audit reindex
      dmp audit reindex --index postgresql+psycopg://audit@db/dmp --database postgresql+psycopg://audit@db/dmp

    Exit: 0 done, 1 the log is damaged, 2 wrong usage, 3 a database can't be used, or the audit is running.
    """
    with exit_codes():
        try:
            made, seconds = _again(url, index, key)
        except (StorageError, OSError) as exc:
            raise UnreachableError(str(exc)) from exc
    if as_json:
        print(orjson.dumps({"entries": made, "seconds": round(seconds, 3)}).decode())
    else:
        print(f"{made} entries in the index, made again in {seconds:.1f} s")


def _again(url: str, index: str, key: Path) -> tuple[int, float]:
    """How many entries were taken in, and in how many seconds."""
    began, made, log = boottime(), 0, reader(url)
    with snapshot(log) as conn:
        total = sum(read_ends(conn).values())
    with alone(index):
        engine = opened(index)
        try:
            MIGRATIONS.downgrade(engine)
            MIGRATIONS.migrate(engine)
            handles = Handles.kept(key)
            again = Index(engine, handles, derivations(handles, log))
            with _progress() as progress:
                task = progress.add_task("entries", total=total)
                while True:
                    with log.connect() as conn:
                        taken = again.step(conn)
                    if not taken.entries:
                        return made, boottime() - began
                    made += taken.entries
                    progress.update(task, completed=made, total=max(total, made))
        finally:
            engine.dispose()


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
