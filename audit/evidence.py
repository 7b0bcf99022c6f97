"""The evidence of one log on disk: its key, what it has signed, and what it publishes.

    FOLDER/ORIGIN/key         the secret key; whoever has it can speak for the log
                  key.pub     the verifier key
                  signed      the newest checkpoint that was signed, published or not
                  public/     what anybody may have, as C2SP tlog-tiles lays it out
                         checkpoint, tile/0/000, tile/entries/000, ...

Nothing in `public/` tells anything of anybody: any web server may serve it as it is.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from audit.durable import alone, read, replace
from audit.errors import EvidenceError, FormatError
from audit.keys import KeyType, Signer, Verifier, made
from audit.merkle import HASH_BYTES
from audit.note import Note
from audit.tiles import ENTRIES, Tile, bundle, unbundle

_KEY: Final = "key"
_PUBLIC_KEY: Final = "key.pub"
_SIGNED: Final = "signed"
_PUBLIC: Final = "public"
_CHECKPOINT: Final = "checkpoint"


class Evidence:
    """The folder of one log. Nothing is read before it is asked for."""

    def __init__(self, folder: Path, origin: str) -> None:
        """Names the log.

        Args:
            folder: of the evidence of all logs.
            origin: of the log in the database.

        Raises:
            EvidenceError: no folder can have the name of this log.
        """
        name = quote(origin, safe="")
        if name in ("", ".", ".."):
            raise EvidenceError(f"log `{origin}`: it can't have a folder of that name")
        self.origin: Final = origin
        self.folder: Final = folder / name
        self.public: Final = self.folder / _PUBLIC
        self._scratch: Final = self.folder / "unfinished"

    def alone(self) -> AbstractContextManager[None]:
        """Keeps other processes from sealing this log meanwhile; see `durable.alone`."""
        return alone(self.folder / "lock")

    def make_key(self, name: str, random: Callable[[int], bytes]) -> Verifier:
        """Makes the key of the log; its name is that of the log in public.

        Args:
            name: unique in the world, best like `example.org/dmp/authz-1`.
            random: gives bytes fit for secrets: `os.urandom`.

        Raises:
            FormatError: the name can't be that of a key.
            EvidenceError: there is a key.
            OSError: it can't be written.
        """
        with self.alone():
            signer = self._unfinished(name) or made(name, KeyType.ED25519, random)
            secret = {self.folder / _KEY: f"{signer.secret}\n".encode()}
            replace(secret, self._scratch, private=True)
            shown = {self.folder / _PUBLIC_KEY: f"{signer.verifier}\n".encode()}
            replace(shown, self._scratch)
        return signer.verifier

    def signer(self) -> Signer:
        """The secret key.

        Raises:
            EvidenceError: there is none.
            FormatError: it is none, or not that of the verifier key beside it.
            OSError: it can't be read.
        """
        signer = Signer.parse(self._text(_KEY))
        if signer.type is not KeyType.ED25519 or signer.verifier != self.verifier():
            raise FormatError(f"log `{self.origin}`: `{_KEY}` and `{_PUBLIC_KEY}` do not fit")
        return signer

    def verifier(self) -> Verifier:
        """The verifier key.

        Raises:
            EvidenceError: there is none.
            FormatError: it is none.
            OSError: it can't be read.
        """
        return Verifier.parse(self._text(_PUBLIC_KEY))

    def has_key(self) -> bool:
        """Whether the log has a verifier key.

        Raises:
            OSError: it can't be read.
        """
        return read(self.folder / _PUBLIC_KEY) is not None

    def signed(self) -> bytes | None:
        """The newest checkpoint that was signed, as a note; None before the first.

        Raises:
            OSError: it can't be read.
        """
        return read(self.folder / _SIGNED)

    def checkpoint(self) -> bytes | None:
        """The published checkpoint, as a note; None before the first.

        Raises:
            OSError: it can't be read.
        """
        return read(self.public / _CHECKPOINT)

    def keep_signed(self, note: Note) -> None:
        """Remembers for good what was signed.

        Raises:
            OSError: nobody may see this signature: it might be forgotten.
        """
        replace({self.folder / _SIGNED: bytes(note)}, self._scratch)

    def publish(self, note: Note) -> None:
        """Publishes a checkpoint whose tiles are in place.

        Raises:
            OSError: the one before may still be there.
        """
        replace({self.public / _CHECKPOINT: bytes(note)}, self._scratch)

    def put(self, tiles: Mapping[Tile, bytes]) -> None:
        """Puts tiles in place.

        Raises:
            OSError: some may be missing.
        """
        replace({self.public / tile.path: data for tile, data in tiles.items()}, self._scratch)

    def tile(self, tile: Tile) -> bytes:
        """The content of a tile, or as much of the full one: see `tiles.Fetch`.

        Raises:
            FormatError: it is not there, or too short.
            OSError: it can't be read.
        """
        data = read(self.public / tile.path)
        if data is None and tile != tile.full:
            data = read(self.public / tile.full.path)
        if data is None:
            raise FormatError(f"tile `{tile.path}` is not there")
        if tile.level == ENTRIES:
            leaves = unbundle(data)
            count, data = len(leaves), bundle(leaves[: tile.width])
        else:
            count, data = len(data) // HASH_BYTES, data[: tile.width * HASH_BYTES]
        if count < tile.width:
            raise FormatError(f"tile `{tile.path}` is too short")
        return data

    def holds(self, tile: Tile, data: bytes) -> bool:
        """Whether this is what was published as a tile, or what the full one begins with.

        Raises:
            OSError: it can't be read.
        """
        found = read(self.public / tile.path)
        if found is None and tile != tile.full:
            full = read(self.public / tile.full.path)
            return full is not None and full.startswith(data)
        return found == data

    def drop(self, partial: Iterable[Tile]) -> None:
        """Removes all partial tiles of those that are full by now; it does no harm if some stay."""
        for tile in partial:
            if (self.public / tile.full.path).is_file():
                shutil.rmtree((self.public / tile.path).parent, ignore_errors=True)

    def tidy(self, beside: Tile) -> None:
        """Removes partial tiles that somebody was killed before removing, from the folder of a tile.

        Raises:
            OSError: the folder can't be read.
        """
        folder = (self.public / beside.full.path).parent
        for path in [*folder.glob("*.p")]:
            if path.with_suffix("").is_file():
                shutil.rmtree(path, ignore_errors=True)

    def _unfinished(self, name: str) -> Signer | None:
        """The key of this name that somebody was killed while making; None where there is none at all."""
        if read(self.folder / _KEY) is None and read(self.folder / _PUBLIC_KEY) is None:
            return None
        if read(self.folder / _PUBLIC_KEY) is None:
            signer = Signer.parse(self._text(_KEY))
            if signer.name == name:
                return signer
        what = "it has a key, which can't be replaced: earlier signatures are of that one"
        raise EvidenceError(f"log `{self.origin}`: {what}")

    def _text(self, name: str) -> str:
        data = read(self.folder / name)
        if data is None:
            remedy = f"make one with `dmp audit keys make {self.origin}`"
            raise EvidenceError(f"log `{self.origin}` has no key in `{self.folder}`: {remedy}")
        try:
            return data.decode().removesuffix("\n")
        except UnicodeDecodeError as exc:
            raise FormatError(f"log `{self.origin}`: `{name}` is no text") from exc


def logs(folder: Path) -> list[Evidence]:
    """All logs that have evidence in a folder, in alphabetical order.

    Raises:
        OSError: the folder can't be read.
    """
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    there = (Evidence(folder, unquote(name)) for name in found)
    return [one for one in there if one.has_key()]
