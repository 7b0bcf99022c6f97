"""The log can't be written: nobody is answered, everybody is told, and it heals by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pysqlite3.dbapi2 as sqlite
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from authz import loop as loops
from authz.v1 import authz_pb2 as pb
from tests.service import (
    Running,
    copied,
    door,
    failure,
    opening,
    patient,
    reading,
    reason,
    running,
    until,
)

NAMES = ["", "authz.v1.AuthzService", "authz.v1.RegistryService", "authz.v1.PolicyService"]
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


@pytest.fixture
async def service(tmp_path, monkeypatch) -> AsyncIterator[Running]:
    """A service that waits 20 ms for other writers and probes often; its log is verified at the end."""
    monkeypatch.setattr(loops, "PROBE_S", 0.02)
    async with running(tmp_path, policies=copied(tmp_path, "20", "30")) as started:

        def impatient(connection: sqlite.Connection, _: object) -> None:
            connection.execute("PRAGMA busy_timeout=20")

        event.listen(started.engine, "connect", impatient)
        started.batcher._abandon()
        started.engine.dispose()
        yield started


@contextmanager
def locked(service: Running) -> Iterator[None]:
    """Another process writes, and does not come to an end."""
    path = Path(service.url.removeprefix("sqlite:///"))
    holder = sqlite.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


@contextmanager
def full(service: Running) -> Iterator[None]:
    """The file can't grow any more."""

    def fill(connection: sqlite.Connection, _: object) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages}")

    between_batches(service, lambda: event.listen(service.engine, "connect", fill))
    try:
        yield
    finally:
        between_batches(service, lambda: event.remove(service.engine, "connect", fill))


@contextmanager
def failing(service: Running) -> Iterator[None]:
    """No commit succeeds."""
    commit = service.engine.dialect.do_commit

    def fail(_: object) -> None:
        raise OperationalError("COMMIT", {}, sqlite.OperationalError("disk I/O error"))

    service.engine.dialect.do_commit = fail
    try:
        yield
    finally:
        service.engine.dialect.do_commit = commit


@contextmanager
def in_doubt(service: Running) -> Iterator[None]:
    """Every commit succeeds, and is reported as failed."""
    commit = service.engine.dialect.do_commit

    def fail(connection: object) -> None:
        commit(connection)
        raise OperationalError("COMMIT", {}, sqlite.OperationalError("disk I/O error"))

    service.engine.dialect.do_commit = fail
    try:
        yield
    finally:
        service.engine.dialect.do_commit = commit


def between_batches(service: Running, work: Callable[[], object]) -> None:
    """What is done here is done while nothing is decided, and counts for the connection opened next."""

    def change() -> None:
        work()
        service.batcher._abandon()

    service.service.loop._deciding._thread.submit(change).result()
    service.engine.dispose()


async def health(service: Running) -> set[bool]:
    """What health says of everything that needs the log."""
    return {await service.door.healthy(name) for name in [*NAMES, "dmp.log"]}


async def well(service: Running) -> bool:
    return await health(service) == {True}


async def everything_fails(service: Running) -> None:
    """Every kind of call gets the same refusal, with no word of the cause."""
    one = service.door
    requests = [
        one.authz.Check(reading()),
        one.authz.CheckBatch(pb.CheckBatchRequest(checks=[reading()] * 100)),
        one.authz.Explain(pb.ExplainRequest(check=reading())),
        one.registry.Change(opening(whose=patient(99))),
    ]
    for request in requests:
        error = await failure(request)
        assert error.code() is UNAVAILABLE
        assert reason(error) == "NOT_RECORDED"
        assert "nothing was permitted" in str(error.details())
        assert "sqlite" not in str(error.details())


