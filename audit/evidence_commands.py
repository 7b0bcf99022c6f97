"""`dmp audit verify`, `receipt` and `keys`: what the evidence of a log is made with, and what it proves."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from audit import database, display, reader
from audit.checkpoint import Opened
from audit.durable import replace
from audit.encoding import base64
from audit.errors import EvidenceError, FormatError, LogDamagedError, ProofError
from audit.evidence import Evidence, logs
from audit.inspection import inspect
from audit.keys import Verifier
from audit.proof import Receipt
from audit.reader import Stored
from audit.receipts import receipt_of
from audit.terminal import DATABASE, Database, exit_codes, fail, is_for_command, missing, named
from audit.trusted import Trust

verifying = typer.Typer(invoke_without_command=True)
keys = typer.Typer(invoke_without_command=True)

EVIDENCE: Final = Path("var/evidence")
_WIDE: Final = 160  # columns, when the output is no terminal

Folder = Annotated[
    Path,
    typer.Option(
        "--evidence", envvar="DMP_EVIDENCE", metavar="FOLDER", help="Keys, tiles and checkpoints."
    ),
]
TrustFile = Annotated[
    Path | None,
    typer.Option(
        "--trust", envvar="DMP_TRUSTED_LOGS", metavar="FILE", help="Logs, witnesses and quorum."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@verifying.callback()
def verify(
    context: typer.Context,
    *,
    evidence: Folder = EVIDENCE,
    trust: TrustFile = None,
    earlier: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", metavar="FILE", help="One that was kept elsewhere."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; else all processors.")] = None,
    as_json: AsJson = False,
    url: Database = DATABASE,
) -> None:
    """Verify the log: derive it again from its stored bytes, and hold it against what was signed.

    Tells the first entry that was altered, removed, moved, cut off or taken back to an older copy. A
    checkpoint that was kept elsewhere shows what an owner of database, tiles and key could hide.

    Examples:
      dmp audit verify
      dmp audit verify --checkpoint kept/checkpoint.2026-11-18
      dmp audit verify --trust trusted-logs.txt --json
      dmp audit verify receipt FILE

    Exit: 0 intact, 1 damaged or not sealed, 2 wrong usage, 3 the database can't be read.
    """
    if is_for_command(context):
        return
    with exit_codes():
        believed = _trust_of(trust)
        kept = [_content(path) for path in earlier or ()]
        with database.snapshot(database.reader(url)) as conn:
            origins = {*reader.origins(conn), *(one.origin for one in logs(evidence))}
        found = [Evidence(evidence, origin) for origin in sorted(origins)]
        mine = _share(kept, found)
        verdicts = [_verdict(url, one, believed, mine[one.origin], jobs) for one in found]
    for verdict in verdicts:
        print(orjson.dumps(verdict).decode() if as_json else _sentence(verdict))
    if not verdicts and not as_json:
        print("no log yet: nothing to verify")
    if not all(verdict["intact"] for verdict in verdicts):
        raise typer.Exit(1)


@verifying.command("receipt")
def verify_receipt(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As of `dmp audit receipt`.")],
    *,
    key: Annotated[
        list[str] | None, typer.Option("--key", metavar="KEY", help="The log's, as published.")
    ] = None,
    trust: TrustFile = None,
    evidence: Folder = EVIDENCE,
    show: Annotated[bool, typer.Option("--show", help="Print the entry, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Verify a receipt: that its entry stands in the log. Needs neither network nor database.

    Whom to believe is said by --trust or --key; else by the keys beside the evidence, if it is here. A
    receipt can't say so itself: anybody could write one under a key of his own.

    Examples:
      dmp audit verify receipt access.tlog-proof --key dmp.example/authz-1+33d7b496+AeHTu4Q3...
      dmp audit verify receipt access.tlog-proof --trust trusted-logs.txt --show

    Exit: 0 proved, 1 not proved, 2 no receipt or no key, 3 a file can't be read.
    """
    with exit_codes():
        found = Receipt.parse(_content(file))
        believed = _trust_of(trust) or _trust_in(key, evidence)
        unknown = believed is None
        opened = found.verify(believed or found.own_trust)
    verdict = _proved(found, opened)
    if as_json:
        print(orjson.dumps({**verdict, "proved": not unknown}).decode())
    else:
        line = "entry {index} of log `{log}` ({at}): unaltered since a checkpoint of {size} entries"
        print(line.format_map(verdict))
        print(f"signed by {verdict['key']}")
        for witness, at in verdict["witnesses"].items():
            print(f"cosigned by {witness} at {at}")
    if show:
        stored = Stored(opened.checkpoint.origin, found.proof.index, found.entry)
        Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False).print(
            display.sheet(stored, None)
        )
    if unknown:
        fail("not proved: that key is the receipt's own: give the published one by --key", 1)


