"""Keys and signed notes: what is written, what is read, and what is refused."""

import hashlib
import os

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from audit.encoding import base64, decimal, unbase64
from audit.errors import FormatError, ProofError
from audit.keys import KeyType, Signer, Verifier, made
from audit.note import MAX_SIGNATURES, Note, signature_lines, signed
from tests.audit.keys import log_key, witness_key

LOG = log_key("example.org/log")
OTHER = log_key("example.org/other")
WITNESS = witness_key("witness.example/1")
TEXT = "example.org/log\n3\nWqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk=\n"

# The example of Go's documentation of `note`: published there, both halves.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_TEXT = "If you think cryptography is the answer to your problem,\n\
then you don't know what your problem is.\n"
GO_LINE = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZS\
NXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"


def test_go_reads_what_we_write():
    """The example of Go's own documentation comes out byte for byte, from its secret key on."""
    signer = Signer.parse(GO_SECRET)

    note = signed(GO_TEXT, signer)

    assert GO_KEY == str(signer.verifier)
    assert GO_SECRET == signer.secret
    assert f"{GO_TEXT}\n{GO_LINE}".encode() == bytes(note)
    assert (Verifier.parse(GO_KEY),) == Note.parse(bytes(note)).signers([Verifier.parse(GO_KEY)])


def test_key_id_is_the_hash_of_name_type_and_key():
    """The key id is the beginning of SHA-256 of name, newline, type and key."""
    verifier = WITNESS.verifier
    named = b"witness.example/1\n\x04" + verifier.key

    assert hashlib.sha256(named).digest()[:4] == verifier.key_id


def test_keys_are_read_as_they_are_written():
    """Both halves of a key come back."""
    for signer in (LOG, WITNESS):
        assert signer == Signer.parse(signer.secret)
        assert signer.verifier == Verifier.parse(str(signer.verifier))


def test_secret_is_not_shown():
    """Neither a printed key nor an error message holds the secret half."""
    damaged = LOG.secret.replace("+example.org/log+", "+example.org/lag+")

    with pytest.raises(FormatError) as refusal:
        Signer.parse(damaged)

    half = LOG.secret.rpartition("+")[2]
    assert half not in str(refusal.value)
    assert half not in repr(LOG)
    assert repr(LOG.seed) not in repr(LOG)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000",
        "na me+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        GO_KEY.replace("c74f20a3", "c74f20a4"),
        GO_KEY.replace("c74f20a3", "C74F20A3"),
        GO_KEY.replace("Peter", "Pedro"),
        GO_KEY + "\n",
        GO_KEY[:-4],
        GO_KEY.replace("AR", "Ah"),
        "name+00000000+",
        "name+00000000+AQ==",
    ],
)
def test_a_key_that_is_none_is_refused(text):
    """A damaged key, or one of another kind, can't be used."""
    with pytest.raises(FormatError, match=r"key|name"):
        Verifier.parse(text)
    with pytest.raises(FormatError, match=r"key|name"):
        Signer.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\tb", "a\u2028b", "a\x1fb"])
def test_a_name_can_be_read_again(name):
    """No key has a name with spaces, pluses or control characters, or none."""
    with pytest.raises(FormatError, match="a name has no spaces"):
        made(name, KeyType.ED25519, os.urandom)


def test_cosignature_is_over_header_time_and_text():
    """A cosignature is the time in eight bytes and an Ed25519 signature as the specification says."""
    time = 1679315147

    signature = WITNESS.cosign(TEXT, time)

    message = f"cosignature/v1\ntime {time}\n{TEXT}".encode()
    assert time == int.from_bytes(signature.data[:8])
    Ed25519PublicKey.from_public_bytes(WITNESS.verifier.key).verify(signature.data[8:], message)
    assert WITNESS.verifier.accepts(TEXT, signature)
    assert not WITNESS.verifier.accepts(TEXT.replace("3", "4"), signature)


@pytest.mark.parametrize("time", [-1, 2**63])
def test_cosignature_has_a_time(time):
    """A time that does not fit is refused, and not believed."""
    with pytest.raises(FormatError, match="out of range"):
        WITNESS.cosign(TEXT, time)


def test_unknown_signatures_are_ignored():
    """Whoever knows one of the keys believes the note, and is told which."""
    note = signed(TEXT, LOG, OTHER).signed_also([WITNESS.cosign(TEXT, 5)])

    assert (LOG.verifier,) == note.signers([LOG.verifier])
    assert (WITNESS.verifier, LOG.verifier) == note.signers([WITNESS.verifier, LOG.verifier])
    assert note == Note.parse(bytes(note))


