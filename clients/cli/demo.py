"""`dmp demo`: three services of its own, and the story of the slides of 2011 played on real documents."""

import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final, NoReturn

import typer
from sqlalchemy import Engine

from audit import completeness, database, reader
from audit.errors import Error as LogError
from audit.errors import LogDamagedError
from audit.verify import verify
from clients.cli import show
from clients.cli.audit.link import Audit
from clients.cli.cast import OFFICER
from clients.cli.child import Service, auditing, keeping, serving
from clients.cli.link import Error
from clients.cli.onward import CARD_FILE, commands
from clients.cli.papers import CARD
from clients.cli.point import Point
from clients.cli.record.link import Record
from clients.cli.show import Language
from clients.cli.stage import Stage
from clients.cli.tell import Ending, Lines, Screen, Voice
from clients.cli.theatre import Theatre
from serving.clock import utc_now

NOT_AS_TOLD: Final = 1

_PAUSE_S: Final = 0.3
_SHOWN: Final = 15  # entries of the log
_LOOK_S: Final = 0.5
_COURIER_S: Final = 5.0
_ENDINGS: Final = (signal.SIGTERM, signal.SIGHUP)


def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="End after the story.")] = False,
    language: Annotated[Language, typer.Option("--lang", help="Of the narration.")] = Language.EN,
    pause_s: Annotated[
        float | None,
        typer.Option(
            "--pause",
            metavar="SECONDS",
            min=0,
            max=60,
            help=f"Between two lines; {_PAUSE_S} on a terminal, else none.",
        ),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep", metavar="DIR", file_okay=False, help="Keep databases, keys and logs there."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Start the three services and play the story of the 2011 slides to them; then leave them to be tried.

    Examples:
      dmp demo
      dmp demo --lang fr
      dmp demo --once --json | jq -r '.decision.reason_code // empty'
      dmp demo --once --keep /tmp/story && dmp log tail --database sqlite:////tmp/story/dmp.db

    Exit: 0 all went as the story says, 1 something did not, 2 wrong usage, 3 the service did not
    start or answer.
    """
    voice: Voice = Lines() if as_json else Screen(show.console(), language)
    if pause_s is None:
        pause_s = _PAUSE_S if sys.stdout.isatty() and not as_json else 0
    with ExitStack() as stack:
        stack.enter_context(_interruptible())
        folder = _kept(keep) if keep else stack.enter_context(_passing())
        try:
            service = stack.enter_context(serving(folder))
            record = stack.enter_context(keeping(service))
            audit = stack.enter_context(auditing(service))
        except Error as exc:
            _fail(str(exc), 3)
        try:
            good = _tour((service, record, audit), voice, language, pause_s)
        except (Error, LogError) as exc:
            log = f"see {folder}/*.log" if keep else "--keep DIR keeps the logs of the services"
            _fail(f"{exc} ({log})", 3)
        voice.onward(*commands(service, record, audit, once=once, kept=keep is not None))
        if not once:
            _wait((service, record, audit))
    raise typer.Exit(0 if good else NOT_AS_TOLD)


def _tour(
    services: tuple[Service, Service, Service], voice: Voice, language: Language, pause_s: float
) -> bool:
    """Plays the story; whether all went as it says, and all is in the log."""
    service, record, audit = services
    log = database.reader(service.database)
    (service.folder / CARD_FILE).write_text(CARD, encoding="utf-8")
    with (
        Point(service.address) as point,
        Record(record.address) as line,
        Audit(audit.address) as auditors,
    ):
        policies = point.bundle(OFFICER.subject)
        voice.opening([one.address for one in services], policies.bundle)
        stage = Stage(record=line, audit=auditors, folder=service.folder)
        outcomes = Theatre(point, stage, log, language).play(voice, pause_s)
    decided = {policies.decision.id, *(outcome.decision.id for outcome in outcomes)}
    ending = _ending(log, record, decided)
    log.dispose()
    voice.ending(outcomes, ending)
    return ending.holds and all(outcome.as_told for outcome in outcomes)


def _ending(log: Engine, record: Service, decided: set[str]) -> Ending:
    """Reads the log back, verifies it from its stored bytes, and holds the record against it."""
    kept = database.reader(record.record)
    with database.snapshot(log) as conn:
        missing = decided - {str(stored.entry.get("id")) for stored in reader.read(conn)}
        last = tuple(stored.entry for stored in reader.tail(conn, _SHOWN))
        count, damage, link = reader.count(conn), "", b""
        try:
            for origin in reader.origins(conn):
                link = verify(conn, origin).hash
        except LogDamagedError as exc:
            damage = str(exc)
        with kept.connect() as acts:
            found = completeness.check(conn, acts, service="dossier", at=utc_now())
    kept.dispose()
    return Ending(
        entries=last,
        count=count,
        damage=damage,
        missing=len(missing),
        hash=link.hex(),
        acts=found.acts,
        faults=len(found.faults),
        messages=_messages(record.outbox),
    )


def _messages(outbox: Path) -> tuple[tuple[str, str], ...]:
    """What would have gone to mobile phones, as (to, text); the courier gets a moment for its round."""
    end, lines = time.monotonic() + _COURIER_S, _lines(outbox)
    while time.monotonic() < end:
        time.sleep(_LOOK_S)
        before, lines = lines, _lines(outbox)
        if before == lines != []:
            break
    found = map(json.loads, lines)
    return tuple((one["to"], one["text"]) for one in found)


def _lines(path: Path) -> list[str]:
    """The whole lines of a file that may not be there yet."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return []
    return text[: text.rfind("\n") + 1].splitlines()


def _wait(services: Sequence[Service]) -> None:
    """Lets the services serve until Ctrl-C, or until one ends by itself."""
    try:
        while not (ended := [c for one in services if (c := one.process.poll()) is not None]):
            time.sleep(_LOOK_S)
    except KeyboardInterrupt:
        print(file=sys.stderr)  # the prompt is not to follow `^C`
        return
    if ended[0]:
        _fail(f"a service ended by itself, with exit code {ended[0]}", 3)


def _kept(folder: Path) -> Path:
    if (folder / "dmp.db").exists():
        raise typer.BadParameter(
            f"`{folder}` holds a database already: name a folder of its own", param_hint="--keep"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise typer.BadParameter(f"`{folder}`: {exc.strerror}", param_hint="--keep") from exc
    return folder


@contextmanager
def _passing() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with TemporaryDirectory(prefix="dmp-demo-") as folder:
        yield Path(folder)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Whoever ends this process ends it like Ctrl-C, so that the service ends with it."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _fail(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(code)
