"""The disk below SQLite is full, or fails: nobody is answered without a record, and it heals by itself."""

import asyncio
import ctypes.util
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc
import pysqlite3.dbapi2 as sqlite
import pytest

from authz.v1 import authz_pb2 as pb
from tests.faults.callers import Told, load
from tests.faults.figures import Figures
from tests.faults.records import Record
from tests.faults.served import Served, served, serves
from tests.faults.storm import Fault, storm
from tests.service import POLICIES, copied, door, failure, opening, reading, reason, until

SMALL = 2 << 20
ROOM = 1 << 20
EIO, ENOSPC = 5, 28
FSYNC, PWRITE = "posix/io/sync/fsync", "posix/io/rw/pwrite"


class SmallDisk:
    """A file system in memory, of a size that can be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, size: int) -> None:
        """Makes it.

        Raises:
            CalledProcessError: this user may not.
        """
        self.folder.mkdir()
        self._run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.folder)

    def resize(self, size: int) -> None:
        """Gives it another size."""
        self._run("mount", "-o", f"remount,size={size}", self.folder)

    def fill(self) -> None:
        """Leaves no room."""
        while self.free():
            with suppress(subprocess.CalledProcessError):  # more is in use by now
                self.resize(self.used())

    def free(self) -> int:
        """The room that is left, in bytes."""
        return shutil.disk_usage(self.folder).free

    def used(self) -> int:
        """What is in use, in bytes."""
        return shutil.disk_usage(self.folder).used

    def close(self) -> None:
        """Takes it away, with all that is on it."""
        self._run("umount", "--lazy", self.folder)

    def _run(self, *command: str | Path) -> None:
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of 2 MiB."""
    made = SmallDisk(tmp_path / "disk")
    try:
        made.mount(SMALL)
    except (OSError, subprocess.CalledProcessError) as exc:
        pytest.skip(f"no small disk: this user may not mount one: {exc}")
    yield made
    made.close()


@pytest.fixture
def fiu(tmp_path: Path) -> dict[str, str]:
    """The environment of a process whose calls of the system can be made to fail."""
    if shutil.which("fiu-ctrl") is None or ctypes.util.find_library("fiu") is None:
        pytest.skip("no faults are injected: fiu-utils and libfiu0 are not installed")
    (place,) = {*Path("/usr/lib").rglob("fiu_posix_preload.so")}
    preload = f"{place.with_name('fiu_run_preload.so')}:{place}"
    return {"LD_PRELOAD": preload, "FIU_CTRL_FIFO": f"{tmp_path}/fiu"}


class Failing:
    """Makes calls of the system fail in the process that writes."""

    def __init__(self, one: Served, fiu: dict[str, str]) -> None:
        self._one = one
        self._prefix = fiu["FIU_CTRL_FIFO"]

    async def fail(
        self, name: str, error: int, probability: float, meanwhile: Callable[[], Awaitable[None]]
    ) -> None:
        """Lets one kind of call fail this often, with this error, as long as `meanwhile` takes."""
        pid = self._one.processes()[-1].pid
        how = f"name={name},probability={probability},failinfo={error}"
        await self._tell(pid, f"enable_random {how}")
        try:
            await meanwhile()
        finally:
            await self._tell(pid, f"disable name={name}")

    async def _tell(self, pid: int, command: str) -> None:
        done = await asyncio.create_subprocess_exec(
            "fiu-ctrl", "-f", self._prefix, "-c", command, str(pid), stdout=subprocess.DEVNULL
        )
        assert await done.wait() == 0


async def a_moment() -> None:
    """Long enough for many commits."""
    await asyncio.sleep(0.3)


def failing_disk(one: Served, fiu: dict[str, str]) -> dict[str, Fault]:
    """The ways in which a disk fails."""
    failing = Failing(one, fiu)
    return {
        "fsync fails now and then": lambda: failing.fail(FSYNC, EIO, 0.2, a_moment),
        "fsync fails": lambda: failing.fail(FSYNC, EIO, 1, a_moment),
        "write fails now and then": lambda: failing.fail(PWRITE, EIO, 0.1, a_moment),
        "write fails": lambda: failing.fail(PWRITE, EIO, 1, a_moment),
        "no space now and then": lambda: failing.fail(PWRITE, ENOSPC, 0.1, a_moment),
        "database locked": lambda: asyncio.to_thread(lock, one),
    }


