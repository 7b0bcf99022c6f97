"""One batch, directly on a database: what is committed together, and what is left after a failure."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pysqlite3.dbapi2 as sqlite
import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.exc import OperationalError

from audit.entry import Entry
from audit.log import Log
from authz import batch as batches
from authz.batch import Activation, Batcher, Call
from authz.bundle import Bundle, build, read_folder
from authz.decision import Decision
from authz.errors import UnavailableError, UnrecordableError
from authz.product import CHANGE, CHECK, DMP
from authz.query import Context, Document, Query, Subject
from authz.registry import tables
from authz.registry.changes import Change, CloseDossier, OpenDossier, SetConsents
from authz.registry.database import migrate
from authz.registry.state import DossierStatus, Grantee, GranteeKind
from authz.registry.store import Store
from storage.database import connect
from tests.service import ANASTA, NOW, bundle_of, copied, entries, intact, patient

DOCTOR = Subject(
    kind="professional",
    id="00B1038575",
    profession="10",
    structure="10B0193488",
    authentication="individual_card",
    capacity="care",
)
NOTE = Document(
    id="doc-1", type="11488-4", authors=("another",), visibility=("N",), status="approved"
)
NORMAL = Context(mode="normal", agreement=True)


def reading(whose: str = ANASTA) -> Query:
    """The doctor wants to read a note of somebody else's."""
    return Query(
        caller="dossier",
        rpc=CHECK,
        subject=DOCTOR,
        action="document.read",
        patient=whose,
        document=NOTE,
        context=NORMAL,
    )


def asking(action: str, change: Change, whose: str = ANASTA) -> Query:
    """The doctor wants to change something."""
    return Query(
        caller="dossier",
        rpc=CHANGE,
        subject=DOCTOR,
        action=action,
        patient=whose,
        context=NORMAL,
        change=change,
    )


def opening(whose: str = ANASTA) -> Query:
    """The doctor creates the dossier, and is authorised."""
    oneself = Grantee(identifier=DOCTOR.id, kind=GranteeKind.PROFESSIONAL)
    change = OpenDossier(samu=True, break_glass=True, authorise=oneself)
    return asking("dossier.create", change, whose)


@dataclass
class World:
    """A batcher on a database of its own."""

    url: str
    engine: Engine
    batcher: Batcher

    def decide(self, *queries: Query) -> tuple[Decision, ...]:
        """Decides queries as one call."""
        (answer,) = self.batcher.run([Call(queries)])
        return answer

    def reasons(self, *queries: Query) -> list[str]:
        """The reasons of the decisions on queries."""
        return [decision.verdict.reason for decision in self.decide(*queries)]

    def entries(self) -> list[Entry]:
        """All entries of the log."""
        return entries(self.url)


@contextmanager
def batcher(url: str, bundle: Bundle | None = None, origin: str = "authz-1") -> Iterator[World]:
    engine = connect(url)
    migrate(engine)
    made = Batcher(
        engine=engine,
        log=Log(origin),
        store=Store(),
        bundle=bundle or bundle_of(),
        product=DMP,
        clock=lambda: NOW,
        random=os.urandom,
    )
    made.open()
    yield World(url=url, engine=engine, batcher=made)
    made.close()


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/authz.db"


@pytest.fixture
def world(url) -> Iterator[World]:
    """A batcher; its log is verified at the end of each test."""
    with batcher(url) as made:
        yield made
    intact(url)


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Bundle:
    """A sound bundle that is not the default one: it has no rules about anything but dossiers."""
    return build(read_folder(copied(tmp_path_factory.mktemp("other"), "20")), DMP)


@contextmanager
def commits(engine: Engine, then: Exception | None = None) -> Iterator[list[str]]:
    """Notes each commit when it is durable; with `then`, the commit is durable, but reported failed."""
    seen: list[str] = []
    commit = engine.dialect.do_commit

    def note(connection: object) -> None:
        commit(connection)
        seen.append("commit")
        if then is not None:
            raise then

    engine.dialect.do_commit = note
    yield seen
    engine.dialect.do_commit = commit


