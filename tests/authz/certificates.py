"""A small world of authorities and certificates, good ones and odd ones."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clients.pki import authority
from clients.pki.authority import Holder, Signer
from serving.trust import Trust

NOW = datetime(2026, 5, 4, 10, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH

DECK = [
    (NameOID.COMMON_NAME, "00B1038575"),
    (NameOID.SURNAME, "MEDECIN3857"),
    (NameOID.GIVEN_NAME, "PAUL"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "Médecin"),
    (NameOID.ORGANIZATION_NAME, "TEST"),
    (NameOID.COUNTRY_NAME, "FR"),
]
"""The subject that the deck shows."""


def name(*parts):
    """A name of RDNs, each given as a list of (attribute, value)."""
    return x509.Name(
        [
            x509.RelativeDistinguishedName([x509.NameAttribute(oid, value) for oid, value in part])
            for part in parts
        ]
    )


def key():
    """A new key on the curve that all use."""
    return ec.generate_private_key(ec.SECP256R1())


def doctor(number="00B1038575", **changes):
    """The doctor of the deck."""
    words = {"surname": "MEDECIN3857", "given_name": "PAUL", "profession": "Médecin", **changes}
    return authority.person(number, **words)


def structure(number="10B0167011"):
    """A health centre."""
    return authority.structure(number, "CENTRE DE SANTE RPPS12718")


def pem(certificate):
    """A certificate or a list as a file holds it."""
    return certificate.public_bytes(Encoding.PEM)


@dataclass(frozen=True, kw_only=True)
class World:
    """A root, an authority for services and one for persons, a month old."""

    root: Signer
    services: Signer
    persons: Signer

    @classmethod
    def make(cls, at=NOW - 30 * DAY, lifetime=3650 * DAY):
        """A world of its own."""
        make = {"at": at, "lifetime": lifetime}
        root = authority.make_root("root", key=key(), serial=x509.random_serial_number(), **make)
        services, persons = (
            authority.make_authority(
                its, above=root, key=key(), serial=x509.random_serial_number(), **make
            )
            for its in ("services", "persons")
        )
        return cls(root=root, services=services, persons=persons)

    def trust(self, *, crls=None, **changes):
        """What trusts this world, with an empty list of each authority unless told otherwise."""
        fields = {
            "roots": (self.root.certificate,),
            "services": (self.services.certificate,),
            "persons": (self.persons.certificate,),
            "crls": self.crls() if crls is None else crls,
            "test": True,
            **changes,
        }
        return Trust(**fields)

    def crls(self, *revoked, at=NOW - HOUR):
        """The lists of the three authorities; a revoked certificate is on that of its issuer."""
        return tuple(
            crl(by, *(its for its in revoked if its.issuer == by.certificate.subject), at=at)
            for by in (self.root, self.services, self.persons)
        )

    def service(self, its="dossier", *, by=None, at=NOW - DAY, lifetime=30 * DAY):
        """A service's certificate."""
        return issue(authority.service(its), by=by or self.services, at=at, lifetime=lifetime)

    def card(self, holder=None, *, by=None, at=NOW - DAY, lifetime=30 * DAY):
        """A card."""
        return issue(holder or doctor(), by=by or self.persons, at=at, lifetime=lifetime)


@cache
def world():
    """The world that tests share; nothing in it changes."""
    return World.make()


def issue(holder: Holder, *, by: Signer, at=NOW - DAY, lifetime=30 * DAY):
    """A certificate as our authority makes it."""
    return authority.make_certificate(
        holder,
        by=by,
        key=key().public_key(),
        serial=x509.random_serial_number(),
        at=at,
        lifetime=lifetime,
    )


def crl(by, *revoked, number=1, at=NOW - HOUR, lifetime=DAY, base=None):
    """A revocation list."""
    entries = [(its.serial_number, at) for its in revoked]
    return authority.make_list(entries, by=by, number=number, at=at, lifetime=lifetime, base=base)


def odd(
    *,
    by=None,
    subject=None,
    public=None,
    private=None,
    ca=False,
    signing=True,
    purposes=(CLIENT,),
    dns=("dossier",),
    more=(),
    hash_=None,
):
    """A certificate that our authority would not make; signed by itself without `by`."""
    own = private or key()
    if subject is None:
        subject = authority.service("dossier").subject
    unsigned = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(public or own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=signing,
                content_commitment=False,
                key_encipherment=not signing,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=ca,
                crl_sign=ca,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
    )
    if by:
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())
        unsigned = unsigned.add_extension(above, critical=False)
    if purposes:
        unsigned = unsigned.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if dns:
        names = x509.SubjectAlternativeName([x509.DNSName(its) for its in dns])
        unsigned = unsigned.add_extension(names, critical=False)
    for extension, critical in more:
        unsigned = unsigned.add_extension(extension, critical=critical)
    return unsigned.sign(by.key if by else own, hash_ or hashes.SHA256())


def signer(certificate, private):
    """Something that signs, whether it may or not."""
    return Signer(certificate=certificate, key=private)


def without(trust, *fields):
    """A trust without some of its authorities."""
    return replace(trust, **dict.fromkeys(fields, ()))
