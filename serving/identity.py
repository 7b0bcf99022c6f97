"""Who a certificate says its holder is. Whether that may be believed, `serving.trust` says.

Four kinds of holder, told by the subject alone, its attributes in any order and grouping:

* a service of the DMP: CN = its name, OU = `dmp service`; its name stands among the DNS names too;
* a professional (CPS): one RDN with CN = idNat_PS, SN and givenName; OU = profession, O = `TEST`
  on a test card, the issuing agency on a real one;
* an employee of a structure (CPE): the same, with the idNat_PS of an employee;
* a structure: CN, OU = idNat_Struct, O = its name.

Source: the certificate shown in the deck of 2011; public samples of structure certificates.
No message of this module holds a number or a name: it can be logged.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from serving import idnat
from serving.certificate import extension, fingerprint, parse, serial
from serving.errors import IdentityError

SERVICE_UNIT: Final = "dmp service"
TEST_CARD: Final = "TEST"

_SERVICE: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MAX_TEXT: Final = 200
_NAMES: Final = {
    NameOID.COMMON_NAME: "CN",
    NameOID.SURNAME: "SN",
    NameOID.GIVEN_NAME: "givenName",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.ORGANIZATION_NAME: "O",
}


class Kind(StrEnum):
    """Whom a certificate can stand for; for persons and structures as in `subject.kind`."""

    SERVICE = "service"
    PROFESSIONAL = "professional"
    EMPLOYEE = "employee"
    STRUCTURE = "structure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The holder of a certificate, as the certificate has it.

    Attributes:
        service: of a service, its name; else "".
        subject_id: of a person, the idNat_PS; of a structure, the idNat_Struct; else "".
        structure: of an employee or a structure, the idNat_Struct; else "".
        profession_label: of a person, what the card prints, not a code; else "".
        name: of a person, given name and surname; of a structure, its name; else "".
        serial: hexadecimal, upper case.
        fingerprint: SHA-256 of the certificate, hexadecimal.
        not_before: the first instant of its validity.
        not_after: the last instant of its validity.
        test: whether the holder exists in the test environment only; None when nothing tells.
    """

    kind: Kind
    service: str = ""
    subject_id: str = ""
    structure: str = ""
    profession_label: str = ""
    name: str = ""
    serial: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    test: bool | None = None


def peer_of(certificate: x509.Certificate | bytes) -> Peer:
    """Who a certificate stands for.

    Args:
        certificate: parsed or PEM; of several, the first, which is the leaf of a chain.

    Raises:
        IdentityError: it is no certificate, or of none of the kinds.
    """
    try:
        return _read(parse(certificate) if isinstance(certificate, bytes) else certificate)
    except IdentityError:
        raise
    except Exception as exc:  # the parser is lazy, and raises many things when it comes to nonsense
        raise IdentityError("no certificate of X.509: a part of it can't be read") from exc


def _read(leaf: x509.Certificate) -> Peer:
    subject = _Subject(leaf.subject)
    if subject.has(NameOID.SURNAME) or subject.has(NameOID.GIVEN_NAME):
        return _person(leaf, subject)
    if subject.one(NameOID.ORGANIZATIONAL_UNIT_NAME) == SERVICE_UNIT:
        return _service(leaf, subject)
    return _structure(leaf, subject)


def service_name(text: str) -> str:
    """The text, if it can name a service.

    Raises:
        IdentityError: it can't.
    """
    if not _SERVICE.fullmatch(text):
        raise IdentityError("no name of a service: small letters, digits and inner `-`, at most 63")
    return text


class _Subject:
    """A subject's attributes, wherever they stand."""

    def __init__(self, name: x509.Name) -> None:
        self._name = name

    def has(self, oid: x509.ObjectIdentifier) -> bool:
        return bool(self._name.get_attributes_for_oid(oid))

    def one(self, oid: x509.ObjectIdentifier) -> str:
        """The one value of an attribute; of two, nobody could say which one counts."""
        values = [attribute.value for attribute in self._name.get_attributes_for_oid(oid)]
        if len(values) != 1:
            found = "none" if not values else f"{len(values)} of them"
            raise IdentityError(f"the subject must have one {_NAMES[oid]}, it has {found}")
        (value,) = values
        if not isinstance(value, str) or not value.isprintable() or not value.strip():
            raise IdentityError(f"the {_NAMES[oid]} of the subject is blank or unprintable")
        if len(value) > _MAX_TEXT:
            raise IdentityError(f"the {_NAMES[oid]} of the subject is longer than {_MAX_TEXT}")
        return value


def _service(leaf: x509.Certificate, subject: _Subject) -> Peer:
    name = service_name(subject.one(NameOID.COMMON_NAME))
    names = extension(leaf, x509.SubjectAlternativeName)
    if names is None or name not in names.get_values_for_type(x509.DNSName):
        raise IdentityError(f"service `{name}`: its name must be one of the DNS names (SAN)")
    return _peer(leaf, Kind.SERVICE, service=name)


def _person(leaf: x509.Certificate, subject: _Subject) -> Peer:
    number = idnat.person(subject.one(NameOID.COMMON_NAME))
    surname = subject.one(NameOID.SURNAME)
    given = subject.one(NameOID.GIVEN_NAME)
    test = subject.one(NameOID.ORGANIZATION_NAME) == TEST_CARD
    if number.test is not None and number.test != test:
        card, other = ("test", "real") if test else ("real", "test")
        raise IdentityError(f"a {card} card (O) with a number of the {other} range (CN)")
    return _peer(
        leaf,
        Kind.EMPLOYEE if number.employer else Kind.PROFESSIONAL,
        subject_id=number.value,
        structure=number.employer,
        profession_label=subject.one(NameOID.ORGANIZATIONAL_UNIT_NAME),
        name=f"{given} {surname}",
        test=test,
    )


def _structure(leaf: x509.Certificate, subject: _Subject) -> Peer:
    subject.one(NameOID.COMMON_NAME)
    number = idnat.structure(subject.one(NameOID.ORGANIZATIONAL_UNIT_NAME))
    return _peer(
        leaf,
        Kind.STRUCTURE,
        subject_id=number.value,
        structure=number.value,
        name=subject.one(NameOID.ORGANIZATION_NAME),
        test=number.test,
    )


def _peer(leaf: x509.Certificate, kind: Kind, *, test: bool | None = None, **words: str) -> Peer:
    return Peer(
        kind=kind,
        serial=serial(leaf),
        fingerprint=fingerprint(leaf),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        test=test,
        **words,
    )
