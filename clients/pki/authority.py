"""Makes certificates and revocation lists; keys, serial numbers and the instant are passed in.

They look like those of real life: professionals have one multi-valued RDN and no subject alternative name
(the deck of 2011), structures have their number in OU, services have DNS names. RFC 5280, P-256 throughout,
because the TLS of gRPC and the path verifier both take it.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clients.pki.errors import InputError, StandingError
from serving import idnat
from serving.errors import IdentityError
from serving.identity import SERVICE_UNIT, TEST_CARD, service_name

ISSUING_AGENCY: Final = "GIP-CPS"

_CLIENT: Final = (ExtendedKeyUsageOID.CLIENT_AUTH,)
_BOTH: Final = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)
_MAX_TEXT: Final = 64  # of a CN, RFC 5280 appendix A.1
_HASH: Final = hashes.SHA256()
_DNS: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """An authority that can sign."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whom a certificate is for, and how it may be used.

    Attributes:
        subject: the name as it stands in the certificate.
        purposes: extended key usages.
        hosts: DNS names and addresses (SAN); none for cards.
    """

    subject: x509.Name
    purposes: tuple[x509.ObjectIdentifier, ...] = _CLIENT
    hosts: tuple[x509.GeneralName, ...] = ()


def service(name: str, hosts: Iterable[str] = ()) -> Holder:
    """A service of the DMP, known by its name, and by more hosts if it listens there.

    Raises:
        InputError: the name or a host can't be one.
    """
    try:
        subject = _name(
            [_of(NameOID.ORGANIZATIONAL_UNIT_NAME, SERVICE_UNIT)], [_cn(service_name(name))]
        )
    except IdentityError as exc:
        raise InputError(str(exc)) from exc
    names = tuple(map(_host, dict.fromkeys((name, *hosts))))
    return Holder(subject=subject, purposes=_BOTH, hosts=names)


def person(
    number: str, *, surname: str, given_name: str, profession: str, test: bool = False
) -> Holder:
    """The holder of a card: a professional (CPS), or by the number an employee (CPE).

    Args:
        number: idNat_PS. Its range says whether it is a test card, if it has one.
        surname: as on the card.
        given_name: as on the card.
        profession: the label that the card prints, such as `Médecin`.
        test: for a number without a range: that it is a test card.

    Raises:
        InputError: the number is none, or a test card is asked for with a real number.
    """
    try:
        read = idnat.person(number)
    except IdentityError as exc:
        raise InputError(str(exc)) from exc
    if test and read.test is False:
        raise InputError("a test card needs a number of the test range: RPPS 9970…, ADELI 0B…")
    organisation = TEST_CARD if test or read.test else ISSUING_AGENCY
    return Holder(
        subject=_name(
            [_of(NameOID.COUNTRY_NAME, "FR")],
            [_of(NameOID.ORGANIZATION_NAME, organisation)],
            [_of(NameOID.ORGANIZATIONAL_UNIT_NAME, profession)],
            [_cn(number), _of(NameOID.SURNAME, surname), _of(NameOID.GIVEN_NAME, given_name)],
        )
    )


def structure(number: str, name: str) -> Holder:
    """A structure, by its idNat_Struct.

    Raises:
        InputError: the number is none.
    """
    try:
        idnat.structure(number)
    except IdentityError as exc:
        raise InputError(str(exc)) from exc
    return Holder(
        subject=_name(
            [_of(NameOID.COUNTRY_NAME, "FR")],
            [_of(NameOID.ORGANIZATION_NAME, name)],
            [_of(NameOID.ORGANIZATIONAL_UNIT_NAME, number)],
            [_cn(name)],
        )
    )


def make_root(
    name: str, *, key: ec.EllipticCurvePrivateKey, serial: int, at: datetime, lifetime: timedelta
) -> Signer:
    """An authority above all others, signed by itself."""
    subject = _name([_cn(name)])
    unsigned = _begin(
        subject, subject, key.public_key(), serial=serial, begin=at, end=at + lifetime
    )
    unsigned = _as_authority(unsigned, depth=1)
    return Signer(certificate=unsigned.sign(key, _HASH), key=key)


def make_authority(
    name: str,
    *,
    above: Signer,
    key: ec.EllipticCurvePrivateKey,
    serial: int,
    at: datetime,
    lifetime: timedelta,
) -> Signer:
    """An authority that issues certificates to holders; it ends with the one above it at the latest."""
    issuer = above.certificate
    end = min(at + lifetime, issuer.not_valid_after_utc)
    unsigned = _begin(
        _name([_cn(name)]), issuer.subject, key.public_key(), serial=serial, begin=at, end=end
    )
    unsigned = _as_authority(unsigned, depth=0)
    unsigned = unsigned.add_extension(_authority_key(above), critical=False)
    return Signer(certificate=unsigned.sign(above.key, _HASH), key=key)


def make_certificate(
    holder: Holder,
    *,
    by: Signer,
    key: ec.EllipticCurvePublicKey,
    serial: int,
    at: datetime,
    lifetime: timedelta,
) -> x509.Certificate:
    """A holder's certificate; it ends with its authority at the latest."""
    issuer = by.certificate
    end = min(at + lifetime, issuer.not_valid_after_utc)
    unsigned = (
        _begin(holder.subject, issuer.subject, key, serial=serial, begin=at, end=end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(holder.purposes), critical=False)
        .add_extension(_authority_key(by), critical=False)
    )
    if holder.hosts:
        unsigned = unsigned.add_extension(x509.SubjectAlternativeName(holder.hosts), critical=False)
    return unsigned.sign(by.key, _HASH)


