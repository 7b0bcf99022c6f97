"""PostgreSQL: the role that serves can do its work, and the database keeps it from all else."""

import os
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import make_url
from typer.testing import CliRunner

import audit.tables
from audit.entry import rfc3339
from audit.log import Log
from audit.verify import verify
from authz.commands import app
from authz.registry import feed, requests, tables
from authz.registry.changes import SetConsents
from authz.registry.database import downgrade, entitle, migrate, prepare_months
from authz.registry.roles import RIGHTS
from authz.registry.store import Store
from authz.v1 import authz_pb2 as pb
from storage.database import connect
from storage.errors import DatabaseError
from tests.authz.registry.asker import answer
from tests.authz.registry.samples import (
    FULL,
    NOW,
    PATIENT,
    opened,
    put,
    read,
)
from tests.service import doctor, opening, reading, running

ROLE = "dmp service"
"""A name that must be quoted."""


@pytest.fixture(scope="module")
def role(postgresql):
    """A role that owns nothing."""
    postgresql.sql(f'CREATE ROLE "{ROLE}" LOGIN')
    yield ROLE
    postgresql.sql(f'DROP ROLE "{ROLE}"')


@pytest.fixture
def place(postgresql, role):  # noqa: ARG001 - the role can only go when its rights here have gone
    """The address of a new database, for its owner."""
    with postgresql.database() as name:
        yield postgresql.url(name)


@contextmanager
def opened_as(url, role=None):
    """An engine of the owner or of a role."""
    engine = connect(make_url(url).set(username=role).render_as_string() if role else url)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def entitled(place, role):
    """Migrated tables, as the role that may serve on them sees them."""
    with opened_as(place) as owner:
        migrate(owner)
        entitle(owner, role)
    with opened_as(place, role) as engine:
        yield engine


@contextmanager
def statements(place, role):
    """A plain connection of the role, each statement of which is a transaction."""
    url = make_url(place)
    with psycopg.connect(
        host=url.query["host"], dbname=url.database, user=role, autocommit=True
    ) as conn:
        yield conn


def parts(conn):
    """The tables that the log is kept in."""
    query = "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'log_batches'::regclass"
    return [name for (name,) in conn.execute(f"{query} ORDER BY 1")]


def test_every_table_has_its_rights():
    """Who adds a table says what the service may do to it."""
    both = (*tables.metadata.tables, *audit.tables.metadata.tables, "alembic_version")

    assert set(RIGHTS) == set(both)


def test_role_can_do_all_the_work(place, role):
    """Changes, policies, answers, the feed and the log: all that the service writes, it may write."""
    store, log = Store(), Log("authz-1")
    state = opened()
    with entitled(place, role) as engine:
        migrate(engine)  # nothing is to do, so it needs no right to
        put(store, engine, state, changes=True)
        put(store, engine, FULL, changes=True)
        put(store, engine, opened(SetConsents(samu=False)), changes=True)
        for digest in ("digest-1", "digest-2", "digest-1"):
            with engine.begin() as conn:
                store.catch_up(conn, changes=True)
                revision = store.activate(conn, digest, b"policies", at=NOW, decision_id="")
            store.adopt([], revision)
        with engine.begin() as conn:
            log.open(conn, random=os.urandom)
        for number in range(3):
            with engine.begin() as conn:
                draft = {"id": f"decision {number}", "patient": PATIENT}
                log.append(conn, [draft], at=rfc3339(NOW), random=os.urandom)
                log.touch(conn)
            log.committed()
        for number in range(3):
            with engine.begin() as conn:
                requests.keep(conn, answer(number, "decision 1"))

        assert read(Store(), engine) == opened(SetConsents(samu=False))
        with engine.begin() as conn:
            assert feed.read(conn, after=0, limit=9).head == 6
            assert store.bundle(conn, "digest-2") == b"policies"