FAILED = OperationalError("COMMIT", {}, sqlite.OperationalError("disk I/O error"))


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Another process writes, and does not come to an end."""
    holder = sqlite.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


def impatient(engine: Engine) -> None:
    """Connections of this engine wait for others 20 ms at most."""
    event.listen(engine, "connect", lambda conn, _: conn.execute("PRAGMA busy_timeout=20"))
    engine.dispose()


def test_a_change_is_seen_by_what_follows_in_the_batch(world):
    """Later queries of the same call, and later calls of the same batch, see the new state."""
    answers = world.batcher.run(
        [Call((reading(), opening(), reading())), Call((reading(),)), Call((reading(patient(3)),))]
    )

    found = [[decision.verdict.reason for decision in answer] for answer in answers]
    assert found == [
        ["DOSSIER_MISSING", "CREATED_WITH_CONSENT", "AUTHORISED"],
        ["AUTHORISED"],
        ["DOSSIER_MISSING"],
    ]
    revisions = [decision.revision for answer in answers for decision in answer]
    assert revisions == [1, 1, 2, 2, 2]


def test_a_batch_is_one_commit(world):
    """However many calls, they cost one commit, and it is over before the answers exist."""
    with commits(world.engine) as seen:
        world.batcher.run([Call((reading(),) * 3), Call((opening(),)), Call((reading(),))])
        seen.append("answer")

    assert seen == ["commit", "answer"]


def test_a_denied_change_changes_nothing(world):
    """State and revision are as before, and the feed is silent."""
    world.decide(opening())
    (before,) = world.decide(reading())

    (denied,) = world.decide(replace(opening(), context=Context(mode="normal")))

    (after,) = world.decide(reading())
    assert denied.verdict.effect == "deny"
    assert (denied.changed, denied.state) == (0, before.state)
    assert (after.state, after.revision) == (before.state, before.revision)
    with world.engine.connect() as conn:
        feed = conn.execute(select(tables.changes.c.action)).scalars().all()
    assert feed == ["policy.activate", "dossier.create"]


def test_a_permitted_change_that_is_impossible_changes_nothing(world):
    """It is denied with a reason code of its own and a remark with field, value and remedy."""
    world.decide(opening())
    holder = Subject(kind="patient", id=ANASTA, authentication="patient_code")
    asked = replace(asking("consent.update", SetConsents()), subject=holder)

    (decision,) = world.decide(asked)

    assert decision.verdict.reason == "CHANGE_IMPOSSIBLE"
    (remark,) = decision.remarks
    assert remark.startswith("consents name no change: give at least one of samu, break_glass,")
    assert (decision.changed, decision.revision) == (0, 2)


def test_an_error_while_deciding_denies_and_is_named(world, monkeypatch):
    """What goes wrong for one query is a denial on record; the others of the batch are decided."""
    compute = world.batcher._facts.compute

    def break_down(query, state, at, standings):
        if query.patient == ANASTA:
            raise ZeroDivisionError("oops")
        return compute(query, state, at, standings)

    monkeypatch.setattr(world.batcher._facts, "compute", break_down)

    reasons = world.reasons(reading(), reading(patient(3)))

    assert reasons == ["DECISION_ERROR", "DOSSIER_MISSING"]
    assert world.entries()[1]["remarks"] == ["ZeroDivisionError: oops"]


def test_what_a_change_breaks_is_not_recorded(world, monkeypatch):
    """An unexpected error while changing the registry voids the batch and blames an item, not the log."""
    monkeypatch.setattr(batches, "apply", lambda *_, **__: 1 / 0)

    with pytest.raises(UnrecordableError, match="ZeroDivisionError"):
        world.decide(reading(), opening())

    assert len(world.entries()) == 1
    assert world.reasons(reading()) == ["DOSSIER_MISSING"]


def test_nothing_of_a_failed_batch_is_remembered(world):
    """After a failure the state is read again: what was saved and rolled back is not there."""
    world.decide(opening())
    closing = asking("dossier.close", CloseDossier(reason="FERMETURE_DEMANDE_PATIENT"))
    bad = replace(reading(), trace_id="\ud800")

    with pytest.raises(UnrecordableError, match="lone surrogate"):
        world.decide(closing, bad)

    (after,) = world.decide(reading())
    assert after.state.status is DossierStatus.OPEN
    assert (after.verdict.reason, after.revision) == ("AUTHORISED", 2)


def test_a_commit_in_doubt_loses_nothing(world):
    """It is reported as failed but was durable: nobody is answered, yet all of it stays and counts."""
    with commits(world.engine, then=FAILED), pytest.raises(UnavailableError, match="disk I/O"):
        world.decide(opening(), reading())

    reasons = world.reasons(reading())

    assert reasons == ["AUTHORISED"]
    found = [(entry["index"], entry.get("reason_code")) for entry in world.entries()]
    assert found == [(0, None), (1, "CREATED_WITH_CONSENT"), (2, "AUTHORISED"), (3, "AUTHORISED")]


def test_many_commits_in_doubt_keep_the_chain(world):
    """However often it happens, indexes are contiguous and each patient's numbers too."""
    world.decide(opening())
    for turn in range(10):
        with commits(world.engine, then=FAILED if turn % 3 else None):
            try:
                world.decide(reading(), reading(patient(turn)))
            except UnavailableError:
                continue

    assert [entry["index"] for entry in world.entries()] == list(range(22))
    assert intact(world.url) == 22


