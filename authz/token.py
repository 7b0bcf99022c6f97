"""The token that says for which end user a service asks: short-lived, for one audience, signed.

A JSON Web Signature in compact form (RFC 7515) with the claims of RFC 7519, and no more than is needed:

* one algorithm, Ed25519 (`EdDSA`, RFC 8037), whatever the header would like (RFC 8725 section 3.1);
* a header of exactly `alg`, `kid` and `typ`, so nothing in it can name or carry a key;
* a key belongs to one issuer, and is known by the thumbprint of RFC 7638, so it can't be misnamed;
* `exp` at most five minutes after `iat`;
* the subject as in `authz.v1.Subject`, under `subject`; unknown claims are refused.

A key is replaced by adding the new one to the issuer's file, then issuing with it, then, five minutes
later, removing the old one. That a token is shown once only is not checked: a service that got it may use
it for the few minutes that it lasts.
"""

import binascii
import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from authz.errors import TokenError
from authz.query import Subject, Voucher
from serving.errors import TrustError

ALGORITHM: Final = "EdDSA"
TYPE: Final = "dmp-subject+jwt"
MAX_LIFETIME: Final = timedelta(minutes=5)
LEEWAY: Final = timedelta(seconds=5)
MAX_LENGTH: Final = 4096

Proof = tuple[Any, ...]
"""What an accepted token proves, as plain values: issuer, id, and the fields of the subject."""

_MAX_TEXT: Final = 200
_CLAIMS: Final = frozenset({"iss", "aud", "iat", "exp", "jti", "subject"})
_SUBJECT: Final = {field.name: field.type for field in fields(Subject)}
_PUBLIC_KEY: Final = re.compile(
    rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL
)


