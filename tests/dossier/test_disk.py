"""The disk below the record is full: a clear error, nothing half done, and on it goes when there is room."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from sqlalchemy.exc import OperationalError

from dossier.database import MIGRATIONS
from dossier.errors import MasterError
from dossier.keys.masters import Masters
from dossier.model import Act, Search
from storage.database import connect
from tests.dossier.world import JEAN, World, draft, world
from tests.faults.test_disk import SmallDisk, disk

__all__ = ["disk"]

LARGE = 8 << 20


@pytest.fixture
def cramped(disk: SmallDisk) -> Iterator[World]:
    """A record on a disk of 8 MiB."""
    disk.resize(LARGE)
    url = f"sqlite:///{disk.folder}/record.db"
    engine = connect(url)
    MIGRATIONS.migrate(engine)
    engine.dispose()
    with world(url, disk.folder) as made:
        yield made


def test_no_room_for_documents(cramped, disk):
    """What does not fit is refused whole; all else stays readable, and deposits go on when there is room."""
    (label,) = cramped.deposit(draft())
    before = cramped.rows()

    with pytest.raises(OperationalError, match="full"):
        cramped.deposit(draft(), draft(b"x" * LARGE), draft())

    assert before == cramped.rows()
    assert label == cramped.store.label(JEAN, label.id)
    cramped.read(label)
    disk.resize(8 * LARGE)
    cramped.deposit(draft(), draft(b"x" * LARGE), draft())


def test_no_room_for_records(cramped, disk):
    """What can't be recorded is not shown and not done."""
    (label,) = cramped.deposit(draft())
    permits = [cramped.permit(action, label) for action in ("document.read", "document.mask")]
    before = cramped.rows()
    disk.fill()

    with suppress(OperationalError):
        for _ in range(1_000):  # some pages may still have room
            cramped.read(label)
    with pytest.raises(OperationalError):
        cramped.store.body(permits[0], JEAN, label.id)
    with pytest.raises(OperationalError):
        cramped.store.change(permits[1], JEAN, label.id, Act.MASK)
    with pytest.raises(OperationalError):
        cramped.store.list(cramped.listing(), JEAN, Search(), size=10)

    assert before["documents"] == cramped.rows()["documents"]
    disk.resize(8 * LARGE)
    cramped.read(label)


def test_no_room_for_a_master_key(disk):
    """A master key that can't be written whole is not there at all."""
    masters = Masters(disk.folder / "masters")
    first = masters.create()
    disk.fill()

    with pytest.raises(MasterError, match="no master key can be written: No space left"):
        masters.create()

    assert masters.ids() == (first,)
