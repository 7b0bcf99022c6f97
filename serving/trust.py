"""Whether a certificate is to be believed: path, use, strength, revocation, and what its authority may say.

Sources: RFC 5280 section 6 (path), 4.2.1.3 and 4.2.1.12 (uses), 5 (revocation); the deck of 2011, whose
professional certificates have no subject alternative name. The path is judged by the verifier of
`cryptography`, whose interface is declared unstable: only this module knows it.

The steps of a check; the first that fails is told:

 1. A path leads from the certificate to a root, all valid at the instant.
 2. It is no authority itself, may sign, and is for the use (client, server).
 3. Its key is strong.
 4. The authority that issued it is one of those that may vouch for somebody.
 5. Nothing on the path is revoked, and the lists that say so are current.
 6. Its subject can be read, and names somebody for whom that authority may vouch.
 7. It is somebody of the kind that is wanted, from the range (test or real) that is served here.

Only known authorities count: what a caller sends besides its own certificate is not used.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

from serving.certificate import extension, is_authority, is_issued, is_root, is_strong, parse
from serving.errors import IdentityError, TrustError, UntrustedError
from serving.identity import Kind, Peer, peer_of
from serving.revocation import AuthorityKey, Register, Standing, key_of, registers

GRACE: Final = timedelta(hours=1)

SERVICES: Final = frozenset({Kind.SERVICE})
PERSONS: Final = frozenset({Kind.PROFESSIONAL, Kind.EMPLOYEE, Kind.STRUCTURE})

ROOTS_FILE: Final = "roots.pem"
SERVICES_FILE: Final = "services.pem"
PERSONS_FILE: Final = "persons.pem"

_CRL: Final = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)


class Reason(StrEnum):
    """Why a certificate is not trusted."""

    MALFORMED = "MALFORMED"
    UNKNOWN_AUTHORITY = "UNKNOWN_AUTHORITY"
    NOT_YET_VALID = "NOT_YET_VALID"
    EXPIRED = "EXPIRED"
    WRONG_USE = "WRONG_USE"
    WEAK_KEY = "WEAK_KEY"
    REVOKED = "REVOKED"
    CRL_STALE = "CRL_STALE"
    WRONG_KIND = "WRONG_KIND"
    WRONG_RANGE = "WRONG_RANGE"


class Use(StrEnum):
    """What a certificate is shown for."""

    CLIENT = "client"
    SERVER = "server"


_PURPOSES: Final = {
    Use.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
    Use.SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom we believe, and about what.

    Attributes:
        roots: the roots, which sign themselves, and the authorities between them and the issuing ones.
        services: the authorities that may vouch for services of the DMP, and for nobody else.
        persons: the authorities that may vouch for professionals, employees and structures.
        crls: their revocation lists; an authority without one can't be judged, so it is not trusted.
        grace: how long a list is used after it should have been replaced.
        test: whether the test environment is served here, which refuses what is real, and the reverse.

    Raises:
        TrustError: they can't be used together.
    """

    roots: tuple[x509.Certificate, ...]
    services: tuple[x509.Certificate, ...] = ()
    persons: tuple[x509.Certificate, ...] = ()
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    grace: timedelta = GRACE
    test: bool = False
    _registers: Mapping[AuthorityKey, Register] = field(init=False, repr=False, compare=False)
    _vouches: Mapping[AuthorityKey, frozenset[Kind]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuses what could only be found out when somebody is refused because of it."""
        authorities = self._authorities()
        _check_authorities(authorities, self.roots)
        persons, services = (
            {key_of(authority) for authority in issuing}
            for issuing in (self.persons, self.services)
        )
        if persons & services:
            raise TrustError("an authority may vouch for services or for persons, not for both")
        vouches = dict.fromkeys(persons, PERSONS) | dict.fromkeys(services, SERVICES)
        object.__setattr__(self, "_vouches", vouches)
        object.__setattr__(self, "_registers", registers(authorities, self.crls))

    def check(
        self,
        certificate: x509.Certificate | bytes,
        at: datetime,
        *,
        use: Use = Use.CLIENT,
        kinds: Collection[Kind] = tuple(Kind),
    ) -> Peer:
        """Who shows a certificate at an instant, if it is to be believed.

        Args:
            certificate: parsed or PEM; of several, the first, which is the leaf of a chain.
            at: the instant; aware.
            use: what it is shown for.
            kinds: who is wanted.

        Raises:
            UntrustedError: it is not to be believed.
        """
        try:
            leaf = parse(certificate) if isinstance(certificate, bytes) else certificate
            return self._check(leaf, at, use, kinds)
        except UntrustedError:
            raise
        except IdentityError as exc:
            raise _refusal(Reason.MALFORMED, str(exc)) from exc
        except Exception as exc:
            # The parser is lazy, and raises many things when it comes to nonsense.
            raise _refusal(Reason.MALFORMED, "a part of it can't be read") from exc

    def check_follows(self, before: "Trust") -> None:
        """Whether it may take the place of another, so that nobody who was revoked comes back.

        Raises:
            TrustError: the list of an authority is missing now, or older than it was.
        """
        for authority in self._authorities():
            key = key_of(authority)
            was, now = before._registers.get(key), self._registers.get(key)  # noqa: SLF001 - of its kind
            if was is not None and (now is None or now.begin < was.begin):
                name = authority.subject.rfc4514_string()
                fault = "is missing" if now is None else "is older than the one in use"
                raise TrustError(f"authority `{name}`: its list {fault}: fetch the newest")

    def _check(
        self, leaf: x509.Certificate, at: datetime, use: Use, kinds: Collection[Kind]
    ) -> Peer:
        path = self._path(leaf, at)  # (1)
        _check_use(leaf, use)  # (2)
        if not is_strong(leaf):  # (3)
            raise _refusal(Reason.WEAK_KEY, "its key is too short, or of a kind not accepted")
        vouches = self._vouches.get(key_of(path[1]))  # (4)
        if vouches is None:
            raise _refusal(Reason.UNKNOWN_AUTHORITY, "its authority may not vouch for anybody")
        self._check_revocation(path, at)  # (5)
        peer = peer_of(leaf)  # (6)
        if peer.kind not in vouches:
            raise _refusal(Reason.WRONG_KIND, f"its authority may not vouch for a {peer.kind}")
        if peer.kind not in kinds:  # (7)
            raise _refusal(Reason.WRONG_KIND, f"a {peer.kind} is not wanted here")
        if peer.test is not None and peer.test != self.test:
            here, there = ("test", "real") if self.test else ("real", "test")
            raise _refusal(
                Reason.WRONG_RANGE, f"a {there} {peer.kind} where {here} ones are served"
            )
        return peer

    def _authorities(self) -> tuple[x509.Certificate, ...]:
        return (*self.roots, *self.services, *self.persons)

    def _path(self, leaf: x509.Certificate, at: datetime) -> list[x509.Certificate]:
        """The path from a certificate to a root, both included."""
        policy = (
            PolicyBuilder()
            .store(Store([root for root in self.roots if is_root(root)]))
            .time(at)
            .extension_policies(
                ca_policy=ExtensionPolicy.webpki_defaults_ca(),
                # Defaults would want a subject alternative name, which cards do not have.
                ee_policy=ExtensionPolicy.permit_all(),
            )
        )
        try:
            found = policy.build_client_verifier().verify(leaf, list(self._authorities()))
        except VerificationError as exc:
            # Without the cause: its text names the holder, who must not get into a log.
            raise self._diagnosis(leaf, at, str(exc)) from None
        return found.chain

    def _diagnosis(self, leaf: x509.Certificate, at: datetime, told: str) -> UntrustedError:
        """Why there is no path."""
        above = self._above(leaf)
        if not above:
            return _refusal(Reason.UNKNOWN_AUTHORITY, "not issued by an authority known here")
        if at < leaf.not_valid_before_utc:
            return _refusal(
                Reason.NOT_YET_VALID, f"not before {leaf.not_valid_before_utc.isoformat()}"
            )
        if leaf.not_valid_after_utc < at:
            return _refusal(Reason.EXPIRED, f"not after {leaf.not_valid_after_utc.isoformat()}")
        if any(authority.not_valid_after_utc < at for authority in above):
            return _refusal(Reason.EXPIRED, "an authority above it has expired")
        return _refusal(Reason.MALFORMED, told.partition(" (encountered")[0])

    def _above(self, leaf: x509.Certificate) -> list[x509.Certificate]:
        """The authorities whose signatures lead to a certificate, valid or not."""
        found: list[x509.Certificate] = []
        below = [leaf]
        while below:
            signed = below.pop()
            new = [a for a in self._authorities() if a not in found and is_issued(signed, a)]
            found += new
            below += new
        return found

    def _check_revocation(self, path: list[x509.Certificate], at: datetime) -> None:
        for certificate, issuer in pairwise(path):
            whose = "it" if certificate is path[0] else "an authority above it"
            register = self._registers.get(key_of(issuer))
            if register is None:
                raise _refusal(Reason.CRL_STALE, "there is no revocation list of its authority")
            standing = register.standing(certificate.serial_number, at, self.grace)
            if standing is Standing.REVOKED:
                raise _refusal(Reason.REVOKED, f"{whose} has been revoked")
            if standing is Standing.UNKNOWN:
                until = register.until.isoformat()
                raise _refusal(Reason.CRL_STALE, f"the list of its authority ended at {until}")


def load(folder: Path, *, grace: timedelta = GRACE, test: bool = False) -> Trust:
    """Reads `authorities/roots.pem`, `services.pem` and `persons.pem`, and `crls/*.pem`, of a folder.

    A file may hold several certificates or lists. Of `services.pem` and `persons.pem` one may be absent.

    Raises:
        TrustError: something is missing, or can't be used.
    """
    authorities = folder / "authorities"
    crls = sorted((folder / "crls").glob("*.pem"))
    return Trust(
        roots=tuple(_certificates(authorities / ROOTS_FILE)),
        services=tuple(_certificates(authorities / SERVICES_FILE, optional=True)),
        persons=tuple(_certificates(authorities / PERSONS_FILE, optional=True)),
        crls=tuple(crl for path in crls for crl in _lists(path)),
        grace=grace,
        test=test,
    )


def _check_authorities(
    authorities: Collection[x509.Certificate], roots: Collection[x509.Certificate]
) -> None:
    """Raises TrustError if an authority can't be one."""
    if not any(map(is_root, roots)):
        raise TrustError("there is no root: give at least one authority that signs itself")
    for authority in authorities:
        name = authority.subject.rfc4514_string()
        if not is_authority(authority):
            raise TrustError(f"authority `{name}`: it is not an authority's certificate")
        if not is_strong(authority):
            raise TrustError(f"authority `{name}`: its key is too short, or of a kind not accepted")
        if not any(is_issued(authority, above) for above in roots):
            raise TrustError(f"authority `{name}`: whoever issued it is not among the roots")


def _check_use(leaf: x509.Certificate, use: Use) -> None:
    if is_authority(leaf):
        raise _refusal(Reason.WRONG_USE, "it is an authority's")
    usage = extension(leaf, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        raise _refusal(Reason.WRONG_USE, "its key usage is not to sign")
    purposes = extension(leaf, x509.ExtendedKeyUsage)
    if purposes is None or _PURPOSES[use] not in purposes:
        raise _refusal(Reason.WRONG_USE, f"its extended key usage is not that of a {use}")


def _refusal(reason: Reason, detail: str) -> UntrustedError:
    return UntrustedError(reason, detail)


def _certificates(path: Path, *, optional: bool = False) -> list[x509.Certificate]:
    if optional and not path.exists():
        return []
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError, x509.InvalidVersion) as exc:
        raise TrustError(f"`{path}` can't be read as certificates in PEM: {exc}") from exc


def _lists(path: Path) -> Iterator[x509.CertificateRevocationList]:
    try:
        blocks = _CRL.findall(path.read_bytes())
        if not blocks:
            raise TrustError(f"`{path}` holds no revocation list in PEM")
        yield from map(x509.load_pem_x509_crl, blocks)
    except (OSError, ValueError) as exc:
        raise TrustError(f"`{path}` can't be read as revocation lists in PEM: {exc}") from exc
