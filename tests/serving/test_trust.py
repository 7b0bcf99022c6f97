"""Which certificates are believed, and why the others are not."""

import base64
import shutil
import subprocess
from contextlib import nullcontext
from datetime import timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from clients.pki import authority
from serving.errors import TrustError, UntrustedError
from serving.identity import Kind
from serving.trust import Reason, Use, load
from tests.authz.certificates import (
    DAY,
    HOUR,
    NOW,
    World,
    crl,
    doctor,
    key,
    odd,
    pem,
    signer,
    structure,
    world,
)

W = world()
OTHER = World.make()
SERVER = ExtendedKeyUsageOID.SERVER_AUTH
OPENSSL = shutil.which("openssl")


def below(private):
    """A certificate that a service issued, as if it were an authority."""
    leaf = odd(by=W.services, private=private)
    return odd(by=signer(leaf, private))


def refusal(trust, leaf, at=NOW, **wanted):
    """Why a certificate is not believed."""
    with pytest.raises(UntrustedError) as caught:
        trust.check(leaf, at, **wanted)
    return Reason(caught.value.reason)


@pytest.mark.parametrize(
    ("leaf", "kind"),
    [
        (W.service(), Kind.SERVICE),
        (W.card(), Kind.PROFESSIONAL),
        (W.card(doctor("30B0037750/CPET0001")), Kind.EMPLOYEE),
        (W.card(structure()), Kind.STRUCTURE),
    ],
)
def test_good_ones(leaf, kind):
    """A certificate of each kind, issued by the authority for it, is believed."""
    peer = W.trust().check(leaf, NOW)

    assert kind is peer.kind


def test_pem_as_the_transport_gives_it():
    """The leaf in PEM is enough: the authorities are known here."""
    peer = W.trust().check(pem(W.service("portal")), NOW)

    assert peer.service == "portal"


@pytest.mark.parametrize("use", list(Use))
def test_services_call_and_are_called(use):
    """A service's certificate is good for both ends of a connection."""
    peer = W.trust().check(W.service(), NOW, use=use)

    assert peer.service == "dossier"


BAD = {
    "expired": (W.service(at=NOW - 9 * DAY, lifetime=DAY), Reason.EXPIRED),
    "not yet valid": (W.service(at=NOW + DAY), Reason.NOT_YET_VALID),
    "of another authority": (OTHER.service(), Reason.UNKNOWN_AUTHORITY),
    "expired and of another authority": (
        OTHER.service(at=NOW - 9 * DAY, lifetime=DAY),
        Reason.UNKNOWN_AUTHORITY,
    ),
    "signed by itself": (odd(), Reason.UNKNOWN_AUTHORITY),
    "issued by a service": (below(key()), Reason.UNKNOWN_AUTHORITY),
    "issued by the root": (W.service(by=W.root), Reason.UNKNOWN_AUTHORITY),
    "an authority": (W.services.certificate, Reason.WRONG_USE),
    "the root": (W.root.certificate, Reason.WRONG_USE),
    "an authority by its flag": (odd(by=W.services, ca=True), Reason.WRONG_USE),
    "without extended usage": (odd(by=W.services, purposes=()), Reason.WRONG_USE),
    "for servers": (odd(by=W.services, purposes=(SERVER,)), Reason.WRONG_USE),
    "not for signing": (odd(by=W.services, signing=False), Reason.WRONG_USE),
    "RSA of 1024 bits": (
        odd(by=W.services, public=rsa.generate_private_key(65537, 1024).public_key()),
        Reason.WEAK_KEY,
    ),
    "a small curve": (
        odd(by=W.services, public=ec.generate_private_key(ec.SECP224R1()).public_key()),
        Reason.WEAK_KEY,
    ),
    "a curve that TLS leaves out": (
        odd(by=W.services, public=ed25519.Ed25519PrivateKey.generate().public_key()),
        Reason.WEAK_KEY,
    ),
    "a service of the persons' authority": (W.service(by=W.persons), Reason.WRONG_KIND),
    "a doctor of the services' authority": (W.card(by=W.services), Reason.WRONG_KIND),
    "a real card in the test environment": (W.card(doctor("810001234567")), Reason.WRONG_RANGE),
    "nobody": (odd(by=W.services, dns=()), Reason.MALFORMED),
    "more than we understand": (
        odd(
            by=W.services,
            more=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), True)],
        ),
        Reason.MALFORMED,
    ),
    "no certificate": (b"-----BEGIN", Reason.MALFORMED),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_ones(case):
    """A bad certificate is refused for its own reason."""
    leaf, reason = BAD[case]

    assert reason is refusal(W.trust(), leaf)


