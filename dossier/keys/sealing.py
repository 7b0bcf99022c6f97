"""How what is stored is sealed: AES-256-GCM, bound to the one place where it belongs. Pure.

A sealed text is a version byte, a nonce of 12 random bytes, and what AES-GCM makes of the plain one: as many
bytes, and a tag of 16 (NIST SP 800-38D). Its additional data name what it is, of whom and of which document,
so that what is moved to another row does not open. Random nonces suffice for 2**32 texts a key.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dossier.errors import SealError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16

_VERSION: Final = b"\x01"
_OVERHEAD: Final = len(_VERSION) + NONCE_BYTES + TAG_BYTES

Random = Callable[[int], bytes]
"""As many random bytes as asked for."""


class Purpose(StrEnum):
    """What is sealed."""

    BODY = "body"
    PARTICULARS = "particulars"
    KEY = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a sealed text belongs: what it is, of which patient, and of which document or master key."""

    purpose: Purpose
    patient: str
    of: str


class Key:
    """A key that seals and opens; it never shows, and can't be copied to elsewhere."""

    __slots__ = ("_cipher",)

    def __init__(self, secret: bytes) -> None:
        """Takes 32 bytes.

        Raises:
            SealError: it is not as many.
        """
        if len(secret) != KEY_BYTES:
            raise SealError(f"a key of `{len(secret)}` bytes: it must have {KEY_BYTES}")
        self._cipher = AESGCM(secret)

    def __repr__(self) -> str:
        """Nothing of it."""
        return "Key(...)"

    def __reduce__(self) -> NoReturn:
        """Raises TypeError."""
        raise TypeError("a key is not written anywhere")

    def seal(self, plain: bytes, place: Place, *, random: Random = os.urandom) -> bytes:
        """The text, sealed for that place."""
        nonce = random(NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plain, _bound(place))

    def unseal(self, sealed: bytes, place: Place) -> bytes:
        """The whole text, as it was sealed for that place.

        Raises:
            SealError: it was altered or moved, or sealed with another key.
        """
        version = sealed[: len(_VERSION)]
        if len(sealed) < _OVERHEAD:
            raise SealError(
                f"`{place.purpose}` is damaged: only `{len(sealed)}` bytes are left of it"
            )
        if version != _VERSION:
            raise SealError(
                f"`{place.purpose}` is sealed in an unknown way, `{version.hex()}`: it is damaged, or a"
                " newer dmp wrote it"
            )
        nonce, rest = sealed[len(_VERSION) :][:NONCE_BYTES], sealed[len(_VERSION) + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, rest, _bound(place))
        except InvalidTag:
            raise SealError(
                f"`{place.purpose}` does not open: it was altered or moved, or sealed with another key:"
                " restore it, or its key, from a backup"
            ) from None


def _bound(place: Place) -> bytes:
    """The additional data: each part with its length before it, so that none runs into the next."""
    parts = (part.encode() for part in (place.purpose, place.patient, place.of))
    return _VERSION + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
