"""The change feed, as others follow it."""

import pytest
from sqlalchemy import update

from authz.errors import AheadError
from authz.registry import tables
from authz.registry.changes import SetConsents
from authz.registry.feed import Event, Feed, read
from authz.registry.store import Store
from storage.database import connect
from storage.errors import DatabaseError
from tests.authz.registry.samples import CHILD, NOW, PATIENT, opened, put


@pytest.fixture
def history(engine):
    """Two dossiers, new policies, and a change: revisions 1 to 4."""
    store = Store()
    put(store, engine, opened(), opened(patient=CHILD))
    with engine.begin() as conn:
        store.catch_up(conn, changes=True)
        store.adopt([], store.activate(conn, "digest-1", b"one", at=NOW, decision_id="of bundle"))
    put(store, engine, opened(SetConsents(samu=False)))
    return engine


def follow(engine, after=0, limit=100):
    """Reads once."""
    with engine.begin() as conn:
        return read(conn, after=after, limit=limit)


def event(revision, patient, action="dossier:create"):
    """An event of the history."""
    decision = f"of {patient or 'bundle'}"
    return Event(revision=revision, patient=patient, action=action, decision_id=decision, at=NOW)


EVENTS = (
    event(1, PATIENT),
    event(2, CHILD),
    event(3, "", "policy.activate"),
    event(4, PATIENT),
)


def test_new_registry_has_no_events(engine):
    """Before the first change there is nothing to tell."""
    assert follow(engine) == Feed(events=(), head=0)


def test_every_revision_is_an_event(history):
    """Changes and activations come in the order of their revisions, each with its decision."""
    assert follow(history) == Feed(events=EVENTS, head=4)


def test_feed_goes_on_after_a_revision(history):
    """Whoever has read up to a revision is told what came after it."""
    found = [follow(history, after=after).events for after in range(5)]

    assert [EVENTS[after:] for after in range(5)] == found


def test_feed_is_read_in_portions(history):
    """Portions put together are the whole, and each says where the registry stands."""
    first = follow(history, limit=3)
    rest = follow(history, after=3, limit=3)

    assert EVENTS == first.events + rest.events
    assert (first.head, rest.head) == (4, 4)


def test_rolled_back_change_is_no_event(history):
    """What was never committed is never told, and its revision goes to the next change."""
    store = Store()
    with history.connect() as conn:
        store.catch_up(conn, changes=True)
        store.activate(conn, "digest-2", b"two", at=NOW, decision_id="")
        conn.rollback()

    assert follow(history).head == 4


def test_registry_that_went_back_is_noticed(history):
    """After a restore, who has read further than the registry goes is told so, and gets nothing."""
    with pytest.raises(AheadError, match="revision `9` is ahead of the registry, which is at `4`"):
        follow(history, after=9)


def test_missing_event_is_noticed(history):
    """A feed that lost an event is refused from there on, never told with a gap."""
    with history.begin() as conn:
        conn.execute(tables.changes.delete().where(tables.changes.c.revision == 2))

    with pytest.raises(DatabaseError, match="gap after revision `0`"):
        follow(history)
    assert EVENTS[2:] == follow(history, after=2).events


def test_missing_end_is_noticed(history):
    """A head without its event is refused, too."""
    with history.begin() as conn:
        conn.execute(update(tables.head).values(revision=5))

    with pytest.raises(DatabaseError, match="gap after revision `4`"):
        follow(history, after=4)


def test_registry_without_head_has_no_feed(history):
    """Where the head is gone, nothing is told."""
    with history.begin() as conn:
        conn.execute(tables.head.delete())

    with pytest.raises(DatabaseError, match="registry head is missing"):
        follow(history)


def test_feed_is_read_without_writing(history, database):
    """A connection that can only read is enough, and sees what was committed since."""
    reader = connect(database.url, read_only=True)
    before = follow(reader)
    put(Store(), history, opened())

    after = follow(reader, after=4)

    assert (before.head, after.head) == (4, 5)
    assert [event(5, PATIENT)] == list(after.events)
    reader.dispose()
