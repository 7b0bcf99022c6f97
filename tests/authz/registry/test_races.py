"""Two processes on one database: a change that was answered before a batch begins is always seen by it."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.shared import ROOT

POSTGRESQL = "postgresql"


@pytest.mark.parametrize(
    ("database", "queue", "races"),
    [
        ("sqlite", True, 20),  # where writers wait for each other by sleeping
        (POSTGRESQL, True, 500),
        (POSTGRESQL, False, 500),
        pytest.param(POSTGRESQL, True, 10_000, marks=pytest.mark.slow),
        pytest.param(POSTGRESQL, False, 10_000, marks=pytest.mark.slow),
    ],
    indirect=["database"],
)
def test_what_was_answered_is_seen(database, queue, races):
    """However often two processes race, nothing is stale, torn or lost, whether changes queue or conflict."""
    board = database.folder / "board"
    board.write_bytes(bytes(32))

    def run(me):
        options = [database.url, str(me), str(races), str(board), "queue" if queue else ""]
        command = [sys.executable, "-m", "tests.authz.registry.racer", *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(run, (0, 1)))

    for one in found:
        assert one["races"] >= races
        assert (one["stale"], one["torn"]) == (0, 0)
    assert queue is not any(one["conflicts"] for one in found)
