"""Which bundle decides: reading the policy folder again, and what became of it.

A folder that fails any check leaves the running bundle in place. What was wrong is kept, told in the
service log, in health and in a metric, until a sound folder is read.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from authz.batch import Activation
from authz.bundle import Bundle, Product, Standing, build, read_folder
from authz.errors import BundleError
from authz.loop import Loop
from serving.watch import Signature, marks

WATCH_S: Final = 0.5

_log = structlog.get_logger("authz.activation")


class Activator:
    """Keeps the running bundle in step with a policy folder."""

    def __init__(
        self,
        *,
        folder: Path,
        seen: Signature,
        product: Product,
        loop: Loop,
        clock: Callable[[], datetime],
        on_change: Callable[[Standing], None],
    ) -> None:
        """Begins with the bundle that decides already.

        Args:
            folder: where the policies are.
            seen: the folder's signature from before that bundle was read from it.
            product: what the policies have to fit.
            loop: decides under the bundle, and puts each activation on record.
            clock: the clock of the service.
            on_change: told how things stand, each time that may have changed.
        """
        self._folder = folder
        self._product = product
        self._loop = loop
        self._clock = clock
        self._on_change = on_change
        self._one_at_a_time = asyncio.Lock()
        self._seen: Signature | None = seen  # None: read again, whatever the folder looks like
        self._running: set[asyncio.Task[Standing]] = set()
        self._standing = Standing(bundle=loop.bundle, since=clock())
        on_change(self._standing)

    @property
    def standing(self) -> Standing:
        """How things stand: another process on the same database may have activated a bundle too."""
        if self._loop.bundle.digest != self._standing.bundle.digest:
            self._standing = replace(self._standing, bundle=self._loop.bundle, since=self._clock())
            self._on_change(self._standing)
        return self._standing

    async def activate(self, cause: str) -> Standing:
        """Reads the folder and lets it decide if it is sound; answers how things stand then.

        A caller that leaves meanwhile stops nothing.

        Raises:
            UnavailableError: the activation could not be put on record; the old bundle still decides,
                and the folder is read again at the next look.
        """
        task = asyncio.create_task(self._activate(cause))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Gives up what is under way; the bundle that decides stays."""
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def watch(self) -> None:
        """Activates whenever a file of the folder has changed; runs until cancelled."""
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                # To look at it is to notice that another process has activated a bundle.
                _ = self.standing
                if await asyncio.to_thread(signature, self._folder) != self._seen:
                    await self.activate("file change")
            except Exception as exc:  # noqa: BLE001 - the watch must outlive a log that can't be written
                _log.warning("activation_failed", cause="file change", error=str(exc))

    async def _activate(self, cause: str) -> Standing:
        async with self._one_at_a_time:
            seen, self._seen = await asyncio.to_thread(signature, self._folder), None
            try:
                bundle = await asyncio.to_thread(self._build)
            except BundleError as exc:
                self._refuse(exc, cause)
            else:
                await self._adopt(bundle, cause)
            self._seen = seen
            self._on_change(self._standing)
            return self._standing

    def _build(self) -> Bundle:
        return build(read_folder(self._folder), self._product)

    def _refuse(self, error: BundleError, cause: str) -> None:
        self._standing = replace(self.standing, refused=error.mistakes)
        _log.error(
            "bundle_refused",
            cause=cause,
            serving=self._standing.bundle.digest,
            mistakes=[str(mistake) for mistake in error.mistakes],
        )

    async def _adopt(self, bundle: Bundle, cause: str) -> None:
        before = self.standing
        if bundle.digest == before.bundle.digest:
            self._standing = replace(before, refused=())
            return
        await self._loop.activate(Activation(bundle, cause))
        self._standing = Standing(bundle=bundle.summary, since=self._clock())
        _log.info("bundle_activated", cause=cause, before=before.bundle.digest, after=bundle.digest)


def signature(folder: Path) -> Signature:
    """The marks of each policy file."""
    return marks(
        path
        for path in sorted(folder.rglob("*"))
        if "scenarios" not in path.relative_to(folder).parts and path.is_file()
    )
