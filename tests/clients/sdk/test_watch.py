"""Watching the registry, on both clients: over real sockets, through all that may happen to streams."""

import asyncio
import gc
import math
import socket
import threading
import time

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from authz.v1 import authz_pb2 as pb
from clients.sdk import (
    PLAIN,
    AheadError,
    DeadlineError,
    Denied,
    FailedError,
    InvalidError,
    OverloadedError,
    SettingsError,
    UnauthenticatedError,
    UnavailableError,
    UnfulfilledError,
    Watch,
    aio,
    connect,
    following,
)
from clients.sdk.changes import CloseDossier
from clients.sdk.line import Line
from clients.sdk.procedures import WATCH
from clients.sdk.testing import Pdp, allow, deny
from tests.clients.sdk.samples import DOCTOR, INS
from tests.clients.sdk.servers import KINDS, Saying, decided, serving
from tests.clients.sdk.test_following import told
from tests.service import until

SOON_S = 10
ALLOWED = pb.WatchResponse(decision=decided())
DENIED = pb.WatchResponse(decision=decided(pb.EFFECT_DENY, reason_code="CALLER_REFUSED"))
LONG = 60
CLOSING = CloseDossier(reason="DECES")

both = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Nobody waits for long."""
    monkeypatch.setattr(following, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(following, "LONGEST_PAUSE_S", 0.05)


async def watched(kind, address, count=0, after=0, duties=None, **settings):
    """The revisions of so many events, or of all until it ends, by the client of this kind."""

    def sync():
        found = []
        with (
            connect(address, PLAIN, duties=duties) as client,
            client.watch(after, **settings) as events,
        ):
            for event in events:
                found.append(event.revision)
                if len(found) == count:
                    break
        return found

    if kind == "sync":
        return await asyncio.wait_for(asyncio.to_thread(sync), SOON_S)
    found = []
    async with (
        asyncio.timeout(SOON_S),
        aio.connect(address, PLAIN, duties=duties) as client,
        client.watch(after, **settings) as events,
    ):
        async for event in events:
            found.append(event.revision)
            if len(found) == count:
                break
    return found


@both
async def test_events(kind):
    """Events come one by one, however they are packed."""
    saying = Saying([ALLOWED, told(4, 5), told(head=5), told(6), LONG])

    async with serving(saying) as address:
        assert [4, 5, 6] == await watched(kind, address, 3, after=3)
        await until_ended(saying)

    assert saying.asked == [3]


@both
async def test_what_an_event_tells(kind):
    """An event tells whose it is, what happened, by which decision, and when."""
    event = pb.Event(
        revision=1,
        patient=INS,
        action="block.set",
        decision_id="d",
        at=Timestamp(seconds=1_777_888_999),
    )
    pdp = Pdp(allow())
    async with serving(Saying([ALLOWED, pb.WatchResponse(events=[event], head=1)])) as address:
        if kind == "aio":
            async with aio.connect(address, PLAIN) as client, client.watch() as events:
                found = await anext(events)
        else:
            with connect(address, PLAIN) as client, client.watch() as events:
                found = await asyncio.to_thread(next, events)

    assert (found.revision, found.patient, found.action) == (1, INS, "block.set")
    assert found.decision_id == "d"
    assert found.at.isoformat() == "2026-05-04T10:03:19+00:00"
    assert pdp.calls == 0


@both
@pytest.mark.parametrize(
    "end", [[], [grpc.StatusCode.UNAVAILABLE], [grpc.StatusCode.CANCELLED]], ids=str
)
async def test_goes_on(kind, end):
    """When a stream ends, as it should or with its server, the watch goes on from where it was."""
    saying = Saying([ALLOWED, told(1, 2), *end], [*(end or [ALLOWED])], [ALLOWED, told(3), LONG])

    async with serving(saying) as address:
        assert [1, 2, 3] == await watched(kind, address, 3)

    assert saying.asked == [0, 2, 2]


@both
async def test_silence(kind, monkeypatch):
    """A stream that says nothing any more is given up, and another is asked for."""
    monkeypatch.setattr(following, "SILENCE_S", 0.3)
    saying = Saying([ALLOWED, told(1), LONG], [LONG], [ALLOWED, told(2), LONG])

    async with serving(saying) as address:
        assert [1, 2] == await watched(kind, address, 2)

    assert saying.asked == [0, 1, 1]


@both
async def test_heartbeats_are_no_silence(kind, monkeypatch):
    """A stream that says that nothing happens is not given up."""
    monkeypatch.setattr(following, "SILENCE_S", 0.5)
    beats = [part for _ in range(5) for part in (told(head=1), 0.2)]
    saying = Saying([ALLOWED, told(1), *beats, told(2), LONG])

    async with serving(saying) as address:
        assert [1, 2] == await watched(kind, address, 2)

    assert saying.asked == [0]


async def test_whoever_is_slow_hears_no_silence(monkeypatch):
    """Whoever takes their time over an event does not lose the stream for it."""
    monkeypatch.setattr(following, "SILENCE_S", 0.3)
    saying = Saying([ALLOWED, told(1), told(2), LONG])

    async with (
        serving(saying) as address,
        aio.connect(address, PLAIN) as client,
        client.watch() as events,
    ):
        await anext(events)
        await asyncio.sleep(0.6)
        assert (await anext(events)).revision == 2

    assert saying.asked == [0]


@both
async def test_deadline_of_a_stream(kind, monkeypatch):
    """A stream that never ends is ended, and the watch goes on."""
    monkeypatch.setattr("clients.sdk.registrar.STREAM_S", 0.5)
    monkeypatch.setattr("clients.sdk.aioregistrar.STREAM_S", 0.5)
    saying = Saying([ALLOWED, told(1), LONG], [ALLOWED, told(2), LONG])

    async with serving(saying) as address:
        assert [1, 2] == await watched(kind, address, 2)

    assert saying.asked == [0, 1]


@both
async def test_denied(kind):
    """A watch that is denied raises, with the decision; it is asked for once."""
    saying = Saying([DENIED])

    async with serving(saying) as address:
        with pytest.raises(Denied, match="CALLER_REFUSED") as caught:
            await watched(kind, address)

    assert caught.value.query.action == "registry.watch"
    assert saying.asked == [0]


@both
async def test_denied_later(kind):
    """A watch that is denied when its stream ends ends with the denial."""
    saying = Saying([ALLOWED, told(1)], [DENIED])

    async with serving(saying) as address:
        with pytest.raises(Denied):
            await watched(kind, address)

    assert saying.asked == [0, 1]


@both
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (grpc.StatusCode.OUT_OF_RANGE, AheadError),
        (grpc.StatusCode.UNAUTHENTICATED, UnauthenticatedError),
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidError),
        (grpc.StatusCode.INTERNAL, FailedError),
        (grpc.StatusCode.UNIMPLEMENTED, FailedError),
    ],
)
async def test_what_ends_a_watch(kind, status, error):
    """What would fail again ends the watch, after the decision, too."""
    for said in ([status], [ALLOWED, status], [ALLOWED, told(8), status]):
        saying = Saying(said)
        async with serving(saying) as address:
            with pytest.raises(error):
                await watched(kind, address, after=7, patience_s=math.inf)
        assert saying.asked == [7]


@both
async def test_ahead_of_the_registry(kind):
    """Who knows more than a restored registry is told what to do about it."""
    async with serving(Saying([ALLOWED, grpc.StatusCode.OUT_OF_RANGE])) as address:
        with pytest.raises(AheadError, match="watch again from 0"):
            await watched(kind, address, after=7)


@both
@pytest.mark.parametrize(
    "said",
    [
        [],
        [b"\xff"],
        [pb.WatchResponse()],
        [told(8)],
        [pb.WatchResponse(decision=pb.Decision(id="1"))],
        [ALLOWED, b"\xff"],
        [ALLOWED, told(9)],
        [ALLOWED, told(7)],
        [ALLOWED, told(8, 8)],
        [ALLOWED, told(head=6)],
        [
            ALLOWED,
            pb.WatchResponse(events=[pb.Event(revision=8, at=Timestamp(seconds=10**12))], head=8),
        ],
    ],
    ids=[
        "nothing",
        "garbage",
        "no decision",
        "events at once",
        "no effect",
        "garbage later",
        "gap",
        "known already",
        "twice",
        "head behind",
        "no instant",
    ],
)
async def test_no_proper_answer(kind, said):
    """A stream that is not what it should be ends the watch as a fault."""
    saying = Saying(said)

    async with serving(saying) as address:
        with pytest.raises(FailedError):
            await watched(kind, address, after=7)

    assert saying.asked == [7]


@both
async def test_nobody_there(kind):
    """Where nobody listens, the watch is an error once patience is at an end."""
    began = time.monotonic()

    with pytest.raises(UnavailableError):
        await watched(kind, "127.0.0.1:1", patience_s=0.5)

    assert 0.3 < time.monotonic() - began < 5


@both
async def test_nobody_answers(kind, monkeypatch):
    """Who never answers is given up."""
    monkeypatch.setattr(following, "SILENCE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(DeadlineError):
        await watched(kind, f"127.0.0.1:{mute.getsockname()[1]}", patience_s=0.5)


@both
async def test_comes_back(kind):
    """A decision point that comes back within patience is found again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    pdp = Pdp(allow())
    pdp.happens("block.set", INS)
    watching = asyncio.create_task(watched(kind, address, 2, patience_s=SOON_S))
    await asyncio.sleep(0.2)

    async def asked():
        return pdp.calls > 0

    with pdp.serving(address):
        await until(asked)
    pdp.happens("block.lift", INS)
    with pdp.serving(address):
        assert [1, 2] == await watching


