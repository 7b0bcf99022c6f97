"""Watching the registry over gRPC: in order, nothing left out, nothing twice, and by policy."""

import asyncio
import time
from contextlib import asynccontextmanager

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import update

from authz import watching
from authz.errors import OverloadedError, UnavailableError
from authz.registry import tables
from authz.registry.store import Store
from authz.v1 import authz_pb2 as pb
from authz.watching import Watching
from serving.errors import UntrustedError
from storage.database import connect
from tests.authz.registry.samples import CHILD, PATIENT, opened, put
from tests.service import ANASTA, patient, running
from tests.service import opening as open_dossier

SOON_S = 20


@asynccontextmanager
async def service_on(database, *services):
    """A service on the database, for these callers."""
    async with running(
        database.folder, services=services or ("operator", "dossier"), url=database.url
    ) as service:
        yield service


class Watch:
    """One stream, read message by message."""

    def __init__(self, door, after=0):
        self._call = door.registry.Watch(pb.WatchRequest(after_revision=after))
        self.events: list[pb.Event] = []
        self.head = 0

    async def decision(self) -> pb.Decision:
        """The decision, which comes first."""
        message = await self.message()
        assert message.HasField("decision")
        assert not message.events
        return message.decision

    async def message(self) -> pb.WatchResponse:
        """The next message."""
        message = await self._call.read()
        if message is grpc.aio.EOF:
            raise StopAsyncIteration
        self.events += message.events
        self.head = max(self.head, message.head)
        return message

    async def until(self, revision: int) -> list[pb.Event]:
        """All events, once the one of this revision is there."""
        async with asyncio.timeout(SOON_S):
            while not (self.events and self.events[-1].revision >= revision):
                await self.message()
        return self.events

    async def end(self) -> grpc.StatusCode:
        """How the stream ends, after what it still has to say."""
        try:
            async with asyncio.timeout(SOON_S):
                while True:
                    await self.message()
        except StopAsyncIteration:
            return await self._call.code()
        except grpc.aio.AioRpcError as exc:
            self.error = exc
            return exc.code()

    def cancel(self) -> None:
        """Stops watching."""
        self._call.cancel()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Polls so often that tests need not wait."""
    monkeypatch.setattr(watching, "POLL_S", 0.02)


def numbers(events):
    """The revisions of events."""
    return [event.revision for event in events]


async def test_history_and_what_follows(database):
    """A watcher is told what was, then what is, each with its patient, action and decision."""
    async with service_on(database) as service:
        opened_by = await service.door.change(open_dossier())
        watch = Watch(service.doors["dossier"])
        decision = await watch.decision()
        before = list(await watch.until(2))

        second = await service.door.change(open_dossier(whose=patient(3)))
        events = await watch.until(3)

        assert decision.effect == pb.EFFECT_ALLOW
        assert numbers(before) == [1, 2]
        assert [(e.patient, e.action) for e in events] == [
            ("", "policy.activate"),
            (ANASTA, "dossier.create"),
            (patient(3), "dossier.create"),
        ]
        start = next(entry for entry in service.entries() if entry["kind"] == "start")
        assert [e.decision_id for e in events] == [start["id"], opened_by.id, second.id]
        assert events[1].at == opened_by.at
        assert events[1].at != Timestamp()


async def test_watching_is_decided_and_on_record(database):
    """Each stream has its decision, of the service on its own behalf."""
    async with service_on(database) as service:
        watch = Watch(service.doors["dossier"])
        decision = await watch.decision()

        entry = service.entries()[-1]

        assert decision.id == entry["id"]
        assert (entry["caller"], entry["action"]) == ("dossier", "registry.watch")
        assert entry["subject"] == {
            "kind": "service",
            "id": "dossier",
            "authentication": "service_channel",
        }


async def test_services_that_may_not_watch(database):
    """A service without the right is told so, on record, and nothing else."""
    async with service_on(database, "portal", "operator") as service:
        await service.doors["operator"].change(open_dossier())
        watch = Watch(service.door)

        decision = await watch.decision()

        assert (decision.effect, decision.reason_code) == (pb.EFFECT_DENY, "CALLER_REFUSED")
        assert await watch.end() is grpc.StatusCode.OK
        assert watch.events == []
        assert service.entries()[-1]["reason_code"] == "CALLER_REFUSED"


async def test_nobody_speaks_for_a_service(database):
    """The same asked by Check, with a subject that claims to be the service, is denied."""
    subject = pb.Subject(kind="service", id="dossier", authentication="service_channel")
    async with service_on(database) as service:
        decision = await service.doors["dossier"].check(
            pb.CheckRequest(subject=subject, action="registry.watch")
        )

    assert (decision.effect, decision.reason_code) == (pb.EFFECT_DENY, "CALLER_REFUSED")


async def test_going_on_after_a_revision(database):
    """A watcher that knows a revision is told what came after it."""
    async with service_on(database) as service:
        for number in range(4):
            await service.door.change(open_dossier(whose=patient(number)))
        watch = Watch(service.doors["dossier"], after=3)
        await watch.decision()

        assert numbers(await watch.until(5)) == [4, 5]


async def test_long_histories_come_in_portions(database, monkeypatch):
    """However long the history, a message has only so many events, and each says how far there is to go."""
    monkeypatch.setattr(watching, "PORTION", 4)
    async with service_on(database) as service:
        put(Store(), service.engine, *(opened(patient=f"{n:022d}") for n in range(10)))
        watch = Watch(service.doors["dossier"])
        await watch.decision()

        messages = [await watch.message() for _ in range(3)]

    assert [numbers(message.events) for message in messages] == [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        [9, 10, 11],
    ]
    assert {message.head for message in messages} == {11}


async def test_silence_is_told(database, monkeypatch):
    """Where nothing happens, the watcher hears so at once, and again and again."""
    monkeypatch.setattr(watching, "SILENCE_S", 0.05)
    async with service_on(database) as service:
        watch = Watch(service.doors["dossier"], after=1)
        await watch.decision()

        messages = [await watch.message() for _ in range(3)]

    assert [(len(message.events), message.head) for message in messages] == [(0, 1)] * 3


async def test_changes_of_another_process(database):
    """What another process changes in the same database is told, too."""
    async with service_on(database) as service:
        watch = Watch(service.doors["dossier"], after=1)
        await watch.decision()
        other = connect(database.url)
        put(Store(), other, opened(patient=PATIENT), opened(patient=CHILD))

        events = await watch.until(3)

        other.dispose()
        assert [(e.revision, e.patient) for e in events] == [(2, PATIENT), (3, CHILD)]


async def test_no_gap_and_no_double_over_many_streams(database, monkeypatch):
    """Streams that end and begin again from what was read tell every revision once, while all changes."""
    monkeypatch.setattr(watching, "WATCH_S", 0.1)
    monkeypatch.setattr(watching, "PORTION", 3)
    last, streams, seen = 60, 0, []
    async with service_on(database) as service:

        async def work():
            for number in range(last - 1):
                await service.door.change(open_dossier(whose=patient(number)))

        working = asyncio.create_task(work())
        until = time.monotonic() + SOON_S
        while len(seen) < last:
            assert time.monotonic() < until
            watch = Watch(service.doors["dossier"], after=len(seen))
            assert await watch.end() is grpc.StatusCode.OK
            streams += 1
            seen += numbers(watch.events)
        await working

    assert seen == list(range(1, last + 1))
    assert streams > 1


async def test_revision_ahead_of_the_registry(database):
    """Who knows more than the registry, after a restore, is told so; who asks nonsense, what is wrong."""
    async with service_on(database) as service:
        ahead = Watch(service.doors["dossier"], after=7)
        decision = await ahead.decision()
        code = await ahead.end()
        below = Watch(service.doors["dossier"], after=-1)

        assert decision.effect == pb.EFFECT_ALLOW
        assert code is grpc.StatusCode.OUT_OF_RANGE
        assert "revision `7` is ahead of the registry, which is at `1`" in ahead.error.details()
        info = error_details_pb2.ErrorInfo()
        rpc_status.from_call(ahead.error).details[0].Unpack(info)
        assert info.reason == "REVISION_AHEAD"
        assert await below.end() is grpc.StatusCode.INVALID_ARGUMENT
        assert [e["action"] for e in service.entries() if "action" in e] == ["registry.watch"]


async def test_registry_that_goes_back_ends_the_stream(database):
    """A registry that is taken back while it is watched ends the stream, in words."""
    async with service_on(database) as service:
        await service.door.change(open_dossier())
        watch = Watch(service.doors["dossier"])
        await watch.until(2)
        with service.engine.begin() as conn:
            conn.execute(update(tables.head).values(revision=1))

        code = await watch.end()

        with service.engine.begin() as conn:
            conn.execute(update(tables.head).values(revision=2))
        assert code is grpc.StatusCode.OUT_OF_RANGE


async def test_stopping_does_not_wait_for_watchers(database):
    """A service that stops ends the streams at once, and well."""
    async with service_on(database) as service:
        watch = Watch(service.doors["dossier"])
        await watch.until(1)
        ending = asyncio.create_task(watch.end())
        began = time.monotonic()
        await service.service.__aexit__(None, None, None)

        assert await ending is grpc.StatusCode.OK
        assert time.monotonic() - began < 4


async def test_only_so_many_watch(database, monkeypatch):
    """One more than may watch is turned away, until another leaves."""
    monkeypatch.setattr(watching, "WATCHERS", 2)
    async with service_on(database) as service:
        watches = [Watch(service.doors["dossier"]) for _ in range(2)]
        for watch in watches:
            await watch.until(1)
        third = Watch(service.doors["dossier"])
        refused = await third.end()
        watches[0].cancel()
        until = time.monotonic() + SOON_S
        while (code := await short(service)) is not grpc.StatusCode.OK:
            assert time.monotonic() < until
            await asyncio.sleep(0.01)

    assert refused is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert code is grpc.StatusCode.OK


async def short(service) -> grpc.StatusCode:
    """How the beginning of a stream goes."""
    watch = Watch(service.doors["dossier"])
    try:
        await watch.until(1)
    except grpc.aio.AioRpcError as exc:
        return exc.code()
    watch.cancel()
    return grpc.StatusCode.OK


async def test_watcher_that_is_not_trusted_any_more(database):
    """Whoever is found to be revoked while it watches is told nothing further."""
    trusted = [True]

    def still():
        if not trusted[0]:
            raise UntrustedError("revoked", "the certificate was revoked")

    put(Store(), engine := connect(database.url), opened())
    watched = Watching(database.url)
    feeds = watched.follow(0, still=still)
    first = await anext(feeds)
    put(Store(), engine, opened(patient=CHILD))
    trusted[0] = False

    with pytest.raises(UntrustedError):
        await anext(feeds)

    assert [event.patient for event in first.events] == [PATIENT]
    await watched.close()
    engine.dispose()


async def test_place_of_one_who_left_is_free(database, monkeypatch):
    """A watcher that leaves, in whatever way, takes up no place any more."""
    monkeypatch.setattr(watching, "WATCHERS", 1)
    put(Store(), engine := connect(database.url), opened())
    watched = Watching(database.url)
    first = watched.follow(0, still=lambda: None)
    await anext(first)
    with pytest.raises(OverloadedError, match="1 watch already"):
        await anext(watched.follow(0, still=lambda: None))
    await first.aclose()

    again = await anext(second := watched.follow(0, still=lambda: None))

    assert len(again.events) == 1
    await second.aclose()
    await watched.close()
    engine.dispose()


async def test_registry_that_can_not_be_read(tmp_path):
    """Where the database is out of reach, a watcher is told to come again."""
    watched = Watching(f"sqlite:///{tmp_path}/absent.db")

    with pytest.raises(UnavailableError, match="can't be opened"):
        await anext(watched.follow(0, still=lambda: None))
    await watched.close()
