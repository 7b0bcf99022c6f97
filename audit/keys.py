"""The keys of logs and witnesses (C2SP signed-note, tlog-cosignature v1), by Ed25519. Pure.

A key is known by its name and a key id of four bytes. Its public half is written as a verifier key,
`NAME+ID+BASE64(type, public key)`, its secret half with `PRIVATE+KEY+` before that; Go's `note` and
others read and write the same.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.encoding import base64, unbase64
from audit.errors import FormatError

MARK: Final = "— "
"""What a line of a signature begins with."""

ID_BYTES: Final = 4

_SECRET: Final = "PRIVATE+KEY+"  # noqa: S105 - a mark, no secret
_KEY_BYTES: Final = 32
_TIME_BYTES: Final = 8
_MAX_TIME: Final = 2**63 - 1


class KeyType(IntEnum):
    """The kinds of signatures that we make and verify; others are ignored."""

    ED25519 = 1
    """Of a log, over the text of the note."""

    COSIGNATURE = 4
    """Of a witness, over the text and the time: it has seen this tree grow out of all earlier ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature as it stands in a note, not verified."""

    name: str
    key_id: bytes
    data: bytes

    def __str__(self) -> str:
        """Its line, without the newline."""
        return f"{MARK}{self.name} {base64(self.key_id + self.data)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """The public half of a key.

    Attributes:
        name: of the key; of a log, its origin.
        type: what it signs.
        key: the 32 bytes of the public key (RFC 8032).
        key_id: the four bytes that, with the name, tell the key.
    """

    name: str
    type: KeyType
    key: bytes
    key_id: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Computes the key id.

        Raises:
            FormatError: the name or the key can't be one.
        """
        check_name(self.name)
        if len(self.key) != _KEY_BYTES:
            raise FormatError(f"key `{self.name}`: {_KEY_BYTES} bytes expected: {len(self.key)}")
        named = b"%s\n%c%s" % (self.name.encode(), self.type, self.key)
        object.__setattr__(self, "key_id", hashlib.sha256(named).digest()[:ID_BYTES])

    @classmethod
    def parse(cls, text: str) -> "Verifier":
        """Reads a verifier key.

        Raises:
            FormatError: it is none, or of a kind that we don't know.
        """
        name, kind, key = _split_key(text)
        found = cls(name=name, type=kind, key=key)
        if text != str(found):
            raise FormatError(f"key `{name}`: the key id is not that of this name and key")
        return found

    def __str__(self) -> str:
        """The verifier key."""
        return f"{self.name}+{self.key_id.hex()}+{base64(bytes([self.type]) + self.key)}"

    def made(self, signature: Signature) -> bool:
        """Whether a signature says that it was made by this key."""
        return (signature.name, signature.key_id) == (self.name, self.key_id)

    def time(self, signature: Signature) -> int | None:
        """When a cosignature was made, in seconds since 1970; None for that of a log."""
        own = self.type is KeyType.COSIGNATURE
        return int.from_bytes(signature.data[:_TIME_BYTES]) if own else None

    def accepts(self, text: str, signature: Signature) -> bool:
        """Whether a signature over a text was made by this key."""
        data, signed = signature.data, text
        if self.type is KeyType.COSIGNATURE:
            time = int.from_bytes(data[:_TIME_BYTES])
            if time > _MAX_TIME:
                return False
            data, signed = data[_TIME_BYTES:], _cosigned(text, time)
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(data, signed.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """The secret half of a key: 32 random bytes, which are never shown."""

    name: str
    type: KeyType
    seed: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "Signer":
        """Reads a secret key; no message repeats any of it.

        Raises:
            FormatError: it is none.
        """
        if not text.startswith(_SECRET):
            raise FormatError(f"secret key: it does not begin with `{_SECRET}`")
        name, kind, seed = _split_key(text.removeprefix(_SECRET))
        found = cls(name=name, type=kind, seed=seed)
        if len(seed) != _KEY_BYTES or text != found.secret:
            raise FormatError(f"secret key `{name}`: it is damaged: its key id is another one's")
        return found

    @property
    def secret(self) -> str:
        """The secret key as text, to be kept."""
        key_id, half = self.verifier.key_id.hex(), base64(bytes([self.type]) + self.seed)
        return f"{_SECRET}{self.name}+{key_id}+{half}"

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        public = self._private().public_key().public_bytes_raw()
        return Verifier(name=self.name, type=self.type, key=public)

    def sign(self, text: str) -> Signature:
        """Signs a text, as a log does; the same text always gets the same signature."""
        return self._signature(self._private().sign(text.encode()))

    def cosign(self, text: str, time: int) -> Signature:
        """Signs the text of a checkpoint as a witness does.

        Args:
            text: all that is signed by the log.
            time: seconds since 1970.

        Raises:
            FormatError: the time is out of range.
        """
        if not 0 <= time <= _MAX_TIME:
            raise FormatError(f"time: `{time}` is out of range")
        made = self._private().sign(_cosigned(text, time).encode())
        return self._signature(time.to_bytes(_TIME_BYTES) + made)

    def _signature(self, data: bytes) -> Signature:
        return Signature(name=self.name, key_id=self.verifier.key_id, data=data)

    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)


def made(name: str, kind: KeyType, random: Callable[[int], bytes]) -> Signer:
    """A new key.

    Args:
        name: which no other key has, best like `example.org/dmp/1`.
        kind: of a log or of a witness.
        random: gives bytes fit for secrets, as many as asked for.

    Raises:
        FormatError: the name can't be that of a key.
    """
    check_name(name)
    return Signer(name=name, type=kind, seed=random(_KEY_BYTES))


def check_name(name: str) -> None:
    """Sees that a key can have this name.

    Raises:
        FormatError: it is empty, or holds a space, a plus or a control character.
    """
    if not name or "+" in name or any(char.isspace() or char < " " for char in name):
        raise FormatError(
            f"name `{name}`: a name has no spaces and no plus, as `example.org/dmp/1`"
        )


def _split_key(text: str) -> tuple[str, KeyType, bytes]:
    """Name, kind and bytes of a key as text."""
    name, *rest = text.split("+", 2)
    if len(rest) != 2:  # noqa: PLR2004 - key id and key
        raise FormatError("key: three parts joined by `+` expected, as NAME+ID+KEY")
    check_name(name)
    data = unbase64(rest[1], f"key `{name}`")
    try:
        return name, KeyType(data[0]), data[1:]
    except (IndexError, ValueError) as exc:
        raise FormatError(f"key `{name}`: neither of a log (1) nor of a witness (4)") from exc


def _cosigned(text: str, time: int) -> str:
    return f"cosignature/v1\ntime {time}\n{text}"