@both
async def test_obligations(kind):
    """What is due for watching is done by duties, each time it is decided; else it is denied."""
    done = []
    due = pb.WatchResponse(decision=decided(obligations=["review"]))
    saying = Saying([due], [due, told(1)], [due, told(2), LONG])

    async with serving(saying) as address:
        with pytest.raises(Denied, match="OBLIGATION_UNSUPPORTED"):
            await watched(kind, address)
        await watched(kind, address, 2, duties={"review": done.append})

    assert [obligation.query.action for obligation in done] == ["registry.watch"] * 2


@both
async def test_failed_duty(kind):
    """A duty that fails ends the watch."""

    def full(_):
        raise OSError("disk full")

    due = pb.WatchResponse(decision=decided(obligations=["review"]))
    async with serving(Saying([due, told(1)])) as address:
        with pytest.raises(UnfulfilledError):
            await watched(kind, address, duties={"review": full})


@both
async def test_only_what_has_happened(kind):
    """Who does not follow is told what has happened, and no more."""
    saying = Saying([ALLOWED, told(1, 2, head=3), told(3), LONG])

    async with serving(saying) as address:
        assert [1, 2, 3] == await watched(kind, address, follow=False)
        saying._answers.append([ALLOWED, told(head=3), LONG])
        assert [] == await watched(kind, address, follow=False, after=3)


