"""Runs the sample archive: `python -m clients.archive --help`."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from typing import TextIO

from clients.archive.outbox import Outbox
from clients.archive.server import serving
from clients.archive.store import Store
from clients.sdk import PLAIN, Error, Security, Tls, aio
from serving import callers as tls
from serving.clock import utc_now
from serving.errors import Error as ServingError


def main() -> None:
    """Serves until it is told to stop."""
    settings = _arguments().parse_args()
    try:
        asyncio.run(_serve(settings))
    except (Error, ServingError, OSError, RuntimeError) as exc:
        sys.exit(f"error: {exc}")


def _arguments() -> argparse.ArgumentParser:
    said = argparse.ArgumentParser(prog="python -m clients.archive", description=__doc__)
    said.add_argument("--listen", default="127.0.0.1:7445", help="HOST:PORT")
    said.add_argument("--authz", default="127.0.0.1:7443", help="the decision point")
    said.add_argument("--folder", type=Path, default=Path("var/archive"), help="the images")
    said.add_argument("--outbox", type=Path, help="notices; outbox.jsonl in the folder")
    said.add_argument(
        "--pki", type=Path, help="a folder of `dmp pki`; without it no TLS, local only"
    )
    said.add_argument("--test", action="store_true", help="the test environment is served")
    said.add_argument("--caller", action="append", help="a service that may call; portal, dossier")
    return said


async def _serve(settings: argparse.Namespace) -> None:
    outbox = Outbox(settings.outbox or settings.folder / "outbox.jsonl")
    store = Store(settings.folder)
    pki: Path | None = settings.pki
    callers = None
    security: Security = PLAIN
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if pki:
        key, chain = pki / "services" / "archive.key", pki / "services" / "archive.pem"
        callers = tls.Callers(
            tls.Tls(key=key, chain=chain, trust=pki, test=settings.test),
            clock=utc_now,
            on_standing=lambda _good, cause: _tell(cause),
        )
        security = Tls(key=key, chain=chain, roots=pki / "authorities" / "roots.pem")
    client = aio.connect(settings.authz, security, duties=outbox.duties())
    expected = settings.caller or ["portal", "dossier"]
    async with (
        client,
        serving(
            settings.listen, store=store, client=client, callers=callers, expected=expected
        ) as address,
    ):
        _say(f"serving on {address}", sys.stdout)
        await stop.wait()


def _tell(cause: str) -> None:
    if cause:
        _say(f"certificates: {cause}", sys.stderr)


def _say(text: str, stream: TextIO) -> None:
    stream.write(f"{text}\n")
    stream.flush()


if __name__ == "__main__":
    main()
