"""What is sealed opens in its place alone, whole, and with its own key."""

import copy
import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier.errors import SealError
from dossier.keys.sealing import KEY_BYTES, NONCE_BYTES, TAG_BYTES, Key, Place, Purpose

SECRET = bytes(range(KEY_BYTES))
PLACE = Place(purpose=Purpose.BODY, patient="1541187387477485562488", of="document")
PLAIN = b"<ClinicalDocument/>"


@pytest.fixture
def key():
    return Key(SECRET)


@given(st.binary(max_size=200), st.text(max_size=20), st.text(max_size=20))
def test_opens_as_it_was(plain, patient, of):
    """Whatever was sealed comes back byte for byte."""
    key, place = Key(SECRET), Place(purpose=Purpose.BODY, patient=patient, of=of)

    assert plain == key.unseal(key.seal(plain, place), place)


def test_shape(key):
    """A sealed text is version 1, a nonce of 12 bytes, and the text with a tag of 16; nothing of it shows."""
    sealed = key.seal(PLAIN, PLACE)

    assert sealed[0] == 1
    assert len(sealed) == 1 + NONCE_BYTES + len(PLAIN) + TAG_BYTES
    assert PLAIN not in sealed


def test_never_sealed_alike(key):
    """The same text is sealed under another nonce each time."""
    assert len({key.seal(PLAIN, PLACE) for _ in range(100)}) == 100


def test_every_flipped_bit_is_noticed(key):
    """No single bit can be changed anywhere."""
    sealed = key.seal(PLAIN, PLACE)

    for place in range(len(sealed) * 8):
        spoilt = bytearray(sealed)
        spoilt[place // 8] ^= 1 << place % 8
        with pytest.raises(SealError):
            key.unseal(bytes(spoilt), PLACE)


def test_every_cut_is_noticed(key):
    """No part of a sealed text opens."""
    sealed = key.seal(PLAIN, PLACE)

    for length in range(len(sealed)):
        with pytest.raises(SealError):
            key.unseal(sealed[:length], PLACE)


@pytest.mark.parametrize(
    "other",
    [
        {"purpose": Purpose.PARTICULARS},
        {"patient": "0833910461279517589858"},
        {"of": "document2"},
        {"patient": PLACE.patient + "d", "of": "ocument"},
    ],
)
def test_does_not_open_elsewhere(key, other):
    """What was moved to another purpose, patient or document does not open."""
    sealed = key.seal(PLAIN, PLACE)

    with pytest.raises(SealError, match="altered or moved"):
        key.unseal(sealed, replace(PLACE, **other))


def test_another_key_does_not_open_it(key):
    """Only the key that sealed it opens it."""
    with pytest.raises(SealError, match="`body` does not open"):
        Key(bytes(KEY_BYTES)).unseal(key.seal(PLAIN, PLACE), PLACE)


def test_newer_way_of_sealing_is_named(key):
    """What a newer program sealed is not mistaken for damage alone."""
    with pytest.raises(SealError, match="in an unknown way, `02`"):
        key.unseal(b"\x02" + key.seal(PLAIN, PLACE)[1:], PLACE)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_keys_have_32_bytes(length):
    """A key of another length is refused."""
    with pytest.raises(SealError, match=f"a key of `{length}` bytes"):
        Key(bytes(length))


def test_keys_do_not_show(key):
    """A key has no text, no attributes to print, and can't be pickled or copied."""
    shown = f"{key!r} {key} {vars(Key).get('__slots__')}"

    assert shown == "Key(...) Key(...) ('_cipher',)"
    with pytest.raises(TypeError, match="not written anywhere"):
        pickle.dumps(key)
    with pytest.raises(TypeError, match="not written anywhere"):
        copy.copy(key)
