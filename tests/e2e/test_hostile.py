"""What hostile, broken and careless clients do: each gets its proper error, the service stays as it was."""

import asyncio
import os
import random
import resource
import signal
import struct
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import grpc
import pytest

from authz.v1 import authz_pb2 as pb
from serving import listener
from serving.listener import HANDSHAKE_S, MAX_MESSAGE, MAX_METADATA
from serving.watch import WATCH_S
from tests.e2e import frames
from tests.e2e.served import Target, many_files, open_files, resident, targeted, unmoved
from tests.service import CHANNEL, copied, failure, reading, reason, running, until

CHECK = frames.CHECK
LISTENERS = ("plain", "secure")
IDLE = 2_000


@pytest.fixture(scope="module")
def target(tmp_path_factory) -> Iterator[Target]:
    """One service, which has to survive all of this."""
    folder = tmp_path_factory.mktemp("hostile")
    with targeted(folder, policies=copied(folder, "20", "30", "90")) as one:
        yield one


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection of TCP, without a word."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def sent(port: int, data: bytes, seconds: float = 10) -> bool:
    """Sends bytes and reads on; whether the service has hung up within a time."""
    async with connected(port) as (reader, writer):
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                with suppress(ConnectionError):
                    writer.write(data)
                    reading = asyncio.create_task(drained(reader))
                    await writer.drain()
                    await reading
                return True
    return False


async def drained(reader: asyncio.StreamReader) -> None:
    """Reads until the service hangs up."""
    with suppress(ConnectionError):
        while await reader.read(1 << 16):
            pass


@asynccontextmanager
async def greeted(
    port: int, settings: dict[int, int] | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection on which HTTP/2 has begun."""
    async with connected(port) as (reader, writer):
        writer.write(frames.hello(settings))
        await reader.readexactly(9)
        writer.write(frames.frame(frames.SETTINGS, flags=1))
        yield reader, writer


async def flooded(port: int, data: bytes, seconds: float = 3, **settings: int) -> None:
    """Sends frames, reading what comes; the service may hang up."""
    async with greeted(port, {int(name[1:]): value for name, value in settings.items()}) as ends:
        reader, writer = ends
        reading = asyncio.create_task(drained(reader))
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(seconds):
                writer.write(data)
                await writer.drain()
        reading.cancel()


def bomb(mebibytes: int) -> bytes:
    """So much of nothing, packed by gzip a thousand times smaller; the sum at its end is wrong."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * mebibytes + packer.flush()


# What is no call


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("begin", [b"", frames.hello()], ids=["noise", "noise-after-preface"])
async def test_noise_is_hung_up_on(target, listener, begin):
    """Ten megabytes of noise, from the first byte or behind a good beginning, end the connection alone."""
    noise = random.Random(7).randbytes(10 << 20)
    async with unmoved(target):
        assert await sent(target.ports()[listener], begin + noise)


async def test_connections_that_fall_silent_hold_up_nobody(target):
    """Neither those that never say a word nor those that end in the middle of a handshake."""
    # A record of TLS with a ClientHello that promises 512 bytes, and ends after the version.
    half = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    async with unmoved(target), AsyncExitStack() as opened:
        for words in (b"", half, frames.PREFACE[:10]):
            for port in target.ports().values():
                for _ in range(50):
                    _, writer = await opened.enter_async_context(connected(port))
                    writer.write(words)
        await target.well()


async def test_more_connections_than_may_be(tmp_path, monkeypatch):
    """One too many is hung up on at once, and those that are there are served."""
    few = {**dict(listener.OPTIONS), "grpc.max_allowed_incoming_connections": 5}
    monkeypatch.setattr(listener, "OPTIONS", tuple(few.items()))
    async with running(tmp_path, policies=copied(tmp_path, "20")) as service:
        await service.door.check(reading())
        port = int(service.service.addresses[0].rpartition(":")[2])
        async with AsyncExitStack() as opened:
            for _ in range(4):
                await opened.enter_async_context(greeted(port))

            assert await sent(port, frames.hello())
            await service.door.check(reading())


@pytest.mark.slow
@pytest.mark.parametrize("listener", LISTENERS)
async def test_connections_that_stay_silent_are_closed(target, listener):
    """Who has not greeted when the time for it is over, is hung up on."""
    assert await sent(target.ports()[listener], b"", seconds=HANDSHAKE_S + 10)


async def test_thousands_of_idle_connections(target):
    """They cost little memory, and others are served meanwhile and afterwards."""
    port = target.ports()["plain"]
    with many_files() as files:
        count = min(IDLE, files // 2)
        async with unmoved(target), AsyncExitStack() as opened:
            for _ in range(count):
                await opened.enter_async_context(greeted(port))

            await target.well()
            held = resident(target.process.popen.pid)

        assert count > 500
        assert held < 300


async def test_no_files_left_for_more_connections(target):
    """Who is served goes on being served; when the others have left, all is as it was."""
    pid, port = target.process.popen.pid, target.ports()["plain"]
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = open_files(pid)
    async with unmoved(target), target.door() as served:
        await served.check(reading())
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 20, before[1]))
        try:
            async with AsyncExitStack() as opened:
                for _ in range(60):
                    _, writer = await opened.enter_async_context(connected(port))
                    writer.write(frames.hello())
                end = time.monotonic() + 2 * WATCH_S  # in which certificates can't be read either
                while time.monotonic() < end:
                    await served.check(reading())
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        await until(lambda: served.healthy("dmp.trust"))


