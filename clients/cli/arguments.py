"""Options that all commands share which talk to a service: by which files they are trusted, and trust."""

from pathlib import Path
from typing import Annotated, Any

import typer


def _by_tls(name: str, envvar: str, text: str) -> Any:  # noqa: ANN401 - typer says so
    panel = "By mutual TLS, to any machine"
    return typer.Option(name, help=text, envvar=envvar, metavar="PATH", rich_help_panel=panel)


TlsKey = Annotated[Path | None, _by_tls("--tls-key", "DMP_TLS_KEY", "Our private key.")]
TlsChain = Annotated[
    Path | None, _by_tls("--tls-chain", "DMP_TLS_CHAIN", "Our certificate with its authorities.")
]
Roots = Annotated[
    Path | None, _by_tls("--roots", "DMP_ROOTS", "Who vouches for the service: a file or a folder.")
]
