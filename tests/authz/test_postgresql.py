"""On PostgreSQL: nothing is answered that is not certainly durable, whatever a commit seems to tell."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import event

from authz import batch as batches
from authz.batch import Call, Repeated
from authz.errors import UnavailableError
from authz.registry.state import DossierStatus
from authz.registry.store import Store
from authz.service import Service, Settings
from authz.v1 import authz_pb2 as pb
from serving.listener import Listener
from storage.database import connect
from storage.errors import DatabaseError
from storage.postgresql import Confirmed
from tests.authz.registry.samples import CHILD, put, read
from tests.authz.registry.samples import opened as an_open_dossier
from tests.authz.test_batch import ANASTA, World, batcher, opening, reading
from tests.databases import Server, before_statements, server
from tests.service import POLICIES, doctor, door, entries, intact
from tests.service import opening as open_dossier
from tests.service import reading as ask

ALLOW, DENY = pb.EFFECT_ALLOW, pb.EFFECT_DENY

NO_STANDBY = {"synchronous_standby_names": "ANY 1 (absent)"}
"""As when the standby is dead: every COMMIT waits."""

WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """A server that may be mistreated."""
    with server() as made:
        yield made


@pytest.fixture
def world(own: Server) -> Iterator[World]:
    """A batcher on a database of its own; its log is verified at the end of each test."""
    with own.database() as name:
        with batcher(own.url(name)) as made:
            yield made
        intact(own.url(name))


def soon(find: object) -> object:
    """What a function finds, once it finds something."""
    until = time.monotonic() + 20
    while not (found := find()):
        assert time.monotonic() < until, "never"
        time.sleep(0.01)
    return found


@contextmanager
def committing(own: Server, world: World) -> Iterator[tuple[int, Future]]:
    """A batch whose COMMIT waits for a standby: the process that serves it, and the answer to come."""
    with own.settings(**NO_STANDBY), ThreadPoolExecutor(1) as thread:
        answer = thread.submit(world.decide, opening())
        ((pid,),) = soon(lambda: own.sql(WAITING))
        yield pid, answer


def serves_again(world: World) -> bool:
    """Whether a batch is decided by now, without anybody's help."""
    try:
        world.batcher.probe()
        return bool(world.decide(reading()))
    except UnavailableError:
        return False


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        ("pg_cancel_backend", "commit in doubt: canceling wait for synchronous replication"),
        ("pg_terminate_backend", "server closed the connection unexpectedly"),
    ],
)
def test_commit_that_may_not_be_replicated_is_not_answered(own, world, end, cause):
    """A COMMIT whose wait for the standby was ended is no answer, though its entry is there."""
    with committing(own, world) as (pid, answer):
        own.sql(f"SELECT {end}(%s)", pid)

        with pytest.raises(UnavailableError, match=cause):
            answer.result()

    assert [entry["kind"] for entry in world.entries()] == ["start", "change"]
    (decision,) = world.decide(reading())
    assert decision.state.status is DossierStatus.OPEN
    assert [entry["patient_seq"] for entry in world.entries()[1:]] == [1, 2]


def test_change_in_doubt_is_told_once_it_is_replicated(own, world):
    """A change whose COMMIT was cancelled is found by its id, and told no sooner than the standby has it."""
    call = Call((replace(opening(), request_id="one"),), lambda decisions: decisions[0].id.encode())
    with own.settings(**NO_STANDBY), ThreadPoolExecutor(1) as thread:
        for _ in range(2):  # the change, and asking again
            answer = thread.submit(world.batcher.run, [call])
            ((pid,),) = soon(lambda: own.sql(WAITING))
            own.sql("SELECT pg_cancel_backend(%s)", pid)
            with pytest.raises(UnavailableError, match="commit in doubt"):
                answer.result()

    (told,) = world.batcher.run([call])

    start, change = world.entries()
    assert (start["kind"], change["kind"]) == ("start", "change")
    assert told == Repeated(change["id"].encode())


def test_commit_that_waits_for_ever_is_not_answered(own, world, monkeypatch):
    """A COMMIT that does not come back is given up; once the standby is there, all goes on by itself."""
    monkeypatch.setattr(Confirmed, "patience", 0.3)
    with committing(own, world) as (pid, answer):
        with pytest.raises(UnavailableError, match=r"no answer in 0\.3 s"):
            answer.result()

        assert own.sql(WAITING) == [(pid,)]  # not cancelled, so not visible either
        assert [entry["kind"] for entry in world.entries()] == ["start"]
        with pytest.raises(UnavailableError):
            world.batcher.probe()

    assert soon(lambda: serves_again(world))
    assert [entry["kind"] for entry in world.entries()] == ["start", "change", "decision"]


@pytest.mark.parametrize(
    "moment", ["LOCK TABLE head", "UPDATE log_head", "INSERT INTO log_patients"]
)
def test_connection_lost_before_the_commit(own, world, moment):
    """A connection that is lost in the middle of a batch leaves nothing of it, and the next one works."""
    ended = []

    def end(statement):
        if statement.startswith(moment) and not ended:
            ended.append(statement)
            own.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'db%'"
            )

    with before_statements(world.engine, end), pytest.raises(UnavailableError):
        world.decide(opening())

    assert [entry["kind"] for entry in world.entries()] == ["start"]
    assert world.reasons(opening()) == ["CREATED_WITH_CONSENT"]