def test_a_commit_that_failed_leaves_nothing(world):
    """When the commit did not happen, neither did the change, and the chain goes on without a hole."""

    def fail(_: object) -> None:
        raise FAILED

    commit = world.engine.dialect.do_commit
    world.engine.dialect.do_commit = fail
    with pytest.raises(UnavailableError):
        world.decide(opening())
    world.engine.dialect.do_commit = commit

    assert world.reasons(reading()) == ["DOSSIER_MISSING"]
    assert [entry["index"] for entry in world.entries()] == [0, 1]


def test_a_locked_database_is_unavailable_then_well(world):
    """While another process writes for too long nothing is decided; after that all is as before."""
    impatient(world.engine)
    world.batcher._abandon()
    with locked(world.url):
        with pytest.raises(UnavailableError, match="database is locked"):
            world.decide(reading())
        with pytest.raises(UnavailableError, match="still not writable"):
            world.batcher.probe()

    world.batcher.probe()

    assert world.reasons(reading()) == ["DOSSIER_MISSING"]
    assert len(world.entries()) == 2


def test_the_probe_leaves_nothing_behind(world):
    """It writes and takes back: the log is as it was, and goes on."""
    world.decide(reading())

    for _ in range(3):
        world.batcher.probe()

    assert len(world.entries()) == 2
    assert world.reasons(reading()) == ["DOSSIER_MISSING"]


def test_the_probe_sees_a_full_disk(world):
    """When there is room to touch a page but not to write a batch, the log is not writable."""

    def fill(conn: sqlite.Connection, _: object) -> None:
        (pages,) = conn.execute("PRAGMA page_count").fetchone()
        conn.execute(f"PRAGMA max_page_count={pages}")

    event.listen(world.engine, "connect", fill)
    world.engine.dispose()
    world.batcher._abandon()

    with pytest.raises(UnavailableError, match="database or disk is full"):
        world.batcher.probe()
    with pytest.raises(UnavailableError, match="database or disk is full"):
        world.decide(*[reading()] * 200)

    event.remove(world.engine, "connect", fill)
    world.engine.dispose()
    world.batcher._abandon()
    world.batcher.probe()
    assert world.reasons(reading()) == ["DOSSIER_MISSING"]


