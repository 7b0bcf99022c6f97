"""Files that are there entirely or not at all, and stay when power fails.

A file is written under another name, synced, and renamed into place; then its folder is synced. What
`replace` returns from is on disk. Killed before that, each file is the old one or the new one.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from audit.errors import EvidenceError

_PUBLIC: Final = 0o644
_PRIVATE: Final = 0o600


def replace(files: Mapping[Path, bytes], scratch: Path, *, private: bool = False) -> None:
    """Puts files in place, in any order; makes their folders.

    Args:
        files: by path their content.
        scratch: a folder on the same file system, for what is not finished; nobody else's.
        private: readable by this user alone.

    Raises:
        OSError: some are in place, others are not.
    """
    make_folder(scratch)
    for folder in dict.fromkeys(path.parent for path in files):
        make_folder(folder)
    made: list[Path] = []
    try:
        for number, data in enumerate(files.values()):
            made.append(scratch / str(number))
            _write(made[-1], data, _PRIVATE if private else _PUBLIC)
        for temporary, path in zip(made, files, strict=True):
            temporary.replace(path)
    except OSError:
        for temporary in made:  # the room that they take may be what is missing
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise
    for folder in dict.fromkeys(path.parent for path in files):
        _sync(folder)


def make_folder(path: Path) -> None:
    """Makes a folder, and those that it lies in, so that they stay.

    Raises:
        OSError: it can't be made.
    """
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        with suppress(FileExistsError):
            folder.mkdir()
        _sync(folder.parent)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Holds a lock that ends with the process, in whatever way.

    Raises:
        EvidenceError: another process holds it.
        OSError: the file can't be made.
    """
    make_folder(path.parent)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            what = "another process is at work on it: stop that one first"
            raise EvidenceError(f"folder `{path.parent}`: {what}") from exc
        yield


def read(path: Path) -> bytes | None:
    """The content of a file, or None where there is none.

    Raises:
        OSError: it can't be read.
    """
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _write(path: Path, data: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)  # left by one who was killed, perhaps with other rights
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(handle, "wb", buffering=0) as file:  # noqa: PTH123 - of a handle
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(handle)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