async def test_service_runs_as_the_role(place, role, tmp_path):
    """The whole service works as that role: it decides, changes, answers again, and is watched."""
    with opened_as(place) as owner:
        migrate(owner)
        entitle(owner, role)
    request = opening()
    request.request_id = "one"
    async with running(
        tmp_path,
        services=("operator", "dossier"),
        url=make_url(place).set(username=role).render_as_string(),
    ) as service:
        changed = await service.door.registry.Change(request)
        again = await service.door.registry.Change(request)
        checked = await service.door.check(reading(who=doctor()))
        stream = service.doors["dossier"].registry.Watch(pb.WatchRequest(after_revision=1))
        await stream.read()
        events = (await stream.read()).events

    assert changed.revision == 2
    assert changed == again
    assert checked.effect == pb.EFFECT_ALLOW
    assert [event.decision_id for event in events] == [changed.decision.id]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log_batches SET at = at",
        "UPDATE log_batches SET entries = '' WHERE false",
        "DELETE FROM log_batches",
        "TRUNCATE log_batches",
        "UPDATE log_batches_default SET at = at",
        "UPDATE {month} SET at = at",
        "DELETE FROM {month}",
        "TRUNCATE {month}",
        "SELECT FROM {month}",
        "DROP TABLE {month}",
        "ALTER TABLE log_batches DETACH PARTITION {month}",
        "CREATE TABLE more PARTITION OF log_batches FOR VALUES FROM ('1') TO ('2')",
        "DROP TABLE log_batches",
        "ALTER TABLE log_batches DISABLE TRIGGER ALL",
        "ALTER TABLE log_batches OWNER TO CURRENT_USER",
        "DELETE FROM log_head",
        "DELETE FROM log_patients",
        "TRUNCATE log_head",
        "UPDATE changes SET ins = ''",
        "DELETE FROM changes",
        "DELETE FROM bundles",
        "DELETE FROM patients",
        "DELETE FROM head",
        "INSERT INTO head (id, revision) VALUES (1, 0)",
        "UPDATE alembic_version SET version_num = '0001'",
        "CREATE TABLE more (a INT)",
        "SET ROLE dmp",
    ],
)
def test_database_refuses_all_else(place, role, statement):
    """What stands in log, feed and policies is out of the service's reach, and so are the tables."""
    with (
        entitled(place, role),
        statements(place, role) as conn,
        pytest.raises(InsufficientPrivilege),
    ):
        conn.execute(statement.format(month=parts(conn)[-1]))


def test_rights_are_given_anew(place, role):
    """A right that was given by mistake is gone when the owner lets the role serve again."""
    with entitled(place, role), opened_as(place) as owner:
        with owner.begin() as conn:
            conn.exec_driver_sql(f'GRANT UPDATE ON log_batches TO "{role}"')

        entitle(owner, role)

        with statements(place, role) as conn, pytest.raises(InsufficientPrivilege):
            conn.execute("UPDATE log_batches SET at = at")


def test_months_that_are_made_later_are_out_of_reach(postgresql, place, role):
    """A month that batches waited for gets them; the service may no more change them there than before."""
    with entitled(place, role) as engine, opened_as(place) as owner:
        log = Log("authz-1")
        with engine.begin() as conn:
            log.open(conn, random=os.urandom)
        for at in ("2001-02-03T04:05:06.000000Z", "2099-12-31T23:59:59.999999Z", rfc3339(NOW)):
            with engine.begin() as conn:
                log.append(conn, [{"id": at, "patient": PATIENT}], at=at, random=os.urandom)
            log.committed()
        database = make_url(place).database
        waited = postgresql.sql("SELECT at FROM log_batches_default", name=database)

        made = prepare_months(owner)
        again = prepare_months(owner)
        entitle(owner, role)

        assert [at for (at,) in waited[:2]] == [
            "2001-02-03T04:05:06.000000Z",
            "2099-12-31T23:59:59.999999Z",
        ]
        assert ("2001-02", "2099-12", []) == (made[0], made[-1], again)
        assert postgresql.sql("SELECT at FROM log_batches_default", name=database) == []
        assert len(postgresql.sql("SELECT at FROM log_batches_2099_12", name=database)) == 1
        with engine.connect() as conn:
            assert verify(conn, "authz-1").count == 3
        with statements(place, role) as conn, pytest.raises(InsufficientPrivilege):
            conn.execute("DELETE FROM log_batches_2099_12")


def test_only_the_owner_prepares_months(place, role):
    """The role that serves can't make a month, and is told who can."""
    with entitled(place, role) as engine, pytest.raises(DatabaseError, match="as the owner"):
        prepare_months(engine)


def test_statistics_know_nothing_of_entries(postgresql, place):
    """What PostgreSQL keeps of a column's values, to plan with, would outlive their erasure."""
    with opened_as(place) as owner:
        migrate(owner)
        prepare_months(owner)
    query = "SELECT DISTINCT attstattarget FROM pg_attribute WHERE attname = 'entries'"
    query += " AND attrelid IN (SELECT oid FROM pg_class WHERE relkind IN ('r', 'p'))"

    assert postgresql.sql(query, name=make_url(place).database) == [(0,)]


def test_old_tables_are_told_to_whoever_serves(place, role):
    """A service that may not migrate says who must, and how, and leaves the tables as they are."""
    with entitled(place, role) as engine, opened_as(place) as owner:
        downgrade(owner, "0001")

        with pytest.raises(
            DatabaseError, match=r"permission denied.*owner run `dmp database migrate`"
        ):
            migrate(engine)
        migrate(owner)
        entitle(owner, role)
        migrate(engine)


