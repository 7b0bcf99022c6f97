"""Who a certificate says its holder is."""

import base64
from itertools import pairwise

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from serving.certificate import fingerprint, serial
from serving.errors import IdentityError
from serving.identity import Kind, Peer, peer_of
from tests.authz.certificates import DAY, DECK, NOW, doctor, name, odd, pem, structure, world

W = world()
CARD = W.card()
SERVICE = W.service()
CN, SN, GIVEN = NameOID.COMMON_NAME, NameOID.SURNAME, NameOID.GIVEN_NAME
OU, O = NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME  # noqa: E741 - as X.509 says
UNIT = [(OU, "dmp service")]


def person(*changes, without=()):
    """The deck's subject with some attributes changed, added or left out."""
    attributes = dict(DECK) | dict(changes)
    return name(*([item] for item in attributes.items() if item[0] not in without))


def expected(leaf, **fields):
    """A peer with the dates and marks of a certificate."""
    return Peer(
        serial=serial(leaf),
        fingerprint=fingerprint(leaf),
        not_before=NOW - DAY,
        not_after=NOW + 29 * DAY,
        **fields,
    )


def test_doctor_of_the_deck():
    """The certificate of the deck names a professional with number, name and profession."""
    leaf = W.card()

    peer = peer_of(leaf)

    assert peer == expected(
        leaf,
        kind=Kind.PROFESSIONAL,
        subject_id="00B1038575",
        name="PAUL MEDECIN3857",
        profession_label="Médecin",
        test=True,
    )


def test_deck_subject_as_printed():
    """Our professional certificate has the deck's subject: one RDN with CN, SN and givenName."""
    subject = doctor().subject

    (_, _, _, card) = subject.rdns
    assert [attribute.oid for attribute in card] == [oid for oid, _ in DECK[:3]]
    assert subject.rfc4514_string({SN: "SN", GIVEN: "givenName"}) == (
        "CN=00B1038575+SN=MEDECIN3857+givenName=PAUL,OU=Médecin,O=TEST,C=FR"
    )


@given(st.permutations(DECK), st.lists(st.integers(0, 5), max_size=5))
def test_deck_subject_in_any_order(attributes, cuts):
    """The attributes of the deck's subject are found in any order, however they are grouped."""
    edges = sorted({0, len(DECK), *cuts})
    parts = [attributes[a:b] for a, b in pairwise(edges)]

    peer = peer_of(odd(by=W.persons, subject=name(*parts), dns=()))

    assert (peer.subject_id, peer.name) == ("00B1038575", "PAUL MEDECIN3857")


def test_service():
    """A service is known by its CN, which is one of its DNS names."""
    leaf = W.service()

    peer = peer_of(leaf)

    assert peer == expected(leaf, kind=Kind.SERVICE, service="dossier")


def test_structure():
    """A structure is known by the number in OU."""
    leaf = W.card(structure())

    peer = peer_of(leaf)

    assert peer == expected(
        leaf,
        kind=Kind.STRUCTURE,
        subject_id="10B0167011",
        structure="10B0167011",
        name="CENTRE DE SANTE RPPS12718",
        test=True,
    )


def test_employee():
    """An employee's card is no professional's, and names the structure."""
    leaf = W.card(doctor("30B0037750/CPET0001", profession="Secrétaire"))

    peer = peer_of(leaf)

    assert (Kind.EMPLOYEE, "10B0037750") == (peer.kind, peer.structure)


def test_real_card():
    """A card of the issuing agency with a real number is real."""
    leaf = W.card(doctor("810001234567"))

    peer = peer_of(leaf)

    assert (Kind.PROFESSIONAL, False) == (peer.kind, peer.test)


def test_first_of_a_chain_counts():
    """Of a chain in PEM the first certificate is read."""
    leaf = W.service()

    peer = peer_of(pem(leaf) + pem(W.services.certificate))

    assert peer_of(leaf) == peer


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        (person(without=[GIVEN]), "one givenName, it has none"),
        (person(without=[SN]), "one SN, it has none"),
        (person(without=[CN]), "one CN, it has none"),
        (person(without=[OU]), "one OU, it has none"),
        (person(without=[O]), "one O, it has none"),
        (name(DECK, [(CN, "899700218896")]), "one CN, it has 2 of them"),
        (name(DECK, [(O, "GIP-CPS")]), "one O, it has 2 of them"),
        (person((CN, "PAUL")), "no idNat_PS"),
        (person((SN, "A\x00B")), "SN of the subject is blank or unprintable"),
        (person((SN, " ")), "SN of the subject is blank or unprintable"),
        (person((O, "GIP-CPS")), "a real card .* of the test range"),
        (person((CN, "810001234567")), "a test card .* of the real range"),
        (
            name(
                [(CN, "Dossier")],
                UNIT,
            ),
            "no name of a service",
        ),
        (
            name(
                [(CN, "audit")],
                UNIT,
            ),
            "one of the DNS names",
        ),
        (name([(CN, "dossier")]), "one OU, it has none"),
        (
            name(
                [(CN, "dossier")],
                [(OU, "DMP service")],
            ),
            "no idNat_Struct",
        ),
        (
            name([(CN, "x")], [(OU, "10B0167011")]),
            "one O, it has none",
        ),
        (x509.Name([]), "one OU, it has none"),
    ],
)
def test_nobody(subject, words):
    """A subject that names nobody, or could name two, is refused with what is wrong in it."""
    leaf = odd(by=W.persons, subject=subject)

    with pytest.raises(IdentityError, match=words) as caught:
        peer_of(leaf)

    assert not any(value in str(caught.value) for _, value in DECK[:3])


def test_no_certificate():
    """What is no PEM of a certificate is refused."""
    with pytest.raises(IdentityError, match="no certificate in PEM"):
        peer_of(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


@given(st.data())
def test_damaged_certificates(data):
    """Whatever bytes of a certificate are changed, it names somebody or is refused as ours."""
    leaf = data.draw(st.sampled_from([CARD, SERVICE]))
    der = bytearray(leaf.public_bytes(Encoding.DER))
    for _ in range(data.draw(st.integers(1, 4))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    lines = base64.encodebytes(bytes(der))

    try:
        peer = peer_of(b"-----BEGIN CERTIFICATE-----\n" + lines + b"-----END CERTIFICATE-----\n")
    except IdentityError:
        return

    assert peer.kind in Kind
