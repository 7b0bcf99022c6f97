"""The service as a process: where it listens, how it starts, obeys signals, and ends."""

import asyncio
import json
import signal
import socket
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pysqlite3.dbapi2 as sqlite
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from authz.__main__ import main
from authz.errors import UnavailableError, UnreachableError
from authz.service import Service, Settings
from authz.v1 import authz_pb2 as pb
from serving.listener import Listener
from tests.service import (
    ANASTA,
    POLICIES,
    copied,
    doctor,
    door,
    entries,
    failure,
    intact,
    officer,
    opening,
    patient,
    plain_log,
    process,
    reading,
    running,
    until,
)


@pytest.fixture
def policies(tmp_path) -> Path:
    """A small copy of the policies, quick to build."""
    return copied(tmp_path, "20", "30", "90")


@pytest.fixture
def ended(tmp_path, capsys) -> Iterator[Callable[..., tuple[int, list[str]]]]:
    """Runs the command here, which is to end by itself: its code, and its lines on standard error."""

    def run(*arguments: str) -> tuple[int, list[str]]:
        code = main(["--listen", "127.0.0.1:0=operator", "--database", url(tmp_path), *arguments])
        said = capsys.readouterr()
        assert said.out == ""
        return code, said.err.splitlines()

    yield run
    plain_log()


def url(folder: Path) -> str:
    return f"sqlite:///{folder}/authz.db"


async def opened(address: str) -> pb.Decision:
    """Opens a dossier at an address."""
    async with door(address) as one:
        return await one.change(opening())


# Where it listens


@pytest.mark.parametrize(
    "address", ["0.0.0.0:0", "10.1.2.3:0", "8.8.8.8:7443", "example.org:7443", "[::]:0"]
)
def test_it_listens_on_this_machine_only(tmp_path, ended, address):
    """Any address that others can reach is refused before anything is opened, with what is allowed."""
    code, errors = ended("--listen", f"{address}=operator")

    assert code == 2
    (line,) = errors
    assert f"may not listen on `{address}`: without TLS only loopback" in line
    assert not (tmp_path / "authz.db").exists()


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "=operator", "127.0.0.1:0=", ""])
def test_a_listener_names_its_service(ended, listen):
    """An address without a service, or the reverse, is wrong usage, and the right form is shown."""
    code, errors = ended("--listen", listen)

    assert code == 2
    assert f"--listen `{listen}`: write it as ADDRESS=SERVICE" in errors[0]


async def test_a_unix_socket_is_served(tmp_path, policies):
    """A socket in the file system works like any address, also after a process that was killed."""
    listen = f"unix:{tmp_path}/authz.sock=operator"
    with process(tmp_path, listen=listen, policies=policies) as started:
        assert started.address == f"unix:{tmp_path}/authz.sock"
        await opened(started.address)
        started.signal(signal.SIGKILL)

    with process(tmp_path, listen=listen, policies=policies) as started:
        async with door(started.address) as one:
            decision = await one.check(reading(doctor()))

    assert decision.effect == pb.EFFECT_ALLOW


async def test_several_listeners_are_several_services(tmp_path, policies):
    """Each address belongs to its own calling service, which its entries name."""
    more = ("--listen", f"unix:{tmp_path}/a.sock=portal")
    with process(tmp_path, *more, policies=policies) as started:
        line = (await asyncio.to_thread(lambda: started.address)) and started.out[0]
        addresses = line.removeprefix("serving on ").strip().split(", ")
        for address in addresses:
            await opened(address)

    assert [entry["caller"] for entry in entries(url(tmp_path))[1:]] == ["operator", "portal"]


@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_an_address_in_use_is_left_alone(tmp_path, policies, kind):
    """A second process is told so and ends; the first one never notices."""
    listen = f"unix:{tmp_path}/a.sock" if kind == "unix" else "127.0.0.1:0"
    other = tmp_path / "other"
    other.mkdir()
    with process(tmp_path, listen=f"{listen}=operator", policies=policies) as first:
        address = first.address
        with process(other, listen=f"{address}=operator", policies=policies) as second:
            code = second.wait()

        assert (await opened(address)).effect == pb.EFFECT_ALLOW
    assert code == 2
    assert f"can't listen on `{address}`: it is in use" in second.errors
    assert "Traceback" not in second.errors


