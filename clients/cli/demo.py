"""`dmp demo`: a service of its own, and the story of the slides of 2011 played to it."""

import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final, NoReturn

import typer

from audit import database, reader
from audit.errors import Error as LogError
from audit.errors import LogDamagedError
from audit.verify import verify
from authz.v1 import authz_pb2 as pb
from clients.cli import show
from clients.cli.cast import DOCTOR, INS, OFFICER
from clients.cli.child import Service, serving
from clients.cli.point import Error, Point
from clients.cli.show import Language, Said
from clients.cli.story import SCENES, Line
from clients.cli.tell import Ending, Lines, Outcome, Screen, Voice

NOT_AS_TOLD: Final = 1

_PAUSE_S: Final = 0.3
_SHOWN: Final = 15  # entries of the log
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
        typer.Option("--keep", metavar="DIR", file_okay=False, help="Keep database and log there."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Start a service and play the story of the 2011 slides to it; then leave it to be tried out.

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
        except Error as exc:
            _fail(str(exc), 3)
        try:
            good = _tour(service, voice, language, pause_s)
        except (Error, LogError) as exc:
            log = f"see {folder / 'service.log'}" if keep else "--keep DIR keeps the service's log"
            _fail(f"{exc} ({log})", 3)
        voice.onward(*_commands(service, once=once, kept=keep is not None))
        if not once:
            _wait(service)
    raise typer.Exit(0 if good else NOT_AS_TOLD)


def play(point: Point, voice: Voice, language: Language, pause_s: float) -> list[Outcome]:
    """Plays all scenes, and tells them as they go."""
    outcomes: list[Outcome] = []
    for number, scene in enumerate(SCENES, 1):
        voice.scene(number, scene)
        if scene.together:
            outcomes += _together(point, scene.lines)
            voice.table(outcomes[-len(scene.lines) :])
            time.sleep(pause_s)
            continue
        for line in scene.lines:
            outcomes.append(_outcome(point, line, language))
            voice.line(outcomes[-1])
            time.sleep(pause_s)
    return outcomes


def _together(point: Point, lines: Sequence[Line]) -> list[Outcome]:
    checks = [line.asks for line in lines if isinstance(line.asks, pb.CheckRequest)]
    decisions = point.check_all(checks)
    return [Outcome(line=line, decision=d) for line, d in zip(lines, decisions, strict=True)]


def _outcome(point: Point, line: Line, language: Language) -> Outcome:
    if isinstance(line.asks, pb.ChangeRequest):
        return Outcome(line=line, decision=point.change(line.asks))
    if line.explained:
        answer = point.explain(line.asks, language)
        return Outcome(line=line, decision=answer.decision, explained=answer)
    return Outcome(line=line, decision=point.check(line.asks))


def _tour(service: Service, voice: Voice, language: Language, pause_s: float) -> bool:
    """Plays the story; whether all went as it says, and all is in the log."""
    with Point(service.address) as point:
        policies = point.bundle(OFFICER.subject)
        voice.opening(service.address, policies.bundle)
        outcomes = play(point, voice, language, pause_s)
    decided = {policies.decision.id, *(outcome.decision.id for outcome in outcomes)}
    ending = _ending(service.database, decided)
    voice.ending(outcomes, ending)
    return ending.holds and all(outcome.as_told for outcome in outcomes)


def _ending(url: str, decided: set[str]) -> Ending:
    """Reads the log back, and verifies it from its stored bytes."""
    engine = database.reader(url)
    with database.snapshot(engine) as conn:
        missing = decided - {str(stored.entry.get("id")) for stored in reader.read(conn)}
        last = tuple(stored.entry for stored in reader.tail(conn, _SHOWN))
        count, damage, link = reader.count(conn), "", b""
        try:
            for origin in reader.origins(conn):
                link = verify(conn, origin).hash
        except LogDamagedError as exc:
            damage = str(exc)
    engine.dispose()
    return Ending(entries=last, count=count, damage=damage, missing=len(missing), hash=link.hex())


def _commands(service: Service, *, once: bool, kept: bool) -> tuple[list[tuple[str, Said]], Said]:
    """What to try next, in words that can be copied; and where the service is by then."""
    dmp, url = _program(), service.database
    doctor = f"--id {DOCTOR.subject.id} --profession 10 --patient {INS}"
    policies = (
        f"{dmp} policy test",
        Said("les règles devant leurs cas", "the rules on their cases"),
    )
    if not once:
        return [
            (
                f"export DMP_AUTHZ={service.address} DMP_DATABASE={shlex.quote(url)}",
                Said("dans un autre terminal, d'abord", "in another terminal, first"),
            ),
            (
                f"{dmp} check {doctor} --document-type 11488-4",
                Said(
                    "pourquoi non, et ce qui en ferait un oui",
                    "why not, and what would make it yes",
                ),
            ),
            (
                f"{dmp} check --as patient --patient {INS} --action trace.read --facts",
                Said("un oui, et les faits jugés", "a yes, and the facts that were judged"),
            ),
            (f"{dmp} log tail", Said("le journal, qui a suivi", "the log, which went along")),
            (f"{dmp} log verify", Said("… et sa preuve", "... and its proof")),
            policies,
        ], Said(
            f"Le service répond sur {service.address}, jusqu'à Ctrl-C.",
            f"The service goes on answering at {service.address}, until Ctrl-C.",
        )
    log = f"{dmp} log tail --database {shlex.quote(url)}"
    return [
        *([(log, Said("le journal, gardé", "the log, which was kept"))] if kept else []),
        (
            f"{dmp} demo",
            Said(
                "la même histoire, et le service demeure", "the story again, and the service stays"
            ),
        ),
        (f"{dmp} serve authz", Said("un service à soi", "a service of your own")),
        (
            f"{dmp} check {doctor} --action dossier.find",
            Said("l'interroger, d'un autre terminal", "ask it, from another terminal"),
        ),
        policies,
    ], Said("Le service de cette histoire est arrêté.", "The service of this story has stopped.")


def _program() -> str:
    """How `dmp` is called here."""
    beside = Path(sys.executable).with_name("dmp")
    if shutil.which("dmp") or not beside.is_file():
        return "dmp"
    try:
        return shlex.quote(str(beside.relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(beside))


def _wait(service: Service) -> None:
    """Lets the service serve until Ctrl-C, or until it ends by itself."""
    try:
        code = service.process.wait()
    except KeyboardInterrupt:
        print(file=sys.stderr)  # the prompt is not to follow `^C`
        return
    if code:
        _fail(f"the service ended by itself, with exit code {code}", 3)


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
