"""Files that are read again when they change; those that can't be used never replace those that can."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Generic, TypeVar

WATCH_S: Final = 1.0

Content = TypeVar("Content")
OnStanding = Callable[[bool, str], None]
Signature = tuple[tuple[str, int, int, int], ...]


class Watched(Generic[Content]):
    """What some files say.

    Raises, when made: whatever reading them raises.

    Attributes:
        content: what was read from them when they could last be used.
        trouble: why the files that are there now can't be used; "" if they can, and are.
    """

    def __init__(self, read: Callable[[Content | None], Content], *places: Path) -> None:
        """Reads the files.

        Args:
            read: reads them, given what stands (None at first); later on in a thread.
            places: files, and folders whose files count; what is not there yet may come.
        """
        self._read = read
        self._places = places
        self._seen: Signature | None = _signature(places)  # None: read again, whatever is there
        self.content = read(None)
        self.trouble = ""

    async def look(self) -> bool:
        """Reads the files again if they have changed, or could not be used; whether `content` is new."""
        try:
            seen = await asyncio.to_thread(_signature, self._places)
            if seen == self._seen:
                return False
            content = await asyncio.to_thread(self._read, self.content)
        except Exception as exc:  # noqa: BLE001 - the watch must outlive whatever is in the files
            self._seen, self.trouble = None, str(exc) or type(exc).__name__
            return False
        self._seen, self.content, self.trouble = seen, content, ""
        return True


class Watcher(ABC):
    """What keeps in step with files; tells whether they can be used, each time that this changes."""

    def __init__(self, on_standing: OnStanding) -> None:
        """Begins with files that can be used.

        Args:
            on_standing: told whether all is well, and what is not.
        """
        self._on_standing = on_standing
        self._cause = ""

    @property
    def sound(self) -> bool:
        """Whether the newest files are in use, and good."""
        return not self._cause

    async def watch(self) -> None:
        """Looks every second; runs until cancelled."""
        while True:
            await asyncio.sleep(WATCH_S)
            await self.look()

    @abstractmethod
    async def look(self) -> None:
        """Reads the files again if they have changed."""

    def _tell(self, cause: str) -> None:
        """Tells what is not well, "" for nothing, if it was not told before."""
        if cause != self._cause:
            self._cause = cause
            self._on_standing(not cause, cause)


def _signature(places: tuple[Path, ...]) -> Signature:
    return marks(path for place in places for path in (place, *sorted(place.glob("*"))))


def marks(paths: Iterable[Path]) -> Signature:
    """Name, times and size of what is there: cheap to compare, changes when a file does."""
    found = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        # The time of change too: a file moved into place keeps its own time of writing.
        found.append((str(path), status.st_mtime_ns, status.st_ctime_ns, status.st_size))
    return tuple(found)
