"""The audit service: what it follows, what it tells, how it fails and recovers, how it ends."""

import os
import signal
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import event, make_url, text

from audit.errors import UnreachableError
from audit.evidence import Evidence
from audit.observer import founded
from audit.office.service import Service
from audit.trusted import NONE, Group, Trust, Witness
from audit.v1 import audit_pb2 as pb
from audit.v1 import audit_pb2_grpc as rpc
from storage.database import connect
from storage.errors import DatabaseError
from tests.audit.keys import witness_key
from tests.audit.office.served import process, running, serving, settings_of
from tests.audit.test_witness import NAME
from tests.audit.test_witness import serving as witness
from tests.audit.world import ALICE, ORIGIN, append, draft, fill
from tests.service import CHANNEL, doctor, door, opening, reading, until
from tests.service import process as deciding

CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_start > :began
"""


async def health(channel, name=""):
    """What the health service says of a part."""
    stub = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
    return answer.status == health_pb2.HealthCheckResponse.SERVING


async def status(stub):
    return await stub.ReadStatus(pb.ReadStatusRequest(), timeout=5)


async def healthy(stub, name, *, well=True):
    """Waits until a part says so."""

    async def look():
        return (await status(stub)).health[name] is well

    await until(look)


async def indexed(stub, count):
    """Waits until so many entries are in the index."""

    async def look():
        return sum(one.indexed for one in (await status(stub)).logs) == count

    await until(look)


async def sealed(stub, count):
    """Waits until so many entries are sealed."""

    async def look():
        return (await status(stub)).standing.sealed == count

    await until(look)


async def troubled(stub, cause):
    """Waits until the index is told to be in trouble."""

    async def look():
        return cause in (await status(stub)).index_trouble

    await until(look)


# Following


async def test_follows_and_seals(tmp_path, database):
    """What is decided is in the index and under a checkpoint, on either database."""
    async with running(tmp_path, database=database) as audit:
        await audit.open()
        await audit.decide(reading(doctor()))
        wanted = await audit.settled()
        found = await audit.status()
        assert (found.standing.behind, found.standing.sealed) == (0, wanted)
        (log,) = found.logs
        assert (log.log, log.stored, log.indexed) == ("authz-1", wanted, wanted)
        assert audit.metric("audit_entries_taken_total") == wanted


async def test_follows_within_a_second(tmp_path):
    """Two processes: what one decides, the other has in its index and under a checkpoint a second later."""
    with deciding(tmp_path) as point:
        async with door(point.address) as talk:
            await talk.change(opening())
            with process(tmp_path, point.address) as audit:
                async with grpc.aio.insecure_channel(audit.address, options=CHANNEL) as channel:
                    stub, took = rpc.AuditServiceStub(channel), []
                    for number in range(2, 9):
                        await talk.check(reading(doctor()))
                        began = time.monotonic()
                        await sealed(stub, number + 1)
                        await indexed(stub, number + 1)
                        took.append(time.monotonic() - began)
                    assert sorted(took)[len(took) // 2] < 1
                audit.signal(signal.SIGTERM)
                assert audit.wait() == 0


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_who_may_read_three_tables_may_follow(conn, url, engine, tmp_path):
    """On PostgreSQL the audit needs no more of the log's database than to read log and bundles."""
    fill(conn)
    role = "dmp_auditor"
    with engine.begin() as owner:
        owner.execute(text(f"CREATE ROLE {role} LOGIN"))
        owner.execute(text(f"GRANT SELECT ON log_head, log_batches, bundles TO {role}"))
    try:
        settings = settings_of(tmp_path, url, index=f"sqlite:///{tmp_path}/audit.db")
        settings = replace(settings, database=url.replace("://dmp@", f"://{role}@"))
        async with serving(settings) as (_, stub):
            await sealed(stub, 12)
            await indexed(stub, 12)
            await healthy(stub, "dmp.log")
    finally:
        with engine.begin() as owner:
            owner.execute(text(f"DROP OWNED BY {role}"))
            owner.execute(text(f"DROP ROLE {role}"))


async def test_new_log_is_followed(conn, url, tmp_path):
    """A log that appears while the audit runs is indexed and sealed, with a key of its own."""
    fill(conn, "one")
    async with serving(settings_of(tmp_path, url)) as (_, stub):
        await sealed(stub, 12)
        fill(conn, "two")
        await sealed(stub, 24)
        await indexed(stub, 24)
        found = {one.log: (one.indexed, one.sealed) for one in (await status(stub)).logs}
        assert found == {"one": (12, 12), "two": (12, 12)}
    assert Evidence(tmp_path / "evidence", "two").verifier().name == "dmp.test/two"


