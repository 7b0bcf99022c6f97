"""A development authority in a folder: three authorities, what they issued, what they revoked.

    authorities/  roots.pem services.pem persons.pem   public: what `serving.trust.load` reads
    crls/         roots.pem services.pem persons.pem   public: as above
    signers/      NAME.pem                             public: what `authz.token.load` reads
    issued/       SERIAL.pem                           every certificate that was ever issued
    services/     NAME.pem (with its authority) NAME.key
    persons/      NUMBER.pem (the same) NUMBER.key     cards; the `/` of a number becomes `_`
    structures/   NUMBER.pem (the same) NUMBER.key
    keys/         roots.pem services.pem persons.pem signers/NAME.key

Keys are never overwritten: one that is replaced is kept under the serial number or id that it had.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from authz.token import key_id
from clients.pki import files
from clients.pki.authority import (
    Holder,
    Signer,
    make_authority,
    make_certificate,
    make_list,
    make_root,
)
from clients.pki.errors import InputError, StandingError
from serving.certificate import extension, hexadecimal, is_issued, serial
from serving.errors import Error as ServingError
from serving.errors import UntrustedError
from serving.identity import peer_of, service_name
from serving.trust import Trust, load

ROOTS: Final = "roots"
SERVICES: Final = "services"
PERSONS: Final = "persons"
STRUCTURES: Final = "structures"
AUTHORITIES: Final = (ROOTS, SERVICES, PERSONS)

ROOT_LIFETIME: Final = timedelta(days=3650)
AUTHORITY_LIFETIME: Final = timedelta(days=1825)
LIST_LIFETIME: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate with its key, and whether it was made just now."""

    certificate: Path
    key: Path
    new: bool