async def test_closed_by_another_thread():
    """A watch that waits ends at once when another thread closes it, and so does its stream."""
    saying = Saying([ALLOWED, told(1), LONG])

    async with serving(saying) as address:
        with connect(address, PLAIN) as client:
            events = client.watch()
            await asyncio.to_thread(next, events)
            waiting = asyncio.create_task(asyncio.to_thread(list, events))
            await asyncio.sleep(0.2)
            began = time.monotonic()

            events.close()

            assert await waiting == []
            assert time.monotonic() - began < SOON_S
            events.close()
            await until_ended(saying)


async def test_closed_by_another_task():
    """A watch that waits ends at once when another task closes it, and so does its stream."""
    saying = Saying([ALLOWED, told(1), LONG])

    async with serving(saying) as address, aio.connect(address, PLAIN) as client:
        events = client.watch()
        await anext(events)
        waiting = asyncio.create_task(all_of(events))
        await asyncio.sleep(0.2)

        await events.close()

        assert await asyncio.wait_for(waiting, SOON_S) == []
        await events.close()
        await until_ended(saying)


async def test_closed_while_nobody_is_there(monkeypatch):
    """A watch that waits to ask again ends at once, too."""
    monkeypatch.setattr(following, "FIRST_PAUSE_S", 60)
    monkeypatch.setattr(following, "LONGEST_PAUSE_S", 60)
    async with aio.connect("127.0.0.1:1", PLAIN) as client:
        with connect("127.0.0.1:1", PLAIN) as other:
            mine, theirs = client.watch(patience_s=math.inf), other.watch(patience_s=math.inf)
            waiting = asyncio.gather(all_of(mine), asyncio.to_thread(list, theirs))
            await asyncio.sleep(0.5)

            await mine.close()
            theirs.close()

            assert await asyncio.wait_for(waiting, SOON_S) == [[], []]