@pytest.mark.parametrize("case", BAD)
def test_refusals_name_nobody(case):
    """The text of a refusal, and of what caused it, holds no name and no number."""
    leaf, _ = BAD[case]

    with pytest.raises(UntrustedError) as caught:
        W.trust().check(leaf, NOW)

    told = f"{caught.value} {caught.value.__cause__}"
    assert not any(word in told for word in ("PAUL", "MEDECIN", "00B1038575", "810001234567"))


def test_expired_card_names_nobody():
    """That a card has expired is told without the name that the verifier would print."""
    expired = W.card(at=NOW - 9 * DAY, lifetime=DAY)

    with pytest.raises(UntrustedError) as caught:
        W.trust().check(expired, NOW)

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert str(caught.value) == "EXPIRED: not after 2026-04-26T10:00:00+00:00"


def test_unwanted_kind():
    """Where services are wanted, a doctor's card is of the wrong kind."""
    found = refusal(W.trust(), W.card(), kinds={Kind.SERVICE})

    assert found is Reason.WRONG_KIND


def test_test_cards_are_refused_in_production():
    """A test card is not believed where real ones are, and services are believed in both."""
    trust = W.trust(test=False)

    assert refusal(trust, W.card()) is Reason.WRONG_RANGE
    assert trust.check(W.service(), NOW).service == "dossier"
    assert trust.check(W.card(doctor("810001234567")), NOW).test is False


def test_the_last_second_counts():
    """A certificate is believed from its first to its last second, both included, in any time zone."""
    leaf = W.service(at=NOW, lifetime=HOUR)
    trust = W.trust()
    paris = timezone(timedelta(hours=2))

    assert trust.check(leaf, NOW.astimezone(paris)).service == "dossier"
    assert trust.check(leaf, (NOW + HOUR).astimezone(paris)).service == "dossier"
    assert refusal(trust, leaf, NOW - timedelta(seconds=1)) is Reason.NOT_YET_VALID
    assert refusal(trust, leaf, NOW + HOUR + timedelta(seconds=1)) is Reason.EXPIRED


def test_an_expired_authority():
    """When an authority has expired, what it issued is told to have expired too."""
    old = World.make(lifetime=30 * DAY + 2 * HOUR)
    leaf = odd(by=old.services)

    assert old.trust().check(leaf, NOW + HOUR).service == "dossier"
    assert refusal(old.trust(), leaf, NOW + 3 * HOUR) is Reason.EXPIRED


def test_renewed_authority():
    """An authority that got a new certificate for its key still vouches for what it issued before."""
    renewed = authority.make_authority(
        "services", above=W.root, key=W.services.key, serial=7, at=NOW - DAY, lifetime=30 * DAY
    )
    both = (W.services.certificate, renewed.certificate)

    peer = W.trust(services=both).check(W.service(), NOW)

    assert peer.service == "dossier"


# Revocation.


@pytest.mark.parametrize("leaf", [W.service(), W.card(), W.card(structure())])
def test_revoked(leaf):
    """Whoever is on the list of its authority is refused, and nobody else."""
    trust = W.trust(crls=W.crls(leaf))

    assert refusal(trust, leaf) is Reason.REVOKED
    assert trust.check(W.service("audit"), NOW).service == "audit"


def test_revoked_authority():
    """When an authority is revoked, nothing that it issued is believed any more."""
    trust = W.trust(crls=W.crls(W.persons.certificate))

    assert refusal(trust, W.card()) is Reason.REVOKED
    assert trust.check(W.service(), NOW).service == "dossier"


