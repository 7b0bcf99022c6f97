"""Mutual TLS, and certificates that are replaced while calls go on."""

import asyncio
import logging
import shutil
import threading
from concurrent import futures
from contextlib import contextmanager
from datetime import timedelta

import grpc
import pytest
from cryptography import x509

from authz.v1 import authz_pb2 as pb
from clients.sdk import PLAIN, SettingsError, Tls, UnavailableError, aio, connect, rotation
from clients.sdk.rotation import Rotation
from tests.authz.tls import World
from tests.clients.sdk.samples import reading
from tests.service import until


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Files are looked at before each call."""
    monkeypatch.setattr(rotation, "LOOK_EVERY_S", 0.0)


@pytest.fixture
def world(tmp_path):
    """An authority with certificates for the decision point and two services."""
    return World.make(tmp_path / "pki", "authz", "archive", "portal")


def tls(world, name="archive", **changes):
    """The files of a service."""
    key, chain = world.files(name)
    roots = world.folder.path / "authorities"
    return Tls(**{"key": key, "chain": chain, "roots": roots, **changes})


def serial(world, name="archive"):
    """The serial number of the certificate that a service has now."""
    return f"{x509.load_pem_x509_certificate(world.files(name)[1].read_bytes()).serial_number:X}"


@contextmanager
def point(world, name="authz", held=None):
    """A server with mutual TLS that gives the caller's serial number as reason; its address.

    The first call waits for the event `held`, if there is one.
    """
    waiting = [held] if held else []

    def behave(_, context):
        if waiting:
            waiting.pop().wait(20)
        (leaf,) = context.auth_context()["x509_pem_cert"]
        number = x509.load_pem_x509_certificate(leaf).serial_number
        made = pb.Decision(id="1", effect=pb.EFFECT_ALLOW, reason_code=f"{number:X}")
        return pb.CheckResponse(decision=made).SerializeToString()

    class Handlers(grpc.GenericRpcHandler):
        def service(self, _):
            return grpc.unary_unary_rpc_method_handler(behave)

    key, chain = world.files(name)
    pair = [(key.read_bytes(), chain.read_bytes())]
    credentials = grpc.ssl_server_credentials(pair, world.roots(), require_client_auth=True)
    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((Handlers(),))
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def seen(client):
    """Whom the server takes the client for."""
    return client.check(reading()).reason_code


def test_mutual_tls(world):
    """The decision point sees our certificate, and we see that it is the decision point."""
    with point(world) as address, connect(address, tls(world), timeout_s=10) as client:
        assert serial(world) == seen(client)


def test_roots_in_one_file(world):
    """The roots may be one file, which need not hold the authorities below."""
    roots = world.folder.path / "authorities" / "roots.pem"
    with (
        point(world) as address,
        connect(address, tls(world, roots=roots), timeout_s=10) as client,
    ):
        assert serial(world) == seen(client)


def test_another_service(world):
    """A service of another name, at the same address, is not taken for the decision point."""
    with (
        point(world, "portal") as address,
        connect(address, tls(world), timeout_s=2) as client,
        pytest.raises(UnavailableError),
    ):
        seen(client)


def test_another_authority(world, tmp_path):
    """A decision point of an authority that is not ours is not spoken to."""
    other = World.make(tmp_path / "other", "authz")
    with (
        point(other) as address,
        connect(address, tls(world), timeout_s=2) as client,
        pytest.raises(UnavailableError),
    ):
        seen(client)


def test_replaced(world):
    """A certificate that is replaced is shown from the next call on."""
    with point(world) as address, connect(address, tls(world), timeout_s=10) as client:
        before = serial(world)
        assert before == seen(client)

        world.issue("archive", renew=True)

        assert before != serial(world)
        assert serial(world) == seen(client)


async def test_replaced_asynchronously(world):
    """So it is with the asynchronous client."""
    with point(world) as address:
        async with aio.connect(address, tls(world), timeout_s=10) as client:
            before = (await client.check(reading())).reason_code

            world.issue("archive", renew=True)

            assert before != serial(world)
            assert serial(world) == (await client.check(reading())).reason_code


def test_replaced_by_half(world, caplog):
    """Between the two steps of a replacement the pair before goes on, and that is told once."""
    key, chain = world.files("archive")
    with point(world) as address, connect(address, tls(world), timeout_s=10) as client:
        before = seen(client)
        old = chain.read_bytes()
        world.issue("archive", renew=True)
        new = chain.read_bytes()
        chain.write_bytes(old)  # the key is new already

        with caplog.at_level(logging.WARNING, "dmp.sdk"):
            assert [before] * 3 == [seen(client) for _ in range(3)]
        chain.write_bytes(new)

        assert serial(world) == seen(client) != before
        assert len(caplog.records) == 1
        assert str(key) in caplog.text


@pytest.mark.parametrize("damage", ["gone", "garbage", "empty"])
@pytest.mark.parametrize("which", ["key", "chain", "roots"])
def test_damaged(world, which, damage):
    """Files that can't be used are refused at the start, and later never replace those that could."""
    files = tls(world, roots=world.folder.path / "authorities" / "roots.pem")
    path = getattr(files, which)
    with point(world) as address, connect(address, files, timeout_s=10) as client:
        before = seen(client)

        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(b"garbage" if damage == "garbage" else b"")

        assert before == seen(client)
        with pytest.raises(SettingsError, match=path.name):
            connect(address, files)


