"""The standings of professionals in the registry: kept, followed, taken back with what they came with."""

from sqlalchemy import Engine, inspect, select

from authz.registry import feed, tables
from authz.registry.changes import SetReviewStanding
from authz.registry.state import ReviewStanding, Standings
from authz.registry.store import Store
from tests.authz.registry.samples import DOCTOR, NOW, NURSE, opened, put
from tests.databases import before_statements

NONE, OVERDUE, MISUSE = ReviewStanding


def tell(store: Store, engine: Engine, *told: tuple[str, ReviewStanding]) -> int:
    """Tells the standings of professionals in one committed batch."""
    revision = 0
    with engine.begin() as conn:
        store.catch_up(conn, changes=True)
        for professional, standing in told:
            change = SetReviewStanding(professional=professional, standing=standing, why="because")
            made = {"action": "standing.set", "decision_id": "id", "at": NOW}
            revision = store.set_standing(conn, change, **made)
    store.adopt((), revision)
    return revision


def known(store: Store, engine: Engine) -> Standings:
    """Reads as a batch does."""
    with engine.begin() as conn:
        store.catch_up(conn)
        return store.standings(conn)


def test_the_last_one_stands(engine):
    """Each standing takes the place of the one before, and `none` leaves no row."""
    store = Store()

    tell(store, engine, (DOCTOR, OVERDUE), (NURSE, MISUSE), (DOCTOR, MISUSE), (NURSE, NONE))

    assert known(store, engine) == known(Store(), engine) == {DOCTOR: MISUSE}
    with engine.connect() as conn:
        (row,) = conn.execute(select(tables.standings)).all()
    assert tuple(row) == (DOCTOR, "misuse", "because", NOW)


def test_none_for_nobody_is_fine(engine):
    """Who has nothing may be told to have nothing, and the same may be told again; each is announced."""
    store = Store()

    first = tell(store, engine, (DOCTOR, NONE))
    last = tell(store, engine, (DOCTOR, NONE), (DOCTOR, OVERDUE), (DOCTOR, OVERDUE))

    with engine.begin() as conn:
        found = feed.read(conn, after=0, limit=10)
    assert (first, last) == (1, 4)
    assert known(store, engine) == {DOCTOR: OVERDUE}
    assert [(e.revision, e.patient, e.action) for e in found.events] == [
        (n, "", "standing.set") for n in range(1, 5)
    ]


def test_another_process_sees_it_at_its_next_batch(engine):
    """Who has the standings in memory reads them again as soon as one has changed, and not before."""
    mine, other = Store(), Store()
    put(mine, engine, opened())
    assert known(mine, engine) == {}

    tell(other, engine, (DOCTOR, MISUSE))
    seen = known(mine, engine)

    asked: list[str] = []
    with before_statements(engine, asked.append):
        assert known(mine, engine) == seen == {DOCTOR: MISUSE}
    assert not any("standings" in statement for statement in asked)
    put(other, engine, opened(patient="2234567890123456789012"))
    with before_statements(engine, asked.append):
        assert known(mine, engine) == seen
    assert not any("standings" in statement for statement in asked)


def test_what_was_rolled_back_never_was(engine):
    """Within its batch a standing is seen; rolled back, it leaves nothing behind, not even in memory."""
    store = Store()
    tell(store, engine, (DOCTOR, OVERDUE))
    change = SetReviewStanding(professional=DOCTOR, standing=MISUSE)
    with engine.connect() as conn, conn.begin() as batch:
        store.catch_up(conn, changes=True)
        store.set_standing(conn, change, action="standing.set", decision_id="id", at=NOW)
        within = store.standings(conn)
        batch.rollback()

    assert within == {DOCTOR: MISUSE}
    assert known(store, engine) == {DOCTOR: OVERDUE}


def test_a_database_that_was_restored_is_read_again(engine):
    """Where the registry is behind what is in memory, the standings are forgotten like all else."""
    store = Store()
    tell(store, engine, (DOCTOR, MISUSE))
    assert known(store, engine) == {DOCTOR: MISUSE}
    with engine.begin() as conn:
        conn.execute(tables.standings.delete())
        conn.execute(tables.head.update().values(revision=0))

    assert known(store, engine) == {}


def test_no_other_standing_can_be_written(engine):
    """The database itself knows no standing but these."""
    checks = inspect(engine).get_check_constraints("standings")

    assert {check["name"] for check in checks} == {"standings_standing"}
