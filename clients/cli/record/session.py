"""One command of `dmp dossier`: who speaks, in which circumstances, to which service, and how it is shown.

All commands share these options. Each is a function of a `Session` and of what is its own; `command` makes
of it what typer wants, and tells refusals and failures in one way. What several commands have in common is a
function of its own, whose options are theirs, too.
"""

import inspect
import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final, NoReturn

import typer
from google.protobuf.message import Message
from rich.console import RenderableType
from rich.text import Text

from authz.v1 import authz_pb2 as authz
from clients import sdk
from clients.cli import show
from clients.cli.arguments import Roots, TlsChain, TlsKey
from clients.cli.link import Error, RefusedError, security
from clients.cli.record import look, words
from clients.cli.record.link import ADDRESS, TIMEOUT_S, Record
from clients.cli.record.speaker import speaker
from clients.cli.show import Language, Said
from clients.sdk.procedures import Procedure
from clients.sdk.retry import Request, Response

USAGE: Final = 2

_WHO: Final = "Who speaks"
_HOW: Final = "In which circumstances"
_LINE: Final = "The service"
_OUT: Final = "What is shown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a command has to do its work."""

    record: Record
    subject: authz.Subject
    context: authz.Context
    language: Language
    as_json: bool

    def ask(self, procedure: Procedure[Request, Response], request: Request) -> Response:
        """One call, as `Record.ask`."""
        return self.record.ask(procedure, request)

    def about(self, patient: str) -> dict[str, Any]:
        """The fields that nearly all requests begin with."""
        return {"subject": self.subject, "context": self.context, "patient": patient}

    def say(self, said: Said) -> str:
        """It in the language of this command."""
        return said.text(self.language)

    def show(self, message: Message, *parts: RenderableType) -> None:
        """Shows an answer: to programs the message, to people the parts."""
        if self.as_json:
            self.tell(show.as_data(message))
        else:
            self.print(*parts)

    def print(self, *parts: RenderableType) -> None:
        """Shows parts to people, marked as the circumstances want it."""
        console = show.console()
        for part in look.framed(parts, self.context, self.language):
            whole = isinstance(part, Text) and bool(part.no_wrap)  # to be copied
            console.print(part, soft_wrap=whole)

    def tell(self, data: object) -> None:
        """One JSON object for programs."""
        print(json.dumps(data, ensure_ascii=False), flush=True)

    def confirm(self, question: Said, *, yes: bool) -> None:
        """Asks before something is done that is hard to take back; nobody is asked with --yes.

        Raises:
            typer.Exit: the answer is no.
            Error: there is nobody to ask.
        """
        if yes:
            return
        if not sys.stdin.isatty():
            raise Error(self.say(_NOBODY))
        if not typer.confirm(self.say(question), err=True):
            raise typer.Exit(1)


_NOBODY: Final = Said(
    "personne à qui demander confirmation : ajouter --yes", "nobody to confirm this: add --yes"
)


