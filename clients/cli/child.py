"""Runs a decision point, a record and an audit of one's own as child processes, while they are needed."""

import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clients.cli.link import UnreachableError
from dossier.errors import Error as DossierError
from dossier.keys.masters import Masters

READY: Final = "serving on "
RECORD: Final = "dossier.db"
OUTBOX: Final = "sms.jsonl"
INDEX: Final = "audit.db"
EVIDENCE: Final = "evidence"

_START_S: Final = 30.0
_STOP_S: Final = 10.0
_TOLD: Final = 20  # lines of its log, when it did not start


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service that serves, on a port of its own and with its files in `folder`.

    Attributes:
        address: for a terminal.
        inner: for the record, of a decision point.
        audited: for the audit, of a decision point.
        folder: where its files are.
        process: what runs.
    """

    address: str
    inner: str = ""
    audited: str = ""
    folder: Path
    process: subprocess.Popen[str]

    @property
    def database(self) -> str:
        """The address of the decision log, and of the registry."""
        return _url(self.folder, "dmp.db")

    @property
    def record(self) -> str:
        """The address of the record's database."""
        return _url(self.folder, RECORD)

    @property
    def evidence(self) -> Path:
        """The folder with the keys, tiles and checkpoints of the log."""
        return self.folder / EVIDENCE

    @property
    def outbox(self) -> Path:
        """The messages that would have gone to mobile phones."""
        return self.folder / OUTBOX


@contextmanager
def serving(folder: Path) -> Iterator[Service]:
    """Starts a decision point with embedded defaults, and stops it again, whatever happens.

    Args:
        folder: where its database and its own log (`service.log`) go; it exists.

    Raises:
        UnreachableError: it did not start; the end of its log is in the message.
    """
    arguments = [f"--listen=127.0.0.1:0={name}" for name in ("operator", "dossier", "audit")]
    arguments += ["--database", _url(folder, "dmp.db")]
    with _running("authz", arguments, folder / "service.log") as (process, addresses):
        first, inner, audited = addresses
        yield Service(address=first, inner=inner, audited=audited, folder=folder, process=process)


@contextmanager
def keeping(point: Service) -> Iterator[Service]:
    """Starts the record, with its files beside those of its decision point, and stops it again.

    Raises:
        UnreachableError: it did not start; the end of its log (`dossier.log`) is in the message.
    """
    folder = point.folder
    masters = folder / "masters"
    try:
        Masters(masters).create()
    except DossierError as exc:
        raise UnreachableError(f"the record did not start: {exc}") from exc
    arguments = ["--listen", "127.0.0.1:0=operator", "--authz", point.inner]
    arguments += ["--database", _url(folder, RECORD), "--keys", _url(folder, "keys.db")]
    arguments += ["--masters", str(masters), "--sms-outbox", str(folder / OUTBOX)]
    with _running("dossier", arguments, folder / "dossier.log") as (process, addresses):
        yield Service(address=addresses[0], folder=folder, process=process)


@contextmanager
def auditing(point: Service) -> Iterator[Service]:
    """Starts the audit, with its files beside those of its decision point, and stops it again.

    Raises:
        UnreachableError: it did not start; the end of its log (`audit.log`) is in the message.
    """
    folder = point.folder
    arguments = ["--listen", "127.0.0.1:0=operator", "--authz", point.audited]
    arguments += ["--database", point.database, "--index", _url(folder, INDEX)]
    arguments += ["--index-key", str(folder / "audit.key"), "--evidence", str(folder / EVIDENCE)]
    with _running("audit", arguments, folder / "audit.log") as (process, addresses):
        yield Service(address=addresses[0], folder=folder, process=process)


@contextmanager
def _running(
    room: str, arguments: Sequence[str], told: Path
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Runs a room until the end of the block; with the addresses that it listens on."""
    # -P: the rooms that are installed, whatever folder of the same name we are in.
    command = [sys.executable, "-P", "-m", room, *arguments]
    with told.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - ourselves
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        addresses = _ready(process)
        if not addresses:
            lines = told.read_text(errors="replace").splitlines()
            end = "\n  ".join(lines[-_TOLD:]) or "it said nothing"
            raise UnreachableError(f"the service did not start\n  {end}")
        yield process, addresses.split(", ")
    finally:
        _stop(process)


def _url(folder: Path, name: str) -> str:
    return f"sqlite:///{folder.absolute()}/{name}"


def _ready(process: subprocess.Popen[str]) -> str:
    """Its addresses, once it says so; "" when it ends or takes too long."""
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