def receipt(
    wanted: Annotated[str, typer.Argument(metavar="ID", help="A decision's id, or its # in tail.")],
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Best with .tlog-proof.")
    ],
    origin: Annotated[str, typer.Option("--origin", help="The log, if there are several.")] = "",
    trust: TrustFile = None,
    evidence: Folder = EVIDENCE,
    url: Database = DATABASE,
) -> None:
    """Write a standalone proof that an entry stands in the log, with the entry itself.

    Whoever has the file and the log's published key can verify it, offline and for ever. It holds
    personal data, and only its owner may read it.

    Examples:
      dmp audit receipt 0198c5a0-7e1c-7d3a-9b57-3f5a1c9e2b44 -o access.tlog-proof
      dmp audit receipt 41 -o 41.tlog-proof

    Exit: 0 written, 1 no such entry, erased, or not what was sealed, 2 wrong usage, 3 not sealed yet.
    """
    with exit_codes():
        believed = _trust_of(trust)
        with database.snapshot(database.reader(url)) as conn:
            found = [one for one in named(conn, wanted) if origin in ("", one.origin)]
            why = "" if found else missing(conn, wanted)
            fates = display.fates(conn, found)
        if not found:
            fail(why, 1)
        if len(found) > 1:
            fail(f"`{wanted}`: in several logs: say which by --origin", 2)
        if found[0].erased is not None:
            fail(
                f"`{wanted}`: {display.fate(found[0].erased, fates)}: there is nothing to prove", 1
            )
        made = receipt_of(found[0], Evidence(evidence, found[0].origin), believed)
        try:
            replace({output: bytes(made)}, output.parent / f".{output.name}", private=True)
            (output.parent / f".{output.name}").rmdir()
        except OSError as exc:
            raise EvidenceError(f"`{output}` can't be written: {exc.strerror}") from exc
    size = made.checkpoint.size
    print(f"{output}: entry {made.proof.index} of log `{made.checkpoint.origin}`, of {size} sealed")


@keys.callback()
def show_keys(context: typer.Context, evidence: Folder = EVIDENCE, as_json: AsJson = False) -> None:
    """Print the verifier keys of the logs, which whoever verifies must know; or make one.

    Examples:
      dmp audit keys
      dmp audit keys make authz-1 --name dmp.example/authz-1

    Exit: 0 done, 1 there is none, 2 a key is damaged, 3 the folder can't be read.
    """
    if is_for_command(context):
        return
    with exit_codes():
        found = [(one.origin, str(one.verifier())) for one in logs(evidence)]
        if not found:
            fail(f"no keys in `{evidence}`: make one with `dmp audit keys make ORIGIN`", 1)
    for origin, key in found:
        print(orjson.dumps({"log": origin, "key": key}).decode() if as_json else key)


@keys.command("make")
def make_key(
    origin: Annotated[str, typer.Argument(help="The log, as of `dmp serve authz --origin`.")],
    name: Annotated[
        str, typer.Option(help="Its name in public, best like dmp.example/authz-1.")
    ] = "",
    evidence: Folder = EVIDENCE,
) -> None:
    """Make the key that signs a log, and print the verifier key, to be published.

    The secret half stays in the folder. It can't be replaced: what it signed would be lost with it.

    Examples:
      dmp audit keys make authz-1 --name dmp.example/authz-1

    Exit: 0 made, 2 there is one, or the name can't be used, 3 the folder can't be written.
    """
    with exit_codes():
        try:
            made = Evidence(evidence, origin).make_key(name or origin, os.urandom)
        except EvidenceError as exc:
            fail(str(exc), 2)
        except OSError as exc:
            fail(f"folder `{evidence}` can't be written: {exc.strerror}", 3)
    print(made)