class Folder:
    """The authority in a folder. Instants are passed in; keys and serial numbers are made here.

    Raises, by every method:
        InputError: what was given can't be used, or the folder holds no authority.
        StandingError: what is there already stands in the way.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, at: datetime) -> bool:
        """Makes the authorities and their empty lists, all at once; False when they are there already."""
        if self._is_made():
            return False
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise StandingError(f"`{self.path}` is there already and not empty: name a new folder")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.path.parent, prefix=".pki-") as made:
            new = Folder(Path(made) / "new")
            new._fill(at)
            try:
                new.path.rename(self.path)  # onto nothing, or onto an empty folder
            except OSError:
                if not self._is_made():  # by somebody else, meanwhile
                    raise
                return False
        return True

    def issue(
        self,
        holder: Holder,
        *,
        place: str,
        name: str,
        at: datetime,
        lifetime: timedelta,
        renew: bool = False,
    ) -> Issued:
        """A certificate for a holder, kept under a name; the one that is there, if it serves as well.

        Args:
            holder: whom it is for.
            place: the folder of the files: `services`, `persons` or `structures`.
            name: of the files.
            at: now.
            lifetime: of a new certificate.
            renew: replace what is there by a new key and certificate.
        """
        with self._locked():
            stem = name.replace("/", "_")
            chain, key = self._of(place, f"{stem}.pem"), self._of(place, f"{stem}.key")
            signer = self._signer(SERVICES if place == SERVICES else PERSONS)
            if chain.exists():
                found = files.certificate(chain)
                hindrance = self._hindrance(found, holder, key, at)
                if not hindrance and not renew:
                    return Issued(certificate=chain, key=key, new=False)
                if not renew:
                    raise StandingError(
                        f"`{chain}` is there already and {hindrance}: add --renew to replace it"
                    )
                if key.exists():
                    key.rename(key.with_name(f"{stem}.{serial(found)}.key"))
            if not key.exists():
                files.write_key(key, ec.generate_private_key(ec.SECP256R1()))
            # A key without a certificate was left by a command that was stopped: it is as good as new.
            certificate = make_certificate(
                holder,
                by=signer,
                key=files.curve_key(key).public_key(),
                serial=x509.random_serial_number(),
                at=at,
                lifetime=lifetime,
            )
            pem = certificate.public_bytes(Encoding.PEM)
            files.write(self._of("issued", f"{serial(certificate)}.pem"), pem)
            files.write(chain, pem + signer.certificate.public_bytes(Encoding.PEM))
            return Issued(certificate=chain, key=key, new=True)

    def issue_signer(self, name: str, *, renew: bool = False) -> Issued:
        """A key with which a service signs tokens of end users; its public half is in `signers`.

        Renewed, the new key and the one before count; a second renewal ends the one before.
        """
        try:
            service_name(name)
        except ServingError as exc:
            raise InputError(str(exc)) from exc
        with self._locked():
            public = self._of("signers", f"{name}.pem")
            key = self._of("keys", "signers", f"{name}.key")
            if public.exists() and not renew:
                if not key.exists():
                    raise StandingError(f"`{key}` is missing: add --renew to make another")
                return Issued(certificate=public, key=key, new=False)
            before = b""
            if key.exists():
                old = files.signing_key(key)
                before = files.public_pem(old)
                key.rename(key.with_name(f"{name}.{key_id(old.public_key())}.key"))
            private = Ed25519PrivateKey.generate()
            files.write_key(key, private)
            files.write(public, files.public_pem(private) + before)
            return Issued(certificate=public, key=key, new=True)

    def revoke(self, what: str, at: datetime) -> tuple[x509.Certificate, bool]:
        """Revokes a certificate, named by file or serial number; False when it was revoked before."""
        with self._locked():
            certificate = self._find(what)
            for name in AUTHORITIES:
                signer = self._signer(name)
                if certificate != signer.certificate and is_issued(certificate, signer.certificate):
                    break
            else:
                raise InputError(f"`{what}`: not issued by an authority of this folder, or a root")
            crl = self._list(name)
            if crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
                return certificate, False
            self._renew(name, at, LIST_LIFETIME, (certificate.serial_number, at))
            return certificate, True

    def renew_lists(self, at: datetime, lifetime: timedelta = LIST_LIFETIME) -> None:
        """Signs the revocation lists again, which then are current for a time."""
        with self._locked():
            for name in AUTHORITIES:
                self._renew(name, at, lifetime)

    def certificates(self) -> list[x509.Certificate]:
        """Every certificate that was issued to a holder, the oldest first."""
        self._check_made()
        found = map(files.certificate, (self.path / "issued").glob("*.pem"))
        return sorted(found, key=lambda its: (its.not_valid_before_utc, its.serial_number))

    def find(self, what: str) -> x509.Certificate:
        """A certificate, by file or serial number."""
        self._check_made()
        return self._find(what)

    def trust(self, *, test: bool) -> Trust:
        """What a service trusts that was given this folder."""
        self._check_made()
        try:
            return load(self.path, test=test)
        except ServingError as exc:
            raise StandingError(str(exc)) from exc

    def _fill(self, at: datetime) -> None:
        for name in ("authorities", "crls", "signers", "issued", SERVICES, PERSONS, STRUCTURES):
            (self.path / name).mkdir(parents=True)
        for name in ("keys", "keys/signers"):
            (self.path / name).mkdir(mode=files.PRIVATE_FOLDER)
        keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in AUTHORITIES}
        serials = {name: x509.random_serial_number() for name in AUTHORITIES}
        # So that two development authorities can't be taken for one another.
        mark = f"{serials[ROOTS]:X}"[:4]
        root = make_root(
            f"dmp development root {mark}",
            key=keys[ROOTS],
            serial=serials[ROOTS],
            at=at,
            lifetime=ROOT_LIFETIME,
        )
        for name in AUTHORITIES:
            signer = root
            if name != ROOTS:
                signer = make_authority(
                    f"dmp development {name} {mark}",
                    above=root,
                    key=keys[name],
                    serial=serials[name],
                    at=at,
                    lifetime=AUTHORITY_LIFETIME,
                )
            files.write_key(self._of("keys", f"{name}.pem"), signer.key)
            pem = signer.certificate.public_bytes(Encoding.PEM)
            files.write(self._of("authorities", f"{name}.pem"), pem)
            crl = make_list((), by=signer, number=1, at=at, lifetime=LIST_LIFETIME)
            files.write(self._of("crls", f"{name}.pem"), crl.public_bytes(Encoding.PEM))

    def _renew(
        self, name: str, at: datetime, lifetime: timedelta, *more: tuple[int, datetime]
    ) -> None:
        old = self._list(name)
        number = old.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        revoked = [(entry.serial_number, entry.revocation_date_utc) for entry in old]
        crl = make_list(
            (*revoked, *more), by=self._signer(name), number=number + 1, at=at, lifetime=lifetime
        )
        files.write(self._of("crls", f"{name}.pem"), crl.public_bytes(Encoding.PEM))

    def _hindrance(self, found: x509.Certificate, holder: Holder, key: Path, at: datetime) -> str:
        """Why a certificate does not serve a holder now; "" if it does."""
        names = extension(found, x509.SubjectAlternativeName)
        if found.subject != holder.subject:
            return "says something else of its holder"
        if tuple(names or ()) != holder.hosts:
            return "is for other hosts"
        if not key.exists():
            return "its key is missing"
        if files.curve_key(key).public_key() != found.public_key():
            return "its key is another's"
        try:
            self.trust(test=bool(peer_of(found).test)).check(found, at)
        except UntrustedError as exc:
            return f"is no longer good ({exc})"
        return ""

    def _find(self, what: str) -> x509.Certificate:
        if Path(what).is_file():
            return files.certificate(Path(what))
        digits = what.replace(":", "")
        if re.fullmatch(r"[0-9A-Fa-f]{1,40}", digits):
            issued = self._of("issued", f"{hexadecimal(int(digits, 16))}.pem")
            if issued.exists():
                return files.certificate(issued)
        raise InputError(f"`{what}` is neither a file nor the serial number of a certificate here")

    def _signer(self, name: str) -> Signer:
        certificate = files.certificate(self._of("authorities", f"{name}.pem"))
        return Signer(certificate=certificate, key=files.curve_key(self._of("keys", f"{name}.pem")))

    def _list(self, name: str) -> x509.CertificateRevocationList:
        return files.revocation_list(self._of("crls", f"{name}.pem"))

    def _of(self, *parts: str) -> Path:
        return self.path.joinpath(*parts)

    def _is_made(self) -> bool:
        return self._of("keys", f"{ROOTS}.pem").exists()

    def _check_made(self) -> None:
        if not self._is_made():
            raise InputError(f"`{self.path}` holds no authority: make one with `dmp pki init`")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One command at a time: of two that renew a list, one would lose what the other revoked."""
        self._check_made()
        handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
