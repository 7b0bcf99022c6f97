"""What can be read off one certificate of X.509 (RFC 5280), whoever it belongs to."""

from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from serving.errors import IdentityError

_MIN_RSA_BITS: Final = 2048
_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")

Extension = TypeVar("Extension", bound=x509.ExtensionType)


def parse(pem: bytes) -> x509.Certificate:
    """The first certificate of a PEM.

    Raises:
        IdentityError: there is none.
    """
    try:
        return x509.load_pem_x509_certificate(pem)
    except (ValueError, x509.InvalidVersion) as exc:
        raise IdentityError("no certificate in PEM") from exc


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate, hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def serial(certificate: x509.Certificate) -> str:
    """A certificate's serial number as most tools print it: hexadecimal, upper case, whole bytes."""
    return hexadecimal(certificate.serial_number)


def hexadecimal(number: int) -> str:
    """A serial number, written in whole bytes."""
    digits = f"{number:X}"
    return digits.zfill(len(digits) + len(digits) % 2)


def extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension | None:
    """An extension of a certificate, if it has it."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it says that it is an authority's."""
    constraints = extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def is_issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether an authority signed it, at any time."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def is_root(certificate: x509.Certificate) -> bool:
    """Whether it is signed by itself."""
    return is_issued(certificate, certificate)


def is_strong(certificate: x509.Certificate) -> bool:
    """Whether its key is of a kind and length that TLS accepts: RSA of 2048 bits, or a NIST curve."""
    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return False
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= _MIN_RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES
