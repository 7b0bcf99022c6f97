"""Sealers that are killed, or whose disk fails, at any operation on their files.

Run as a program, it imports everything once, then forks a sealer for each line it reads. A line of standard
input holds its orders as JSON, and is answered with its exit status, as `os.waitpid` gives it.

A power failure is played by writing down, at each fsync, what is on disk for certain: `survived` makes a
folder of that alone, as if nothing else had been written.
"""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from audit.database import reader
from audit.errors import SealingError
from audit.evidence import Evidence
from audit.sealing import Sealer

EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree"}
FAILED = 5


class Disk:
    """Counts what is done to files below a folder, and strikes at one of these operations."""

    def __init__(self, folder: str, strike_at: int, how: str, shadow: str) -> None:
        self._folder = folder
        self._strike_at = strike_at
        self._how = how
        self._shadow = Path(shadow) if shadow else None
        self._fsync = os.fsync
        self.count = 0
        self._busy = False

    def watch(self) -> None:
        """Begins."""
        sys.addaudithook(self._hear)
        os.fsync = self._sync

    def _hear(self, event: str, arguments: tuple) -> None:
        if event in EVENTS and not self._busy and self._folder in str(arguments[0]):
            self._operation()

    def _sync(self, handle: int) -> None:
        path = str(Path(f"/proc/self/fd/{handle}").readlink())
        if self._folder not in path:
            self._fsync(handle)
            return
        self._operation()
        self._fsync(handle)
        if self._shadow is not None:
            self._busy = True
            note(self._shadow, Path(path))
            self._busy = False

    def _operation(self) -> None:
        self.count += 1
        if self.count == self._strike_at:
            if self._how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def note(shadow: Path, path: Path) -> None:
    """Writes down what a fsync has made certain: the content of a file, or the names in a folder."""
    if path.is_dir():
        found = [(one.name, one.stat().st_ino, one.is_dir()) for one in path.iterdir()]
        (shadow / f"dir {quote(str(path), safe='')}").write_text(json.dumps(found))
    else:
        shutil.copyfile(path, shadow / f"file {path.stat().st_ino}")


def note_all(shadow: Path, folder: Path) -> None:
    """Writes down all of a folder, as if it had been there for long."""
    shadow.mkdir()
    for path in (folder, *folder.rglob("*")):
        note(shadow, path)


def survived(shadow: Path, folder: Path, target: Path) -> None:
    """Makes what is left of a folder after a power failure."""
    target.mkdir()
    listing = shadow / f"dir {quote(str(folder), safe='')}"
    for name, inode, is_folder in json.loads(listing.read_text()) if listing.exists() else ():
        content = shadow / f"file {inode}"
        if is_folder:
            survived(shadow, folder / name, target / name)
        else:
            (target / name).write_bytes(content.read_bytes() if content.exists() else b"")


class Nursery:
    """Runs sealers, one after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def begin(self, **orders: object) -> int:
        """Starts a sealer; its pid."""
        print(json.dumps(orders), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def end(self) -> int:
        """Waits for it; how it ended: 0 done, `FAILED`, or minus the number of a signal."""
        return os.waitstatus_to_exitcode(int(self._process.stdout.readline()))

    def run(self, **orders: object) -> int:
        """Both."""
        self.begin(**orders)
        return self.end()


@contextmanager
def nursery(program: str = "tests.faults.sealers") -> Iterator[Nursery]:
    """A nursery for as long as the block lasts."""
    with subprocess.Popen(
        [sys.executable, "-m", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Nursery(process)
        finally:
            process.stdin.close()


def seal(orders: dict) -> int:
    """One sealer: seals all there is, or goes on until killed; `FAILED` if a step had to be repeated."""
    evidence = Evidence(Path(orders["folder"]), orders["origin"])
    engine = reader(orders["url"])
    engine.connect().close()
    how = orders.get("how", "kill")
    disk = Disk(orders["folder"], orders.get("at", 0), how, orders.get("shadow", ""))
    disk.watch()
    sealer = Sealer(engine, evidence)
    if orders.get("forever"):
        sealer.run(threading.Event(), poll_s=0.002)
    failed, done = False, False
    while not done:
        try:
            done = sealer.step() is None
        except SealingError:
            failed = True
    if "count" in orders:
        Path(orders["count"]).write_text(str(disk.count))
    return FAILED if failed else 0


def main(work: Callable[[dict], int]) -> None:
    """Serves until standard input ends."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.dup2(2, 1)
            os._exit(work(json.loads(line)))
        print(pid, flush=True)  # noqa: T201 - the protocol
        print(os.waitpid(pid, 0)[1], flush=True)  # noqa: T201 - the protocol


if __name__ == "__main__":
    main(seal)
