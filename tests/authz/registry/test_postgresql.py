"""Opening a PostgreSQL database: what is refused, how long anything may take, what a commit tells."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from authz.registry.database import migrate
from authz.registry.state import unknown
from authz.registry.store import Store
from storage import postgresql as opening
from storage.database import connect, is_conflict
from storage.errors import ConflictError, DatabaseError
from tests.authz.registry.samples import CHILD, PATIENT, opened, put, read, save
from tests.databases import empty


@pytest.fixture
def url(kept):
    """A migrated PostgreSQL database without data."""
    empty(kept)
    return kept.url.render_as_string()


@contextmanager
def opened_database(url, **options):
    """An engine, and its end."""
    engine = connect(url, **options)
    yield engine
    engine.dispose()


def show(engine, setting):
    """The value of a setting in our session."""
    with engine.connect() as conn:
        return conn.exec_driver_sql(f"SHOW {setting}").scalar_one()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("synchronous_commit", "off"),
        ("synchronous_commit", "local"),
        ("synchronous_commit", "remote_write"),
    ],
)
def test_servers_that_lose_commits_are_refused(postgresql, url, setting, value):
    """A server that can lose a commit, by crash or by fail-over, is refused; for reading it will do."""
    problem = f"`{setting}` is `{value}`: set it to `on`"

    with postgresql.settings(**{setting: value}):
        with pytest.raises(DatabaseError, match=problem):
            connect(url)
        with opened_database(url, read_only=True) as reader:
            assert show(reader, setting) == value


def test_every_connection_is_checked(postgresql, url):
    """A server that has come to lose commits is refused by a service that runs, too."""
    with opened_database(url) as engine, postgresql.settings(fsync="off"):
        engine.dispose()

        with pytest.raises(DatabaseError, match="`fsync` is `off`"):
            engine.connect()


def test_more_than_asked_for_is_welcome(postgresql, url):
    """A server that even waits until its standby shows a commit is accepted."""
    with postgresql.settings(synchronous_commit="remote_apply"), opened_database(url) as engine:
        assert show(engine, "synchronous_commit") == "remote_apply"


def test_texts_of_all_languages_are_needed(postgresql):
    """A database that can't hold every text is refused."""
    postgresql.sql("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'")

    with pytest.raises(DatabaseError, match="`server_encoding` is `LATIN1`: set it to `UTF8`"):
        connect(postgresql.url("latin"))


def test_old_servers_are_refused(url, monkeypatch):
    """A server that is too old to be relied on is refused, for reading too."""
    monkeypatch.setattr(opening, "_OLDEST", 99)

    for read_only in (False, True):
        with pytest.raises(DatabaseError, match=r"PostgreSQL \d+ is too old: give one of 99"):
            connect(url, read_only=read_only)


def test_database_that_can_not_be_written_is_refused(postgresql):
    """A database that is read-only, as a standby is, is refused; for reading it will do."""
    with postgresql.database() as name:
        postgresql.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")

        with pytest.raises(DatabaseError, match="session is read-only"):
            connect(postgresql.url(name))
        with opened_database(postgresql.url(name), read_only=True) as reader:
            assert show(reader, "transaction_read_only") == "on"


def test_unreachable_servers(postgresql, tmp_path):
    """Where nobody answers, or there is no such database, the cause is told without the password."""
    for url, cause in (
        (f"postgresql://dmp:secret@/x?host={tmp_path}", "`x` can't be used: .*No such file"),
        (postgresql.url("absent"), '`absent` can\'t be used: .*database "absent" does not exist'),
        ("postgresql://dmp:secret@127.0.0.1:1/x?connect_timeout=1", "Connection refused"),
    ):
        with pytest.raises(DatabaseError, match=cause) as refused:
            connect(url)
        assert "secret" not in str(refused.value)


def test_settings_of_the_session(url):
    """Nothing waits for ever, a transaction sees one state of the database, and no query starts workers."""
    with opened_database(url) as engine:
        workers = show(engine, "max_parallel_workers_per_gather")
        names = ["idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout"]
        found = [show(engine, name) for name in names]
        isolation = show(engine, "transaction_isolation")

    assert found == ["5s", "7s", "8s"]
    assert isolation == "repeatable read"
    assert workers == "0"


def test_what_the_url_says_counts(url):
    """Options of libpq in the url replace ours."""
    with opened_database(f"{url}&application_name=two&connect_timeout=3") as engine:
        assert show(engine, "application_name") == "two"


def test_stopped_process_loses_its_locks(url, monkeypatch):
    """A process that stops in the middle of a change holds up the others for a while only."""
    monkeypatch.setitem(opening._LIMITS, "idle_in_transaction_session_timeout", "200ms")
    with opened_database(url) as stopped, opened_database(url) as other:
        with stopped.connect() as conn:
            Store().catch_up(conn, changes=True)
            began = time.monotonic()

            with other.begin() as conn_2:
                Store().catch_up(conn_2, changes=True)

            assert 0.1 < time.monotonic() - began < 20
            with pytest.raises(DBAPIError, match="idle-in-transaction timeout") as lost:
                Store().catch_up(conn)
        assert lost.value.connection_invalidated
        assert read(Store(), stopped).patient == PATIENT


def test_waiting_for_others_ends(url, monkeypatch):
    """Who waits too long for the change of another is told so, and changes nothing."""
    monkeypatch.setitem(opening._LIMITS, "lock_timeout", "100ms")
    with opened_database(url) as engine, engine.begin() as conn, engine.connect() as other:
        Store().catch_up(conn, changes=True)

        with pytest.raises(OperationalError, match="lock timeout") as late:
            Store().catch_up(other, changes=True)

    assert not is_conflict(late.value)


