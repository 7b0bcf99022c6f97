"""How the decision point is reached: by mutual TLS with files that may be replaced, or plainly and here.

TLS here proves that the other end is the service that we mean; who *we* are, it reads from our certificate.
"""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from clients.sdk.errors import SettingsError

_MAX_PORT: Final = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Mutual TLS. The files are read again when they change, without a call being lost.

    Attributes:
        key: our private key, PEM.
        chain: our certificate, then the authorities below the root, PEM.
        roots: whom we trust to vouch for the decision point: a file in PEM, or a folder of `*.pem`.
        name: of the decision point in its certificate, whatever its address.
    """

    key: Path
    chain: Path
    roots: Path
    name: str = "authz"


@dataclass(frozen=True, slots=True)
class Plain:
    """No TLS: for loopback addresses and unix sockets only."""


PLAIN: Final = Plain()

Security = Tls | Plain
Signature = tuple[tuple[str, int, int, int], ...]


def check_address(address: str, security: Security) -> str:
    """The address, if it may be spoken to in this way.

    Raises:
        SettingsError: it is none, or not of this machine and there is no TLS.
    """
    scheme, colon, path = address.partition(":")
    if scheme == "unix" and colon and path:
        return address
    host, colon, port = address.rpartition(":")
    numbered = port.isascii() and port.isdigit() and 0 < int(port) <= _MAX_PORT
    if not (colon and host and numbered) or (":" in host and not host.startswith("[")):
        raise SettingsError(f"`{address}` is no address: give HOST:PORT or unix:/PATH")
    if isinstance(security, Plain) and not _is_loopback(host):
        raise SettingsError(
            f"`{address}` is not of this machine: without TLS only loopback (127.0.0.1:PORT) "
            "and unix sockets (unix:/PATH) are spoken to"
        )
    return address


def credentials(tls: Tls) -> grpc.ChannelCredentials:
    """What the files hold now, if it fits together.

    Raises:
        SettingsError: a file can't be read, or the key is not that of the certificate.
    """
    key, chain = _read(tls.key), _read(tls.chain)
    roots = b"\n".join(map(_read, _files(tls.roots)))
    if not _certificates(roots, tls.roots):
        raise SettingsError(f"`{tls.roots}` holds no certificate in PEM")
    leaf = _certificates(chain, tls.chain)[0]
    try:
        own = load_pem_private_key(key, password=None).public_key()
    except (ValueError, TypeError) as exc:
        raise SettingsError(f"`{tls.key}` holds no private key in PEM without password") from exc
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if own.public_bytes(*form) != leaf.public_key().public_bytes(*form):
        raise SettingsError(f"`{tls.key}` is not the key of the certificate in `{tls.chain}`")
    return grpc.ssl_channel_credentials(roots, key, chain)


def signature(security: Security) -> Signature:
    """What changes when a file is replaced; a file that is not there changes it, too."""
    if isinstance(security, Plain):
        return ()
    return tuple(map(_stamp, (security.key, security.chain, *_files(security.roots))))


def _stamp(path: Path) -> tuple[str, int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (str(path), 0, 0, 0)
    # The time of change too: a file moved into place keeps its own time of writing.
    return (str(path), found.st_mtime_ns, found.st_ctime_ns, found.st_size)


def _files(path: Path) -> tuple[Path, ...]:
    return tuple(sorted(path.glob("*.pem"))) if path.is_dir() else (path,)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise SettingsError(f"`{path}` can't be read: {exc.strerror}") from exc


def _certificates(pem: bytes, path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as exc:
        raise SettingsError(f"`{path}` holds no certificate in PEM") from exc


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
