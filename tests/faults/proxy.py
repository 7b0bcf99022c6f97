"""Stands between a service and its database, and can cut, refuse, hold and delay what passes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

CHUNK = 1 << 16


class Proxy:
    """Forwards from a loopback port to a unix socket."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._open = asyncio.Event()
        self._open.set()
        self.refusing = False
        """New connections are closed at once."""
        self.delay_s = 0.0
        """How long each piece is kept back, either way."""
        self.port = 0

    def cut(self) -> None:
        """Resets all connections, whatever is on the way."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    def hold(self) -> None:
        """Nothing passes any more, and nobody is told: half-open connections."""
        self._open.clear()

    def release(self) -> None:
        """Everything passes again, what was held back first."""
        self._open.set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Joins a connection to one of its own."""
        if self.refusing:
            writer.transport.abort()
            return
        self._writers.add(writer)
        with suppress(OSError):
            there, to_there = await asyncio.open_unix_connection(str(self._target))
            self._writers.add(to_there)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, to_there))
                group.create_task(self._pass(there, writer))
            self._writers.discard(to_there)
        self._writers.discard(writer)
        writer.close()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(CHUNK):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._open.wait()
                target.write(data)
                await target.drain()
        target.close()


@asynccontextmanager
async def proxy(target: Path) -> AsyncIterator[Proxy]:
    """A proxy for as long as the block lasts."""
    made = Proxy(target)
    server = await asyncio.start_server(made.accept, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        made.release()
        made.cut()
        await asyncio.sleep(0)
