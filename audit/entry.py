"""The bytes of the log: entries, their commitments, and the chain of batches. Pure.

An entry is canonical JSON (RFC 8785) of strings, integers, lists and objects with ASCII keys only;
for these `orjson` writes the very bytes of the standard, much faster than a general implementation.
What counts later is the exact stored bytes: no entry is ever written again in order to be verified.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypedDict
from uuid import UUID

import orjson

from audit.errors import EntryError

FORMAT: Final = 1
"""The version of the entry format, field `v`."""

GENESIS: Final = bytes(32)
"""What the first batch of a log chains to."""

_BATCH: Final = b"dmp audit batch v1\n"
_MAX_INTEGER: Final = 2**53 - 1
_MAX_DEPTH: Final = 254  # orjson's own
_MAX_MS: Final = 2**48
_VARIANT: Final = {f"{digit:x}": "89ab"[digit & 3] for digit in range(16)}
_CONTAINERS: Final = frozenset({list, tuple, dict})
_OPTIONS: Final = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


class Subject(TypedDict, total=False):
    """Who asked: the organisation and the person (EHDS annex II 3.2 a, b; CSP R.1111-43)."""

    kind: str
    id: str  # idNat_PS for a professional, INS for a patient
    name: str
    profession: str  # TRE_G15
    structure: str  # idNat_Struct
    structure_name: str
    authentication: str  # how: card, Pro Santé Connect, ...


class Voucher(TypedDict, total=False):
    """Who vouched for the person, by which token (`iss` and `jti`, RFC 7519)."""

    issuer: str
    id: str


Document = TypedDict("Document", {"id": str, "type": str, "class": str, "space": str}, total=False)
"""The document asked for and its category: LOINC type, class, space (EHDS annex II 3.2 c)."""


class Target(TypedDict, total=False):
    """Whom an act of management aimed at, or whose access was reviewed (CSP R.1111-43: nature of the act)."""

    id: str  # idNat_PS, idNat_Struct, or what a representative is known by
    kind: str  # professional | structure | person
    profession: str  # TRE_G15


class Origin(TypedDict, total=False):
    """Where the data come from, not the request (EHDS annex II 3.2 e)."""

    author_structure: str
    authors: Sequence[str]
    system: str


class Reason(TypedDict, total=False):
    """Why an exceptional access was asked for (CSP L.1111-17 I: "bris de glace")."""

    code: str
    text: str


class Entry(TypedDict, total=False):
    """All fields of an entry; what is not known is left out, never null.

    `Log.append` writes `v`, `index`, `at`, `salt`, `patient_seq` and `patient_prev`; the rest is
    the caller's. From an entry and its bundle the decision can be computed again.
    """

    v: int  # version of this format
    index: int  # place in the log, from 0
    id: str  # UUIDv7; the key that joins permission and act (CSP R.1111-43: all actions)
    kind: (
        str  # decision | filter (which documents may it be?) | change | activation | start | purge
    )
    at: str  # RFC 3339, UTC (EHDS 3.2 d; ADL `timestamp`; R.1111-43 date and time)
    call: str  # groups the decisions of one call (ADL: one call, one record)
    trace_id: str  # 32 hex digits, kept as received (ADL `trace_id`)
    caller: str  # the service that asked (R.1111-43: digital service)
    subject: Subject  # EHDS 3.2 a, b; R.1111-43: professional, establishment
    voucher: Voucher  # of the token that the caller carried; absent: the caller says who it is
    action: str  # ADL request
    patient: str  # INS, "" when no patient is concerned (ADL `data_subject_id`)
    patient_seq: int  # 1, 2, 3... for each patient of this log: a hole shows
    patient_prev: str  # hex commitment of that patient's previous entry, "" for the first
    document: Document  # EHDS 3.2 c
    origin: Origin  # EHDS 3.2 e
    target: Target  # CSP R.1111-43: who was authorised, blocked, reviewed
    about: str  # id of an earlier decision that this one is about: a review, a notice (R.1111-48)
    mode: str  # TRE_R248: normal | bris_de_glace | centre_15
    reason: Reason  # L.1111-17, L.1111-19
    facts: Sequence[int | str | Sequence[str]]  # vector of the bundle's vocabulary (ADL level 3)
    change: dict[str, object]  # what a `change` entry changed
    effect: str  # allow | deny (ADL response)
    reason_code: str  # why, for machines (ADL response; FHIR outcomeDesc)
    rules: Sequence[str]  # uids of the deciding rules (ADL policies)
    obligations: Sequence[str]  # what the answer demands afterwards (R.1111-48: notices)
    remarks: list[str]  # whatever else is known, e.g. an error while deciding
    bundle: str  # hex digest of the policies (ADL level 2)
    revision: int  # revision of the registry that was seen (ADL level 4)
    salt: str  # 256 random bits in hex: a commitment tells nothing about its entry


def canonical(value: Mapping[str, object]) -> bytes:
    """The RFC 8785 bytes of an entry; never contains a raw newline.

    Only `str`, `int`, `list`, `tuple` and `dict` themselves are taken, not their subclasses.

    Raises:
        EntryError: a value has no place in an entry; the message names its path.
    """
    try:
        data = orjson.dumps(value, option=_OPTIONS)
    except orjson.JSONEncodeError as exc:
        raise _refusal(value) from exc
    # INVARIANT: orjson refused large integers, lone surrogates, cycles, and keys that are no text.
    if not _plain(value, ascii_keys=data.isascii()):
        raise _refusal(value)
    return data


def commitment(entry: bytes) -> bytes:
    """SHA-256 of the exact bytes: 32 bytes that will be a leaf of the Merkle tree."""
    return hashlib.sha256(entry).digest()


def batch_hash(previous: bytes, first_index: int, commitments: Sequence[bytes]) -> bytes:
    """The link of the chain for one batch.

    SHA-256 over a label, the previous link (32 bytes), the first index (8 bytes, big endian), the
    count (4 bytes, big endian) and the commitments (32 bytes each).
    """
    place = first_index.to_bytes(8, "big") + len(commitments).to_bytes(4, "big")
    return hashlib.sha256(b"".join((_BATCH, previous, place, *commitments))).digest()


def handle(key: bytes, patient: str) -> bytes:
    """The 16 bytes that stand for a patient in an index: keyed BLAKE2b of the INS."""
    # What is no text gets a handle all the same, and is refused with its path by `canonical`.
    data = patient.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, key=key, digest_size=16).digest()


def uuid7s(ms: int, random: bytes) -> list[str]:
    """As many UUIDs version 7 of one millisecond as there are tens of random bytes.

    Raises:
        EntryError: as `uuid7`.
    """
    if not 0 <= ms < _MAX_MS:
        raise EntryError(f"ms: `{ms}` does not fit 48 bits")
    time, digits, width = f"{ms:012x}", random.hex(), 20
    begin = f"{time[:8]}-{time[8:]}-7"
    # Of 20 digits the first is not used, and of the fifth two bits, which tell the variant.
    return [
        f"{begin}{digits[i + 1 : i + 4]}-{_VARIANT[digits[i + 4]]}{digits[i + 5 : i + 8]}"
        f"-{digits[i + 8 : i + 20]}"
        for i in range(0, len(digits) - width + 1, width)
    ]


def uuid7(ms: int, random: bytes) -> str:
    """A UUID version 7 (RFC 9562, 5.7).

    Args:
        ms: milliseconds since 1970.
        random: 10 bytes, of which 74 bits are used.

    Raises:
        EntryError: an argument is out of range.
    """
    if len(random) != 10:  # noqa: PLR2004 - said in the docstring
        raise EntryError(f"random: 10 bytes expected, got {len(random)}")
    return uuid7s(ms, random)[0]


def uuid7_ms(text: str) -> int:
    """The milliseconds since 1970 that a UUID version 7 carries.

    Raises:
        EntryError: `text` is no UUID version 7.
    """
    try:
        parsed = UUID(text)
    except ValueError as exc:
        raise EntryError(f"id: `{text}` is no UUID: give all of it, as in the log") from exc
    if parsed.version != 7:  # noqa: PLR2004 - the version in the name of the function
        raise EntryError(f"id: `{text}` is no UUID of version 7, as all ids of the log are")
    return parsed.int >> 80


def rfc3339(instant: datetime) -> str:
    """The instant in UTC with microseconds and `Z`, so that text order is time order.

    Raises:
        EntryError: the instant has no time zone.
    """
    if instant.utcoffset() is None:
        raise EntryError(f"instant: `{instant.isoformat()}` has no time zone: give an aware one")
    return instant.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def _plain(value: object, *, ascii_keys: bool) -> bool:
    """Tells whether `value` holds nothing but what the format allows; some ns a value.

    With `ascii_keys` it is known already that all keys are ASCII.
    """
    if type(value) not in _CONTAINERS:
        return False
    todo: list[Any] = [value]
    while todo:
        items = todo.pop()
        if type(items) is dict:
            if not ascii_keys and not "".join(items).isascii():  # orjson saw that keys are str
                return False
            items = items.values()
        for item in items:
            kind = type(item)
            if kind is not str and kind is not int:
                if kind not in _CONTAINERS:
                    return False
                todo.append(item)
    return True


def _refusal(value: object) -> EntryError:
    """The error for the first value that has no place in an entry; slow, only for messages."""
    return EntryError(_fault(value, "", 0) or "entry: cannot be written as canonical JSON")


def _fault(value: object, path: str, depth: int) -> str | None:
    where = f"`{path}`" if path else "entry"
    if depth > _MAX_DEPTH:
        return f"{where}: nested deeper than {_MAX_DEPTH} levels, or within itself"
    kind = type(value)
    inner: list[tuple[str, object]] = []
    if isinstance(value, dict) and kind is dict:
        for key in value:
            if type(key) is not str or not key.isascii():
                return f"{where}: key `{key!r}` is not ASCII text"
        inner = [(f"{path}.{key}" if path else key, item) for key, item in value.items()]
    elif isinstance(value, list | tuple) and kind in (list, tuple):
        inner = [(f"{path}[{place}]", item) for place, item in enumerate(value)]
    elif fault := _scalar_fault(value):
        return f"{where}: {fault}"
    return next(filter(None, (_fault(item, name, depth + 1) for name, item in inner)), None)


def _scalar_fault(value: object) -> str | None:
    kind = type(value)
    if isinstance(value, str) and kind is str:
        return None if _encodes(value) else "holds a lone surrogate, which is no text"
    if isinstance(value, int) and kind is int:
        fits = abs(value) <= _MAX_INTEGER
        return None if fits else f"`{value}` is beyond 2^53 - 1: write it as a string"
    return f"`{kind.__name__}` has no place in an entry: use a string, an integer or a list"


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
