"""Runs a decision point of one's own as a child process, for as long as it is needed."""

import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clients.cli.point import UnreachableError

READY: Final = "serving on "

_START_S: Final = 30.0
_STOP_S: Final = 10.0
_TOLD: Final = 20  # lines of its log, when it did not start


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A decision point that serves, on a port of its own and with its files in `folder`."""

    address: str
    folder: Path
    process: subprocess.Popen[str]

    @property
    def database(self) -> str:
        """The address of its database."""
        return _database(self.folder)


@contextmanager
def serving(folder: Path) -> Iterator[Service]:
    """Starts a decision point with embedded defaults, and stops it again, whatever happens.

    Args:
        folder: where its database and its own log (`service.log`) go; it exists.

    Raises:
        UnreachableError: it did not start; the end of its log is in the message.
    """
    # -P: the rooms that are installed, whatever folder of the same name we are in.
    command = [sys.executable, "-P", "-m", "authz", "--listen", "127.0.0.1:0=operator"]
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - ourselves
            [*command, "--database", _database(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        address = _ready(process)
        if not address:
            lines = (folder / "service.log").read_text(errors="replace").splitlines()
            told = "\n  ".join(lines[-_TOLD:]) or "it said nothing"
            raise UnreachableError(f"the service did not start\n  {told}")
        yield Service(address=address, folder=folder, process=process)
    finally:
        _stop(process)


def _database(folder: Path) -> str:
    return f"sqlite:///{folder.absolute()}/dmp.db"


def _ready(process: subprocess.Popen[str]) -> str:
    """Its address, once it says so; "" when it ends or takes too long."""
    out, end = process.stdout, time.monotonic() + _START_S
    while out is not None and select.select([out], [], [], max(0.0, end - time.monotonic()))[0]:
        line = out.readline()
        if line.startswith(READY):
            return line.removeprefix(READY).strip()
        if not line:
            break
    return ""


def _stop(process: subprocess.Popen[str]) -> None:
    """Asks it to drain and stop, and ends it when it does not."""
    process.terminate()
    try:
        process.wait(_STOP_S)
    except BaseException:  # an impatient Ctrl-C, too, must leave no child behind
        process.kill()
        process.wait()
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()