async def test_complete_until_is_the_last_instant(conn, url, tmp_path):
    """Before anything is known nothing is said to be complete; then it is until the last entry at least."""
    log = fill(conn)
    async with serving(settings_of(tmp_path, url)) as (service, stub):
        await indexed(stub, 12)
        append(conn, log, draft(ALICE), batch=9)
        await indexed(stub, 13)
        found = await status(stub)
        assert found.standing.complete_until.ToJsonString() == "2026-11-18T10:26:49Z"
        assert service.following.standing().behind == 0


# Witnesses


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("quorum", "well"), [("one", True), ("both", False), (NONE, False)])
async def test_witness_that_is_away_is_told(conn, url, tmp_path, quorum, well):
    """One witness cosigns, another is away: sealing goes on, and health says whether that is enough."""
    fill(conn)
    key = Evidence(tmp_path / "evidence", ORIGIN).make_key("dmp.test/log", os.urandom)
    with witness(tmp_path / "witness", Trust(logs=(key,))) as server:
        there = founded(tmp_path / "witness", NAME, os.urandom).verifier
        port = server.server_address[1]
        asked = (
            Witness(name="there", key=there, url=f"http://127.0.0.1:{port}"),
            Witness(name="away", key=witness_key("away").verifier, url="http://127.0.0.1:1"),
        )
        members = ("there", "away")
        groups = {"one": Group(least=1, members=members), "both": Group(least=2, members=members)}
        trust = Trust(witnesses=asked, groups=groups, quorum=quorum)
        async with serving(settings_of(tmp_path, url, trust=trust)) as (service, stub):
            await sealed(stub, 12)
            await healthy(stub, "dmp.tree")
            await healthy(stub, "dmp.witness", well=well)
            (one,) = (await status(stub)).logs
            assert {w.name: bool(w.trouble) for w in one.witnesses} == {
                "there": False,
                "away": True,
            }
            value = service.metrics.registry.get_sample_value
            assert (value("audit_last_witness_timestamp_seconds") > 0) is well


# Health and metrics


async def test_health_and_metrics(conn, url, tmp_path):
    """Each part has a name in the health service, and figures."""
    fill(conn)
    async with (
        serving(settings_of(tmp_path, url)) as (service, stub),
        grpc.aio.insecure_channel(service.addresses[0], options=CHANNEL) as channel,
    ):
        for name in ("dmp.log", "dmp.index", "dmp.tree", "dmp.witness", "dmp.trust"):
            await healthy(stub, name)
            assert await health(channel, name)
        assert await health(channel)
        assert await health(channel, "audit.v1.AuditService")

        def value(name, **labels):
            return service.metrics.registry.get_sample_value(name, labels)

        assert value("audit_index_behind_entries") == value("audit_tree_behind_entries") == 0
        assert value("audit_index_lag_seconds") < 10
        assert value("audit_last_checkpoint_timestamp_seconds") > 0
        assert value("audit_failures_total", part="tree") == 0
        assert value("audit_call_seconds_count", rpc="ReadStatus") > 0


# What goes wrong


