"""The token that says for which end user a service asks."""

import base64
import hashlib
import hmac
import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from authz.errors import TokenError
from authz.query import Subject
from authz.token import (
    MAX_LENGTH,
    MAX_LIFETIME,
    TYPE,
    Claims,
    KeySet,
    Reason,
    issue,
    key_id,
    load,
    proof_of,
    verify,
    vouch,
)
from authz.v1 import authz_pb2 as pb
from serving.errors import TrustError

NOW = datetime(2026, 5, 4, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
NEXT = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\1")
KEYS = KeySet.of({"portal": [KEY.public_key()]})
SUBJECT = Subject(
    kind="professional",
    id="00B1038575",
    profession="10",
    structure="10B0193488",
    authentication="individual_card",
    capacity="care",
    regulator=True,
    name="Dr MEDECIN3857",
)
HEADER = {"alg": "EdDSA", "kid": key_id(KEY.public_key()), "typ": TYPE}
PAYLOAD = {
    "iss": "portal",
    "aud": "authz",
    "iat": int(NOW.timestamp()),
    "exp": int(NOW.timestamp()) + 300,
    "jti": "token-1",
    "subject": {"kind": "professional", "id": "00B1038575"},
}


def issued(**changes):
    """A token of the portal for the decision point, made now."""
    given = {"key": KEY, "issuer": "portal", "audience": "authz", "at": NOW, "id": "token-1"}
    return issue(SUBJECT, **{**given, **changes})


def encode(data):
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(header=None, payload=None, *, key=KEY, sign=None):
    """A token of any header and payload, given as data or as the bytes themselves."""
    parts = (HEADER if header is None else header, PAYLOAD if payload is None else payload)
    head, body = (encode(p if isinstance(p, bytes) else json.dumps(p).encode()) for p in parts)
    signature = (sign or key.sign)(f"{head}.{body}".encode())
    return f"{head}.{body}.{encode(signature)}"


def changed(**claims):
    """The payload with some claims changed."""
    return {**PAYLOAD, **claims}


def told(**members):
    """The payload with some members of the subject changed."""
    return changed(subject={**PAYLOAD["subject"], **members})


def refusal(token, at=NOW, keys=KEYS, audience="authz", **given):
    """Why a token is not accepted."""
    with pytest.raises(TokenError) as caught:
        verify(token, keys, audience=audience, at=at, **given)
    return Reason(caught.value.reason)


def test_what_is_issued_is_accepted():
    """A token says again what it was issued for."""
    claims = verify(issued(), KEYS, audience="authz", at=NOW)

    assert claims == Claims(
        subject=SUBJECT,
        issuer="portal",
        audience="authz",
        issued_at=NOW,
        expires_at=NOW + MAX_LIFETIME,
        id="token-1",
    )


def test_subject_is_that_of_the_contract():
    """A token can say exactly what `authz.v1.Subject` can."""
    contract = {field.name for field in pb.Subject.DESCRIPTOR.fields}

    assert contract == {field.name for field in fields(Subject)}


def test_key_id_of_the_standard():
    """The id of a key is the thumbprint that RFC 8037 prints for its example."""
    public = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    raw = base64.urlsafe_b64decode(public + "=")

    found = key_id(Ed25519PublicKey.from_public_bytes(raw))

    assert found == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@given(
    st.builds(
        Subject,
        kind=st.text(min_size=1, max_size=20),
        id=st.text(min_size=1, max_size=40),
        name=st.text(max_size=100),
        regulator=st.booleans(),
    ),
    st.integers(1, 300),
)
def test_any_subject_comes_back(subject, seconds):
    """Whatever a subject says, in any script, comes back as it was."""
    lifetime = timedelta(seconds=seconds)
    given = {"key": KEY, "issuer": "portal", "audience": "authz", "at": NOW, "id": "1"}

    claims = verify(issue(subject, **given, lifetime=lifetime), KEYS, audience="authz", at=NOW)

    assert (claims.subject, claims.expires_at) == (subject, NOW + lifetime)


@given(st.data())
def test_no_byte_can_be_changed(data):
    """A token of which one character is changed, added or removed is not accepted."""
    token = issued()
    place = data.draw(st.integers(0, len(token) - 1))
    new = data.draw(st.sampled_from(["", *"AZaz09-_.=+/ \né"]))
    forged = token[:place] + new + token[place + 1 :]
    if forged == token:
        return

    assert refusal(forged) in Reason


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_.-]{0,200}", fullmatch=True))
def test_no_text_is_a_token(text):
    """What is no token is refused, whatever it is."""
    assert refusal(text) in Reason