@pytest.mark.parametrize("fault", [locked, full, failing])
async def test_no_record_no_answer(service, fault):
    """Nobody is answered, health and metric say so; when it is over, the service heals by itself."""
    await service.door.change(opening())
    await service.door.check(reading())

    with fault(service):
        await everything_fails(service)

        assert await health(service) == {False}
        assert await service.door.healthy("dmp.bundle")
        assert service.metric("dmp_log_writable") == 0
        await asyncio.sleep(0.2)
        assert await health(service) == {False}
        assert service.metric("dmp_log_writable") == 0

    await until(lambda: well(service))
    assert service.metric("dmp_log_writable") == 1
    assert (await service.door.check(reading())).effect == pb.EFFECT_DENY
    reasons = [entry.get("reason_code") for entry in service.entries()]
    assert reasons == [None, "CREATED_WITH_CONSENT", "NOT_AUTHORISED", "NOT_AUTHORISED"]


async def test_what_was_in_doubt_stays(service):
    """A commit that was durable but reported failed is answered to nobody, and loses nothing."""
    with in_doubt(service):
        error = await failure(service.door.registry.Change(opening()))

    again = await service.door.change(opening())

    assert error.code() is UNAVAILABLE
    assert again.reason_code == "DOSSIER_EXISTS"
    entries = service.entries()
    assert [entry["index"] for entry in entries] == [0, 1, 2]
    assert entries[1]["reason_code"] == "CREATED_WITH_CONSENT"


async def test_a_fault_under_load_loses_no_answer(service):
    """While faults of every kind come and go, each answer is on record and each refusal is UNAVAILABLE."""
    await service.door.change(opening())
    answered: list[str] = []
    codes: set[grpc.StatusCode] = set()
    over = asyncio.Event()

    async def ask() -> None:
        while not over.is_set():
            try:
                answered.append((await service.door.check(reading())).id)
            except grpc.aio.AioRpcError as exc:
                codes.add(exc.code())
                await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(ask())
        for fault in (locked, failing, full, in_doubt) * 3:
            await asyncio.sleep(0.1)
            with fault(service):
                await asyncio.sleep(0.1)
        await asyncio.sleep(0.1)
        over.set()

    entries = service.entries()
    assert codes == {UNAVAILABLE}
    assert len(answered) > 100
    assert set(answered) <= {entry["id"] for entry in entries}
    assert [entry["index"] for entry in entries] == list(range(len(entries)))


async def test_a_fenced_off_writer_answers_nobody(service, tmp_path):
    """When another process has taken over the log, this one says that it is not well, and stays so."""
    async with running(
        tmp_path, policies=tmp_path / "policies", origin=service.service._settings.origin
    ) as other:
        error = await failure(service.door.authz.Check(reading()))

        assert error.code() is UNAVAILABLE
        assert await health(service) == {False}
        assert (await other.door.check(reading())).reason_code == "DOSSIER_MISSING"
        await asyncio.sleep(0.1)
        assert await health(service) == {False}


async def test_an_answer_comes_after_its_commit(service):
    """No call of any kind is answered before the commit with its entry has returned."""
    order: list[str] = []
    commit = service.engine.dialect.do_commit

    def note(connection: object) -> None:
        commit(connection)
        order.append("commit")

    service.engine.dialect.do_commit = note
    one = service.door
    for call in (
        lambda: one.registry.Change(opening()),
        lambda: one.authz.Check(reading()),
        lambda: one.authz.CheckBatch(pb.CheckBatchRequest(checks=[reading()] * 600)),
        lambda: one.authz.Explain(pb.ExplainRequest(check=reading())),
    ):
        await call()
        order.append("answer")
    service.engine.dialect.do_commit = commit

    assert order == ["commit", "answer"] * 4


async def test_stopping_while_nothing_can_be_written(tmp_path, monkeypatch):
    """A service that can't write ends all the same, and its callers are told."""
    monkeypatch.setattr(loops, "PROBE_S", 0.02)
    async with running(tmp_path, policies=copied(tmp_path, "20")) as started:
        with failing(started):
            assert (await failure(started.door.authz.Check(reading()))).code() is UNAVAILABLE
            await asyncio.wait_for(started.service.__aexit__(None, None, None), 5)

        async with door(started.service.addresses[0]) as one:
            error = await failure(one.authz.Check(reading(), timeout=1))
    assert error.code() is UNAVAILABLE