def test_without_a_list():
    """An authority without a revocation list is not believed, nor is one whose own has none."""
    root, services, _ = W.crls()

    assert refusal(W.trust(crls=(root,)), W.service()) is Reason.CRL_STALE
    assert refusal(W.trust(crls=(services,)), W.service()) is Reason.CRL_STALE


def test_stale_list():
    """After the end of a list and the grace nobody is believed, and one who was revoked stays so."""
    leaf = W.service()
    revoked = W.service()
    trust = W.trust(crls=W.crls(revoked))
    end = NOW - HOUR + DAY

    assert trust.check(leaf, end + trust.grace).service == "dossier"
    assert refusal(trust, leaf, end + trust.grace + timedelta(seconds=1)) is Reason.CRL_STALE
    assert refusal(trust, revoked, end + 2 * trust.grace) is Reason.REVOKED


def test_list_of_the_future():
    """A list that begins later than our clock, but for a small skew, is as good as none."""
    assert refusal(W.trust(crls=W.crls(at=NOW + HOUR)), W.service()) is Reason.CRL_STALE
    assert W.trust(crls=W.crls(at=NOW + timedelta(minutes=1))).check(W.service(), NOW).service


def test_old_list_put_back():
    """An older list beside the newer one does not bring anybody back, in either order."""
    leaf = W.service()
    root = crl(W.root)
    old, new = crl(W.services, number=1), crl(W.services, leaf, number=2)

    assert refusal(W.trust(crls=(root, old, new)), leaf) is Reason.REVOKED
    assert refusal(W.trust(crls=(root, new, old)), leaf) is Reason.REVOKED


def test_forged_list():
    """A list that its authority did not sign is refused, however it is named."""
    forger = signer(W.services.certificate, key())

    with pytest.raises(TrustError, match="did not sign"):
        W.trust(crls=(*W.crls(), crl(forger, number=9)))


def test_list_signed_by_a_service():
    """A list that a service signed is none of an authority."""
    private = key()
    service = signer(odd(by=W.services, private=private), private)

    with pytest.raises(TrustError, match="none of the authorities"):
        W.trust(crls=(*W.crls(), crl(service)))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda crls: (*crls, OTHER.crls()[0]), None),
        (lambda crls: (*crls, unlike(numbered=False)), "without a number"),
        (lambda crls: (*crls, unlike(partial=True)), "critical extension 2.5.29.28"),
        (lambda crls: (*crls, unlike(hash_=hashes.SHA224())), "weak hash"),
        (lambda crls: (crls[0], delta(2, 1)), "without the complete list"),
    ],
)
def test_lists_that_are_refused(spoil, words):
    """A list that can't be understood, or not be placed, is refused and not ignored."""
    with pytest.raises(TrustError, match=words):
        W.trust(crls=spoil(W.crls()))


def unlike(*, numbered=True, partial=False, hash_=None):
    """A list of the services' authority that we would not make."""
    unsigned = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(W.services.certificate.subject)
        .last_update(NOW - HOUR)
        .next_update(NOW + DAY)
    )
    if numbered:
        unsigned = unsigned.add_extension(x509.CRLNumber(3), critical=False)
    if partial:
        part = x509.IssuingDistributionPoint(
            full_name=None,
            relative_name=None,
            only_contains_user_certs=True,
            only_contains_ca_certs=False,
            only_some_reasons=None,
            indirect_crl=False,
            only_contains_attribute_certs=False,
        )
        unsigned = unsigned.add_extension(part, critical=True)
    return unsigned.sign(W.services.key, hash_ or hashes.SHA256())


def delta(number, base, *revoked, at=NOW - HOUR, lifetime=2 * DAY):
    """Changes to the list of the services' authority."""
    return crl(W.services, *revoked, number=number, base=base, at=at, lifetime=lifetime)


def test_delta_list():
    """A delta list revokes too, prolongs the list that it is based on, and alone is nothing."""
    leaf, revoked = W.service(), W.service()
    root = crl(W.root, lifetime=9 * DAY)
    trust = W.trust(crls=(root, crl(W.services), delta(2, 1, revoked)))

    assert refusal(trust, revoked) is Reason.REVOKED
    assert trust.check(leaf, NOW + DAY + 2 * HOUR).service == "dossier"
    assert refusal(trust, leaf, NOW + 3 * DAY) is Reason.CRL_STALE


