"""The bytes of the log: canonical, exact, refused where they could be ambiguous."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from audit.entry import (
    GENESIS,
    batch_hash,
    canonical,
    commitment,
    handle,
    rfc3339,
    uuid7,
    uuid7_ms,
)
from audit.errors import EntryError
from tests.shared import shared_data


class Word(StrEnum):
    A = "a"


class Text(str):
    __slots__ = ()


class Table(dict):
    pass


LIMIT = 2**53 - 1
TEXT = st.text(st.characters(codec="utf-8"))
KEYS = st.text(st.characters(codec="ascii"), max_size=8)
VALUES = st.recursive(
    TEXT | st.integers(-LIMIT, LIMIT),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(KEYS, inner),
    max_leaves=30,
)
FOREIGN = [
    (1.5, "float"),
    (float("nan"), "float"),
    (True, "bool"),
    (None, "NoneType"),
    (b"x", "bytes"),
    (UUID(int=7), "UUID"),
    (datetime(2026, 1, 1, tzinfo=UTC), "datetime"),
    (Word.A, "Word"),
    (Text("x"), "Text"),
    (Table(), "Table"),
    ({1}, "set"),
]


@given(st.dictionaries(KEYS, VALUES))
def test_canonical_is_rfc8785(value):
    """What may stand in an entry is written in the bytes of the standard."""
    written = canonical(value)

    assert rfc8785.dumps(value) == written


@given(st.dictionaries(KEYS, VALUES))
def test_canonical_holds_no_newline(value):
    """Entries can be told apart by newlines."""
    assert b"\n" not in canonical(value)


@pytest.mark.parametrize(("value", "name"), FOREIGN)
def test_foreign_types_are_refused_with_their_path(value, name):
    """A value that JSON could write in two ways is refused, and the message says where it is."""
    with pytest.raises(EntryError, match=rf"^`change\.items\[1\]`: `{name}` has no place"):
        canonical({"a": "b", "change": {"items": ["ok", value]}})


@pytest.mark.parametrize("value", [LIMIT + 1, -LIMIT - 1, 2**64, 10**40])
def test_large_integers_are_refused(value):
    """An integer that another reader would round is refused."""
    with pytest.raises(EntryError, match=r"^`revision`: `-?\d+` is beyond 2\^53 - 1"):
        canonical({"revision": value})


@pytest.mark.parametrize("key", ["é", 1, None, "\ud800", Text("x")])
def test_odd_keys_are_refused(key):
    """A key that is not plain ASCII text is refused: orders of keys differ beyond ASCII."""
    with pytest.raises(EntryError, match=r"^`change`: key .* is not ASCII text"):
        canonical({"change": {key: "x"}})


def test_lone_surrogates_are_refused():
    """Half a character is no text."""
    with pytest.raises(EntryError, match=r"^`reason\.text`: holds a lone surrogate"):
        canonical({"reason": {"text": "a\ud800"}})


def test_a_value_within_itself_is_refused():
    """A list that holds itself is refused instead of never ending."""
    endless = []
    endless.append(endless)

    with pytest.raises(EntryError, match="nested deeper than 254 levels"):
        canonical({"facts": endless})


@pytest.mark.parametrize(
    ("name", "agrees"),
    [
        ("arrays", False),  # null, true
        ("french", False),  # keys beyond ASCII
        ("simpleString", True),
        ("structures", False),  # floats
        ("unicode", True),
        ("values", False),  # floats, null, true
        ("weird", False),  # keys beyond ASCII
    ],
)
def test_public_vectors(name, agrees):
    """The public vectors of RFC 8785 are met, or refused for what an entry may not hold."""
    value = json.loads(shared_data("jcs", "input", f"{name}.json").read_bytes())
    wanted = shared_data("jcs", "output", f"{name}.json").read_bytes().rstrip(b"\n")

    if agrees:
        assert b'{"x":' + wanted + b"}" == canonical({"x": value})
    else:
        with pytest.raises(EntryError):
            canonical({"x": value})


def test_a_commitment_is_the_sha256_of_the_bytes():
    """Anybody can compute a commitment."""
    assert hashlib.sha256(b'{"v":1}').digest() == commitment(b'{"v":1}')


def test_the_link_of_a_batch():
    """Under a link are the label, the link before, the place, the count, the commitments."""
    digests = [commitment(b"a"), commitment(b"b")]
    place = bytes.fromhex("0000000000000007" + "00000002")

    link = batch_hash(GENESIS, 7, digests)

    expected = b"dmp audit batch v1\n" + bytes(32) + place + b"".join(digests)
    assert hashlib.sha256(expected).digest() == link


def test_a_handle_hides_the_patient():
    """A handle depends on the key, and a patient's handle is the same each time."""
    handles = [handle(bytes(32), "1"), handle(bytes(32), "1"), handle(b"k" * 32, "1")]

    assert handles[0] == handles[1] != handles[2]


def test_uuid7_of_the_rfc():
    """The example of RFC 9562, appendix A.6, is met."""
    random = bytes.fromhex("0cc318c4dc0c0c07398f")

    made = uuid7(0x017F22E279B0, random)

    assert made == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_uuid7_is_one_and_tells_its_time(ms, random):
    """Every time and randomness give a well-formed id, from which the time can be read."""
    made = UUID(uuid7(ms, random))

    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert ms == uuid7_ms(str(made))


@pytest.mark.parametrize(("ms", "random"), [(-1, bytes(10)), (2**48, bytes(10)), (0, bytes(9))])
def test_uuid7_refuses_what_does_not_fit(ms, random):
    """A time beyond 48 bits or too little randomness makes no id."""
    with pytest.raises(EntryError, match=r"^(ms|random): "):
        uuid7(ms, random)


@pytest.mark.parametrize("text", ["", "41", "x" * 36, "4fbaf9f5-0000-4000-8000-000000000000"])
def test_other_ids_tell_no_time(text):
    """What is no UUID of version 7 is refused by name."""
    with pytest.raises(EntryError, match=f"^id: `{text}`"):
        uuid7_ms(text)


def test_rfc3339_is_utc():
    """An instant of any zone is written in UTC, with microseconds."""
    paris = datetime(2026, 11, 22, 0, 30, tzinfo=timezone(timedelta(hours=1)))

    assert rfc3339(paris) == "2026-11-21T23:30:00.000000Z"


@given(*[st.datetimes(timezones=st.just(UTC))] * 2)
def test_rfc3339_text_order_is_time_order(one, other):
    """Instants can be compared as text."""
    assert (one < other) == (rfc3339(one) < rfc3339(other))


def test_rfc3339_refuses_naive_instants():
    """An instant without a zone is refused, not guessed."""
    with pytest.raises(EntryError, match="has no time zone"):
        rfc3339(datetime(2026, 11, 22))  # noqa: DTZ001 - the point of the test
