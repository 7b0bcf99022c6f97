"""Loading, saving, and following the change feed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta, timezone

import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.exc import IntegrityError, StatementError

from authz.registry import tables
from authz.registry.changes import (
    AddRepresentative,
    GrantAuthorisation,
    RenewAuthorisation,
    SetBlock,
    SetConsents,
)
from authz.registry.state import DossierStatus, unknown
from authz.registry.store import Head, Store
from storage.errors import ConflictError, DatabaseError
from tests.authz.registry.samples import (
    CHILD,
    DAY,
    DOCTOR,
    FULL,
    NOW,
    NURSE,
    PATIENT,
    PERSON,
    after,
    opened,
    put,
    read,
    save,
)
from tests.databases import before_statements


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """The statements that the database sees meanwhile, without those of the transaction."""
    seen: list[str] = []

    def note(statement):
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    with before_statements(engine, note):
        yield seen


def test_everything_survives(engine):
    """A state that was saved is loaded equal, whatever it holds."""
    put(Store(), engine, FULL)

    assert read(Store(), engine) == FULL


def test_instants_survive_their_time_zone(engine):
    """An instant of another time zone is the same instant when it is loaded."""
    state = opened(at=NOW.astimezone(timezone(timedelta(hours=-4))))

    put(Store(), engine, state)

    assert state == read(Store(), engine)


def test_instant_without_time_zone_is_refused(engine):
    """A naive instant is never stored."""
    store = Store()
    state = opened(at=NOW.replace(tzinfo=None))

    with engine.begin() as conn:
        store.catch_up(conn)
        with pytest.raises(StatementError, match="has no time zone"):
            save(store, conn, unknown(PATIENT), state)
        conn.rollback()


def test_patient_without_dossier_is_unknown(engine):
    """A patient who is in no table is unknown, and remembered as such."""
    store = Store()
    read(store, engine)

    with statements(engine) as seen:
        state = read(store, engine)

    assert unknown(PATIENT) == state
    assert len(seen) == 1


def test_cached_patients_cost_one_query(engine):
    """A batch whose patients are all in memory asks for the revision only."""
    store = Store()
    put(store, engine, FULL)

    with statements(engine) as seen:
        read(store, engine)

    assert len(seen) == 1
    assert "head" in seen[0]


def test_missing_patients_cost_two_queries_together(engine):
    """All patients of a batch that are not in memory are loaded by two queries."""
    states = [opened(patient=f"{number:022d}") for number in range(300)]
    put(Store(), engine, *states)
    wanted = [state.patient for state in states] + ["nobody"]

    with statements(engine) as seen, engine.begin() as conn:
        found = Store().get_many(conn, [*wanted, *wanted])

    assert {state.patient: state for state in [*states, unknown("nobody")]} == found
    assert len(seen) == 2


def test_many_patients_are_loaded_in_portions(engine):
    """More patients than a query may name are loaded all the same."""
    wanted = [f"{number:022d}" for number in range(1201)]
    put(Store(), engine, *(opened(patient=patient) for patient in wanted[::100]))

    with engine.begin() as conn:
        found = Store().get_many(conn, wanted)

    assert set(wanted) == set(found)
    assert sum(state.status is DossierStatus.OPEN for state in found.values()) == 13


def test_save_writes_the_difference_only(engine):
    """A renewed authorisation rewrites its own row and no other of the patient's."""
    store = Store()
    state = opened(
        GrantAuthorisation(grantee=DOCTOR, kind=PERSON),
        GrantAuthorisation(grantee=NURSE, kind=PERSON),
        AddRepresentative(representative=CHILD, relation="FTH"),
    )
    put(store, engine, state)
    renewed = after(state, RenewAuthorisation(grantee=DOCTOR, kind=PERSON), at=NOW + DAY)

    with statements(engine) as seen, engine.begin() as conn:
        store.catch_up(conn)
        save(store, conn, state, renewed)

    written = [" ".join(line.split()[:3]) for line in seen if not line.startswith("SELECT")]
    assert written == [
        "UPDATE head SET",
        "UPDATE patients SET",
        "DELETE FROM authorisations",
        "INSERT INTO authorisations",
        "INSERT INTO changes",
    ]
    changed, _ = seen[2].split(" WHERE ")
    assert re.findall(r"(\w+)=", changed) == ["revision"]
    assert renewed == read(Store(), engine)