def make_list(
    revoked: Iterable[tuple[int, datetime]],
    *,
    by: Signer,
    number: int,
    at: datetime,
    lifetime: timedelta,
    base: int | None = None,
) -> x509.CertificateRevocationList:
    """The serial numbers that an authority has revoked, and when.

    Args:
        revoked: all of them; of a delta list, those since its base.
        by: the authority.
        number: of the list, greater than all before.
        at: now.
        lifetime: until the next list must be there.
        base: of a delta list, the number of the complete list that it adds to.
    """
    unsigned = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(by.certificate.subject)
        .last_update(at)
        .next_update(at + lifetime)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(_authority_key(by), critical=False)
    )
    if base is not None:
        unsigned = unsigned.add_extension(x509.DeltaCRLIndicator(base), critical=True)
    for serial, since in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
        unsigned = unsigned.add_revoked_certificate(entry.build())
    return unsigned.sign(by.key, _HASH)


def _begin(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    *,
    serial: int,
    begin: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    if end <= begin:
        raise StandingError("the authority has expired: make a new one in another folder")
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _as_authority(unsigned: x509.CertificateBuilder, *, depth: int) -> x509.CertificateBuilder:
    """With the extensions of an authority that may have so many authorities below it."""
    return unsigned.add_extension(
        x509.BasicConstraints(ca=True, path_length=depth), critical=True
    ).add_extension(_usage(authority=True), critical=True)


def _usage(*, authority: bool) -> x509.KeyUsage:
    """To sign certificates and lists, or to sign in a handshake; nothing else."""
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key(by: Signer) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())


def _name(*parts: list[x509.NameAttribute[str]]) -> x509.Name:
    """A name of RDNs, each with one or several attributes."""
    return x509.Name([x509.RelativeDistinguishedName(part) for part in parts])


def _of(oid: x509.ObjectIdentifier, value: str) -> x509.NameAttribute[str]:
    if not value.strip() or not value.isprintable() or len(value) > _MAX_TEXT:
        raise InputError(f"{value!r} can't stand in a name: give 1 to {_MAX_TEXT} printable signs")
    return x509.NameAttribute(oid, value)


def _cn(value: str) -> x509.NameAttribute[str]:
    return _of(NameOID.COMMON_NAME, value)


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    if not _DNS.fullmatch(text):
        raise InputError(f"`{text}` is no host: give a DNS name or an address, without a port")
    return x509.DNSName(text)