def test_silent_server_is_given_up(url, monkeypatch):
    """A server that does not answer in time is left, and the next connection is a new one."""
    monkeypatch.setattr(opening.Confirmed, "patience", 0.2)
    with opened_database(url) as engine:
        with (
            engine.connect() as conn,
            pytest.raises(OperationalError, match=r"no answer in 0\.2 s"),
        ):
            conn.exec_driver_sql("SELECT pg_sleep(3)")

        assert show(engine, "application_name") == "dmp"


@pytest.mark.parametrize("blank", ["postgresql"], indirect=True)
def test_migrations_take_their_time(blank, monkeypatch):
    """The bounds of time are not for migrations, and come back behind them."""
    monkeypatch.setattr(opening.Confirmed, "patience", 0.5)
    monkeypatch.setitem(opening._LIMITS, "statement_timeout", "400ms")
    with opened_database(blank.url) as engine:
        with engine.begin() as conn:
            opening.prepare_migration(conn)
            conn.exec_driver_sql("SELECT pg_sleep(0.7)")
        migrate(engine)

        assert show(engine, "statement_timeout") == "400ms"
        with engine.connect() as conn, pytest.raises(OperationalError, match="statement timeout"):
            conn.exec_driver_sql("SELECT pg_sleep(3)")


def test_statements_are_prepared(url):
    """A statement that comes again and again is planned once."""
    with opened_database(url) as engine, engine.begin() as conn:
        for _ in range(9):
            Store().get(conn, PATIENT)
        prepared = conn.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar_one()

    assert prepared >= 2


def test_failed_transaction_can_not_be_committed(kept):
    """A transaction in which a statement failed is never taken for committed, whoever forgot about it."""
    with kept.connect() as conn:
        with pytest.raises(DBAPIError):
            conn.exec_driver_sql("SELECT 1 / 0")

        with pytest.raises(OperationalError, match="has failed before its commit"):
            conn.commit()


def test_warning_at_commit_is_a_failure(kept):
    """A commit that comes back with a warning is in doubt; a warning before it is not."""
    warn = "$$BEGIN RAISE WARNING 'beware'; RETURN NULL; END$$"
    with kept.begin() as conn:
        conn.exec_driver_sql(
            f"CREATE FUNCTION pg_temp.warn() RETURNS trigger LANGUAGE plpgsql AS {warn}"
        )
        conn.exec_driver_sql("CREATE TEMP TABLE at_once (n INT)")
        conn.exec_driver_sql("CREATE TEMP TABLE at_commit (n INT)")
        made = "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON {} {} FOR EACH ROW EXECUTE FUNCTION {}"
        for table, when in (("at_once", ""), ("at_commit", "DEFERRABLE INITIALLY DEFERRED")):
            conn.exec_driver_sql(made.format(table, when, "pg_temp.warn()"))

    with kept.connect() as conn:
        conn.exec_driver_sql("INSERT INTO at_once VALUES (1)")
        conn.commit()
        conn.exec_driver_sql("INSERT INTO at_commit VALUES (1)")
        with pytest.raises(OperationalError, match="commit in doubt: beware") as doubt:
            conn.commit()

    assert doubt.value.connection_invalidated


def test_changes_queue(database):
    """Batches that may change something wait for each other, so neither decides in vain."""
    one, two = Store(), Store()
    with opened_database(database.url) as engine, ThreadPoolExecutor(1) as thread:
        with engine.connect() as conn:
            one.catch_up(conn, changes=True)
            waiting = thread.submit(put, two, engine, opened(patient=CHILD), changes=True)
            with pytest.raises(TimeoutError):
                waiting.result(0.2)
            save(one, conn, unknown(PATIENT), opened())
            conn.commit()

        assert waiting.result() == 2


def test_reading_waits_for_nobody(url, kept):
    """A batch that only reads goes on while another changes something, and sees what was before."""
    store = Store()
    with opened_database(url) as engine, engine.connect() as conn:
        store.catch_up(conn, changes=True)
        save(store, conn, unknown(PATIENT), opened())

        assert read(Store(), kept) == unknown(PATIENT)


def test_conflict_of_two_batches(postgresql):
    """Of two batches that did not queue and change something, one is told that it was too slow."""
    one, two = Store(), Store()
    with postgresql.database() as name, opened_database(postgresql.url(name)) as engine:
        migrate(engine)
        with engine.connect() as conn:
            one.catch_up(conn)
            put(two, engine, opened(patient=CHILD))
            with pytest.raises(ConflictError, match="another writer moved on") as slow:
                save(one, conn, unknown(PATIENT), opened())

        assert is_conflict(slow.value)
        assert isinstance(slow.value.__cause__.orig, psycopg.errors.SerializationFailure)
        assert put(one, engine, opened()) == 2


def test_loading_is_not_torn(database):
    """What a batch loads by several queries is of one moment, whatever others commit meanwhile."""
    store = Store()
    with opened_database(database.url) as engine, opened_database(database.url) as other:
        put(Store(), engine, opened())
        with engine.connect() as conn:
            store.catch_up(conn)
            if database.kind == "postgresql":  # SQLite would make it wait
                put(Store(), other, opened(patient=CHILD))
            states = store.get_many(conn, [PATIENT, CHILD])

    assert states == {PATIENT: opened(), CHILD: unknown(CHILD)}