FORGED = {
    "not signed": (forge({**HEADER, "alg": "none"}, sign=lambda _: b""), Reason.MALFORMED),
    "no signature": (forge(sign=lambda _: b""), Reason.BAD_SIGNATURE),
    "signed with the public key as a secret": (
        forge(
            {**HEADER, "alg": "HS256"},
            sign=lambda text: hmac.digest(
                KEY.public_key().public_bytes_raw(), text, hashlib.sha256
            ),
        ),
        Reason.MALFORMED,
    ),
    "signed with another key": (forge(key=NEXT), Reason.BAD_SIGNATURE),
    "with a key that is not known": (
        forge({**HEADER, "kid": key_id(NEXT.public_key())}, key=NEXT),
        Reason.UNKNOWN_KEY,
    ),
    "with the key that it brings": (
        forge({**HEADER, "jwk": {"kty": "OKP", "crv": "Ed25519"}}),
        Reason.MALFORMED,
    ),
    "with something critical": (forge({**HEADER, "crit": ["b64"], "b64": False}), Reason.MALFORMED),
    "of another type": (forge({**HEADER, "typ": "JWT"}), Reason.MALFORMED),
    "without key id": (forge({"alg": "EdDSA", "typ": TYPE}), Reason.MALFORMED),
    "with a key id that is none": (forge({**HEADER, "kid": [1]}), Reason.UNKNOWN_KEY),
    "header that is a list": (forge([]), Reason.MALFORMED),
    "header that is deep": (forge(b"[" * 2000), Reason.MALFORMED),
    "payload that is a list": (forge(payload=[]), Reason.MALFORMED),
    "payload that is no JSON": (forge(payload=b"{"), Reason.MALFORMED),
    "payload that is no text": (forge(payload=b'{"iss":"\xff"}'), Reason.MALFORMED),
    "without audience": (
        forge(payload={k: v for k, v in PAYLOAD.items() if k != "aud"}),
        Reason.MALFORMED,
    ),
    "with a claim that is not known": (forge(payload=changed(admin=True)), Reason.MALFORMED),
    "for several audiences": (forge(payload=changed(aud=["authz", "x"])), Reason.MALFORMED),
    "for another audience": (forge(payload=changed(aud="dossier")), Reason.WRONG_AUDIENCE),
    "of another issuer": (forge(payload=changed(iss="operator")), Reason.WRONG_ISSUER),
    "without id": (forge(payload=changed(jti="")), Reason.MALFORMED),
    "for ever": (forge(payload=changed(exp=PAYLOAD["exp"] + 1)), Reason.TOO_LONG_LIVED),
    "ending before it begins": (forge(payload=changed(exp=PAYLOAD["iat"])), Reason.TOO_LONG_LIVED),
    "with a time that is a text": (forge(payload=changed(exp="9")), Reason.MALFORMED),
    "with half a second": (forge(payload=changed(exp=PAYLOAD["iat"] + 0.5)), Reason.MALFORMED),
    "with a time that is true": (forge(payload=changed(iat=True)), Reason.MALFORMED),
    "with a time past all calendars": (forge(payload=changed(exp=10**18)), Reason.MALFORMED),
    "in the first and the last year": (
        forge(payload=changed(iat=-62135596800, exp=-62135596799)),
        Reason.EXPIRED,
    ),
    "in the year 9999": (
        forge(payload=changed(iat=253402300798, exp=253402300799)),
        Reason.NOT_YET_VALID,
    ),
    "without subject": (forge(payload=changed(subject=None)), Reason.MALFORMED),
    "of nobody": (forge(payload=changed(subject={"kind": "patient"})), Reason.MALFORMED),
    "of no kind": (forge(payload=changed(subject={"id": "1"})), Reason.MALFORMED),
    "with a member that is not known": (forge(payload=told(role="admin")), Reason.MALFORMED),
    "with a flag that is a text": (forge(payload=told(regulator="yes")), Reason.MALFORMED),
    "with a name that is a number": (forge(payload=told(name=7)), Reason.MALFORMED),
    "too long": (forge(payload=told(name="x" * MAX_LENGTH)), Reason.MALFORMED),
    "four parts": (issued() + ".AAAA", Reason.MALFORMED),
    "padded": (issued() + "=", Reason.MALFORMED),
    "another spelling of its signature": (None, Reason.MALFORMED),
}


@pytest.mark.parametrize("case", FORGED)
def test_forged(case):
    """A forged or wrong token is refused for its own reason, which tells nothing of the person."""
    token, reason = FORGED[case]
    if token is None:  # the last character has bits that do not count; a lenient reader takes four
        last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        good = issued()
        token = good[:-1] + last[last.index(good[-1]) ^ 1]

    with pytest.raises(TokenError) as caught:
        verify(token, KEYS, audience="authz", at=NOW)

    assert caught.value.reason == reason
    assert "00B1038575" not in str(caught.value)


