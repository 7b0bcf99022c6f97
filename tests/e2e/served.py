"""A decision point as a process, and what its processes are and need."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.authz.tls import World
from tests.service import Door, Process, door, process, reading

FILES = 20_000


@dataclass(frozen=True, kw_only=True)
class Target:
    """A service that runs: its address for the operator, and the one that speaks TLS."""

    process: Process
    world: World
    plain: str
    secure: str
    url: str

    @property
    def family(self) -> list[int]:
        """Its processes: the door, and the decider below it."""
        door = self.process.popen.pid
        return [door, *children(door)]

    def ports(self) -> dict[str, int]:
        """Where each listener is."""
        return {
            "plain": int(self.plain.rpartition(":")[2]),
            "secure": int(self.secure.rpartition(":")[2]),
        }

    @asynccontextmanager
    async def door(self, name: str = "") -> AsyncIterator[Door]:
        """The door of the operator, or over TLS that of a service."""
        if not name:
            async with door(self.plain) as one:
                yield one
            return
        async with self.world.channel(self.secure, name) as channel:
            yield Door(channel)

    async def well(self) -> None:
        """Both listeners answer whoever comes anew."""
        for name in ("", "dossier"):
            async with self.door(name) as one:
                decision = await one.check(reading(), wait_for_ready=True)
                assert "DOSSIER_MISSING" == decision.reason_code


@contextmanager
def targeted(folder: Path, *arguments: str, policies: Path) -> Iterator[Target]:
    """Starts a service with two listeners, one of them with TLS."""
    world = World.make(folder / "pki", "authz", "dossier")
    world.folder.issue_signer("portal")
    tls = world.tls()
    given = ["--listen", "127.0.0.1:0", "--tls-key", tls.key, "--tls-chain", tls.chain]
    given += ["--trust", tls.trust, "--trust-test", "--token-keys", world.folder.path / "signers"]
    with process(folder, *map(str, given), *arguments, policies=policies) as started:
        assert started.address
        plain, secure = started.out[0].removeprefix("serving on ").strip().split(", ")
        yield Target(
            process=started,
            world=world,
            plain=plain,
            secure=secure,
            url=f"sqlite:///{folder}/authz.db",
        )


@asynccontextmanager
async def unmoved(target: Target, *, mib: int = 100) -> AsyncIterator[None]:
    """What happens in the block leaves the service well: it answers, is no larger, has no complaint."""
    await target.well()
    before = {pid: resident(pid) for pid in target.family}
    lines = len(target.process.err)
    yield
    grown = {pid: resident(pid) - size for pid, size in before.items()}
    await target.well()
    assert all(mebibytes < mib for mebibytes in grown.values()), grown
    assert before.keys() == set(target.family)
    said = "".join(target.process.err[lines:])
    assert "Traceback" not in said, said
    assert "call_failed" not in said


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def resident(pid: int) -> float:
    """The resident memory of a process, in MiB."""
    return int(_status(pid)["VmRSS"].split()[0]) / 1024


def open_files(pid: int) -> int:
    """How many files a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return not _status(pid)["State"].startswith(("Z", "X"))
    except (OSError, KeyError):
        return False


async def gone(pids: list[int], seconds: float = 10) -> bool:
    """Whether all these processes end within a time."""
    end = time.monotonic() + seconds
    while any(map(alive, pids)):
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.02)
    return True


@contextmanager
def many_files(count: int = FILES) -> Iterator[int]:
    """Lets this process open many files, if it may; how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = count if hard == resource.RLIM_INFINITY else min(count, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    try:
        yield max(soft, most)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
