"""Where a watch stands: what it takes in, and when it asks again. Without a network, at our own instants."""

import math
from itertools import pairwise

import pytest

from authz.v1 import authz_pb2 as pb
from clients.sdk import (
    AheadError,
    DeadlineError,
    FailedError,
    InvalidError,
    OverloadedError,
    SettingsError,
    UnauthenticatedError,
    UnavailableError,
)
from clients.sdk.following import FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_S, Following
from tests.clients.sdk.servers import decided

GONE = UnavailableError("gone")


def following(after=0, **settings):
    """A watch that begins at 0 s."""
    return Following(after, **{"follow": True, "patience_s": 60, "now": 0, **settings})


def told(*revisions, head=None):
    """A message with these events."""
    events = [pb.Event(revision=revision) for revision in revisions]
    return pb.WatchResponse(events=events, head=max(revisions) if head is None else head)


def test_events_in_order():
    """Events are told one by one; the last that was told is where the watch goes on."""
    state = following(4)
    assert state.request().after_revision == 4
    state.hear(told(5, 6, head=9), now=1)

    assert [state.next().revision, state.revision] == [5, 5]
    assert state.request().after_revision == 5
    assert state.next().revision == 6
    assert state.next() is None
    assert (state.revision, state.head, state.heard) == (6, 9, 1)


@pytest.mark.parametrize(
    "message",
    [told(6), told(4), told(5, 5), told(5, 7), told(6, 5), told(5, head=4), told(head=3)],
    ids=["gap", "before", "twice", "gap within", "order", "head behind event", "head behind"],
)
def test_events_out_of_order(message):
    """A revision that is missing, told twice or out of order is a fault, and so is a head behind them."""
    with pytest.raises(FailedError):
        following(4).hear(message, now=0)


@pytest.mark.parametrize(
    "message",
    [None, pb.WatchResponse(), told(5), pb.WatchResponse(decision=pb.Decision(id="1"))],
    ids=["end", "nothing", "events", "no effect"],
)
def test_no_decision(message):
    """A stream that does not begin with a decision is a fault."""
    with pytest.raises(FailedError):
        following(4).begin(message, now=0)


@pytest.mark.parametrize("after", [-1, 1 << 63, "7", None, 1.5, True])
def test_no_revision(after):
    """What is no revision is refused at once."""
    with pytest.raises(InvalidError) as caught:
        following(after)

    assert [violation.field for violation in caught.value.violations] == ["after"]


@pytest.mark.parametrize("patience", [-1, math.nan, None, "60"])
def test_no_patience(patience):
    """What is no patience is refused at once."""
    with pytest.raises(SettingsError, match="patience_s"):
        following(patience_s=patience)


def test_done_when_all_is_told():
    """Who does not follow is done at the revision that the registry was at when they came."""
    state = following(follow=False)
    assert not state.is_done
    state.hear(told(1, head=2), now=0)
    state.hear(told(2, 3, head=3), now=0)
    state.next()
    assert not state.is_done
    state.next()

    assert state.is_done
    assert not following().is_done


def test_done_when_nothing_is_to_be_told():
    """Who does not follow, and knows all, is done with the first that is heard."""
    state = following(7, follow=False)

    state.hear(told(head=7), now=0)

    assert state.is_done


@pytest.mark.parametrize(
    "error",
    [AheadError("x"), FailedError("x"), InvalidError("x"), UnauthenticatedError("x")],
    ids=lambda error: type(error).__name__,
)
def test_what_is_not_asked_again(error):
    """What would fail again is raised at once, as it is."""
    with pytest.raises(type(error)) as caught:
        following(patience_s=math.inf).pause_s(error, now=0)

    assert caught.value is error


def test_pauses_grow():
    """Pauses double up to the longest, and never are quite the same for all."""
    state = following(patience_s=math.inf)

    pauses = [state.pause_s(GONE, now=0) for _ in range(12)]

    longest = [min(FIRST_PAUSE_S * 2**n, LONGEST_PAUSE_S) for n in range(12)]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, longest, strict=True))
    assert all(early < late * 2 for early, late in pairwise(pauses))


def test_short_streams_are_not_asked_for_in_a_hurry():
    """A stream that ends as soon as it has begun is asked for more and more slowly."""
    state = following()
    for _ in range(8):
        state.request()
        state.begin(pb.WatchResponse(decision=decided()), now=0)
        pause_s = state.pause_s(None, now=0)

    assert pause_s >= LONGEST_PAUSE_S / 2


@pytest.mark.parametrize("error", [None, GONE, DeadlineError("late")], ids=str)
def test_stream_that_lasted(error):
    """A stream that has lasted is asked for again at once, however it ended."""
    state = following()
    for _ in range(8):
        state.pause_s(GONE, now=0)
    state.request()
    state.begin(pb.WatchResponse(decision=decided()), now=10)

    assert state.pause_s(error, now=10 + STEADY_S) <= FIRST_PAUSE_S


def test_overload_is_waited_for():
    """Too many watchers are waited for as long as is asked."""
    pause_s = following().pause_s(OverloadedError("x", 2.0), now=0)

    assert 2.0 < pause_s <= 2.0 + FIRST_PAUSE_S


def test_patience():
    """When nothing has been heard for too long, the error is raised; whatever is heard renews patience."""
    state = following(patience_s=10)
    state.pause_s(GONE, now=9)
    state.begin(pb.WatchResponse(decision=decided()), now=20)
    state.pause_s(GONE, now=29)

    with pytest.raises(UnavailableError) as caught:
        state.pause_s(GONE, now=30)

    assert caught.value is GONE


def test_no_patience_at_all():
    """Without patience the first error is raised."""
    with pytest.raises(UnavailableError):
        following(patience_s=0).pause_s(GONE, now=0)