def test_lasts_as_long_as_it_says():
    """A token counts from its first second to before its last, give or take the leeway."""
    token = issued()
    leeway = 5 * SECOND
    verdicts = {
        NOW - leeway: None,
        NOW - leeway - SECOND: Reason.NOT_YET_VALID,
        NOW + MAX_LIFETIME + leeway - SECOND: None,
        NOW + MAX_LIFETIME + leeway: Reason.EXPIRED,
    }

    for at, reason in verdicts.items():
        if reason is None:
            assert verify(token, KEYS, audience="authz", at=at, leeway=leeway).id == "token-1"
        else:
            assert refusal(token, at, leeway=leeway) is reason


def test_keys_are_replaced():
    """While a key is replaced, tokens of both count; afterwards only those of the new one."""
    old, new = issued(), issued(key=NEXT)
    both = KeySet.of({"portal": [NEXT.public_key(), KEY.public_key()]})
    after = KeySet.of({"portal": [NEXT.public_key()]})

    assert verify(old, both, audience="authz", at=NOW) == verify(
        new, both, audience="authz", at=NOW
    )
    assert refusal(old, keys=after) is Reason.UNKNOWN_KEY
    assert refusal(new) is Reason.UNKNOWN_KEY


def test_an_issuer_speaks_for_itself_only():
    """An issuer can't sign in the name of another whose keys are known too."""
    keys = KeySet.of({"portal": [KEY.public_key()], "audit": [NEXT.public_key()]})

    assert refusal(issued(key=NEXT, issuer="portal"), keys=keys) is Reason.WRONG_ISSUER


def test_two_issuers_with_one_key():
    """A key that two issuers claim is refused: each could speak as the other."""
    with pytest.raises(TrustError, match="the same key"):
        KeySet.of({"portal": [KEY.public_key()], "audit": [KEY.public_key()]})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lifetime": MAX_LIFETIME + SECOND}, Reason.TOO_LONG_LIVED),
        ({"lifetime": timedelta()}, Reason.TOO_LONG_LIVED),
        ({"id": ""}, Reason.MALFORMED),
        ({"audience": ""}, Reason.MALFORMED),
        ({"id": "\ud800"}, Reason.MALFORMED),
    ],
)
def test_nothing_is_issued_that_would_be_refused(changes, reason):
    """What no verifier would accept is not issued."""
    with pytest.raises(TokenError) as caught:
        issued(**changes)

    assert caught.value.reason == reason


def public(*keys):
    """Public keys as a file holds them."""
    form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return b"".join(key.public_key().public_bytes(*form) for key in keys)


def test_load(tmp_path):
    """A folder has a file for each issuer, with one key or several."""
    (tmp_path / "portal.pem").write_bytes(public(NEXT, KEY))
    (tmp_path / "audit.pem").write_bytes(public(Ed25519PrivateKey.generate()))

    keys = load(tmp_path)

    assert verify(issued(), keys, audience="authz", at=NOW).issuer == "portal"
    assert sorted(issuer for issuer, _ in keys.keys.values()) == ["audit", "portal", "portal"]


def test_load_nothing(tmp_path):
    """Without issuers no token is accepted."""
    assert refusal(issued(), keys=load(tmp_path)) is Reason.UNKNOWN_KEY


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        public(ec.generate_private_key(ec.SECP256R1())),
        public(KEY, ec.generate_private_key(ec.SECP256R1())),
    ],
)
def test_load_names_the_file(tmp_path, content):
    """A file without keys, or with keys of another kind, is named and nothing is accepted."""
    (tmp_path / "portal.pem").write_bytes(content)

    with pytest.raises(TrustError, match=r"portal\.pem"):
        load(tmp_path)


# What a token proves.


def proof(claims):
    """What claims prove."""
    return proof_of(claims.subject, issuer=claims.issuer, id=claims.id)


@pytest.mark.parametrize(
    ("stated", "contradicted"),
    [
        (Subject(kind="", id=""), ()),
        (SUBJECT, ()),
        (replace(SUBJECT, profession="", regulator=False), ()),
        (replace(SUBJECT, id="00B1038999"), ("id",)),
        (replace(SUBJECT, structure_name="CHU"), ("structure_name",)),
        (replace(SUBJECT, kind="patient", profession="21"), ("kind", "profession")),
    ],
)
def test_vouching(stated, contradicted):
    """A request may leave out what the token says, and must not say otherwise in any field."""
    claims = verify(issued(), KEYS, audience="authz", at=NOW)

    who, voucher = vouch(stated, proof(claims))

    assert contradicted == voucher.contradicted
    assert ("portal", claims.id) == (voucher.issuer, voucher.id)
    for field in fields(Subject):
        said = getattr(stated, field.name)
        assert (said or getattr(SUBJECT, field.name)) == getattr(who, field.name)


def test_a_claim_beyond_the_token():
    """Whom the token does not call a regulator is none by saying so."""
    claims = verify(issued(), KEYS, audience="authz", at=NOW)
    modest = replace(claims, subject=replace(SUBJECT, regulator=False))

    _, voucher = vouch(SUBJECT, proof(modest))

    assert ("regulator",) == voucher.contradicted
