"""Numbers that stand for persons, structures and documents in the index. Pure, but for the file of the key.

A keyed hash of 63 bits: without the key nobody can tell whom a number stands for. That two of a hundred
million have the same one is improbable (1 in 2,000); an entry is compared again before it is shown.
"""

import base64
import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

from audit.durable import read, replace
from audit.errors import FormatError

KEY_BYTES: Final = 32
_MASK: Final = (1 << 63) - 1
_REMEMBERED: Final = 1 << 15  # most are asked for again soon


class Handles:
    """Makes the numbers, with one key."""

    def __init__(self, key: bytes) -> None:
        """Takes a key of 32 bytes."""
        self._key = key
        self._number = lru_cache(_REMEMBERED)(self._make)

    @classmethod
    def kept(cls, path: Path) -> Self:
        """With the key in a file, which is made if there is none.

        Raises:
            FormatError: the file holds no key.
            OSError: it can't be read, or not be made.
        """
        key = read(path)
        if key is None:
            key = os.urandom(KEY_BYTES)
            replace({path: key}, path.parent / f".{path.name}", private=True)
        if len(key) != KEY_BYTES:
            raise FormatError(f"`{path}`: {KEY_BYTES} bytes expected, found {len(key)}")
        return cls(key)

    def person(self, id_: str) -> int:
        """Of a subject or a patient: one number in whatever part; 0 for nobody."""
        return self._number(b"person", id_)

    def structure(self, id_: str) -> int:
        """Of a structure; 0 for none."""
        return self._number(b"structure", id_)

    def document(self, id_: str) -> int:
        """Of a document; 0 for none."""
        return self._number(b"document", id_)

    def name(self, family_name: str) -> int:
        """Of a family name; 0 for none."""
        return self._number(b"name", family_name)

    def pseudonym(self, patient: str) -> str:
        """What stands in place of a patient before somebody who may not know who it is; "" for none."""
        digest = self._digest(b"pseudonym", patient, 10)
        return f"~{base64.b32encode(digest).decode().lower()}" if patient else ""

    def _make(self, kind: bytes, id_: str) -> int:
        if not id_:
            return 0
        return int.from_bytes(self._digest(kind, id_, 8), "big") & _MASK or 1

    def _digest(self, kind: bytes, id_: str, size: int) -> bytes:
        data = id_.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, key=self._key, digest_size=size, person=kind).digest()