def test_a_second_writer_fences_off_the_first(world):
    """Who opens the same log takes it over; the first one answers nobody any more."""
    with batcher(world.url) as second:
        with pytest.raises(UnavailableError, match="another writer has taken over"):
            world.decide(reading())
        with pytest.raises(UnavailableError, match="another writer has taken over"):
            world.batcher.probe()

        assert second.reasons(reading()) == ["DOSSIER_MISSING"]
    assert [entry["kind"] for entry in world.entries()] == ["start", "start", "decision"]


def test_an_activation_splits_its_batch(world, other):
    """What stands before it is decided under the old bundle, what follows under the new one."""
    world.decide(opening())
    asked = Call((reading(),))

    (before,), _, (after,) = world.batcher.run([asked, Activation(other, "test"), asked])

    assert (before.bundle.digest, before.verdict.reason) == (bundle_of().digest, "AUTHORISED")
    assert (after.bundle.digest, after.verdict.reason) == (other.digest, "NO_RULE_ALLOWS")
    entry = world.entries()[3]
    assert entry["kind"] == "activation"
    assert entry["change"] == {
        "cause": "test",
        "before": bundle_of().digest,
        "after": other.digest,
    }
    assert entry["revision"] == before.revision + 1 == after.revision


def test_a_failed_activation_leaves_the_old_bundle(world, other):
    """A bundle whose activation is not on record decides nothing, not even in memory."""
    bad = Call((replace(reading(), trace_id="\ud800"),))

    with pytest.raises(UnrecordableError):
        world.batcher.run([Activation(other, "test"), bad])

    (decision,) = world.decide(reading())
    assert world.batcher.bundle.digest == decision.bundle.digest == bundle_of().digest


def test_an_activation_in_doubt_is_followed(world, other):
    """When its commit was durable after all, the next batch is decided under the new bundle."""
    with commits(world.engine, then=FAILED), pytest.raises(UnavailableError):
        world.batcher.run([Activation(other, "test")])

    (decision,) = world.decide(reading())

    assert decision.bundle.digest == world.batcher.bundle.digest == other.digest


def test_the_bundle_of_another_process_is_followed(world, other):
    """Replicas of one database decide under one bundle, from the next batch on."""
    with batcher(world.url, other, origin="authz-2"):
        (decision,) = world.decide(reading())

        assert decision.bundle.digest == world.batcher.bundle.digest == other.digest


def test_a_bundle_that_can_not_be_followed_stops_the_decisions(world, other, monkeypatch):
    """A replica that can't decide as the others do decides nothing."""
    monkeypatch.setattr(Store, "bundle", lambda *_: None)
    another = batcher(world.url, other, origin="authz-2")
    with another, pytest.raises(UnavailableError, match="is not stored"):
        world.decide(reading())

    monkeypatch.setattr(Store, "bundle", lambda *_: b"{}")
    with pytest.raises(UnavailableError, match="damaged"):
        world.decide(reading())


def test_a_batch_of_many_patients(world):
    """The states of more patients than fit one query are all loaded, each its own."""
    numbers = [patient(n) for n in range(1, 1_201)]
    world.decide(*[opening(number) for number in numbers[::2]])
    world.batcher._store.forget_all()

    reasons = world.reasons(*map(reading, numbers))

    assert reasons == ["AUTHORISED", "DOSSIER_MISSING"] * 600


def test_ids_carry_the_instant_and_never_repeat(world):
    """Each decision, activation and call has a UUIDv7 of its own, of the instant of its batch."""
    world.decide(*[reading()] * 50)

    found = [entry["id"] for entry in world.entries()[1:]]
    instants = {int(one.replace("-", "")[:12], 16) for one in found}
    assert len(set(found)) == 50
    assert instants == {int(NOW.timestamp() * 1000)}