def command(
    app: typer.Typer, name: str = "", **parts: Callable[..., object]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a command of a function whose first argument is the session.

    Args:
        app: of which it is a command.
        name: of the command, if it is not that of the function.
        parts: by the name of an argument, who makes it of options of its own.
    """

    def made(work: Callable[..., None]) -> Callable[..., None]:
        own = [one for one in _parameters(work)[1:] if one.name not in parts]
        own += [one for part in parts.values() for one in _parameters(part)]
        shared = _parameters(_session)

        def run(**given: Any) -> None:  # noqa: ANN401 - whatever its signature says
            common = _taken(_session, given)
            told = (common["language"] or show.spoken(os.environ), common["as_json"])
            try:
                session = _session(**common)
                made = {key: part(**_taken(part, given)) for key, part in parts.items()}
                with session.record:
                    work(session, **given, **made)
            except Error as exc:
                _fail(exc, *told, mode=common["mode"])

        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *shared)]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # a function has one
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        run.__doc__ = work.__doc__
        app.command(name or work.__name__.replace("_", "-"))(run)
        return work

    return made


def _parameters(of: Callable[..., object]) -> list[inspect.Parameter]:
    return list(inspect.signature(of).parameters.values())


def _taken(by: Callable[..., object], given: dict[str, Any]) -> dict[str, Any]:
    """Takes what this function is given out of what is given."""
    return {one.name: given.pop(one.name) for one in _parameters(by)}


def _session(
    *,
    named: Annotated[
        str,
        typer.Option(
            "--as",
            envvar="DMP_AS",
            metavar="FILE",
            help="Who speaks: a YAML file (kind, id, profession, ...), or without TLS one of the demo: "
            "doctor (if left out), treating, stranger, regulator, pharmacist, laboratory, patient.",
            rich_help_panel=_WHO,
        ),
    ] = "",
    mode: Annotated[
        str,
        typer.Option("--mode", help="normal, bris_de_glace, centre_15.", rich_help_panel=_HOW),
    ] = "normal",
    reason: Annotated[
        str,
        typer.Option(
            "--reason",
            "--reason-code",
            metavar="CODE",
            help="Of break-glass: risque_vital, conscience_alteree, urgence_medicale, autre.",
            rich_help_panel=_HOW,
        ),
    ] = "",
    why: Annotated[
        str,
        typer.Option("--why", metavar="TEXT", help="Of break-glass.", rich_help_panel=_HOW),
    ] = "",
    secret: Annotated[
        bool,
        typer.Option(
            "--secret", help="A minor's care kept from the parents.", rich_help_panel=_HOW
        ),
    ] = False,
    agreement: Annotated[
        bool,
        typer.Option(
            "--agreement", help="The patient agreed, or asked for it.", rich_help_panel=_HOW
        ),
    ] = False,
    address: Annotated[
        str,
        typer.Option(
            "--address",
            envvar="DMP_DOSSIER",
            help="HOST:PORT, or unix:/PATH.",
            rich_help_panel=_LINE,
        ),
    ] = ADDRESS,
    tls_key: TlsKey = None,
    tls_chain: TlsChain = None,
    roots: Roots = None,
    timeout_s: Annotated[
        float,
        typer.Option("--timeout", metavar="SECONDS", min=0.1, max=600, rich_help_panel=_LINE),
    ] = TIMEOUT_S,
    language: Annotated[
        Language | None,
        typer.Option("--lang", help="If left out, as the locale says.", rich_help_panel=_OUT),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="JSON on standard output.", rich_help_panel=_OUT),
    ] = False,
) -> Session:
    by = security(tls_key, tls_chain, roots)
    stated = authz.Context(mode=mode, agreement=agreement, secret_connection=secret)
    if reason or why:
        stated.reason.code, stated.reason.text = reason, why
    return Session(
        subject=speaker(named, proven=by is not sdk.PLAIN),
        record=Record(address, timeout_s=timeout_s, security=by),
        context=stated,
        language=language or show.spoken(os.environ),
        as_json=as_json,
    )


def _fail(error: Error, language: Language, as_json: bool, *, mode: str) -> NoReturn:
    if as_json:
        print(json.dumps(_as_data(error), ensure_ascii=False))
        raise typer.Exit(error.exit_code)
    parts: Iterable[RenderableType]
    if isinstance(error, RefusedError):
        parts = _refused(error, language)
    elif error.violations:
        text = Text("error: the request is malformed, nothing was done")
        parts = (text, show.listed(error.violations))
    else:
        parts = (Text(f"error: {error}"),)
    console = show.console(error=True)
    for part in look.framed(tuple(parts), authz.Context(mode=mode), language):
        console.print(part, soft_wrap=isinstance(part, Text))
    raise typer.Exit(error.exit_code)


def _refused(error: RefusedError, language: Language) -> Iterable[RenderableType]:
    line = show.badge("DENY")
    line.append(f" {error.reason_code}", style="bold").append(f"  {error.told.text(language)}")
    yield line
    if error.reason_code in words.REMEDIES:
        yield show.hanging("→", words.REMEDIES[error.reason_code].text(language))
    if error.decision_id:
        decision = Said("décision", "decision").text(language)
        yield Text(f"{decision} {error.decision_id}", style="dim")


def _as_data(error: Error) -> dict[str, Any]:
    if isinstance(error, RefusedError):
        return {
            "refused": {
                "reason_code": error.reason_code,
                "told": error.told._asdict(),
                "decision_id": error.decision_id,
            }
        }
    listed = [{"field": field, "problem": problem} for field, problem in error.violations]
    return {"error": str(error), "violations": listed}
