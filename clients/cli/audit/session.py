"""One command of `dmp audit` that asks the service: who looks, where it is, and how it is shown.

All these commands share these options. Each is a function of a `Session` and of what is its own; `command`
makes of it what typer wants, and tells refusals and failures in one way.
"""

import inspect
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, NoReturn

import typer
from google.protobuf.message import Message
from rich.console import RenderableType
from rich.text import Text

from authz.v1 import authz_pb2 as authz
from clients import sdk
from clients.cli import cast, show
from clients.cli.arguments import Roots, TlsChain, TlsKey
from clients.cli.audit.link import ADDRESS, STREAM_S, TIMEOUT_S, Audit
from clients.cli.link import Error, RefusedError, security
from clients.cli.record.speaker import speaker
from clients.cli.show import Language, Said
from clients.sdk.procedures import Procedure
from clients.sdk.retry import Request, Response

AUDITOR: Final = "auditor"

_WHO: Final = "Who looks"
_LINE: Final = "The service"
_OUT: Final = "What is shown"
_NOBODY: Final = Said(
    "personne à qui demander confirmation : ajouter --yes", "nobody to confirm this: add --yes"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a command has to do its work.

    Attributes:
        audit: the service.
        subject: who looks.
        language: of what is shown.
        as_json: whether it is shown to programs.
    """

    audit: Audit
    subject: authz.Subject
    language: Language
    as_json: bool

    def ask(self, procedure: Procedure[Request, Response], request: Request) -> Response:
        """One call, as `Audit.ask`."""
        return self.audit.ask(procedure, request)

    def stream(
        self,
        procedure: Procedure[Request, Response],
        request: Request,
        *,
        timeout_s: float = STREAM_S,
    ) -> Iterator[Response]:
        """One call that is answered piece by piece, as `Audit.stream`."""
        return self.audit.stream(procedure, request, timeout_s=timeout_s)

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
        """Shows parts to people."""
        console = show.console()
        for part in parts:
            whole = isinstance(part, Text) and bool(part.no_wrap)  # to be copied
            console.print(part, soft_wrap=whole)

    def tell(self, data: object) -> None:
        """One JSON object for programs, on a line."""
        print(json.dumps(data, ensure_ascii=False), flush=True)

    def confirm(self, question: Said, *, yes: bool) -> None:
        """Asks before something is done that can't be taken back; nobody is asked with --yes.

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


def command(
    app: typer.Typer, name: str = ""
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a command of a function whose first argument is the session."""

    def made(work: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(work).parameters.values())[1:]
        shared = list(inspect.signature(_session).parameters.values())
        names = {one.name for one in shared}

        def run(**given: Any) -> None:  # noqa: ANN401 - whatever its signature says
            common = {key: given.pop(key) for key in names}
            language = common["language"] or show.spoken(os.environ)
            try:
                session = _session(**common)
                with session.audit:
                    work(session, **given)
            except Error as exc:
                fail(exc, language, as_json=common["as_json"])

        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *shared)]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # a function has one
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        run.__doc__ = work.__doc__
        app.command(name or work.__name__.replace("_", "-"))(run)
        return work

    return made


def _session(
    *,
    named: Annotated[
        str,
        typer.Option(
            "--as",
            envvar="DMP_AUDIT_AS",
            metavar="FILE",
            help="Who looks: a YAML file (kind, id, authentication, ...), or without TLS one of the demo: "
            "auditor (if left out), patient, doctor, treating, stranger.",
            rich_help_panel=_WHO,
        ),
    ] = "",
    address: Annotated[
        str,
        typer.Option(
            "--address",
            envvar="DMP_AUDIT",
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
    return Session(
        subject=_subject(named, proven=by is not sdk.PLAIN),
        audit=Audit(address, timeout_s=timeout_s, security=by),
        language=language or show.spoken(os.environ),
        as_json=as_json,
    )


def _subject(named: str, *, proven: bool) -> authz.Subject:
    """Who looks: the auditor of the story, if nobody else is named."""
    if not proven and named in ("", AUDITOR):
        return cast.AUDITOR.subject
    return speaker(named, proven=proven)


def fail(error: Error, language: Language, *, as_json: bool) -> NoReturn:
    """Tells what went wrong, and ends with its exit code."""
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
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, Text))
    raise typer.Exit(error.exit_code)


def _refused(error: RefusedError, language: Language) -> Iterable[RenderableType]:
    line = show.badge("DENY")
    line.append(f" {error.reason_code}", style="bold").append(f"  {error.told.text(language)}")
    yield line
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
