"""Watching the registry: what happened after a revision, and then what happens, to whoever may know.

The feed is read over a connection of its own, which can't write, in a thread of its own: watchers hold up no
decision. A watcher that is slow is waited for, and read for less often.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from authz.errors import OverloadedError, UnavailableError
from authz.registry import feed
from authz.registry.feed import Feed
from serving.servicelog import cause_of
from storage.database import connect
from storage.errors import DatabaseError

PORTION: Final = 500
"""Events read at once."""

WATCHERS: Final = 50
"""How many may watch; each costs a query every `POLL_S`."""

POLL_S: Final = 0.25
"""What another process changed is seen after so long."""

SILENCE_S: Final = 5.0
"""After so long without an event a watcher is told that there is none."""

WATCH_S: Final = 900.0
"""A stream lasts no longer: then whoever watches is decided about again."""


class Watching:
    """The change feed, for as many as may watch at once."""

    def __init__(self, database: str) -> None:
        """Opens nothing yet.

        Args:
            database: where the registry is, as `connect` takes it.
        """
        self._database = database
        self._engine: Engine | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="watch")
        self._ended = asyncio.Event()
        self._watchers = 0

    async def follow(
        self, after: int, *, still: Callable[[], object]
    ) -> AsyncGenerator[Feed, None]:
        """What comes after a revision, portion by portion; at once, and at least every `SILENCE_S`.

        It ends after `WATCH_S`, or when the service does.

        Args:
            after: the last revision that is known.
            still: raises when the watcher may not watch any more.

        Raises:
            AheadError: the registry has not reached that revision.
            OverloadedError: too many watch already.
            UnavailableError: the registry can't be read now.
        """
        if self._watchers >= WATCHERS:
            raise OverloadedError(f"{self._watchers} watch already, as many as may")
        loop = asyncio.get_running_loop()
        began, told = loop.time(), float("-inf")
        self._watchers += 1
        try:
            while not self._ended.is_set() and loop.time() - began < WATCH_S:
                still()
                found = await loop.run_in_executor(self._thread, self._read, after)
                if found.events or loop.time() - told >= SILENCE_S:
                    yield found
                    told = loop.time()
                if found.events:
                    after = found.events[-1].revision
                if after >= found.head:
                    await self._pause()
        finally:
            self._watchers -= 1

    def end(self) -> None:
        """Ends all streams, so that the service can."""
        self._ended.set()

    async def close(self) -> None:
        """Closes the connection."""
        self.end()
        await asyncio.to_thread(self._thread.shutdown)
        if self._engine is not None:
            self._engine.dispose()

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._ended.wait(), POLL_S)
        except TimeoutError:
            return

    def _read(self, after: int) -> Feed:
        try:
            with self._opened().begin() as conn:
                return feed.read(conn, after=after, limit=PORTION)
        except DBAPIError as exc:
            raise UnavailableError(f"the registry can't be read: {cause_of(exc)}") from exc

    def _opened(self) -> Engine:
        if self._engine is None:
            try:
                self._engine = connect(self._database, read_only=True)
            except DatabaseError as exc:
                raise UnavailableError(str(exc)) from exc
        return self._engine