# What is no good use of HTTP/2


async def test_rapid_resets(target):
    """Calls that are cancelled as soon as they have begun, by the thousand."""
    resets = b"".join(
        frames.call(n) + frames.frame(frames.RST_STREAM, frames.CANCEL, stream=n)
        for n in range(1, 10_001, 2)
    )
    async with unmoved(target):
        for _ in range(3):
            await flooded(target.ports()["plain"], resets)


async def test_more_calls_at_once_than_are_taken_in(target):
    """Each of thousands of calls that come at one instant is answered: none is cancelled on the way in."""
    async with unmoved(target), AsyncExitStack() as opened:
        doors = [await opened.enter_async_context(target.door()) for _ in range(6)]

        decisions = await asyncio.gather(
            *(one.check(reading()) for one in doors for _ in range(800))
        )

    assert {"DOSSIER_MISSING"} == {decision.reason_code for decision in decisions}


FLOODS = {
    "pings": frames.frame(frames.PING, bytes(8)) * 50_000,
    "settings": frames.frame(frames.SETTINGS, struct.pack(">HI", 3, 100)) * 50_000,
    "empty data": frames.call(1) + frames.frame(frames.DATA, stream=1) * 50_000,
    "endless headers": frames.call(1, flags=0)
    + frames.frame(frames.CONTINUATION, frames.fields([("x", "y" * 1_000)]), stream=1) * 10_000,
    "headers one by one": frames.call(1, [(f"x-{n}", "y") for n in range(50_000)])[:16_000] * 100,
}


@pytest.mark.parametrize("kind", FLOODS)
async def test_floods_of_frames(target, kind):
    """Frames that cost their sender nothing cost the service little."""
    async with unmoved(target):
        await flooded(target.ports()["plain"], FLOODS[kind])


async def test_answers_that_nobody_reads(target):
    """A client that opens no window for answers gets none, and holds up no one else."""
    data = reading().SerializeToString()
    calls = b"".join(frames.call(n) + frames.message(n, data) for n in range(1, 2_001, 2))
    silent = greeted(target.ports()["plain"], {frames.INITIAL_WINDOW_SIZE: 0})
    async with unmoved(target), silent as (_, writer):
        writer.write(calls)
        await target.well()


# What is too much


async def test_a_message_that_is_too_large(target):
    """Ten megabytes are RESOURCE_EXHAUSTED on either listener."""
    async with unmoved(target):
        for name in ("", "dossier"):
            async with target.door(name) as one:
                call = one.channel.unary_unary(CHECK)(bytes(10 << 20), timeout=10)

                error = await failure(call)

            assert grpc.StatusCode.RESOURCE_EXHAUSTED is error.code()