class Late:
    """A stream that is opened just when its watch is closed."""

    def __init__(self):
        self.closed = False

    def read(self, _):
        assert self.closed
        raise UnavailableError("closed")

    def close(self):
        self.closed = True


def test_closed_while_a_stream_is_opened():
    """A stream that is opened just when its watch is closed is ended, not waited for."""
    stream = Late()

    def ask(_):
        watch.close()
        return stream

    state = following.Following(0, follow=True, patience_s=60, now=0)
    watch = Watch(state, ask, lambda _: None)

    assert list(watch) == []
    assert stream.closed


def test_channel_closed_meanwhile():
    """A stream over a channel that has just been closed is an error of ours, and gives the channel back."""

    class Closed:
        def unary_stream(self, *_, **__):
            raise ValueError("Cannot invoke RPC on closed channel!")

    line = Line("127.0.0.1:1", PLAIN, make=lambda _: Closed())

    with pytest.raises(FailedError, match="closed channel"):
        line.stream(WATCH, pb.WatchRequest(), timeout_s=1)

    assert line._rotation._held.calls == 0


async def test_closed_before_it_is_read():
    """A watch that was closed tells nothing, and asks for nothing."""
    pdp = Pdp(allow())
    with pdp.client().watch() as events:
        pass

    assert list(events) == []
    assert pdp.calls == 0


@both
async def test_client_closed(kind):
    """A watch of a client that is closed ends with an error, and holds nobody up."""
    saying = Saying([ALLOWED, told(1), LONG])

    async with serving(saying) as address:
        if kind == "aio":
            client = aio.connect(address, PLAIN)
            events = client.watch()
            await anext(events)
            waiting = asyncio.create_task(all_of(events))
            await asyncio.sleep(0.1)
            await client.close()
        else:
            client = connect(address, PLAIN)
            events = client.watch()
            await asyncio.to_thread(next, events)
            waiting = asyncio.create_task(asyncio.to_thread(list, events))
            await asyncio.sleep(0.1)
            client.close()
        with pytest.raises(SettingsError, match="closed"):
            await asyncio.wait_for(waiting, SOON_S)


async def test_cancelled():
    """A task that is cancelled while it watches is cancelled, and its stream ends."""
    saying = Saying([ALLOWED, LONG])

    async with serving(saying) as address, aio.connect(address, PLAIN) as client:
        waiting = asyncio.create_task(all_of(client.watch()))
        await asyncio.sleep(0.2)

        waiting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until_ended(saying)


async def test_forgotten():
    """A watch that nobody reads any more ends its stream."""
    saying = Saying([ALLOWED, told(1, 2), LONG])

    async with serving(saying) as address:
        with connect(address, PLAIN) as client:

            def first():
                for event in client.watch():
                    return event.revision
                return 0

            assert await asyncio.to_thread(first) == 1
            gc.collect()
            await until_ended(saying)


async def test_where_it_stands():
    """A watch tells the revision it has told, the head, and how long nothing was heard."""
    saying = Saying([ALLOWED, told(1, head=3), LONG])

    async with (
        serving(saying) as address,
        aio.connect(address, PLAIN) as client,
        client.watch() as events,
    ):
        assert (events.revision, events.head) == (0, 0)
        await anext(events)
        await asyncio.sleep(0.1)

        assert (events.revision, events.head) == (1, 3)
        assert 0.1 <= events.silent_s < 5