def test_a_key_of_the_same_name_is_another_key():
    """The signature of a key with the same name and another id is ignored, not refused."""
    namesake = log_key(LOG.name, 1)
    note = signed(TEXT, namesake, LOG)

    assert (LOG.verifier,) == note.signers([LOG.verifier])
    with pytest.raises(ProofError, match="no known key"):
        signed(TEXT, namesake).signers([LOG.verifier])


def test_nobody_known_signed():
    """A note that no known key signed is refused, by whatever names it says."""
    with pytest.raises(
        ProofError, match=r"no known key has signed it; signed by `example\.org/log`"
    ):
        signed(TEXT, LOG).signers([OTHER.verifier, WITNESS.verifier])


def test_one_wrong_signature_of_a_known_key_spoils_the_note():
    """A known key that fails is no unknown key: the note is refused, whoever else signed."""
    wrong = signed(TEXT.replace("3", "4"), LOG).signatures
    note = Note(text=TEXT, signatures=(*wrong, *signed(TEXT, OTHER).signatures))

    assert (OTHER.verifier,) == note.signers([OTHER.verifier])
    with pytest.raises(ProofError, match=r"the signature of `example\.org/log` is not of its key"):
        note.signers([OTHER.verifier, LOG.verifier])


def test_a_newer_cosignature_takes_the_place_of_an_older_one():
    """A note holds one signature of each key."""
    older, newer = WITNESS.cosign(TEXT, 5), WITNESS.cosign(TEXT, 6)
    note = signed(TEXT, LOG).signed_also([older])

    assert (note.signatures[0], newer) == note.signed_also([newer]).signatures


def test_sixteen_large_signatures_fit():
    """A note with sixteen signatures as long as those of ML-DSA is read."""
    many = "".join(f"— w{n} {base64(bytes(5000))}\n" for n in range(16)).encode()

    assert 16 == len(Note.parse(TEXT.encode() + b"\n" + many).signatures)


GOOD = bytes(signed(TEXT, LOG))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        TEXT.encode(),
        TEXT.encode() + b"\n",
        GOOD[:-1],
        GOOD + b"\n",
        GOOD + b"x\n",
        GOOD.replace(b"\n\n", b"\n"),
        GOOD.replace(b"example", b"exa\x00mple"),
        GOOD.replace(b"example", b"exa\tmple"),
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.replace(b"example", b"exa\xffmple"),
        GOOD.replace("—".encode(), b"-"),
        GOOD.replace("— ".encode(), "—".encode()),
        GOOD.replace("— example.org/log ".encode(), "—  ".encode()),
        GOOD.replace("— example.org/log ".encode(), "— a+b ".encode()),
        GOOD[:-4] + b"!=\n",
        TEXT.encode() + "\n— a AAAA\n".encode(),
        TEXT.encode() + "\n— a AAAAAA==\n".encode(),
        TEXT.encode() + "\n— a AAAAAAB=\n".encode(),
        TEXT.encode() + b"\n" + "— a AAAAAAA=\n".encode() * (MAX_SIGNATURES + 1),
        b"x" * (1 << 19),
    ],
)
def test_a_note_that_is_none_is_refused(data):
    """What is not exactly a note is none, and never half read."""
    with pytest.raises(FormatError):
        Note.parse(data)


def test_text_may_hold_empty_lines():
    """The signatures stand behind the last empty line."""
    text = "one\n\ntwo\n"

    assert text == Note.parse(bytes(signed(text, LOG))).text


@pytest.mark.parametrize("text", ["", "no newline", "bell \x07\n"])
def test_what_could_not_be_read_again_is_not_signed(text):
    """No note is made that nobody could read."""
    with pytest.raises(FormatError):
        signed(text, LOG)


def test_lines_of_signatures_alone():
    """The answer of a witness is read as it is written."""
    signature = WITNESS.cosign(TEXT, 7)

    assert (signature,) == signature_lines(f"{signature}\n".encode())
    for wrong in (b"", b"hello\n", f"{signature}".encode(), f"{signature}\n\n".encode()):
        with pytest.raises(FormatError):
            signature_lines(wrong)


@given(st.binary(max_size=40))
def test_base64_has_one_form(data):
    """Every text of bytes is read, and no other text of them."""
    text = base64(data)

    assert data == unbase64(text, "x")
    for wrong in (text + "\n", text + "=", " " + text, text + "=="):
        with pytest.raises(FormatError, match="base64"):
            unbase64(wrong, "x")


@given(st.integers(0, 2**63 - 1))
def test_numbers_have_one_form(number):
    """Every number is read, and no other text of it."""
    assert number == decimal(str(number), "x", 2**63 - 1)
    for wrong in (f"0{number}", f"+{number}", f"{number} ", f"-{number}", "", "²", f"{number}_0"):
        with pytest.raises(FormatError, match="no number"):
            decimal(wrong, "x", 2**63 - 1)
    with pytest.raises(FormatError, match="from 0 to"):
        decimal(str(number + 1), "x", number)
