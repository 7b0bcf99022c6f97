"""Master keys: they wrap the keys of patients, and lie in a folder that nobody else can read.

The newest wraps; older ones still unwrap until they are retired. A file is called by its number and the
beginning of its fingerprint, so that one which is not what it was is noticed before it is used.
"""

import base64
import hashlib
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from dossier.errors import MasterError
from dossier.keys.sealing import KEY_BYTES, Key, Place, Random

_NAME: Final = re.compile(r"([0-9]{4,9})-([0-9a-f]{16})\.key")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_ROOT: Final = 0
_MAX_BYTES: Final = 256
_CREATE: Final = "create one with `dmp dossier keys create`"


class MasterKeys(Protocol):
    """What a keyring needs; a hardware module can stand behind it, and never hand out a key.

    All methods raise:
        MasterError: there is no such master key, or it can't be used.
    """

    def newest(self) -> str:
        """The id of the one that wraps."""
        ...

    def wrap(self, master: str, secret: bytes, place: Place) -> bytes:
        """A patient's key, sealed."""
        ...

    def unwrap(self, master: str, wrapped: bytes, place: Place) -> bytes:
        """A patient's key; raises SealError when this is not the one that wrapped it."""
        ...

    def remove(self, master: str) -> None:
        """Takes one away for good."""
        ...


class Masters:
    """The master keys of a folder."""

    def __init__(self, folder: Path) -> None:
        """Reads nothing yet.

        Args:
            folder: of one file a key, `NUMBER-FINGERPRINT.key`: 32 bytes in base64.
        """
        self._folder = folder
        self._keys: dict[str, Key] = {}

    def create(self, *, random: Random = os.urandom) -> str:
        """Makes another one, which wraps from now on; the folder too, if there is none.

        Raises:
            MasterError: it can't be written, or the folder can be read by others.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            numbers = [_number(one) for one in self.ids()]
            secret = random(KEY_BYTES)
            master = f"{max(numbers, default=0) + 1:04}-{_fingerprint(secret)}"
            self._write(self._path(master), base64.b64encode(secret) + b"\n")
        except OSError as exc:
            raise MasterError(
                f"no master key can be written: {exc.strerror}: {self._where}"
            ) from exc
        return master

    def ids(self) -> tuple[str, ...]:
        """All that there are, the oldest first.

        Raises:
            MasterError: the folder can't be read, or can be read by others.
        """
        try:
            _refuse_others(self._folder.stat(), f"folder `{self._folder}`", "chmod 700")
            names = [path.name for path in self._folder.iterdir() if path.suffix == ".key"]
        except OSError as exc:
            why = f"master keys can't be found: {exc.strerror}: {self._where}"
            raise MasterError(f"{why}, or {_CREATE}") from exc
        for name in names:
            if not _NAME.fullmatch(name):
                raise MasterError(
                    f"`{self._folder / name}` is not called as a master key is: give it its name back"
                )
        return tuple(sorted((name.removesuffix(".key") for name in names), key=_order))

    def newest(self) -> str:
        """The id of the one that wraps.

        Raises:
            MasterError: there is none.
        """
        found = self.ids()
        if not found:
            raise MasterError(f"no master key in `{self._folder}`: {_CREATE}")
        return found[-1]

    def wrap(self, master: str, secret: bytes, place: Place) -> bytes:
        """A patient's key, sealed.

        Raises:
            MasterError: there is no such master key, or it can't be used.
        """
        return self._key(master).seal(secret, place)

    def unwrap(self, master: str, wrapped: bytes, place: Place) -> bytes:
        """A patient's key.

        Raises:
            MasterError: there is no such master key, or it can't be used.
            SealError: it is not the one that wrapped this.
        """
        return self._key(master).unseal(wrapped, place)

    def remove(self, master: str) -> None:
        """Overwrites the file and removes it; other copies of it are for the operator to remove.

        Raises:
            MasterError: it can't be removed.
        """
        path = self._path(master)
        self._keys.pop(master, None)
        try:
            with path.open("r+b") as file:
                file.write(os.urandom(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
            _sync(self._folder)
        except OSError as exc:
            raise MasterError(
                f"`{path}` can't be removed: {exc.strerror}: remove it yourself"
            ) from exc

    def _key(self, master: str) -> Key:
        if master not in self._keys:
            self._keys[master] = Key(self._secret(master))
        return self._keys[master]

    def _secret(self, master: str) -> bytes:
        path = self._path(master)
        try:
            with path.open("rb") as file:
                _refuse_others(self._folder.stat(), f"folder `{self._folder}`", "chmod 700")
                _refuse_others(os.fstat(file.fileno()), f"`{path}`", "chmod 600")
                text = file.read(_MAX_BYTES)
        except OSError as exc:
            raise MasterError(
                f"master key `{master}` can't be read: {exc.strerror}: bring `{path}` back from where it"
                " is kept; if it was retired, what it wrapped is gone"
            ) from exc
        secret = b""
        with suppress(ValueError):
            secret = base64.b64decode(text.strip(), validate=True)
        if len(secret) != KEY_BYTES or not master.endswith(f"-{_fingerprint(secret)}"):
            raise MasterError(
                f"`{path}` is not the key that its name says: bring back the right one, and leave this"
                " one's name alone"
            )
        return secret

    def _path(self, master: str) -> Path:
        if not _NAME.fullmatch(f"{master}.key"):
            raise MasterError(f"`{master}` is not the id of a master key: {self._where}")
        return self._folder / f"{master}.key"

    def _write(self, path: Path, text: bytes) -> None:
        """Writes a file that is there whole or not at all, for its owner's eyes from the first byte on."""
        new = path.with_suffix(".new")
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
        _sync(self._folder)

    @property
    def _where(self) -> str:
        return f"look into `{self._folder}`"


def _refuse_others(found: os.stat_result, what: str, remedy: str) -> None:
    if found.st_mode & _OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        raise MasterError(f"{what} is open to others, mode `{mode:o}`: {remedy}")
    if found.st_uid not in (os.geteuid(), _ROOT):
        raise MasterError(f"{what} belongs to another user, `{found.st_uid}`: chown it")


def _fingerprint(secret: bytes) -> str:
    return hashlib.sha256(b"dmp master key\0" + secret).hexdigest()[:16]


def _number(master: str) -> int:
    return int(master.partition("-")[0])


def _order(master: str) -> tuple[int, str]:
    return _number(master), master


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