def _verdict(
    url: str, evidence: Evidence, trust: Trust | None, earlier: list[bytes], jobs: int | None
) -> dict[str, Any]:
    verdict: dict[str, Any] = {"origin": evidence.origin, "intact": False}
    try:
        with bar(evidence.origin) as progress:
            found = inspect(
                url, evidence, trust=trust, earlier=earlier, progress=progress, jobs=jobs
            )
    except LogDamagedError as exc:
        return verdict | {"index": exc.index, "damage": str(exc.damage), "error": str(exc)}
    except (EvidenceError, ProofError) as exc:
        return verdict | {"error": str(exc)}
    return verdict | {
        "intact": True,
        "count": found.count,
        "erased": found.erased,
        "hash": found.hash.hex(),
        "log": found.checkpoint.origin,
        "sealed": found.checkpoint.size,
        "root": base64(found.checkpoint.root),
        "witnesses": list(found.witnesses),
    }


def _sentence(verdict: dict[str, Any]) -> str:
    if not verdict["intact"]:
        return str(verdict["error"])
    text = "log `{origin}`: {count} entries intact, hash {hash}"
    text += ", the first {erased} of them erased as was logged; " if verdict["erased"] else "; "
    text += "{sealed} of them under a checkpoint signed as `{log}`, root {root}"
    if verdict["witnesses"]:
        text += ", cosigned by " + ", ".join(verdict["witnesses"])
    return text.format_map(verdict)


def _proved(found: Receipt, opened: Opened) -> dict[str, Any]:
    stored = Stored(opened.checkpoint.origin, found.proof.index, found.entry)
    times = {
        one.name: _instant(witness.time(one))
        for witness in opened.witnesses
        for one in opened.note.signatures
        if witness.made(one)
    }
    return {
        "log": opened.checkpoint.origin,
        "index": found.proof.index,
        "id": stored.entry.get("id", ""),
        "at": stored.entry.get("at", ""),
        "size": opened.checkpoint.size,
        "key": str(opened.log),
        "witnesses": times,
    }


def _instant(seconds: int | None) -> str:
    try:
        return datetime.fromtimestamp(seconds or 0, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return "a time that no calendar has"


def _trust_of(file: Path | None) -> Trust | None:
    if file is None:
        return None
    try:
        return Trust.parse(_content(file).decode())
    except UnicodeDecodeError as exc:
        raise FormatError(f"`{file}` is no text") from exc


def _trust_in(given: list[str] | None, evidence: Path) -> Trust | None:
    """The keys given, else those beside the evidence; None if there are none."""
    found = [Verifier.parse(key) for key in given or ()]
    found = found or [one.verifier() for one in logs(evidence)]
    return Trust(logs=tuple(found)) if found else None


def _share(kept: list[bytes], found: list[Evidence]) -> dict[str, list[bytes]]:
    """By log its checkpoints out of those that were kept elsewhere."""
    shares: dict[str, list[bytes]] = {one.origin: [] for one in found}
    names = {one.verifier().name: one.origin for one in found if one.has_key()}
    for note in kept:
        name = note.partition(b"\n")[0].decode(errors="replace")
        if name not in names:
            raise FormatError(f"checkpoint: of `{name[:100]}`, which is none of the logs here")
        shares[names[name]].append(note)
    return shares


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise EvidenceError(f"`{path}` can't be read: {exc.strerror}") from exc


@contextmanager
def bar(origin: str) -> Iterator[Any]:
    """A bar on standard error, if somebody looks at that; gives what moves it."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as shown:
        task = shown.add_task(f"log `{origin}`", total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
