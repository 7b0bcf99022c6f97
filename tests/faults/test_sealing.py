"""Sealing a log, killed or without disk at any of its steps: what was seen is never contradicted.

Every operation on files is tried in turn, so no step is left out; the random kills are there for what
nobody thought of. The long form has a thousand of them.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from audit import reader
from audit.checkpoint import opened
from audit.database import reader as reading
from audit.entry import commitment
from audit.errors import SealingError
from audit.evidence import Evidence
from audit.merkle import CompactRange, leaf_hash, root
from audit.sealing import Sealer
from audit.tiles import TiledNodes
from authz.registry.database import migrate
from storage.database import connect
from tests.audit.world import ORIGIN, append, draft
from tests.audit.world import opened as log_opened
from tests.databases import Database
from tests.faults.figures import Figures
from tests.faults.sealers import FAILED, Nursery, note_all, nursery, survived
from tests.faults.test_disk import SmallDisk

NAME = "dmp.test/log"
SEED = 20261118

pytestmark = pytest.mark.timeout(300)  # hundreds of small processes, one after the other


class World:
    """A log that grows, and the folder of its evidence."""

    def __init__(self, url: str, folder: Path, born: Nursery) -> None:
        self.url = url
        self.folder = folder
        self.born = born
        self._engine = connect(url)
        self._conn = self._engine.connect()
        self._log = log_opened(self._conn)
        self._known: list[bytes] = []
        self._range = CompactRange()
        Evidence(folder, ORIGIN).make_key(NAME, os.urandom)

    def grow(self, *sizes: int) -> None:
        """Appends batches."""
        for size in sizes:
            append(self._conn, self._log, *(draft() for _ in range(size)))

    def commitments(self) -> list[bytes]:
        """Of all entries; those that were read before are not read again."""
        new = reader.read(self._conn, origin=ORIGIN, start=len(self._known))
        self._known += [commitment(one.bytes) for one in new]
        self._conn.rollback()
        return self._known

    def root(self, size: int) -> bytes:
        """Of the tree of the first entries; sizes mostly grow, so that it goes on from the last one."""
        before = self._range if size >= self._range.size else CompactRange()
        more = self.commitments()[before.size : size]
        self._range = before.extended(map(leaf_hash, more))
        assert self._range.size == size
        return self._range.root

    def orders(self, folder: Path | None = None, **more: object) -> dict[str, object]:
        """What a sealer is told: to seal in this folder or in a copy of it."""
        return {"url": self.url, "origin": ORIGIN, "folder": str(folder or self.folder), **more}

    def seal(self, folder: Path | None = None, **more: object) -> int:
        """Lets a sealer seal."""
        return self.born.run(**self.orders(folder, **more))

    def sizes(self, folder: Path | None = None) -> tuple[int, int]:
        """How many entries are published, and how many signed; everything published holds."""
        evidence = Evidence(folder or self.folder, ORIGIN)
        found = []
        for note in (evidence.checkpoint(), evidence.signed()):
            if note is None:
                found.append(-1)
                continue
            checkpoint = opened(note, [evidence.verifier()]).checkpoint
            nodes = TiledNodes(size=checkpoint.size, fetch=evidence.tile)
            assert self.root(checkpoint.size) == checkpoint.root
            assert root(nodes, checkpoint.size) == checkpoint.root
            found.append(checkpoint.size)
        assert found[0] <= found[1], "somebody has seen what is not remembered"
        return found[0], found[1]

    def close(self) -> None:
        """Lets go of the database."""
        self._conn.close()
        self._engine.dispose()


@pytest.fixture(scope="module")
def born():
    """A nursery."""
    with nursery() as made:
        yield made


@pytest.fixture
def world(tmp_path, born):
    """An empty log with a key, on SQLite."""
    url = f"sqlite:///{tmp_path}/log.db"
    engine = connect(url)
    migrate(engine)
    engine.dispose()
    made = World(url, tmp_path / "evidence", born)
    yield made
    made.close()


CASES = [
    pytest.param(((), (3, 2)), id="the first"),
    pytest.param(((250,), (3, 20)), id="a tile fills up", marks=pytest.mark.slow),
    pytest.param(((255,), (1,)), id="exactly", marks=pytest.mark.slow),
    pytest.param(((200, 100), (300,)), id="more than a tile", marks=pytest.mark.slow),
]
"""Entries sealed before, and entries to be sealed, by batches."""


@pytest.fixture(params=CASES)
def prepared(world, tmp_path, request):
    """A log with something to seal, and how many operations on files that takes."""
    before, more = request.param
    world.grow(*before)
    if before:
        world.seal()
    world.grow(*more)
    copy, count = tmp_path / "copy", tmp_path / "count"
    shutil.copytree(world.folder, copy)
    assert 0 == world.seal(copy, count=str(count))
    operations = int(count.read_text())
    assert 30 < operations < 200
    return world, operations


def test_a_kill_at_every_operation(prepared, tmp_path):
    """Killed before any operation on its files, what was published stands, and the next sealer goes on."""
    world, operations = prepared
    total, killed = len(world.commitments()), 0
    for at in range(1, operations + 1):
        copy = tmp_path / f"kill {at}"
        shutil.copytree(world.folder, copy)
        killed += world.seal(copy, at=at) == -signal.SIGKILL
        world.sizes(copy)
        assert 0 == world.seal(copy)
        assert (total, total) == world.sizes(copy)

    assert (
        killed > operations - 10
    )  # how much is compared at the end depends on the time that takes


def test_power_fails_at_every_operation(prepared, tmp_path):
    """Of what was not synced nothing is left: what was seen is remembered, and the next sealer goes on."""
    world, operations = prepared
    total = len(world.commitments())
    for at in range(1, operations + 2):
        copy, shadow, left = (tmp_path / f"{name} {at}" for name in ("full", "shadow", "left"))
        shutil.copytree(world.folder, copy)
        note_all(shadow, copy)
        world.seal(copy, at=at, shadow=str(shadow))
        seen, _ = world.sizes(copy)
        survived(shadow, copy, left)
        _, remembered = world.sizes(left)
        assert seen <= remembered
        assert 0 == world.seal(left)
        assert (total, total) == world.sizes(left)


def test_a_disk_that_fails_at_every_operation(prepared, tmp_path):
    """Whichever operation finds no room, that step is refused, and the next one does it."""
    world, operations = prepared
    total, failed = len(world.commitments()), 0
    for at in range(1, operations + 1):
        copy = tmp_path / f"fail {at}"
        shutil.copytree(world.folder, copy)
        status = world.seal(copy, at=at, how="fail")
        assert status in (0, FAILED)  # what only tidies up may fail unnoticed
        failed += status == FAILED
        assert (total, total) == world.sizes(copy)

    assert failed > 20


@pytest.fixture
def disk(tmp_path):
    """A disk of 1 MiB."""
    made = SmallDisk(tmp_path / "disk")
    try:
        made.mount(1 << 20)
    except (OSError, subprocess.CalledProcessError) as exc:
        pytest.skip(f"no small disk: this user may not mount one: {exc}")
    yield made
    made.close()


def test_a_full_disk_stops_sealing_alone(world, disk, born):
    """While there is no room nothing is signed, what is published stands; with room all is sealed."""
    small = World(world.url, disk.folder / "evidence", born)
    sealer = Sealer(reading(world.url), Evidence(small.folder, ORIGIN))
    small.grow(200)
    sealer.step()
    refused = 0
    for room in range(6):
        before = small.sizes()
        small.grow(20)
        disk.fill()
        disk.resize(disk.used() + room * 4096)
        with suppress(SealingError):
            sealer.step()
        if sealer.standing.trouble:
            refused += 1
            assert "No space left" in sealer.standing.trouble
            assert before[0] == small.sizes()[0]
        disk.resize(1 << 20)
        sealer.step()
        assert (len(small.commitments()),) * 2 == small.sizes()
        assert "" == sealer.standing.trouble
    sealer.close()
    small.close()

    assert refused >= 3


def survive(database: Database, folder: Path, born: Nursery, *, rounds: int) -> Figures:
    """Kills a sealer that follows a growing log, at random instants."""
    chance, figures = random.Random(SEED), Figures("sealing")
    world, last = World(database.url, folder / "evidence", born), -1
    for number in range(rounds):
        pid = born.begin(**world.orders(forever=True))
        until = time.monotonic() + chance.uniform(0.005, 0.3)
        seen = Evidence(world.folder, ORIGIN)
        before, late = seen.checkpoint(), time.monotonic() + 20
        while time.monotonic() < until:
            world.grow(chance.choice((1, 1, 2, 7, 40)))
            if number % 2 and seen.checkpoint() == before and time.monotonic() < late:
                until = time.monotonic() + chance.uniform(0, 0.05)  # counted once it is at work
        os.kill(pid, signal.SIGKILL)
        assert -signal.SIGKILL == born.end()
        published, signed = world.sizes()
        assert published >= last
        last = published
        figures.faults[f"kill ({database.kind})"] += 1
        figures.answers += signed
        if number % 25 == 0:
            figures.tell(f"{number} of {rounds} kills")
    assert 0 == world.seal()
    assert (len(world.commitments()),) * 2 == world.sizes()
    assert last > 0
    world.close()
    return figures


def test_kills_at_random_instants(database, tmp_path, born):
    """Killed again and again while it follows a log, a sealer never contradicts what was published."""
    survive(database, tmp_path, born, rounds=12)


@pytest.mark.slow
@pytest.mark.timeout(7_200)
def test_many_kills_at_random_instants(database, tmp_path, born):
    """The same a thousand times."""
    survive(database, tmp_path, born, rounds=500).save()