async def test_a_failed_start_leaves_nothing_open(tmp_path, policies):
    """When the second listener can't be had, the first is given back, and the log is closed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listeners = [Listener(address="127.0.0.1:0", service="operator")]
        listeners += [Listener(address=f"127.0.0.1:{port}", service="operator")]
        service = Service(
            Settings(listeners=tuple(listeners), database=url(tmp_path), policies=policies)
        )

        with pytest.raises(RuntimeError, match="it is in use"):
            await service.__aenter__()

        async with door(service.addresses[0]) as one:
            error = await failure(one.authz.Check(reading(), timeout=1))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert [task.get_name() for task in asyncio.all_tasks()] == [asyncio.current_task().get_name()]
    assert intact(url(tmp_path)) == 1


# How it starts


def test_broken_policies_are_all_told(ended, policies):
    """Every mistake is listed, each with file, line and column; nothing is started."""
    path = policies / "rules" / "20-dossier.yaml"
    text = path.read_text("utf-8").replace("effect: deny", "effect: denied", 2)
    path.write_text(text.replace("$.dossier:", "$.dosier:", 1), "utf-8")

    code, errors = ended("--policies", str(policies))

    assert code == 2
    assert len(errors) == 3
    assert all(line.startswith("rules/20-dossier.yaml:") for line in errors)
    assert sum("unknown effect: `denied`" in line for line in errors) == 2


def test_a_missing_folder_is_told(tmp_path, ended):
    """Each file that the folder lacks is named."""
    code, errors = ended("--policies", str(tmp_path / "nowhere"))

    assert code == 2
    assert any(line.startswith("vocabulary.yaml:1:1: file: can't be read") for line in errors)


@pytest.mark.parametrize("content", [b"not a database at all, just some text" * 100, None])
def test_what_is_no_database_is_refused(tmp_path, ended, policies, content):
    """A wrong file or a folder in its place: one clear line, and the code of what can't be reached."""
    path = tmp_path / "authz.db"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)

    code, errors = ended("--policies", str(policies))

    assert code == 3, errors
    (line,) = errors
    assert str(path) in line
    if content is not None:
        assert path.read_bytes() == content


def test_a_database_of_a_kind_unknown_is_refused(ended, policies):
    """The url is not usable, and an example is given."""
    code, errors = ended("--policies", str(policies), "--database", "mysql://x/y")

    assert code == 3, errors
    assert "unknown kind of database: `mysql`" in errors[0]


def test_a_damaged_log_is_not_continued(tmp_path, ended, policies):
    """When the end of the log is not what was written, the service does not start on it."""
    with process(tmp_path, policies=policies) as started:
        assert started.address
    database = sqlite.connect(tmp_path / "authz.db")
    database.execute("UPDATE log_batches SET entries = CAST(replace(entries, 'rt', 'tr') AS BLOB)")
    database.commit()
    database.close()

    code, errors = ended("--policies", str(policies))

    assert code == 3, errors
    assert "log `authz-1`, entry 0: altered" in errors[0]


def test_the_log_of_retention_is_not_for_decisions(ended, policies):
    """A service under that name would make it unreadable what was erased from the others."""
    code, errors = ended("--policies", str(policies), "--origin", "retention")

    assert code == 2, errors
    assert "that log tells of purges" in errors[0]


def test_a_wrong_option_shows_the_usage(capsys):
    """Usage and code 2, as for any command."""
    with pytest.raises(SystemExit) as caught:
        main(["--lissen"])

    assert caught.value.code == 2
    assert "usage: dmp serve authz" in capsys.readouterr().err


