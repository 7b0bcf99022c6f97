"""Where calls under way are counted: so many and no more, and none once the service is being stopped."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from serving.errors import Error


class BusyError(Error):
    """So many calls are under way that there is no room for another; nothing was done."""


class StoppingError(Error):
    """The service is being stopped, and takes no more calls; nothing was done."""


class Hall:
    """A number of places; each call takes one.

    A call ends within its limit (`asyncio.timeout`), which closing brings forward: so those that would go
    on for long end with a status of ours, and not with the connection.
    """

    def __init__(self, *, room: int) -> None:
        """An open hall with so many places."""
        self._room = room
        self._limits: set[asyncio.Timeout] = set()
        self._inside = 0
        self._open = True
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def is_open(self) -> bool:
        """Whether it was not closed yet."""
        return self._open

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for one call.

        Raises:
            BusyError: there is none.
            StoppingError: there will be none any more.
        """
        if not self._open:
            raise StoppingError("the service is being stopped: nothing was done, ask again")
        if self._inside >= self._room:
            raise BusyError(f"{self._room} calls are under way: nothing was done, ask again")
        self._inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    @contextmanager
    def bounded(self, limit: asyncio.Timeout) -> Iterator[None]:
        """Lets closing bring this limit forward."""
        self._limits.add(limit)
        try:
            yield
        finally:
            self._limits.discard(limit)

    async def close(self, *, within_s: float, end_in_s: float) -> None:
        """Lets nobody in any more, and waits until all have left.

        Args:
            within_s: so long at most.
            end_in_s: what has a limit ends then at the latest.
        """
        self._open = False
        end = asyncio.get_running_loop().time() + end_in_s
        for limit in self._limits:
            when = limit.when()
            if not limit.expired() and (when is None or when > end):
                limit.reschedule(end)
        await asyncio.wait((asyncio.create_task(self._empty.wait()),), timeout=within_s)