def test_change_without_effect_is_announced(engine):
    """A change that leaves everything as it was has its revision and its line in the feed."""
    store = Store()
    first = put(store, engine, FULL)

    second = put(store, engine, FULL)

    assert (first, second) == (1, 2)
    with engine.connect() as conn:
        feed = conn.execute(select(tables.changes)).all()
        assert conn.scalar(select(tables.patients.c.revision)) == 2
    assert [(row.revision, row.ins, row.action, row.at) for row in feed] == [
        (1, PATIENT, "dossier:create", NOW),
        (2, PATIENT, "dossier:create", NOW),
    ]


def test_others_see_a_change_after_catching_up(engine):
    """Another store answers from memory until it catches up, and then sees the change."""
    ours, theirs = Store(), Store()
    put(ours, engine, opened())
    read(theirs, engine)
    changed = opened(SetBlock(grantee=DOCTOR, kind=PERSON))
    put(ours, engine, changed)

    with engine.begin() as conn:
        before = theirs.get(conn, PATIENT)
        head = theirs.catch_up(conn)
        now = theirs.get(conn, PATIENT)

    assert opened() == before
    assert Head(revision=2, bundle=None) == head
    assert changed == now


def test_catching_up_forgets_only_what_changed(engine):
    """Patients who did not change stay in memory when others did."""
    ours, theirs = Store(), Store()
    put(ours, engine, opened(), opened(patient=CHILD))
    for patient in (PATIENT, CHILD):
        read(theirs, engine, patient)
    put(ours, engine, opened(SetConsents(samu=False)))

    read(theirs, engine)
    with statements(engine) as seen:
        read(theirs, engine, CHILD)

    assert len(seen) == 1


def test_older_database_empties_the_cache(engine):
    """When the database went back, after a restore, nothing in memory is believed."""
    store = Store()
    put(store, engine, opened())
    put(store, engine, opened(SetConsents(samu=False)))
    with engine.begin() as conn:
        conn.execute(update(tables.head).values(revision=1))
        conn.execute(update(tables.patients).values(consent_samu=True))

    state = read(store, engine)

    assert opened() == state


def test_rolled_back_save_leaves_nothing(engine):
    """After a rollback neither tables nor memory know of the change, and saving works again."""
    store = Store(capacity=2)
    put(store, engine, opened())
    changed = opened(SetConsents(samu=False))

    with engine.connect() as conn:
        store.catch_up(conn)
        save(store, conn, opened(), changed)
        store.get(conn, CHILD)  # pushes the patient out of memory
        meanwhile = store.get(conn, PATIENT)
        conn.rollback()

    assert changed == meanwhile
    assert opened() == read(store, engine) == read(Store(), engine)
    with engine.connect() as conn:
        assert conn.scalar(select(func.count()).select_from(tables.changes)) == 1
    assert put(store, engine, changed) == 2
    assert changed == read(store, engine)


def test_rolled_back_patient_is_remembered_again(engine):
    """A patient whose change was rolled back is loaded once, then kept in memory as before."""
    store = Store()
    with engine.connect() as conn:
        store.catch_up(conn)
        save(store, conn, unknown(PATIENT), opened())
        conn.rollback()
    read(store, engine)

    with statements(engine) as seen:
        read(store, engine)

    assert len(seen) == 1


def test_commit_without_adopting_is_noticed(engine):
    """A batch that committed but never told so is seen at the next one, like anyone's."""
    store = Store()
    put(store, engine, opened())
    changed = opened(SetConsents(samu=False))

    with engine.begin() as conn:
        store.catch_up(conn)
        save(store, conn, opened(), changed)

    assert changed == read(store, engine)


def test_batch_may_change_a_patient_twice(engine):
    """Several changes of one batch have consecutive revisions, and the last one stays."""
    store = Store()
    first, second = opened(), opened(SetConsents(samu=False))

    with engine.begin() as conn:
        store.catch_up(conn)
        revisions = [save(store, conn, unknown(PATIENT), first), save(store, conn, first, second)]
        meanwhile = store.get(conn, PATIENT)
    store.adopt([second], revisions[-1])

    assert revisions == [1, 2]
    assert second == meanwhile == read(store, engine) == read(Store(), engine)


def test_conflict_with_another_writer_is_an_error(engine):
    """Who did not see the latest change can't save over it."""
    slow, fast = Store(), Store()
    read(slow, engine)
    put(fast, engine, opened())

    with engine.connect() as conn, pytest.raises(ConflictError, match="revision `1`, not `0`"):
        save(slow, conn, unknown(PATIENT), opened())

    assert put(slow, engine, opened(SetConsents(samu=False))) == 2


def test_cache_is_bounded(engine):
    """Memory holds no more patients than allowed, and keeps those used last."""
    store = Store(capacity=6)
    patients = [f"{number:022d}" for number in range(5)]
    put(store, engine, *(opened(patient=patient) for patient in patients))

    read(store, engine, patients[2])
    read(store, engine, patients[0])

    assert [patients[4], patients[2], patients[0]] == list(store._cache)


