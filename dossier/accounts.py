"""The holder's account for the web: a login, and a password of which only a hash is kept.

The temporary password is told once, in the answer to the creation, and is neither stored nor logged.
Login and password are handed over, or go by two channels (homologation EX_GEN-1470).
"""

import base64
import binascii
import math
import secrets
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from dossier.errors import PasswordError

LETTERS: Final = "abcdefghjkmnpqrstuvwxyz"
"""Those that nobody takes for another letter, or a digit."""
DIGITS: Final = "23456789"

LOGIN_LENGTH: Final = 10
PASSWORD_LENGTH: Final = 14
PASSWORD_BITS: Final = PASSWORD_LENGTH * math.log2(len(LETTERS))
"""What guessing a temporary password takes: 63 bits."""

_SCHEME: Final = "scrypt"
_SALT: Final = 16
_HASH: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a hash costs: 128 * n * r bytes of memory, p times over (RFC 7914)."""

    n: int = 1 << 15
    r: int = 8
    p: int = 3


COST: Final = Cost()
"""As OWASP advises for passwords that people choose; the time of a fifth of a second or so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a holder gets, once: to be changed at the first login. Its text does not show the password."""

    login: str
    temporary_password: str = field(repr=False)


def new() -> Account:
    """Another account, drawn from the system's source of randomness."""
    return Account(
        login="".join(secrets.choice(LETTERS + DIGITS) for _ in range(LOGIN_LENGTH)),
        temporary_password="".join(secrets.choice(LETTERS) for _ in range(PASSWORD_LENGTH)),
    )


def hashed(password: str, cost: Cost = COST) -> str:
    """A password as it is stored: `scrypt$n$r$p$salt$hash`, with a salt of its own."""
    salt = secrets.token_bytes(_SALT)
    parts = (_encode(salt), _encode(_scrypt(salt, cost).derive(password.encode())))
    return "$".join((_SCHEME, str(cost.n), str(cost.r), str(cost.p), *parts))


def verify(stored: str, password: str) -> None:
    """Compares a password with what is stored, in a time that tells nothing of where they differ.

    Raises:
        PasswordError: it is another one, or what is stored can't be read.
    """
    try:
        scheme, n, r, p, salt, expected = stored.split("$")
        if scheme != _SCHEME:
            raise PasswordError("the stored password is of an unknown scheme: give a new one")
        work = _scrypt(_decode(salt), Cost(n=int(n), r=int(r), p=int(p)))
        work.verify(password.encode(), _decode(expected))
    except InvalidKey:
        raise PasswordError("another password: try again") from None
    except (ValueError, binascii.Error):
        raise PasswordError("the stored password is damaged: give a new one") from None


def _scrypt(salt: bytes, cost: Cost) -> Scrypt:
    return Scrypt(salt=salt, length=_HASH, n=cost.n, r=cost.r, p=cost.p)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
