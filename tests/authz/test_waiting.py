"""Who waits, how many may, and who is next."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.errors import OverloadedError
from authz.procedures import Asked
from authz.waiting import BATCH, CALLER_SHARE, EMERGENCY_SHARE, LIMIT, Waiting, WaitingRoom

NEVER = float("inf")


@pytest.fixture(scope="module")
def loop():
    made = asyncio.new_event_loop()
    yield made
    made.close()


def one(loop, caller="dossier", weight=1, *, urgent=False, until=NEVER, name=0) -> Waiting:
    asked = Asked("Check", str(name).encode(), caller)
    return Waiting(asked, weight, urgent, until, loop.create_future())


def drained(room: WaitingRoom) -> list[Waiting]:
    """Everyone, batch by batch."""
    found = []
    while room.size:
        batch, late = room.take(0.0)
        assert batch
        assert not late
        found += batch
    return found


def test_services_are_served_in_turn(loop):
    """One service with many calls does not hold up another with few."""
    room = WaitingRoom()
    many = [one(loop, "portal", name=n) for n in range(5)]
    few = [one(loop, "dossier", name=n) for n in range(2)]
    for waits in [*many, *few]:
        room.enter(waits)

    batch, _ = room.take(0.0)

    expected = [many[0], few[0], many[1], few[1], *many[2:]]
    assert batch == expected


def test_one_service_can_not_fill_the_room(loop):
    """Beyond its share a service is turned away, and another is still let in."""
    room = WaitingRoom()
    room.enter(one(loop, "portal", CALLER_SHARE))

    with pytest.raises(OverloadedError, match=f"{CALLER_SHARE} requests of `portal` wait"):
        room.enter(one(loop, "portal"))
    room.enter(one(loop, "dossier"))

    assert room.size == CALLER_SHARE + 1


def test_emergencies_keep_their_share(loop):
    """When all others are turned away, an emergency is still let in, up to the limit."""
    room = WaitingRoom()
    room.enter(one(loop, "portal", CALLER_SHARE))
    room.enter(one(loop, "dossier", LIMIT - EMERGENCY_SHARE - CALLER_SHARE))

    with pytest.raises(OverloadedError):
        room.enter(one(loop, "audit"))
    room.enter(one(loop, "audit", EMERGENCY_SHARE, urgent=True))
    with pytest.raises(OverloadedError, match=f"at most {LIMIT} may"):
        room.enter(one(loop, "audit", urgent=True))

    assert room.take(0.0)[0][0].urgent


def test_who_left_or_is_late_is_not_in_a_batch(loop):
    """Those who have hung up are dropped; those whose time is over are named."""
    room = WaitingRoom()
    gone, late, here = one(loop), one(loop, until=1.0), one(loop, until=1.1)
    for waits in (gone, late, here):
        room.enter(waits)
    gone.future.cancel()

    batch, too_late = room.take(1.0)

    assert (batch, too_late, room.size) == ([here], [late], 0)


CALLS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 400), st.booleans()), max_size=60)


@given(CALLS)
def test_everyone_is_served_once_and_in_their_order(loop, calls):
    """No call is lost or doubled, those of one service keep their order, and batches keep their limit."""
    room = WaitingRoom()
    waits = [
        one(loop, caller, weight, urgent=urgent, name=n)
        for n, (caller, weight, urgent) in enumerate(calls)
    ]
    for each in waits:
        room.enter(each)

    batches = []
    while room.size:
        batches.append(room.take(0.0)[0])

    served = [each for batch in batches for each in batch]
    assert sorted(map(id, served)) == sorted(map(id, waits))
    for caller in "abc":
        for urgent in (True, False):
            mine = [w for w in served if w.asked.caller == caller and w.urgent is urgent]
            assert mine == [w for w in waits if w.asked.caller == caller and w.urgent is urgent]
    assert all(len(b) == 1 or sum(w.weight for w in b) <= BATCH for b in batches)
    assert room._of_caller == {}