@contextmanager
def gone(path: Path):
    """Meanwhile a file is somewhere else."""
    away = path.with_name("away")
    path.rename(away)
    try:
        yield
    finally:
        away.rename(path)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_log_that_is_gone_is_told(conn, url, tmp_path):
    """Without the log's database the audit answers, tells what is missing, and goes on when it is back."""
    log = fill(conn)
    async with serving(settings_of(tmp_path, url)) as (_, stub):
        await indexed(stub, 12)
        with gone(tmp_path / "dmp.db"):
            await healthy(stub, "dmp.log", well=False)
            await troubled(stub, "unable to open")
        await healthy(stub, "dmp.log")
        append(conn, log, draft(ALICE), batch=9)
        await indexed(stub, 13)
        assert not (await status(stub)).index_trouble


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_index_that_is_gone_is_told(conn, url, tmp_path):
    """Where the file of the index was removed the service says so, though its connections are open still."""
    fill(conn)
    async with (
        serving(settings_of(tmp_path, url)) as (service, stub),
        grpc.aio.insecure_channel(service.addresses[0], options=CHANNEL) as channel,
    ):

        async def ill():
            return not await health(channel)

        async def well():
            return await health(channel)

        await indexed(stub, 12)
        with gone(tmp_path / "audit.db"):
            await until(ill)
        await until(well)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_connections_that_are_cut_are_made_again(conn, url, tmp_path):
    """When the server ends all connections, that is told, and following goes on with new ones."""
    fill(conn)
    began = conn.scalar(text("SELECT clock_timestamp()"))
    conn.close()
    async with serving(settings_of(tmp_path, url)) as (service, stub):
        await sealed(stub, 12)
        engine = connect(url)
        with engine.connect() as other:
            other.execute(text(CUT), {"began": began})
            other.commit()
            fill(other, "two")
        await indexed(stub, 24)
        await sealed(stub, 24)
        for part in ("dmp.log", "dmp.index", "dmp.tree"):
            await healthy(stub, part)
        value = service.metrics.registry.get_sample_value
        assert value("audit_failures_total", {"part": "index"}) > 0
        engine.dispose()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_log_that_is_locked_is_told(conn, url, engine, tmp_path):
    """While nobody may read the log the audit answers and says so; afterwards it goes on by itself."""
    log = fill(conn)
    async with serving(settings_of(tmp_path, url)) as (_, stub):
        await healthy(stub, "dmp.log")
        await indexed(stub, 12)
        with engine.begin() as owner:
            owner.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            owner.execute(text("LOCK TABLE log_batches IN ACCESS EXCLUSIVE MODE"))
            await healthy(stub, "dmp.log", well=False)
        await healthy(stub, "dmp.log")
        append(conn, log, draft(ALICE), batch=9)
        await indexed(stub, 13)
        await sealed(stub, 13)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_index_without_room_is_told(conn, url, tmp_path):
    """While its disk is full the index stands still, and sealing goes on; then nothing is missing."""
    log = fill(conn)
    async with serving(settings_of(tmp_path, url)) as (service, stub):
        await indexed(stub, 12)
        engine = service.following.indexing._index._engine

        def full(connection):
            connection.exec_driver_sql("PRAGMA max_page_count = 1")

        event.listen(engine, "begin", full)
        many = [draft(f"{number:022}") for number in range(3000)]
        append(conn, log, *many, batch=9)
        await sealed(stub, 3012)
        await troubled(stub, "full")
        assert service.following.indexing.taken == {ORIGIN: 12}
        event.remove(engine, "begin", full)
        with engine.connect() as index:
            index.execute(text("PRAGMA max_page_count = 4294967294"))
        await indexed(stub, 3012)
        assert not (await status(stub)).index_trouble


async def test_damage_stops_one_part_alone(conn, url, engine, tmp_path):
    """Where an older copy of the log was put in its place, index and seal stop and say so; answers go on."""
    fill(conn)
    async with serving(settings_of(tmp_path, url)) as (_, stub):
        for name in ("dmp.index", "dmp.tree"):
            await healthy(stub, name)
        with engine.begin() as owner:
            owner.execute(text("DELETE FROM log_batches WHERE first_index >= 9"))
        await healthy(stub, "dmp.index", well=False)
        await healthy(stub, "dmp.tree", well=False)
        found = await status(stub)
        assert "the index holds 12 entries" in found.index_trouble
        assert found.logs[0].refused
        assert found.health["dmp.log"]


async def test_key_that_is_lost_is_not_made_again(conn, url, tmp_path):
    """Where there is evidence without a key nothing is signed: it would be another log."""
    fill(conn)
    settings = settings_of(tmp_path, url)
    async with serving(settings) as (_, stub):
        await sealed(stub, 12)
    for name in ("key", "key.pub"):
        (tmp_path / "evidence" / "dmp.test%2F1" / name).unlink()
    settings = settings_of(tmp_path, url)
    async with serving(settings) as (_, stub):
        await indexed(stub, 12)
        await healthy(stub, "dmp.tree", well=False)
        assert "put it back" in (await status(stub)).logs[0].trouble


async def test_one_process_writes_an_index(conn, url, tmp_path):
    """A second audit on the same index does not start."""
    fill(conn)
    settings = settings_of(tmp_path, url)
    async with serving(settings):
        with pytest.raises(DatabaseError, match="stop that first"):
            await Service(settings).__aenter__()
        if url.startswith("sqlite"):
            link = tmp_path / "link.db"
            link.symlink_to(make_url(settings.index).database)
            with pytest.raises(DatabaseError, match="stop that first"):
                await Service(replace(settings, index=f"sqlite:///{link}")).__aenter__()
    async with serving(settings):
        pass


async def test_without_a_log_it_does_not_start(tmp_path):
    """An address that holds no log is told at once."""
    with pytest.raises(UnreachableError, match="no database file"):
        await Service(settings_of(tmp_path, f"sqlite:///{tmp_path}/none.db")).__aenter__()