@both
async def test_every_stream_gives_its_channel_back(kind):
    """However its streams end, a watch leaves no channel in use; a certificate could not be replaced."""
    saying = Saying(
        [ALLOWED, told(1)], [grpc.StatusCode.UNAVAILABLE], [ALLOWED, told(2), LONG], [DENIED]
    )

    async with serving(saying) as address:
        client = (aio.connect if kind == "aio" else connect)(address, PLAIN)
        held = client._transport._rotation._held
        if kind == "aio":
            async with client.watch() as events:
                assert [(await anext(events)).revision for _ in range(2)] == [1, 2]
                assert held.calls == 1
            with pytest.raises(Denied):
                await anext(client.watch())
            await client.close()
        else:
            with client.watch() as events:
                assert [(await asyncio.to_thread(next, events)).revision for _ in "12"] == [1, 2]
                assert held.calls == 1
            with pytest.raises(Denied):
                await asyncio.to_thread(next, client.watch())
            client.close()

    assert held.calls == 0


async def test_threads_watch_apart():
    """Several threads may watch by one client, each its own watch."""
    pdp = Pdp(allow())
    for _ in range(50):
        pdp.happens("block.set", INS)
    with pdp.serving() as address, connect(address, PLAIN) as client:

        def all_told():
            return [event.revision for event in client.watch(follow=False)]

        found = await asyncio.gather(*(asyncio.to_thread(all_told) for _ in range(4)))

    assert found == [list(range(1, 51))] * 4


async def all_of(events):
    """The revisions of a watch, until it ends."""
    return [event.revision async for event in events]


async def until_ended(saying):
    """Waits until the server has seen all streams end."""

    async def ended():
        return saying.ended >= len(saying.asked)

    await until(ended)


# The stand-in.


async def test_stand_in(asking):
    """The stand-in tells what happens in it: changes that it permits, and what a test says."""
    pdp = Pdp({"registry.watch": allow()})
    pdp.happens("policy.activate")
    pdp.happens("block.set", INS)

    found = await asking(pdp).gathered("watch", follow=False)

    assert [(event.revision, event.patient, event.action) for event in found] == [
        (1, "", "policy.activate"),
        (2, INS, "block.set"),
    ]


async def test_stand_in_as_things_happen():
    """Who follows the stand-in hears of what happens while they wait, through the ends of streams."""
    pdp = Pdp(allow())
    client = pdp.client()

    def act():
        time.sleep(0.05)
        client.change(DOCTOR, INS, CLOSING)
        pdp.hang_up()
        time.sleep(0.05)
        pdp.down()
        time.sleep(0.1)
        pdp.happens("block.set", INS)
        pdp.up()

    with client.watch() as events:
        thread = threading.Thread(target=act)
        thread.start()
        found = [next(events).action, next(events).action]
        thread.join()

    assert found == ["dossier.close", "block.set"]


async def test_stand_in_that_fails(asking):
    """The stand-in denies, is behind, silent or down as a test wants it."""
    with pytest.raises(Denied, match="NO_RULE"):
        await asking(Pdp({})).gathered("watch")
    with pytest.raises(Denied, match="CALLER_REFUSED"):
        await asking(Pdp(deny("CALLER_REFUSED"))).gathered("watch")
    with pytest.raises(AheadError):
        await asking(Pdp(allow())).gathered("watch", 1)
    pdp = Pdp(allow())
    pdp.slow(60)
    with pytest.raises(DeadlineError):
        await asking(pdp).gathered("watch", patience_s=0.1)
    pdp.up()
    pdp.overloaded(0)
    with pytest.raises(OverloadedError):
        await asking(pdp).gathered("watch", patience_s=0.1)


@both
async def test_stand_in_over_a_socket(kind):
    """The stand-in is watched over a socket, too, and its failures are those of the decision point."""
    pdp = Pdp(allow())
    pdp.happens("block.set", INS)
    with pdp.serving() as address:
        assert [1] == await watched(kind, address, follow=False)
        with pytest.raises(AheadError, match="watch again from 0"):
            await watched(kind, address, after=2)
        pdp.down()
        with pytest.raises(UnavailableError):
            await watched(kind, address, patience_s=0.1)
