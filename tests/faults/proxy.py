"""Stands between a service and its database, and can cut, refuse, hold and delay what passes."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path

CHUNK = 1 << 16


class Proxy:
    """Forwards from a loopback port to a unix socket."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
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
        try:
            if self.refusing:
                raise ConnectionRefusedError
            there, to_there = await asyncio.open_unix_connection(str(self._target))
        except OSError:
            writer.transport.abort()
            return
        self._start(self._pass(reader, to_there))
        self._start(self._pass(there, writer))

    def _start(self, passing: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(passing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Passes on what comes, until one of the two sides ends; the other direction notices."""
        self._writers.add(target)
        with suppress(OSError):
            while data := await source.read(CHUNK):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._open.wait()
                target.write(data)
                await target.drain()
        self._writers.discard(target)
        target.close()

    async def close(self) -> None:
        """Cuts everything, for good."""
        self.refusing = True
        self.release()
        self.cut()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


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
        await made.close()
