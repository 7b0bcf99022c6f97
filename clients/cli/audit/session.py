"""One command of `dmp audit` that asks the service: who looks, where it is, and how it is shown.

All these commands share these options. Each is a function of a `Session` and of what is its own.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from authz.v1 import authz_pb2 as authz
from clients import sdk
from clients.cli import cast, frame, show
from clients.cli.arguments import Roots, TlsChain, TlsKey
from clients.cli.audit.link import ADDRESS, STREAM_S, TIMEOUT_S, Audit
from clients.cli.link import security
from clients.cli.record.speaker import speaker
from clients.sdk.procedures import Procedure
from clients.sdk.retry import Request, Response

AUDITOR: Final = "auditor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session(frame.Frame):
    """What a command has to do its work; the subject is who looks."""

    link: Audit

    def stream(
        self,
        procedure: Procedure[Request, Response],
        request: Request,
        *,
        timeout_s: float = STREAM_S,
    ) -> Iterator[Response]:
        """One call that is answered piece by piece, as `Audit.stream`."""
        return self.link.stream(procedure, request, timeout_s=timeout_s)


def command(
    app: typer.Typer, name: str = ""
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a command of `dmp audit` of a function whose first argument is the session."""
    return frame.command(app, name, _ROOM, {})


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
            rich_help_panel="Who looks",
        ),
    ] = "",
    address: Annotated[str, frame.address("DMP_AUDIT")] = ADDRESS,
    tls_key: TlsKey = None,
    tls_chain: TlsChain = None,
    roots: Roots = None,
    timeout_s: frame.Timeout = TIMEOUT_S,
    language: frame.Spoken = None,
    as_json: frame.AsJson = False,
) -> Session:
    by = security(tls_key, tls_chain, roots)
    return Session(
        subject=_subject(named, proven=by is not sdk.PLAIN),
        link=Audit(address, timeout_s=timeout_s, security=by),
        language=language or show.spoken(os.environ),
        as_json=as_json,
    )


def _subject(named: str, *, proven: bool) -> authz.Subject:
    """Who looks: the auditor of the story, if nobody else is named."""
    if not proven and named in ("", AUDITOR):
        return cast.AUDITOR.subject
    return speaker(named, proven=proven)


_ROOM: Final = frame.Room(opened=_session)
