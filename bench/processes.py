"""The processes of the serving benches: the decision point, empty servers, Cerbos, PostgreSQL."""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import grpc
from sqlalchemy import func, select

from audit.database import reader, snapshot
from audit.tables import log_batches
from bench.load import Certificate
from bench.server import CALLER
from clients.pki import authority
from clients.pki.folder import SERVICES, Folder
from tests.databases import server as postgresql_server

_SERVING: Final = re.compile(r"serving on (\S+)")
_START_S: Final = 60.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """An authority in a folder, with a certificate for whoever serves and one for the caller."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "Keys":
        """Makes all of it."""
        its, now = Folder(folder), datetime.now(UTC)
        its.create(now)
        for name in ("authz", CALLER):
            holder = authority.service(name, ["127.0.0.1"])
            its.issue(holder, place=SERVICES, name=name, at=now, lifetime=timedelta(days=2))
        roots = sorted((folder / "authorities").glob("*.pem"))
        (folder / "all.pem").write_bytes(b"".join(path.read_bytes() for path in roots))
        return cls(folder=folder)

    def of(self, name: str) -> Certificate:
        """What a service shows, and what it trusts."""
        return Certificate(
            chain=self.folder / SERVICES / f"{name}.pem",
            key=self.folder / SERVICES / f"{name}.key",
            roots=self.folder / "all.pem",
        )


@dataclass(frozen=True, slots=True)
class Running:
    """A process that serves."""

    pid: int
    address: str


@contextmanager
def running(*arguments: str, policies: Path | None = None) -> Iterator[Running]:
    """A Python module as a process that says on which address it serves."""
    environment = dict(os.environ)
    if policies is not None:
        environment["DMP_POLICIES"] = str(policies)
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env=environment,
        ) as process,
    ):
        try:
            yield Running(process.pid, _address(process))
        except Exception as exc:
            said.seek(0)
            exc.add_note(f"`{arguments[0]}` said: {said.read()[-1000:]}")
            raise
        finally:
            process.terminate()


def _address(process: subprocess.Popen[str]) -> str:
    """Where a process serves, as soon as it says so."""
    line = process.stdout.readline() if process.stdout else ""
    found = _SERVING.match(line)
    if found is None:
        raise RuntimeError(f"a process does not serve: `{line.strip()}`")
    return found[1]


def sqlite(folder: Path) -> str:
    """The address of a database in `folder`."""
    return f"sqlite:///{folder / 'dmp.db'}"


@contextmanager
def decision_point(
    database: str, *, policies: Path | None = None, keys: Keys | None = None
) -> Iterator[Running]:
    """The real service; with `keys`, over mutual TLS."""
    options = ["--listen", f"127.0.0.1:0={CALLER}"]
    if keys is not None:
        its = keys.of("authz")
        options = ["--listen", "127.0.0.1:0", "--tls-key", str(its.key), "--tls-chain"]
        options += [str(its.chain), "--trust", str(keys.folder)]
    with running("authz", *options, "--database", database, policies=policies) as found:
        yield found


@contextmanager
def empty(transport: str = "grpc.aio", *, keys: Keys | None = None) -> Iterator[Running]:
    """A server that answers without looking; with `keys`, over mutual TLS."""
    with _own(transport, keys) as found:
        yield found


@contextmanager
def behind(transport: str, database: str) -> Iterator[Running]:
    """The decision point behind a transport that is not its own."""
    with _own(transport, None, "--database", database) as found:
        yield found


@contextmanager
def _own(transport: str, keys: Keys | None, *options: str) -> Iterator[Running]:
    options = ("--transport", transport, *options)
    if keys is not None:
        its = keys.of("authz")
        options += ("--key", str(its.key), "--chain", str(its.chain), "--roots", str(its.roots))
    with running("bench.server", *options) as found:
        yield found


CERBOS_LOG: Final = "local"
"""Its backend for the audit log: an embedded store, written behind the answers. `file` is slower."""


@contextmanager
def cerbos(
    program: Path, folder: Path, policies: dict[str, str], *, keys: Keys | None = None
) -> Iterator[Running]:
    """The Cerbos server with an audit log of its decisions; with `keys`, over TLS."""
    folder.mkdir()
    (folder / "policies").mkdir()
    for name, text in policies.items():
        (folder / "policies" / name).write_text(text, encoding="utf-8")
    http, address = _free(), _free()
    settings: dict[str, object] = {
        "server": {"httpListenAddr": http, "grpcListenAddr": address},
        "storage": {
            "driver": "disk",
            "disk": {"directory": str(folder / "policies"), "watchForChanges": False},
        },
        "telemetry": {"disabled": True},
        "audit": {
            "enabled": True,
            "accessLogsEnabled": False,
            "decisionLogsEnabled": True,
            "backend": CERBOS_LOG,
            "local": {"storagePath": str(folder / "log")},
        },
    }
    if keys is not None:
        its = keys.of("authz")
        tls = {"cert": str(its.chain), "key": str(its.key)}
        settings["server"] = {"httpListenAddr": http, "grpcListenAddr": address, "tls": tls}
    path = folder / "cerbos.yaml"
    path.write_text(json.dumps(settings), encoding="utf-8")
    command = [str(program), "server", "--config", str(path)]
    with subprocess.Popen(
        [*command, "--debug-listen-addr=", "--log-level=error"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            with channel(address, keys) as opened:
                grpc.channel_ready_future(opened).result(_START_S)
            yield Running(process.pid, address)
        finally:
            process.terminate()


def _free() -> str:
    """An address on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@contextmanager
def postgresql() -> Iterator[tuple[int, str]]:
    """A PostgreSQL server whose files are on disk: its process, and the address of an empty database."""
    with postgresql_server(on_disk=True) as made, made.database() as name:
        pid = int((made.folder / "data" / "postmaster.pid").read_text().split()[0])
        yield pid, made.url(name)


def channel(address: str, keys: Keys | None) -> grpc.Channel:
    """The caller's channel."""
    options = [("grpc.ssl_target_name_override", "authz"), ("grpc.enable_http_proxy", 0)]
    if keys is None:
        return grpc.insecure_channel(address, options)
    its = keys.of(CALLER)
    pair = its.key.read_bytes(), its.chain.read_bytes()
    return grpc.secure_channel(
        address, grpc.ssl_channel_credentials(its.roots.read_bytes(), *pair), options
    )


def recorded(database: str) -> int:
    """How many entries the log in a database holds."""
    with snapshot(reader(database)) as connection:
        count = connection.execute(select(func.sum(log_batches.c.count))).scalar()
        return int(count or 0)


def processor_s(*pids: int) -> float:
    """How many seconds of a processor these processes have used, and those that they started."""
    return sum(map(used_s, family(*pids)))


def family(*pids: int) -> list[int]:
    """These processes, and all that they started and that still run."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(_stat(path)[1])
    found = list(pids)
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def used_s(pid: int) -> float:
    """How many seconds of a processor this process has used; none if it has ended."""
    with suppress(OSError):
        fields = _stat(Path(f"/proc/{pid}/stat"))
        return (int(fields[11]) + int(fields[12])) / _TICKS
    return 0.0


def _stat(path: Path) -> list[str]:
    """The fields behind the name, which may hold anything."""
    return path.read_text(encoding="utf-8").rpartition(")")[2].split()