class Reason(StrEnum):
    """Why a token is not accepted."""

    MALFORMED = "MALFORMED"
    UNKNOWN_KEY = "UNKNOWN_KEY"
    BAD_SIGNATURE = "BAD_SIGNATURE"
    WRONG_ISSUER = "WRONG_ISSUER"
    WRONG_AUDIENCE = "WRONG_AUDIENCE"
    TOO_LONG_LIVED = "TOO_LONG_LIVED"
    NOT_YET_VALID = "NOT_YET_VALID"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """The public keys that tokens may be signed with: issuer and key, by key id."""

    keys: Mapping[str, tuple[str, Ed25519PublicKey]]

    @classmethod
    def of(cls, issuers: Mapping[str, Iterable[Ed25519PublicKey]]) -> "KeySet":
        """The keys of issuers.

        Raises:
            TrustError: two issuers have the same key, so that each could speak as the other.
        """
        keys: dict[str, tuple[str, Ed25519PublicKey]] = {}
        for issuer, its in issuers.items():
            for key in its:
                other, _ = keys.setdefault(key_id(key), (issuer, key))
                if other != issuer:
                    raise TrustError(f"issuers `{other}` and `{issuer}` have the same key")
        return cls(keys=keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a token that is accepted says."""

    subject: Subject
    issuer: str
    audience: str
    issued_at: datetime
    expires_at: datetime
    id: str


def load(folder: Path) -> KeySet:
    """Reads `ISSUER.pem` files, each with one or several public keys in PEM.

    Raises:
        TrustError: it is no folder, or a file can't be used.
    """
    if not folder.is_dir():
        raise TrustError(
            f"`{folder}` is no folder: make it, with a file `ISSUER.pem` for each issuer"
        )
    return KeySet.of({path.stem: _public_keys(path) for path in sorted(folder.glob("*.pem"))})


def key_id(key: Ed25519PublicKey) -> str:
    """The name of a key: its thumbprint (RFC 7638, RFC 8037 appendix A.3)."""
    x = _encode(key.public_bytes_raw())
    canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()
    return _encode(hashlib.sha256(canonical).digest())


def issue(
    subject: Subject,
    *,
    key: Ed25519PrivateKey,
    issuer: str,
    audience: str,
    at: datetime,
    id: str,  # noqa: A002 - `jti` says nothing, and it is keyword-only
    lifetime: timedelta = MAX_LIFETIME,
) -> str:
    """A token for a subject.

    Args:
        subject: who asks; the issuer vouches for all that it says.
        key: of the issuer.
        issuer: who vouches, as the verifier's key set names it.
        audience: the one service that may accept it.
        at: now; whole seconds count.
        id: unique among the issuer's tokens, such as a UUID.
        lifetime: at most five minutes, at least a second.

    Raises:
        TokenError: no verifier would accept it.
    """
    header = {"alg": ALGORITHM, "kid": key_id(key.public_key()), "typ": TYPE}
    begins = int(at.timestamp())
    payload = {
        "iss": issuer,
        "aud": audience,
        "iat": begins,
        "exp": begins + int(lifetime.total_seconds()),
        "jti": id,
        "subject": {name: value for name in _SUBJECT if (value := getattr(subject, name))},
    }
    try:
        signed = f"{_encode(orjson.dumps(header))}.{_encode(orjson.dumps(payload))}"
    except orjson.JSONEncodeError as exc:
        raise _refusal(Reason.MALFORMED, "the subject can't be written as text") from exc
    token = f"{signed}.{_encode(key.sign(signed.encode()))}"
    keys = KeySet.of({issuer: [key.public_key()]})
    verify(token, keys, audience=audience, at=at, leeway=timedelta())
    return token


def verify(
    token: str, keys: KeySet, *, audience: str, at: datetime, leeway: timedelta = LEEWAY
) -> Claims:
    """What a token says, if it is to be accepted. Nothing in it is read before its signature is good.

    Args:
        token: as it came.
        keys: that count now.
        audience: who we are.
        at: now, aware.
        leeway: by how much the issuer's clock may differ.

    Raises:
        TokenError: it is not accepted.
    """
    if len(token) > MAX_LENGTH or not token.isascii():
        raise _refusal(Reason.MALFORMED, f"not ASCII of at most {MAX_LENGTH} characters")
    parts = token.split(".")
    if len(parts) != len(("header", "payload", "signature")):
        raise _refusal(Reason.MALFORMED, "not three parts")
    head, body, signature = parts
    issuer, key = _key(_object(head, "header"), keys)
    try:
        key.verify(_decode(signature, "signature"), f"{head}.{body}".encode())
    except InvalidSignature:
        raise _refusal(Reason.BAD_SIGNATURE, "not signed by its key") from None
    claims = _claims(_object(body, "payload"))
    if claims.issuer != issuer:
        raise _refusal(Reason.WRONG_ISSUER, "its issuer is not the one whose key signed it")
    if claims.audience != audience:
        raise _refusal(Reason.WRONG_AUDIENCE, "it is for another service")
    lifetime = claims.expires_at - claims.issued_at
    if not timedelta() < lifetime <= MAX_LIFETIME:
        raise _refusal(Reason.TOO_LONG_LIVED, f"it must last 1 to {MAX_LIFETIME.seconds} seconds")
    if at + leeway < claims.issued_at:
        raise _refusal(Reason.NOT_YET_VALID, "issued in the future")
    if at - leeway >= claims.expires_at:
        raise _refusal(Reason.EXPIRED, "it has expired")
    return claims


def proof_of(subject: Subject, *, issuer: str, id: str) -> Proof:  # noqa: A002 - as above
    """What an accepted token proves."""
    return issuer, id, *(getattr(subject, name) for name in _SUBJECT)


def vouch(stated: Subject, proof: Proof) -> tuple[Subject, Voucher]:
    """Who asks when a request comes with a token: as stated, and what is not stated as the token has it."""
    issuer, token_id, *proven = proof
    fields = [
        (name, getattr(stated, name), value) for name, value in zip(_SUBJECT, proven, strict=True)
    ]
    subject = Subject(**{name: said or value for name, said, value in fields})
    contradicted = tuple(name for name, said, value in fields if said and said != value)
    return subject, Voucher(issuer=issuer, id=token_id, contradicted=contradicted)


def _key(header: Mapping[str, Any], keys: KeySet) -> tuple[str, Ed25519PublicKey]:
    kid = header.get("kid")
    if header != {"alg": ALGORITHM, "kid": kid, "typ": TYPE}:
        raise _refusal(Reason.MALFORMED, f"the header must be alg `{ALGORITHM}`, kid, typ `{TYPE}`")
    found = keys.keys.get(kid) if isinstance(kid, str) else None
    if found is None:
        raise _refusal(Reason.UNKNOWN_KEY, "signed with a key that is not known, or not any more")
    return found


def _claims(payload: Mapping[str, Any]) -> Claims:
    if payload.keys() != _CLAIMS:
        raise _refusal(Reason.MALFORMED, f"the claims must be {', '.join(sorted(_CLAIMS))}")
    return Claims(
        subject=_subject(payload["subject"]),
        issuer=_text(payload, "iss"),
        audience=_text(payload, "aud"),
        issued_at=_instant(payload, "iat"),
        expires_at=_instant(payload, "exp"),
        id=_text(payload, "jti"),
    )


def _subject(claim: object) -> Subject:
    if not isinstance(claim, dict):
        raise _refusal(Reason.MALFORMED, "subject must be an object")
    unknown = claim.keys() - _SUBJECT.keys()
    if unknown:
        raise _refusal(Reason.MALFORMED, "subject has members that are not known")
    for name, value in claim.items():
        if type(value) is not _SUBJECT[name]:
            raise _refusal(Reason.MALFORMED, f"subject.{name} is of the wrong type")
    if not claim.get("kind") or not claim.get("id"):
        raise _refusal(Reason.MALFORMED, "subject must have kind and id")
    return Subject(**claim)


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload[name]
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT:
        raise _refusal(Reason.MALFORMED, f"{name} must be a text of 1 to {_MAX_TEXT} characters")
    return value


def _instant(payload: Mapping[str, Any], name: str) -> datetime:
    value = payload[name]
    try:
        if type(value) is int:
            return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        pass
    raise _refusal(Reason.MALFORMED, f"{name} must be whole seconds since 1970")


def _object(part: str, what: str) -> dict[str, Any]:
    try:
        found = orjson.loads(_decode(part, what))
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise _refusal(Reason.MALFORMED, f"the {what} is not an object in JSON")
    return found


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str, what: str) -> bytes:
    """The bytes of a part; only the one spelling that `_encode` would give is taken."""
    try:
        data = urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        data = None
    if data is None or _encode(data) != text:
        raise _refusal(Reason.MALFORMED, f"the {what} is not base64url without padding")
    return data


def _public_keys(path: Path) -> list[Ed25519PublicKey]:
    try:
        found = [load_pem_public_key(block) for block in _PUBLIC_KEY.findall(path.read_bytes())]
    except (OSError, ValueError) as exc:
        raise TrustError(f"`{path}` can't be read as public keys in PEM") from exc
    keys = [key for key in found if isinstance(key, Ed25519PublicKey)]
    if not keys or len(keys) != len(found):
        raise TrustError(f"`{path}` must hold public keys of Ed25519 in PEM, and no others")
    return keys


def _refusal(reason: Reason, detail: str) -> TokenError:
    return TokenError(reason, detail)