def test_long_lists_take_more_of_the_cache(engine):
    """A patient with many authorisations takes the place of several others, and leaves it again."""
    store = Store(capacity=10)
    long = opened(
        *(GrantAuthorisation(grantee=f"{n:012d}", kind=PERSON) for n in range(5)),
        patient=f"{0:022d}",
    )
    others = [opened(patient=f"{number:022d}") for number in range(1, 5)]
    put(store, engine, long, *others)

    before = list(store._cache)
    for state in (long, others[0], others[1]):
        read(store, engine, state.patient)
    store.forget([long.patient])
    for state in others:
        read(store, engine, state.patient)

    assert [state.patient for state in others] == before
    assert [state.patient for state in others] == list(store._cache)
    assert store._held == 8


def test_state_larger_than_the_cache_is_answered(engine):
    """A patient whose lists alone are more than memory may hold is read each time."""
    state = opened(*(GrantAuthorisation(grantee=f"{n:012d}", kind=PERSON) for n in range(9)))
    store = Store(capacity=4)
    put(store, engine, state)

    assert read(store, engine) == state
    assert (list(store._cache), store._held) == ([], 0)


def test_batch_larger_than_the_cache_is_answered(engine):
    """A batch with more patients than memory holds gets all its answers."""
    states = {f"{number:022d}": opened(patient=f"{number:022d}") for number in range(10)}
    put(Store(), engine, *states.values())

    with engine.begin() as conn:
        found = Store(capacity=4).get_many(conn, states)

    assert states == found


def test_forgotten_patients_are_loaded_again(engine):
    """What is forgotten comes from the database next time."""
    store = Store()
    put(store, engine, opened(), opened(patient=CHILD))

    store.forget([PATIENT, "nobody"])
    held = list(store._cache)
    store.forget_all()

    assert held == [CHILD]
    assert not store._cache
    assert opened() == read(store, engine)


def test_active_bundle_moves_the_revision(engine):
    """An activation is seen by every store that catches up, with its content."""
    ours, theirs = Store(), Store()
    with engine.begin() as conn:
        ours.catch_up(conn)
        revision = ours.activate(conn, "digest-1", b"one", at=NOW, decision_id="")
    ours.adopt([], revision)

    with engine.begin() as conn:
        assert Head(revision=1, bundle="digest-1") == theirs.catch_up(conn)
        assert theirs.bundle(conn, "digest-1") == b"one"
        assert theirs.bundle(conn, "digest-2") is None


def test_activation_again_changes_nothing(engine):
    """A bundle that is active already is not announced again."""
    store = Store()

    with engine.begin() as conn:
        store.catch_up(conn)
        revisions = [
            store.activate(conn, "digest-1", b"one", at=NOW + n * DAY, decision_id="")
            for n in range(2)
        ]

    assert revisions == [1, 1]


def test_going_back_to_an_older_bundle(engine):
    """An older bundle can be activated again, and each content is kept once."""
    store = Store()

    with engine.begin() as conn:
        store.catch_up(conn)
        for digest in ("digest-1", "digest-2", "digest-1"):
            revision = store.activate(conn, digest, digest.encode(), at=NOW, decision_id="")
        head = store.catch_up(conn)
        kept = conn.scalar(select(func.count()).select_from(tables.bundles))

    assert revision == 3
    assert Head(revision=3, bundle="digest-1") == head
    assert kept == 2


def test_activation_keeps_patients_in_memory(engine):
    """A new bundle does not make anyone forget patients."""
    ours, theirs = Store(), Store()
    put(ours, engine, opened())
    read(theirs, engine)
    with engine.begin() as conn:
        ours.catch_up(conn)
        ours.adopt([], ours.activate(conn, "digest-1", b"one", at=NOW, decision_id=""))

    with statements(engine) as seen:
        read(theirs, engine)

    assert len(seen) == 2
    assert all("patients" not in statement for statement in seen)


def test_registry_without_head_is_an_error(engine):
    """A registry whose head is gone is refused, never taken for an empty one."""
    with engine.begin() as conn:
        conn.execute(tables.head.delete())

        with pytest.raises(DatabaseError, match="registry head is missing"):
            Store().catch_up(conn)


def test_only_known_statuses_are_stored(engine):
    """The table refuses a row for a dossier that does not exist."""
    store = Store()

    with engine.connect() as conn:
        store.catch_up(conn)
        with pytest.raises(IntegrityError):
            save(store, conn, unknown(PATIENT), unknown(PATIENT))