def test_role_without_rights_is_told(place, role):
    """A role that was never let in is told who can do that."""
    with opened_as(place) as owner:
        migrate(owner)

    told = r"permission denied.*`dmp database migrate`"
    with opened_as(place, role) as engine, pytest.raises(DatabaseError, match=told):
        migrate(engine)


def test_empty_database_is_for_its_owner(place, role):
    """The role of the service can't make the tables: it would own them."""
    told = r"permission denied.*`dmp database migrate`"
    with opened_as(place, role) as engine, pytest.raises(DatabaseError, match=told):
        migrate(engine)


def test_roles_that_no_right_binds_are_refused(postgresql, place):
    """The owner, a member of its role and a superuser can't be the role that serves."""
    postgresql.sql("CREATE ROLE guild")
    postgresql.sql("CREATE ROLE apprentice LOGIN IN ROLE guild")
    with opened_as(place) as owner:
        migrate(owner)
        with owner.begin() as conn:
            conn.exec_driver_sql("ALTER TABLE log_batches OWNER TO guild")

        for name in ("dmp", "guild", "apprentice"):
            with pytest.raises(DatabaseError, match=f"role `{name}` owns the tables"):
                entitle(owner, name)
        with pytest.raises(DatabaseError, match="no role `nobody`: create it first"):
            entitle(owner, "nobody")


def test_only_the_owner_gives_rights(place, role):
    """The role that serves can't give rights to another, nor to itself."""
    with entitled(place, role) as engine, pytest.raises(DatabaseError, match="as the owner"):
        entitle(engine, "pg_monitor")


def test_rights_by_a_detour_are_refused(postgresql, place, role):
    """A role that could change the log through another role, or as anyone can, is not let in."""
    postgresql.sql(f'CREATE ROLE club ROLE "{role}"')
    with opened_as(place) as owner:
        migrate(owner)
        for whom in ("PUBLIC", "club"):
            with owner.begin() as conn:
                conn.exec_driver_sql(f"GRANT TRUNCATE ON log_batches TO {whom}")
            with pytest.raises(DatabaseError, match="may TRUNCATE `log_batches` through PUBLIC or"):
                entitle(owner, role)
            with owner.begin() as conn:
                conn.exec_driver_sql(f"REVOKE TRUNCATE ON log_batches FROM {whom}")

        entitle(owner, role)


def run(*arguments):
    """Runs `dmp database`."""
    return CliRunner().invoke(app, arguments)


def test_command_migrates_and_entitles(place, role):
    """`dmp database migrate` makes the tables and lets the role serve; again, it changes nothing."""
    first = run("migrate", "--database", place, "--service-role", role)
    again = run("migrate", "--database", place, "--service-role", role)

    assert first.output == "tables at 0005, were at none\nrole `dmp service` may serve\n"
    assert again.output == "tables at 0005\nrole `dmp service` may serve\n"
    with opened_as(place, role) as engine:
        assert put(Store(), engine, opened(), changes=True) == 1


def test_command_goes_back_and_forth(blank):
    """`dmp database downgrade` asks first, keeps the patients, and `migrate` takes the tables up again."""
    where = ("--database", blank.url)
    run("migrate", *where)
    state = opened()
    with opened_as(blank.url) as engine:
        put(Store(), engine, state)

    asked = run("downgrade", "0001", *where)
    done = run("downgrade", "0001", "--yes", *where)
    further = run("downgrade", "0002", "--yes", *where)
    unknown = run("downgrade", "base", "--yes", *where)
    back = run("migrate", *where)

    assert (asked.exit_code, done.exit_code, back.exit_code) == (2, 0, 0)
    assert (further.exit_code, unknown.exit_code) == (2, 2)
    assert "would forget" in asked.output
    assert done.output == "tables at 0001, were at 0005\n"
    assert "there are 0001, 0002, 0003, 0004, 0005" in unknown.output
    assert back.output == "tables at 0005, were at 0001\n"
    with opened_as(blank.url) as engine:
        assert read(Store(), engine) == state


def test_command_tells_what_can_not_be_used(tmp_path):
    """An address that leads nowhere is exit 3, a role for SQLite is exit 2."""
    nowhere = run("migrate", "--database", f"postgresql://dmp@/x?host={tmp_path}")
    role = run("migrate", "--database", f"sqlite:///{tmp_path}/a.db", "--service-role", "dmp")

    assert (nowhere.exit_code, role.exit_code) == (3, 2)
    assert "can't be used" in nowhere.output
    assert "knows no roles" in role.output