def test_key_of_another(world):
    """A key that is not that of the certificate is refused at the start."""
    with pytest.raises(SettingsError, match="is not the key"):
        connect("127.0.0.1:1", tls(world, key=world.files("portal")[0]))


def test_no_roots(world, tmp_path):
    """An empty folder of roots is refused at the start."""
    with pytest.raises(SettingsError, match="no certificate"):
        connect("127.0.0.1:1", tls(world, roots=tmp_path))


def test_roots_replaced(world, tmp_path):
    """Another authority is believed as soon as its root is there, and not before."""
    other = World.make(tmp_path / "other", "authz", "archive")
    roots = tmp_path / "roots"
    shutil.copytree(world.folder.path / "authorities", roots)
    files = tls(other, roots=roots)
    with point(other) as address, connect(address, files, timeout_s=3) as client:
        with pytest.raises(UnavailableError):
            seen(client)

        shutil.copy(other.folder.path / "authorities" / "roots.pem", roots / "next.pem")

        assert serial(other) == seen(client)


def test_calls_under_way_go_on(world):
    """A call that is under way when the certificate is replaced ends well, on its old connection."""
    held = threading.Event()
    with (
        point(world, held=held) as address,
        connect(address, tls(world), timeout_s=20) as client,
        futures.ThreadPoolExecutor(1) as pool,
    ):
        before = serial(world)
        first = pool.submit(seen, client)
        while not client._transport._rotation._held.calls:
            held.wait(0.01)

        world.issue("archive", renew=True)
        second = seen(client)
        held.set()

        assert (before, serial(world)) == (first.result(20), second)


async def test_calls_under_way_go_on_asynchronously(world):
    """So it is with the asynchronous client."""
    held = threading.Event()
    with point(world, held=held) as address:
        async with aio.connect(address, tls(world), timeout_s=20) as client:
            before = serial(world)
            first = asyncio.create_task(client.check(reading()))

            async def under_way():
                return client._transport._rotation._held.calls > 0

            await until(under_way)

            world.issue("archive", renew=True)
            second = await client.check(reading())
            held.set()

            assert before == (await first).reason_code
            assert serial(world) == second.reason_code


def test_no_call_is_lost(world):
    """Under load, with the certificate replaced again and again, no call fails."""
    with (
        point(world) as address,
        connect(address, tls(world), timeout_s=20) as client,
        futures.ThreadPoolExecutor(4) as pool,
    ):
        calls = []
        for _ in range(5):
            calls += [pool.submit(seen, client) for _ in range(40)]
            world.issue("archive", renew=True)
        numbers = {call.result(30) for call in calls}

        assert len(numbers) > 1
        assert serial(world) == seen(client)


class Counter:
    """Makes numbered channels, and a clock that is set by hand."""

    def __init__(self):
        self.made = 0
        self.now = 0.0

    def make(self, _):
        self.made += 1
        return self.made

    def clock(self):
        return self.now


def test_looked_at_once_a_second(world, monkeypatch):
    """However many calls there are, the files are looked at once a second."""
    monkeypatch.setattr(rotation, "LOOK_EVERY_S", 1.0)
    counter = Counter()
    ours = Rotation(tls(world), counter.make, clock=counter.clock)
    world.issue("archive", renew=True)
    channels = []
    for now in (0.5, 0.9, 1.0, 1.5):
        counter.now = now
        held = ours.borrow()
        channels.append((held.channel, ours.give_back(held)))

    assert channels == [(1, []), (1, []), (2, [1]), (2, [])]


def test_retired_when_idle(world):
    """A channel that was replaced is given back to be closed when its last call has ended."""
    counter = Counter()
    ours = Rotation(tls(world), counter.make, clock=counter.clock)
    first, second = ours.borrow(), ours.borrow()
    world.issue("archive", renew=True)
    third = ours.borrow()

    assert [first.channel, second.channel, third.channel] == [1, 1, 2]
    assert ours.give_back(first) == []
    assert ours.give_back(third) == []
    assert ours.give_back(second) == [1]
    assert ours.close() == [2]
    assert ours.close() == []


def test_plain_looks_at_nothing():
    """Without TLS there is nothing to look at."""
    counter = Counter()
    ours = Rotation(PLAIN, counter.make, clock=counter.clock)
    counter.now = timedelta(days=1).total_seconds()

    assert ours.borrow().channel == 1
