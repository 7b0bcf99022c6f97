"""One command of `dmp dossier`: who speaks, in which circumstances, to which service, and how it is shown.

All commands share these options. Each is a function of a `Session` and of what is its own. What several
commands have in common is a function of its own, whose options are theirs, too.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from rich.console import RenderableType

from authz.v1 import authz_pb2 as authz
from clients import sdk
from clients.cli import frame, show
from clients.cli.arguments import Roots, TlsChain, TlsKey
from clients.cli.link import security
from clients.cli.record import look, words
from clients.cli.record.link import ADDRESS, TIMEOUT_S, Record
from clients.cli.record.speaker import speaker
from clients.cli.show import Language

USAGE: Final = 2

_WHO: Final = "Who speaks"
_HOW: Final = "In which circumstances"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session(frame.Frame):
    """What a command has to do its work; the subject is who speaks.

    Attributes:
        context: in which circumstances.
    """

    context: authz.Context

    def about(self, patient: str) -> dict[str, Any]:
        """The fields that nearly all requests begin with."""
        return {"subject": self.subject, "context": self.context, "patient": patient}

    def framed(self, parts: Sequence[RenderableType]) -> Iterable[RenderableType]:
        """The parts, marked as the circumstances want it."""
        return look.framed(parts, self.context, self.language)


def command(
    app: typer.Typer, name: str = "", **parts: Callable[..., object]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a command of `dmp dossier` of a function whose first argument is the session.

    Args:
        app: of which it is a command.
        name: of the command, if it is not that of the function.
        parts: by the name of an argument, who makes it of options of its own.
    """
    return frame.command(app, name, _ROOM, parts)


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
    address: Annotated[str, frame.address("DMP_DOSSIER")] = ADDRESS,
    tls_key: TlsKey = None,
    tls_chain: TlsChain = None,
    roots: Roots = None,
    timeout_s: frame.Timeout = TIMEOUT_S,
    language: frame.Spoken = None,
    as_json: frame.AsJson = False,
) -> Session:
    by = security(tls_key, tls_chain, roots)
    stated = authz.Context(mode=mode, agreement=agreement, secret_connection=secret)
    if reason or why:
        stated.reason.code, stated.reason.text = reason, why
    return Session(
        subject=speaker(named, proven=by is not sdk.PLAIN),
        link=Record(address, timeout_s=timeout_s, security=by),
        context=stated,
        language=language or show.spoken(os.environ),
        as_json=as_json,
    )


def _framed(
    parts: Sequence[RenderableType], options: Mapping[str, Any], language: Language
) -> Iterable[RenderableType]:
    return look.framed(parts, authz.Context(mode=options["mode"]), language)


_ROOM: Final = frame.Room(opened=_session, framed=_framed, remedies=words.REMEDIES)