def test_restarts_under_load(own, world):
    """A server that crashes again and again under load loses nothing answered, and is found again."""
    answered, refused, stop = [], [], threading.Event()

    def load():
        while not stop.is_set():
            try:
                answered.extend(decision.id for decision in world.decide(reading(), reading()))
            except UnavailableError as exc:
                refused.append(exc)
                time.sleep(0.02)

    with ThreadPoolExecutor(1) as thread:
        work = thread.submit(load)
        for _ in range(2):
            enough = len(answered) + 40
            soon(lambda enough=enough: len(answered) > enough)
            own.pg_ctl("restart", "-m", "immediate")
        enough = len(answered) + 40
        soon(lambda: len(answered) > enough)
        stop.set()
        work.result()

    assert refused
    assert set(answered) <= {entry["id"] for entry in world.entries()}
    assert intact(world.url) >= len(answered)


def test_fail_over():
    """When the primary is gone for good, its standby has all that was answered, and takes over."""
    with server() as primary, server(primary) as standby:
        primary.sql("CREATE DATABASE dmp")
        primary.configure(synchronous_standby_names="ANY 1 (standby)")
        url = f"{primary.url('dmp')},{standby.folder}"
        with batcher(url) as world:
            answered = {decision.id for _ in range(30) for decision in world.decide(reading())}
            with pytest.raises(DatabaseError, match="session is read-only"):
                connect(standby.url("dmp"))
            assert answered < {entry["id"] for entry in entries(standby.url("dmp"))}

            primary.pg_ctl("stop", "-m", "immediate")
            with pytest.raises(UnavailableError):
                world.decide(reading())
            standby.pg_ctl("promote")

            assert soon(lambda: serves_again(world))
            assert answered < {entry["id"] for entry in entries(url)}
            assert intact(url) == 1 + 30 + 1


def test_batch_that_was_too_slow_is_decided_again(world, monkeypatch):
    """Where another process changed something meanwhile, the batch is decided on what is there now."""
    catch_up = Store.catch_up
    monkeypatch.setattr(Store, "catch_up", lambda store, conn, **_: catch_up(store, conn))
    others, faster = connect(world.url), []

    def be_faster(_conn, _cursor, statement, *_rest):
        if statement.startswith("UPDATE head") and not faster:
            faster.append(statement)
            put(Store(), others, an_open_dossier(patient=CHILD))

    event.listen(world.engine, "before_cursor_execute", be_faster)
    (decision,) = world.decide(opening())

    assert decision.changed == 3
    assert read(Store(), others, ANASTA) == decision.state
    assert [entry["revision"] for entry in world.entries()] == [1, 2]
    others.dispose()


def test_batch_that_is_always_too_slow_is_given_up(world, monkeypatch):
    """A batch is not decided again for ever, and nothing is left of its attempts."""
    catch_up = Store.catch_up
    monkeypatch.setattr(Store, "catch_up", lambda store, conn, **_: catch_up(store, conn))
    others, store, attempts = connect(world.url), Store(), []

    def be_faster(_conn, _cursor, statement, *_rest):
        if statement.startswith("UPDATE head"):
            put(store, others, an_open_dossier(patient=CHILD))
            attempts.append(statement)

    event.listen(world.engine, "before_cursor_execute", be_faster)
    with pytest.raises(UnavailableError, match="ConflictError: another writer moved on"):
        world.decide(opening())
    event.remove(world.engine, "before_cursor_execute", be_faster)

    assert len(attempts) == batches.ATTEMPTS
    assert len(world.entries()) == 1
    assert read(Store(), others, ANASTA).status is DossierStatus.NONE
    assert world.reasons(opening()) == ["CREATED_WITH_CONSENT"]
    others.dispose()


def test_probes_of_one_leave_the_other_alone(world):
    """A process that probes its own log does not get in the way of another that writes its own."""
    with batcher(world.url, origin="authz-2") as other, other.engine.begin() as conn:
        other.batcher._log.touch(conn)

        world.batcher.probe()
        assert world.decide(reading())


async def test_service_on_postgresql(own):
    """The whole service runs on PostgreSQL as it does on SQLite: it changes, decides and records."""
    with own.database() as name:
        listeners = (Listener(address="127.0.0.1:0", service="operator"),)
        settings = Settings(listeners=listeners, database=own.url(name), policies=POLICIES)
        async with Service(settings) as service, door(service.addresses[0]) as talk:
            before = await talk.check(ask(doctor()))
            changed = await talk.change(open_dossier())
            after = await talk.check(ask(doctor()))

            assert await talk.healthy("dmp.log")

        assert [before.effect, changed.effect, after.effect] == [DENY, ALLOW, ALLOW]
        kinds = [entry["kind"] for entry in entries(own.url(name))]
        assert kinds == ["start", "decision", "change", "decision"]
        assert intact(own.url(name)) == 4
