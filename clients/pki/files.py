"""Reads and writes the files of a development authority."""

import os
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from clients.pki.errors import InputError, StandingError
from serving.certificate import parse
from serving.errors import IdentityError

PRIVATE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700

Key = ec.EllipticCurvePrivateKey | Ed25519PrivateKey


def certificate(path: Path) -> x509.Certificate:
    """The first certificate of a file.

    Raises:
        InputError: there is none.
    """
    try:
        return parse(path.read_bytes())
    except (OSError, IdentityError) as exc:
        raise InputError(f"`{path}` can't be read as a certificate in PEM") from exc


def revocation_list(path: Path) -> x509.CertificateRevocationList:
    """The list of a file.

    Raises:
        StandingError: there is none. What was revoked is not known then, and an empty list must not
            take its place.
    """
    try:
        return x509.load_pem_x509_crl(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise StandingError(f"`{path}` can't be read: bring it back from a copy") from exc


def curve_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The key of a certificate.

    Raises:
        StandingError: the file holds none.
    """
    key = _key(path)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise StandingError(f"`{path}` is not a key as they are made here for certificates")
    return key


def signing_key(path: Path) -> Ed25519PrivateKey:
    """The key of a signer of tokens.

    Raises:
        StandingError: the file holds none.
    """
    key = _key(path)
    if not isinstance(key, Ed25519PrivateKey):
        raise StandingError(f"`{path}` is not a key as they are made here for tokens")
    return key


def public_pem(key: Key) -> bytes:
    """The public half of a key."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def write_key(path: Path, key: Key) -> None:
    """Writes a key where there is none; for its owner's eyes only, from the first byte on."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(handle, "wb") as file:
        file.write(pem)


def write(path: Path, content: bytes) -> None:
    """Writes or replaces a public file in one step, so that nobody ever reads half of it."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.replace(path)


def _key(path: Path) -> object:
    try:
        return load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as exc:
        raise StandingError(f"`{path}` can't be read as a private key in PEM") from exc
