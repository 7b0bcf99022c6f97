"""Keys for tests: always the same ones, so that tests have the same names in every process."""

import hashlib

from audit.keys import KeyType, Signer


def log_key(name: str, which: int = 0) -> Signer:
    """The key of a log; `which` tells namesakes apart."""
    return _key(name, KeyType.ED25519, which)


def witness_key(name: str, which: int = 0) -> Signer:
    """The key of a witness."""
    return _key(name, KeyType.COSIGNATURE, which)


def _key(name: str, kind: KeyType, which: int) -> Signer:
    return Signer(
        name=name, type=kind, seed=hashlib.sha256(f"{kind} {name} {which}".encode()).digest()
    )