@pytest.mark.parametrize(("number", "base"), [(5, 4), (3, 1), (2, 1)])
def test_delta_list_of_another_list(number, base):
    """A delta list to a newer list than ours, or older than ours, changes nothing."""
    leaf = W.service()
    lists = (crl(W.root), crl(W.services, number=3), delta(number, base, leaf))

    peer = W.trust(crls=lists).check(leaf, NOW)

    assert peer.service == "dossier"


def test_taken_back():
    """A certificate on hold that a delta list takes back is believed again."""
    leaf = W.service()
    back = (
        x509.RevokedCertificateBuilder()
        .serial_number(leaf.serial_number)
        .revocation_date(NOW - HOUR)
        .add_extension(x509.CRLReason(x509.ReasonFlags.remove_from_crl), critical=False)
        .build()
    )
    change = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(W.services.certificate.subject)
        .last_update(NOW - HOUR)
        .next_update(NOW + DAY)
        .add_extension(x509.CRLNumber(2), critical=False)
        .add_extension(x509.DeltaCRLIndicator(1), critical=True)
        .add_revoked_certificate(back)
        .sign(W.services.key, hashes.SHA256())
    )
    held = (crl(W.root), crl(W.services, leaf))

    assert refusal(W.trust(crls=held), leaf) is Reason.REVOKED
    assert W.trust(crls=(*held, change)).check(leaf, NOW).service == "dossier"


@given(
    revoked=st.sets(st.integers(0, 5)),
    which=st.integers(0, 5),
    hours=st.integers(-48, 96),
)
def test_never_believed_but_when_all_holds(revoked, which, hours):
    """Whoever is believed is within its dates, not on the list, and the list is current."""
    trust = W.trust(crls=W.crls(*(LEAVES[place] for place in sorted(revoked))))
    at = NOW + hours * HOUR
    leaf = LEAVES[which]
    current = NOW - HOUR - timedelta(minutes=5) <= at <= NOW + DAY

    try:
        trust.check(leaf, at)
        believed = True
    except UntrustedError:
        believed = False

    dated = leaf.not_valid_before_utc <= at <= leaf.not_valid_after_utc
    assert (dated and current and which not in revoked) is believed


LEAVES = [W.service(at=NOW - DAY + n * 6 * HOUR, lifetime=(n + 1) * 6 * HOUR) for n in range(6)]


@given(st.data())
def test_damaged_certificates(data):
    """Whatever byte of a certificate is changed, it is not believed any more."""
    der = bytearray(LEAVES[3].public_bytes(Encoding.DER))
    place = data.draw(st.integers(0, len(der) - 1))
    der[place] ^= data.draw(st.integers(1, 255))
    lines = base64.encodebytes(bytes(der))

    with pytest.raises(UntrustedError):
        W.trust().check(
            b"-----BEGIN CERTIFICATE-----\n" + lines + b"-----END CERTIFICATE-----\n", NOW
        )


# What can't be trusted at all.


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"roots": ()}, "no root"),
        ({"roots": (W.services.certificate,)}, "no root"),
        ({"roots": (W.root.certificate, odd())}, "not an authority's"),
        ({"roots": (OTHER.root.certificate,)}, "not among the roots"),
        ({"services": (OTHER.services.certificate,)}, "not among the roots"),
        ({"services": (W.service(),)}, "not an authority's"),
        ({"services": (W.persons.certificate,)}, "not for both"),
        (
            {
                "persons": (
                    odd(
                        by=W.root,
                        ca=True,
                        public=rsa.generate_private_key(65537, 1024).public_key(),
                    ),
                )
            },
            "too short",
        ),
    ],
)
def test_authorities_that_are_refused(changes, words):
    """Authorities that can't vouch for anybody are refused at once, not when somebody calls."""
    with pytest.raises(TrustError, match=words):
        W.trust(**changes)