async def test_a_message_that_unpacks_to_too_much(target):
    """Fifty megabytes of nothing come as fifty kilobytes, and are not unpacked: RESOURCE_EXHAUSTED."""
    async with (
        unmoved(target, mib=20),
        grpc.aio.insecure_channel(
            target.plain, options=CHANNEL, compression=grpc.Compression.Gzip
        ) as channel,
    ):
        error = await failure(channel.unary_unary(CHECK)(bytes(50 << 20), timeout=10))

    assert grpc.StatusCode.RESOURCE_EXHAUSTED is error.code()


async def test_the_largest_bomb_that_fits_into_a_message(target):
    """Nine hundred megabytes in nine hundred kilobytes are not unpacked either."""
    packed = bomb(900)
    assert len(packed) < MAX_MESSAGE
    async with unmoved(target, mib=20), greeted(target.ports()["plain"]) as (reader, writer):
        writer.write(frames.call(1, [("grpc-encoding", "gzip")]))
        writer.write(frames.message(1, packed, packed=True))
        async with asyncio.timeout(10):
            found = b""
            while b"grpc-status" not in found:
                found += await reader.read(1 << 16)

    assert b"grpc-status\x018" in found  # RESOURCE_EXHAUSTED
    assert b"larger than max" in found


@pytest.mark.parametrize("size", [2 * MAX_METADATA + 1, 100 << 10, 1 << 20])
async def test_metadata_that_are_too_large(target, size):
    """They are RESOURCE_EXHAUSTED, and the connection goes on."""
    async with unmoved(target), target.door("dossier") as one:
        error = await failure(one.check(reading(), metadata=(("x-large", "a" * size),)))

        assert grpc.StatusCode.RESOURCE_EXHAUSTED is error.code()
        assert "DOSSIER_MISSING" == (await one.check(reading())).reason_code


# What is too long


async def test_a_missing_deadline(target):
    """The caller is told to set one."""
    async with unmoved(target), grpc.aio.insecure_channel(target.plain, options=CHANNEL) as channel:
        error = await failure(channel.unary_unary(CHECK)(reading().SerializeToString()))

    assert grpc.StatusCode.INVALID_ARGUMENT is error.code()
    assert "deadline: missing" in error.details()


async def test_nobody_waits_for_an_hour(target):
    """While nothing is decided an hour becomes five seconds, and thousands who left are not decided for."""
    async with unmoved(target), target.door() as one:
        await one.check(reading())
        (decider,) = target.family[1:]
        os.kill(decider, signal.SIGSTOP)
        try:
            began = time.monotonic()
            patient = asyncio.create_task(failure(one.check(reading(), timeout=3_600)))
            await asyncio.sleep(0.1)
            for _ in range(10):
                calls = [one.authz.Check(reading(), timeout=20) for _ in range(300)]
                await asyncio.sleep(0.1)
                for call in calls:
                    call.cancel()
            error = await patient
            waited = time.monotonic() - began
        finally:
            os.kill(decider, signal.SIGCONT)

    assert grpc.StatusCode.DEADLINE_EXCEEDED is error.code()
    assert "TOO_LATE" == reason(error)
    assert 4 < waited < 15


async def test_calls_that_are_cancelled_at_once(target):
    """Thousands of callers who leave at any moment are no trouble to those who stay."""
    chance = random.Random(3)
    async with unmoved(target), target.door() as one, target.door("dossier") as other:

        async def leave() -> None:
            call = one.authz.Check(reading(), timeout=5)
            await asyncio.sleep(chance.uniform(0, 0.1))
            call.cancel()

        stayed = asyncio.gather(*(other.check(reading()) for _ in range(200)))
        for _ in range(10):
            await asyncio.gather(*(leave() for _ in range(300)))

        assert {"DOSSIER_MISSING"} == {decision.reason_code for decision in await stayed}
        assert pb.EFFECT_DENY == (await one.check(reading())).effect
