"""PostgreSQL crashes, ends what is being committed, is cut off: nothing is lost, all heals by itself."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.databases import Server, run_as, server
from tests.faults.figures import Figures
from tests.faults.proxy import Proxy, proxy
from tests.faults.served import Served, served
from tests.faults.storm import Fault, storm
from tests.service import POLICIES, copied

NOBODY_ANSWERS = {"synchronous_standby_names": "ANY 1 (absent)"}
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
OURS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'dmp'"


class Harm:
    """What can be done to a server, and to the way to it."""

    def __init__(self, own: Server, way: Proxy) -> None:
        self._own = own
        self.way = way

    def faults(self) -> dict[str, Fault]:
        """All that heals within moments."""
        return {
            "commit cancelled": lambda: self._in_mid_commit("pg_cancel_backend"),
            "commit terminated": lambda: self._in_mid_commit("pg_terminate_backend"),
            "backend terminated": lambda: asyncio.to_thread(self._terminate),
            "server crashed": lambda: asyncio.to_thread(self._restart),
            "postmaster killed": lambda: asyncio.to_thread(self._kill),
            "connection cut": self._cut,
            "connection refused": self._refuse,
            "network slow": self._slow_down,
        }

    async def hold(self) -> None:
        """Falls silent for longer than the service is patient."""
        self.way.hold()
        await asyncio.sleep(12)
        self.way.cut()
        self.way.release()

    async def _in_mid_commit(self, end: str) -> None:
        with self._own.settings(**NOBODY_ANSWERS):
            pid = await asyncio.to_thread(self._committing)
            self._own.sql(f"SELECT {end}(%s)", pid)

    def _committing(self) -> int:
        until = time.monotonic() + 20
        while not (found := self._own.sql(WAITING)):
            assert time.monotonic() < until, "nothing is being committed"
            time.sleep(0.005)
        return int(found[0][0])

    def _terminate(self) -> None:
        for (pid,) in self._own.sql(OURS):
            self._own.sql("SELECT pg_terminate_backend(%s)", pid)

    def _restart(self) -> None:
        self._pg_ctl("restart", "-m", "immediate").check_returncode()

    def _kill(self) -> None:
        pid = int((self._own.folder / "data/postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 20
        while True:  # until the last of its children has noticed
            if self._pg_ctl("start").returncode == 0:
                return
            assert time.monotonic() < until, "the server does not come back"
            time.sleep(0.1)

    def _pg_ctl(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        own = self._own
        program = [str(own._programs / "pg_ctl"), "-D", str(own.folder / "data")]
        command = run_as(own._user, *program, "-l", str(own.folder / "log"), *arguments)
        nothing = subprocess.DEVNULL
        return subprocess.run(command, cwd=own.folder, stdout=nothing, stderr=nothing, check=False)

    async def _cut(self) -> None:
        self.way.cut()

    async def _refuse(self) -> None:
        self.way.refusing = True
        self.way.cut()
        await asyncio.sleep(0.4)
        self.way.refusing = False

    async def _slow_down(self) -> None:
        self.way.delay_s = 0.03
        await asyncio.sleep(0.5)
        self.way.delay_s = 0.0


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """A server that may be mistreated."""
    with server() as made:
        yield made


@asynccontextmanager
async def apart(
    own: Server, folder: Path, policies: Path
) -> AsyncIterator[tuple[Served, Harm, str]]:
    """A service that reaches its database through a proxy: itself, what can be done to it, the direct url."""
    with own.database() as name:
        async with proxy(own.folder / ".s.PGSQL.5432") as way:
            url = f"postgresql+psycopg://dmp@127.0.0.1:{way.port}/{name}"
            with served(
                folder, database=f"{url}?sslmode=disable&gssencmode=disable", policies=policies
            ) as one:
                await one.start()
                yield one, Harm(own, way), own.url(name)


@pytest.mark.timeout(180)
async def test_faults_of_the_server_lose_no_answer(own, tmp_path):
    """Crashed, killed, cut off and interrupted in mid-commit, PostgreSQL loses nothing that was answered."""
    figures = Figures("faults of PostgreSQL")
    policies = copied(tmp_path, "20", "30", "80")
    async with apart(own, tmp_path, policies) as (one, harm, url):
        faults = harm.faults()
        await storm(one, url, faults, rounds=len(faults), figures=figures)

    assert figures.answers > 200


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("part", range(4))
async def test_many_faults_of_the_server_lose_no_answer(own, tmp_path, part):
    """The same five hundred times, and a server that falls silent now and then."""
    figures = Figures("faults of PostgreSQL")
    async with apart(own, tmp_path, POLICIES) as (one, harm, url):
        silent = {"server silent for 12 s": harm.hold}
        await storm(one, url, silent, rounds=2, figures=figures, seed=part)
        await storm(one, url, harm.faults(), rounds=123, figures=figures, seed=part)

    figures.save()
