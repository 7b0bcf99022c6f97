"""The decision point as an operator starts it, with all its processes: started, watched, stopped, killed."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, NamedTuple
from urllib.request import ProxyHandler, build_opener

import grpc

from tests.service import POLICIES, Door, door
from tests.shared import ROOT

NURSERY: Final = Path(__file__).with_name("nursery.py")
PATIENCE_S: Final = 60.0
MARK: Final = "DMP_FAULTS_FAMILY"


class Process(NamedTuple):
    """A process; its number alone might be given to another one."""

    pid: int
    born: int


class Served:
    """A decision point that is started again and again on one database.

    Every process that comes of it carries a mark in its environment, so that none is overlooked.
    """

    def __init__(
        self,
        folder: Path,
        *,
        database: str,
        policies: Path = POLICIES,
        origin: str = "authz-1",
        environment: Mapping[str, str] | None = None,
        nursery: bool = False,
    ) -> None:
        """Prepares; nothing runs yet.

        Args:
            folder: where its socket and what it says are kept.
            database: the url.
            policies: the policy folder.
            origin: the name of its log.
            environment: more variables for its processes.
            nursery: whether it is forked from a process that has imported everything already, which
                is started once: so it can be killed more often.
        """
        self.origin = origin
        self.database = database
        self.address = f"unix:{folder}/{origin}.sock"
        self.policies = policies
        self._folder = folder
        self._mark = uuid.uuid4().hex
        self._port = _free_port()
        own = {"PYTHONPATH": str(ROOT), MARK: self._mark}
        self._environment = {**os.environ, **own, **(environment or {})}
        self._with_nursery = nursery
        self._nursery: subprocess.Popen[str] | None = None
        self._popen: subprocess.Popen[str] | None = None
        self._pid = 0
        self._out: IO[str] | None = None

    # Life.

    def spawn(self) -> None:
        """Starts it, without waiting; all that was started before has ended."""
        arguments = ["--listen", f"{self.address}=operator", "--database", self.database]
        arguments += ["--policies", str(self.policies), "--origin", self.origin]
        arguments += ["--metrics", str(self._port)]
        if self._with_nursery:
            self._pid = self._fork(arguments)
            return
        if self._popen is not None:
            self._popen.wait()
        # -P: the rooms of PYTHONPATH or those installed, not those of the folder.
        command = [sys.executable, "-P", "-m", "authz", *arguments]
        self._popen = self._run(command)
        self._pid = self._popen.pid

    async def start(self) -> float:
        """Starts it and waits until it serves; how many seconds that took."""
        began = time.monotonic()
        self.spawn()
        await self.serving()
        return time.monotonic() - began

    async def serving(self) -> None:
        """Waits until health says that it serves."""
        until = time.monotonic() + PATIENCE_S
        path = self.address.removeprefix("unix:")
        async with door(self.address) as talk:
            while not (_listens(path) and await serves(talk)):
                assert time.monotonic() < until, f"does not serve: {self.said}"
                assert _alive(self._pid), f"has ended: {self.said}"
                await asyncio.sleep(0.01)

    async def ended(self) -> None:
        """Waits until none of its processes is left."""
        until = time.monotonic() + PATIENCE_S
        while not await self.gone():
            assert time.monotonic() < until, f"still there: {self.processes()}, {self.said}"
            await asyncio.sleep(0.005)

    async def gone(self) -> bool:
        """Whether none of its processes is left.

        A process that is just being made has no environment for a moment, so it is looked for twice.
        """
        if self.processes():
            return False
        await asyncio.sleep(0.05)
        return not self.processes()

    def close(self) -> None:
        """Ends whatever is left."""
        for one in self.processes():
            _send(one, signal.SIGKILL)
        for popen in (self._popen, self._nursery):
            if popen is not None:
                popen.kill()
                popen.communicate()
        if self._out is not None:
            self._out.close()

    # Its processes.

    def processes(self) -> list[Process]:
        """All that are alive, the one that listens first; a zombie is dead."""
        mark = f"{MARK}={self._mark}".encode()
        found = _alive(self._pid)
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit() or int(entry.name) == self._pid:
                continue
            with suppress(OSError):
                if mark in Path(entry.path, "environ").read_bytes().split(b"\0"):
                    found += _alive(int(entry.name))
        keeper = self._nursery.pid if self._nursery else 0
        return sorted(
            (one for one in found if one.pid != keeper),
            key=lambda one: (one.pid != self._pid, one.born),
        )

    def signal(self, number: signal.Signals, whom: str = "all") -> list[Process]:
        """Sends a signal to its door, its decider or all; those that got it.

        Where one process is both, it is all.
        """
        found = self.processes()
        chosen = {"door": found[:1], "decider": found[1:] or found, "all": found}[whom]
        return [one for one in chosen if _send(one, number)]

    @contextmanager
    def stopped(self, whom: str = "all") -> Iterator[None]:
        """Its processes stand still."""
        held = self.signal(signal.SIGSTOP, whom)
        try:
            yield
        finally:
            for one in held:
                _send(one, signal.SIGCONT)

    def resident_mib(self) -> float:
        """The resident memory of all its processes together, in MiB."""
        pages = 0
        for one in self.processes():
            with suppress(OSError):
                pages += int(Path(f"/proc/{one.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") / (1 << 20)

    # What it tells.

    def metric(self, name: str) -> float:
        """A metric without labels."""
        opener = build_opener(ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self._port}/metrics", timeout=10) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(f"{name} "):
                    return float(line.split()[1])
        raise AssertionError(f"no metric `{name}`")

    @property
    def said(self) -> str:
        """The end of what it has said."""
        if self._out is not None:
            self._out.flush()
        path = self._folder / f"{self.origin}.said"
        return path.read_text(errors="replace")[-2_000:] if path.exists() else ""

    # How it is made.

    def _run(self, command: list[str], **options: int) -> "subprocess.Popen[str]":
        if self._out is None:
            self._out = (self._folder / f"{self.origin}.said").open("a")
        streams = {"stdin": subprocess.DEVNULL, "stdout": self._out, "stderr": self._out}
        return subprocess.Popen(
            command,
            **{**streams, **options},
            text=True,
            cwd=self._folder,
            env=self._environment,
        )

    def _fork(self, arguments: list[str]) -> int:
        if self._nursery is None:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self._nursery = self._run([sys.executable, str(NURSERY)], **pipes)
        print(json.dumps(arguments), file=self._nursery.stdin, flush=True)
        line = self._nursery.stdout.readline()
        assert line, f"the nursery has ended: {self.said}"
        return int(line)


@contextmanager
def served(folder: Path, **settings: object) -> Iterator[Served]:
    """A decision point, not started yet; nothing of it is left behind the block."""
    made = Served(folder, **settings)
    try:
        yield made
    finally:
        made.close()


async def serves(talk: Door, name: str = "") -> bool:
    """Whether health says so by now."""
    try:
        return await asyncio.wait_for(talk.healthy(name), 2)
    except (grpc.aio.AioRpcError, TimeoutError):
        return False


def _alive(pid: int) -> list[Process]:
    """The process, unless it is a zombie or gone."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if fields[0] not in "ZX":
            return [Process(pid, int(fields[19]))]
    return []


def _send(one: Process, number: signal.Signals) -> bool:
    if one not in _alive(one.pid):
        return False
    with suppress(ProcessLookupError):
        os.kill(one.pid, number)
        return True
    return False


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