def files(folder, trust):
    """Writes what is trusted as `load` reads it."""
    for part in ("authorities", "crls"):
        (folder / part).mkdir()
    for part in ("roots", "services", "persons"):
        content = b"".join(map(pem, getattr(trust, part)))
        (folder / "authorities" / f"{part}.pem").write_bytes(content)
    (folder / "crls" / "all.pem").write_bytes(b"".join(map(pem, trust.crls)))
    return folder


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (W.crls(), W.crls()[:1], "services.: its list is missing"),
        (W.crls(), W.crls(at=NOW - 2 * HOUR), "its list is older than the one in use"),
        (W.crls(), W.crls(at=NOW), None),
        (W.crls()[:1], W.crls(), None),
        (W.crls(), W.crls(), None),
    ],
    ids=["missing", "older", "newer", "more", "the same"],
)
def test_lists_never_go_back(before, after, words):
    """What replaces a trust may not have lost a list or hold an older one, or the revoked would come back."""
    new = W.trust(crls=after)
    expected = pytest.raises(TrustError, match=words) if words else nullcontext()

    with expected:
        new.check_follows(W.trust(crls=before))


def test_load(tmp_path):
    """A folder is read as it was written, several certificates or lists a file."""
    trust = W.trust(roots=(W.root.certificate, OTHER.root.certificate))

    read = load(files(tmp_path, trust), test=True)

    assert trust == read
    assert refusal(read, OTHER.service()) is Reason.UNKNOWN_AUTHORITY


def test_load_for_services_only(tmp_path):
    """Without an authority for persons, no card is believed."""
    folder = files(tmp_path, W.trust())
    (folder / "authorities" / "persons.pem").unlink()
    (folder / "crls" / "all.pem").write_bytes(b"".join(map(pem, W.crls()[:2])))

    read = load(folder, test=True)

    assert refusal(read, W.card()) is Reason.UNKNOWN_AUTHORITY


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("authorities/roots.pem", None, "roots.pem` can't be read"),
        ("authorities/services.pem", b"", "services.pem` can't be read"),
        ("authorities/persons.pem", b"junk", "persons.pem` can't be read"),
        ("crls/all.pem", b"junk", "all.pem` holds no revocation list"),
        (
            "crls/new.pem",
            b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----",
            "new.pem` can't",
        ),
    ],
)
def test_load_names_the_file(tmp_path, path, content, words):
    """A file that can't be used is named, and nothing is trusted."""
    damaged = files(tmp_path, W.trust()) / path
    damaged.unlink(missing_ok=True)
    if content is not None:
        damaged.write_bytes(content)

    with pytest.raises(TrustError, match=words):
        load(tmp_path)


# A referee.

REFEREED = (
    "expired",
    "not yet valid",
    "of another authority",
    "signed by itself",
    "issued by a service",
    "for servers",
    "more than we understand",
)


def verdict(folder, leaf):
    """Whether OpenSSL believes a certificate."""
    for name, content in {
        "ca": pem(W.root.certificate),
        "between": pem(W.services.certificate) + pem(W.persons.certificate),
        "crls": b"".join(map(pem, W.crls(REVOKED))),
        "leaf": pem(leaf),
    }.items():
        (folder / name).write_bytes(content)
    options = ["-CAfile", "ca", "-untrusted", "between", "-CRLfile", "crls", "-crl_check_all"]
    at = ["-attime", str(int(NOW.timestamp())), "-purpose", "sslclient", "-x509_strict"]
    command = [OPENSSL, "verify", *options, *at, "leaf"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


REVOKED = W.service()


@pytest.mark.skipif(OPENSSL is None, reason="there is no openssl here")
def test_referee(tmp_path):
    """OpenSSL believes the same certificates as we do, and refuses what we refuse for its path."""
    good = [W.service(), W.card(), W.card(structure())]
    bad = [REVOKED, *(BAD[case][0] for case in REFEREED)]

    assert [verdict(tmp_path, leaf) for leaf in good] == [True] * len(good)
    assert [verdict(tmp_path, leaf) for leaf in bad] == [False] * len(bad)