def lock(one: Served) -> None:
    """Another process writes, for half a second."""
    holder = sqlite.connect(one.database.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("PRAGMA busy_timeout=20000")
    holder.execute("BEGIN IMMEDIATE")
    time.sleep(0.5)
    holder.execute("ROLLBACK")
    holder.close()


@asynccontextmanager
async def on(
    folder: Path, policies: Path, environment: dict[str, str] | None = None
) -> AsyncIterator[tuple[Served, str]]:
    """A service on an SQLite database in a folder, and the url."""
    url = f"sqlite:///{folder}/authz.db"
    with served(
        folder.parent, database=url, policies=policies, environment=environment or {}
    ) as one:
        await one.start()
        yield one, url


async def test_a_full_disk_loses_no_answer(disk, tmp_path):
    """When 2 MiB are full nobody is answered and health says so; with more room it goes on by itself."""
    told = Told()
    async with on(disk.folder, copied(tmp_path, "20", "30", "80")) as (one, url):
        async with load(one.address, told), door(one.address) as talk:
            await until(lambda: is_not(talk, "dmp.log"), 60)
            disk.resize(16 * SMALL)
            await until(lambda: serves(talk), 60)
            answered = len(told.answers)
            await until(lambda: more(told, answered + 50))
        record = Record(url)
        record.check(told)

    assert record.checked > 100
    assert told.refusals["UNAVAILABLE"] > 0


async def is_not(talk, name: str) -> bool:
    return not await serves(talk, name)


async def more(told: Told, count: int) -> bool:
    return len(told.answers) > count


async def test_no_answer_while_the_disk_fails(fiu, tmp_path):
    """While each sync or each write fails nobody is answered; then everybody is again."""
    (tmp_path / "data").mkdir()
    policies = copied(tmp_path, "20", "30")
    async with on(tmp_path / "data", policies, fiu) as (one, _), door(one.address) as talk:
        await talk.registry.Change(opening(), timeout=5)

        async def ask() -> None:
            for _ in range(3):
                error = await failure(talk.authz.Check(reading(), timeout=5))
                assert (error.code(), reason(error)) == (
                    grpc.StatusCode.UNAVAILABLE,
                    "NOT_RECORDED",
                )
            assert not await serves(talk)
            assert not await serves(talk, "dmp.log")

        for name, error in ((FSYNC, EIO), (PWRITE, EIO), (PWRITE, ENOSPC)):
            await Failing(one, fiu).fail(name, error, 1, ask)

            await until(lambda: serves(talk))
            again = await talk.check(reading(), timeout=5)
            assert again.effect == pb.EFFECT_DENY


@pytest.mark.timeout(180)
async def test_faults_of_the_disk_lose_no_answer(fiu, tmp_path):
    """Whatever fails, once or always, nothing is lost that was answered, and the service heals by itself."""
    (tmp_path / "data").mkdir()
    figures = Figures("faults of the disk")
    policies = copied(tmp_path, "20", "30", "80")
    async with on(tmp_path / "data", policies, fiu) as (one, url):
        faults = failing_disk(one, fiu)
        await storm(one, url, faults, rounds=len(faults), figures=figures)

    assert figures.answers > 200
    assert figures.refusals["UNAVAILABLE"] > 0


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("part", range(4))
async def test_many_faults_of_the_disk_lose_no_answer(fiu, disk, part):
    """The same five hundred times, on a disk that is full now and then."""
    figures = Figures("faults of the disk")
    disk.resize(64 * SMALL)

    async def fill_up() -> None:
        disk.fill()
        async with door(one.address) as talk:
            await until(lambda: is_not(talk, "dmp.log"), 60)
        disk.resize(disk.used() + 64 * SMALL)

    async with on(disk.folder, POLICIES, fiu) as (one, url):
        faults = {**failing_disk(one, fiu), "disk full": fill_up}
        await storm(one, url, faults, rounds=125, figures=figures, seed=part)

    figures.save()
