"""What Python looks through for cycles of objects."""

import gc

import pytest

from serving.memory import settle


@pytest.fixture(autouse=True)
def restored():
    """Leaves the collector of this process as it was."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_what_is_there_is_not_looked_through_again():
    """After that, what was loaded is in no generation; cycles made later are still found."""
    loaded = [[] for _ in range(1_000)]
    settle()

    assert gc.get_freeze_count() >= len(loaded)
    assert sum(gc.get_count()) < len(loaded)
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle
    assert gc.collect() >= 1
