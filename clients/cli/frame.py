"""The frame of a command that asks a service: whom it is asked as, how it is shown, how failures are told.

A room of commands has a `Session` of its own over `Frame`, and a function that makes it of the options that
all its commands share; `command` makes of a function what typer wants.
"""

import inspect
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Final, NoReturn

import typer
from google.protobuf.message import Message
from rich.console import RenderableType
from rich.text import Text

from authz.v1 import authz_pb2 as authz
from clients.cli import show
from clients.cli.link import Error, Link, RefusedError
from clients.cli.show import Language, Said
from clients.sdk.procedures import Procedure
from clients.sdk.retry import Request, Response

LINE: Final = "The service"

_OUT: Final = "What is shown"
_NOBODY: Final = Said(
    "personne à qui demander confirmation : ajouter --yes", "nobody to confirm this: add --yes"
)

Timeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=0.1, max=600, rich_help_panel=LINE)
]
Spoken = Annotated[
    Language | None,
    typer.Option("--lang", help="If left out, as the locale says.", rich_help_panel=_OUT),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="JSON on standard output.", rich_help_panel=_OUT)
]


def address(envvar: str) -> Any:  # noqa: ANN401 - typer says so
    """The option that says where the service is."""
    text = "HOST:PORT, or unix:/PATH."
    return typer.Option("--address", envvar=envvar, help=text, rich_help_panel=LINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a command has to do its work.

    Attributes:
        link: the service.
        subject: who asks.
        language: of what is shown.
        as_json: whether it is shown to programs.
    """

    link: Link
    subject: authz.Subject
    language: Language
    as_json: bool

    def ask(self, procedure: Procedure[Request, Response], request: Request) -> Response:
        """One call, as `Link.ask`."""
        return self.link.ask(procedure, request)

    def framed(self, parts: Sequence[RenderableType]) -> Iterable[RenderableType]:
        """The parts as they are shown to people."""
        return parts

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
        for part in self.framed(parts):
            whole = isinstance(part, Text) and bool(part.no_wrap)  # to be copied
            console.print(part, soft_wrap=whole)

    def tell(self, data: object) -> None:
        """One JSON object for programs, on a line."""
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


Framed = Callable[[Sequence[RenderableType], Mapping[str, Any], Language], Iterable[RenderableType]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What the commands of a room share.

    Attributes:
        opened: makes the frame; its options are those of each command, `language` and `as_json` among them.
        framed: how a failure is shown to people, by the options.
        remedies: what to do about a refusal, by its reason.
    """

    opened: Callable[..., Frame]
    framed: Framed = lambda parts, _options, _language: parts
    remedies: Mapping[str, Said] = field(default_factory=lambda: MappingProxyType({}))

    def fail(self, error: Error, options: Mapping[str, Any]) -> NoReturn:
        """Tells what went wrong, and ends with its exit code."""
        language = options["language"] or show.spoken(os.environ)
        if options["as_json"]:
            print(json.dumps(_as_data(error), ensure_ascii=False))
            raise typer.Exit(error.exit_code)
        parts: Iterable[RenderableType]
        if isinstance(error, RefusedError):
            parts = self._refused(error, language)
        elif error.violations:
            text = Text("error: the request is malformed, nothing was done")
            parts = (text, show.listed(error.violations))
        else:
            parts = (Text(f"error: {error}"),)
        console = show.console(error=True)
        for part in self.framed(tuple(parts), options, language):
            console.print(part, soft_wrap=isinstance(part, Text))
        raise typer.Exit(error.exit_code)

    def _refused(self, error: RefusedError, language: Language) -> Iterator[RenderableType]:
        line = show.badge("DENY")
        line.append(f" {error.reason_code}", style="bold").append(f"  {error.told.text(language)}")
        yield line
        if error.reason_code in self.remedies:
            yield show.hanging("→", self.remedies[error.reason_code].text(language))
        if error.decision_id:
            yield Text(f"{show.DECISION.text(language)} {error.decision_id}", style="dim")


def command(
    app: typer.Typer, name: str, room: Room, parts: Mapping[str, Callable[..., object]]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a command of a function whose first argument is the frame.

    Args:
        app: of which it is a command.
        name: of the command, if it is not that of the function.
        room: of the command.
        parts: by the name of an argument, who makes it of options of its own.
    """

    def made(work: Callable[..., None]) -> Callable[..., None]:
        own = [one for one in _parameters(work)[1:] if one.name not in parts]
        own += [one for part in parts.values() for one in _parameters(part)]
        shared = _parameters(room.opened)

        def run(**given: Any) -> None:  # noqa: ANN401 - whatever its signature says
            common = _taken(room.opened, given)
            try:
                frame = room.opened(**common)
                made = {key: part(**_taken(part, given)) for key, part in parts.items()}
                with frame.link:
                    work(frame, **given, **made)
            except Error as exc:
                room.fail(exc, common)

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