def test_metrics_are_served_on_loopback(tmp_path, policies):
    """Prometheus finds them where it was told; a port in use is a clear error."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
        with process(tmp_path, "--metrics", port, policies=policies) as refused:
            code = refused.wait()

    with process(tmp_path, "--metrics", port, policies=policies) as started:
        assert started.address
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            text = answer.read().decode()

    assert code == 2
    assert f"--metrics `{port}`: can't be listened on" in refused.errors
    assert "dmp_log_writable 1.0" in text


# How it obeys and ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_well_as_soon_as_it_is_ready(tmp_path, policies, number):
    """A signal right behind the line that it serves is obeyed: code 0, and the log is whole."""
    with process(tmp_path, policies=policies) as started:
        assert started.address

        started.signal(number)
        code = started.wait()

    assert code == 0
    assert "Traceback" not in started.errors
    assert json.loads(started.err[-1])["event"] == "stopped"
    assert intact(url(tmp_path)) == 1


async def test_calls_in_flight_are_answered_or_refused(tmp_path, policies):
    """On SIGTERM under load each call is answered, and then on record, or told that it is not."""
    with process(tmp_path, policies=policies) as started:
        async with door(started.address) as one:
            await one.change(opening())
            answered: list[str] = []
            refused: list[grpc.StatusCode] = []

            async def ask() -> None:
                while not refused:
                    try:
                        answered.append((await one.check(reading())).id)
                    except grpc.aio.AioRpcError as exc:
                        refused.append(exc.code())

            asking = [asyncio.create_task(ask()) for _ in range(50)]

            async def some() -> bool:
                return len(answered) > 100

            await until(some, 60)
            started.signal(signal.SIGTERM)
            await asyncio.gather(*asking)
        code = started.wait()

    assert code == 0
    assert len(answered) > 0
    assert set(refused) <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert set(answered) <= {entry["id"] for entry in entries(url(tmp_path))}
    assert intact(url(tmp_path)) >= len(answered) + 2


async def test_a_signal_activates_the_policies(tmp_path, policies):
    """SIGHUP reads the folder: a sound one decides, a broken one is told in the log and changes nothing."""
    path = policies / "rules" / "20-dossier.yaml"
    text = path.read_text("utf-8")
    with process(tmp_path, policies=policies) as started:
        async with door(started.address) as one:
            first = (await one.check(reading())).bundle

            async def changed() -> bool:
                return (await one.check(reading())).bundle != first

            path.write_text(text.replace("priority: 80", "priority: 83"), "utf-8")
            started.signal(signal.SIGHUP)
            started.signal(signal.SIGHUP)
            await until(changed)
            second = (await one.check(reading())).bundle

            async def refused() -> bool:
                return "bundle_refused" in started.errors

            path.write_text(text.replace("effect: deny", "effect: denied", 1), "utf-8")
            started.signal(signal.SIGHUP)
            await until(refused)
            answer = await one.policy.GetBundle(pb.GetBundleRequest(subject=officer()))

    assert answer.bundle.digest == second
    assert [mistake.path for mistake in answer.bundle.refused] == ["rules/20-dossier.yaml"]
    causes = [e["change"]["cause"] for e in entries(url(tmp_path)) if e["kind"] == "activation"]
    assert causes in (["SIGHUP"], ["file change"])


async def test_stopping_answers_what_is_waiting(tmp_path, policies):
    """Calls that were accepted before the end are decided and answered, and none waits for ever."""
    async with running(tmp_path, policies=policies) as service:
        calls = [
            asyncio.create_task(service.door.check(reading(whose=patient(n)))) for n in range(200)
        ]
        await asyncio.sleep(0.05)

        await service.service.__aexit__(None, None, None)

        outcome = await asyncio.gather(*calls, return_exceptions=True)
    answered = [one.id for one in outcome if isinstance(one, pb.Decision)]
    refused = {one.code() for one in outcome if isinstance(one, grpc.aio.AioRpcError)}
    assert len(answered) + sum(isinstance(one, Exception) for one in outcome) == 200
    assert refused <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert set(answered) <= {entry["id"] for entry in entries(url(tmp_path))}


async def test_all_is_healthy_while_it_serves(tmp_path):
    """Health has a status for the whole, for each service of the contract, for log and for bundle."""
    names = ["", "authz.v1.AuthzService", "authz.v1.RegistryService", "authz.v1.PolicyService"]
    async with running(tmp_path) as service:
        found = [await service.door.healthy(name) for name in [*names, "dmp.log", "dmp.bundle"]]

    assert found == [True] * 6


async def test_the_default_policies_serve_a_process(tmp_path):
    """With nothing but the defaults, the service starts and decides as it should."""
    with process(tmp_path, policies=POLICIES) as started:
        async with door(started.address) as one:
            await one.change(opening())
            decision = await one.check(reading(doctor()))

    assert decision.effect == pb.EFFECT_ALLOW
    assert [entry["patient"] for entry in entries(url(tmp_path))] == ["", ANASTA, ANASTA]


# What it tells of itself


async def described(address: str) -> set[str]:
    """The services that reflection names, or the code of the error."""
    async with door(address) as one:
        stub = reflection_pb2_grpc.ServerReflectionStub(one.channel)
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        try:
            async for answer in stub.ServerReflectionInfo(iter([asked]), timeout=10):
                return {service.name for service in answer.list_services_response.service}
        except grpc.aio.AioRpcError as exc:
            return {exc.code().name}
    return set()


async def test_reflection_is_for_those_who_ask_for_it(tmp_path, policies):
    """Without the flag nothing is described; with it, the services and their messages are."""
    with process(tmp_path, policies=policies) as started:
        silent = await described(started.address)
    with process(tmp_path, "--reflection", policies=policies) as started:
        told = await described(started.address)

    assert silent == {"UNIMPLEMENTED"}
    assert told >= {f"authz.v1.{name}Service" for name in ("Authz", "Registry", "Policy")}


async def test_health_tells_the_database_apart(tmp_path, policies):
    """A database that can't be used is told by its own name, beside the log that can't be written."""
    async with running(tmp_path, policies=policies) as service:
        names = ("dmp.log", "dmp.database", "dmp.bundle", "dmp.trust")

        async def are(wanted: list[bool]) -> bool:
            return wanted == [await service.door.healthy(name) for name in names]

        assert await are([True] * 4)
        service.service._on_log(UnreachableError("gone"))
        await until(lambda: are([False, False, True, True]))
        service.service._on_log(UnavailableError("fenced"))
        await until(lambda: are([False, True, True, True]))
        service.service._on_log(None)
        await until(lambda: are([True] * 4))
