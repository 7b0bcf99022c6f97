"""What authorities have revoked: certificate revocation lists (CRL), RFC 5280 sections 5 and 6.3.

* A list counts only when an authority that may sign lists signed it, and says until when it is current.
* Of several complete lists of an authority the newest counts, so an old one that is put back does nothing.
* A delta list adds to the complete list that it is based on, or a newer one; together they are current
  until the later of their ends.
* Past that end and a grace, an authority's certificates can't be judged: whoever asks must refuse them.
* Lists for a part of the certificates, or of several authorities, are refused: half a list is none.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from serving.errors import TrustError

CLOCK_SKEW: Final = timedelta(minutes=5)
_UNDERSTOOD: Final = (x509.DeltaCRLIndicator.oid, x509.CRLNumber.oid)
_HASHES: Final = ("sha256", "sha384", "sha512")

AuthorityKey = tuple[bytes, bytes]


class Standing(StrEnum):
    """What is known of a certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """What one authority has revoked: its newest complete list with the newest changes to it.

    Attributes:
        revoked: the serial numbers.
        begin: from when it is current.
        until: the end of its being current.
    """

    revoked: frozenset[int]
    begin: datetime
    until: datetime

    def standing(self, serial: int, at: datetime, grace: timedelta) -> Standing:
        """What is known of a certificate at an instant; what was revoked stays so after the end."""
        if serial in self.revoked:
            return Standing.REVOKED
        current = self.begin <= at + CLOCK_SKEW and at <= self.until + grace
        return Standing.GOOD if current else Standing.UNKNOWN


def key_of(authority: x509.Certificate) -> AuthorityKey:
    """What an authority is known by: name and key, which a renewed certificate shares."""
    spki = authority.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return authority.subject.public_bytes(), spki


def registers(
    authorities: Iterable[x509.Certificate], crls: Iterable[x509.CertificateRevocationList]
) -> dict[AuthorityKey, Register]:
    """The registers of the authorities that have a complete list.

    Raises:
        TrustError: a list is of none of them, is forged, or can't be understood.
    """
    known = {key_of(authority): authority for authority in authorities}
    lists: dict[AuthorityKey, list[x509.CertificateRevocationList]] = {}
    for crl in crls:
        lists.setdefault(_signer(crl, known), []).append(crl)
    found = {}
    for key, its in lists.items():
        complete = [crl for crl in its if _base(crl) is None]
        if not complete:
            raise TrustError("a delta list without the complete list that it is based on: add it")
        newest = max(complete, key=_age)
        deltas = [crl for crl in its if _applies(crl, newest)]
        found[key] = _register(newest, max(deltas, key=_age, default=None))
    return found


def _register(
    complete: x509.CertificateRevocationList, delta: x509.CertificateRevocationList | None
) -> Register:
    lists = (complete,) if delta is None else (complete, delta)
    revoked = {entry.serial_number for entry in complete}
    for entry in delta or ():
        if _is_taken_back(entry):
            revoked.discard(entry.serial_number)
        else:
            revoked.add(entry.serial_number)
    return Register(
        revoked=frozenset(revoked),
        begin=max(crl.last_update_utc for crl in lists),
        until=max(_end(crl) for crl in lists),
    )


def _signer(
    crl: x509.CertificateRevocationList, known: dict[AuthorityKey, x509.Certificate]
) -> AuthorityKey:
    """The authority that signed a list that can be understood."""
    issuer = crl.issuer.public_bytes()
    named = [(key, authority) for key, authority in known.items() if key[0] == issuer]
    if not named:
        raise TrustError("a revocation list of none of the authorities: add its authority")
    for key, authority in named:
        if _is_signed(crl, authority):
            _understand(crl)
            return key
    raise TrustError("a revocation list that its authority did not sign: fetch it again")


def _is_signed(crl: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        usage = authority.extensions.get_extension_for_class(x509.KeyUsage).value
        return usage.crl_sign and crl.is_signature_valid(authority.public_key())  # type: ignore[arg-type]  # others raise
    except (x509.ExtensionNotFound, TypeError, ValueError, UnsupportedAlgorithm):
        return False


def _understand(crl: x509.CertificateRevocationList) -> None:
    """Raises TrustError if the list says more, or less, than we understand."""
    for extension in crl.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            oid = extension.oid.dotted_string
            raise TrustError(f"a revocation list with the critical extension {oid}: use a full one")
    if crl.signature_hash_algorithm is None or crl.signature_hash_algorithm.name not in _HASHES:
        raise TrustError("a revocation list that is signed with a weak hash")
    if crl.next_update_utc is None:
        raise TrustError("a revocation list that does not say when the next one comes")
    _age(crl)


def _age(crl: x509.CertificateRevocationList) -> tuple[int, datetime]:
    try:
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        raise TrustError("a revocation list without a number") from None
    return number, crl.last_update_utc


def _base(crl: x509.CertificateRevocationList) -> int | None:
    """The number of the complete list that a delta list is based on; None for a complete one."""
    try:
        return crl.extensions.get_extension_for_class(x509.DeltaCRLIndicator).value.crl_number
    except x509.ExtensionNotFound:
        return None


def _applies(crl: x509.CertificateRevocationList, complete: x509.CertificateRevocationList) -> bool:
    base = _base(crl)
    return base is not None and base <= _age(complete)[0] < _age(crl)[0]


def _end(crl: x509.CertificateRevocationList) -> datetime:
    assert crl.next_update_utc is not None  # noqa: S101 - INVARIANT: _understand refuses others
    return crl.next_update_utc


def _is_taken_back(entry: x509.RevokedCertificate) -> bool:
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return False
    return reason is x509.ReasonFlags.remove_from_crl
