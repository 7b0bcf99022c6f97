"""What several tests of faults need from outside."""

from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture
def faketime() -> Iterator[dict[str, str]]:
    """The environment of a process whose clock can be wrong; what it leaves in memory is removed."""
    found = sorted(Path("/usr/lib").rglob("libfaketimeMT.so.1"))
    if not found:
        pytest.skip("no clock is set: libfaketime is not installed")
    yield {"LD_PRELOAD": str(found[0]), "DONT_FAKE_MONOTONIC": "1"}
    for path in MEMORY.glob("*faketime_*"):
        if not Path("/proc", path.name.rpartition("_")[2]).exists():
            path.unlink(missing_ok=True)
