"""Proofs that stand alone, and receipts: what they prove, and to whom."""

from dataclasses import replace

import pytest

from audit.checkpoint import Checkpoint
from audit.encoding import base64
from audit.entry import commitment
from audit.errors import FormatError, ProofError
from audit.merkle import prove_inclusion
from audit.note import signed
from audit.proof import Proof, Receipt, receipt
from audit.trusted import Trust
from tests.audit.keys import log_key, witness_key
from tests.reference import tree

LOG = log_key("example.org/log")
WITNESS = witness_key("witness.example/1")
ENTRIES = [f'{{"n":{number},"salt":"é"}}'.encode() for number in range(11)]
COMMITMENTS = [commitment(entry) for entry in ENTRIES]
TEXT = str(Checkpoint(origin=LOG.name, size=11, root=tree.tree_hash(COMMITMENTS)))
NOTE = signed(TEXT, LOG).signed_also([WITNESS.cosign(TEXT, 5)])
KEYS = (LOG.verifier, WITNESS.verifier)
TRUST = Trust(logs=(LOG.verifier,))


def made_of(index):
    """The receipt of an entry."""
    hashes = prove_inclusion(tree.nodes(COMMITMENTS), index, 11)
    return receipt(ENTRIES[index], index, hashes, NOTE, KEYS)


@pytest.mark.parametrize("index", range(11))
def test_a_receipt_proves_its_entry(index):
    """Each entry's receipt is read as it was written, and verifies."""
    data = bytes(made_of(index))
    found = Receipt.parse(data)

    assert (ENTRIES[index], index, KEYS, 11) == (
        found.entry,
        found.proof.index,
        found.keys,
        found.checkpoint.size,
    )
    assert LOG.verifier == found.verify(TRUST).log
    assert (WITNESS.verifier,) == found.verify(found.own_trust).witnesses
    assert data == bytes(found)


def test_the_file_is_that_of_the_specification():
    """Head, extra, index, hashes, an empty line, the checkpoint as it is."""
    data = bytes(made_of(3))
    head, _, note = data.partition(b"\n\n")
    first, extra, index, *hashes = head.decode().split("\n")

    assert ("c2sp.org/tlog-proof@v1", "index 3", bytes(NOTE)) == (first, index, note)
    keys = "".join(f"{key}\n" for key in KEYS).encode()
    assert "extra " + base64(ENTRIES[3] + b"\n" + keys) == extra
    assert [base64(one) for one in tree.path(3, COMMITMENTS)] == hashes


def test_extra_is_optional():
    """A proof without extra data is one, though no receipt."""
    bare = replace(made_of(3).proof, extra=b"")

    assert bare == Proof.parse(bytes(bare))
    assert 11 == bare.verify(COMMITMENTS[3], TRUST).checkpoint.size
    with pytest.raises(FormatError, match="no entry with keys"):
        Receipt.parse(bytes(bare))


def test_another_entry_is_refused():
    """A receipt proves its own entry, to the last bit."""
    one = made_of(3)

    for entry in (ENTRIES[4], ENTRIES[3] + b" ", ENTRIES[3].replace(b"3", b"2")):
        other = receipt(entry, 3, one.proof.hashes, NOTE, KEYS)
        with pytest.raises(ProofError, match="leads to another root"):
            other.verify(TRUST)
    with pytest.raises(ProofError, match="proof"):
        replace(one, proof=replace(one.proof, index=4)).verify(TRUST)


def test_a_receipt_of_another_log_is_refused():
    """Whoever knows another log's key alone believes nothing."""
    other = log_key("example.org/other")
    namesake = log_key(LOG.name, 1)

    with pytest.raises(ProofError, match="whose key is not known here"):
        made_of(3).verify(Trust(logs=(other.verifier,)))
    with pytest.raises(ProofError, match="no known key has signed"):
        made_of(3).verify(Trust(logs=(namesake.verifier,)))


def test_its_keys_prove_nothing():
    """A receipt that anybody made under a key of his own agrees with itself, and convinces nobody else."""
    forger = log_key(LOG.name, 1)
    entry = b'{"forged":1}'
    text = str(Checkpoint(origin=LOG.name, size=1, root=tree.tree_hash([commitment(entry)])))
    forged = receipt(entry, 0, (), signed(text, forger), [forger.verifier])

    assert forger.verifier == forged.verify(forged.own_trust).log
    with pytest.raises(ProofError, match="no known key has signed"):
        forged.verify(TRUST)


@pytest.mark.parametrize("entry", [b"", b"two\nlines"])
def test_an_entry_is_one_line(entry):
    """What can't be an entry gets no receipt."""
    with pytest.raises(FormatError, match="one line"):
        receipt(entry, 0, (), NOTE, KEYS)


GOOD = bytes(made_of(3))
LINES = GOOD.split(b"\n")


def with_extra(data):
    """The good file with other extra data."""
    return b"\n".join([LINES[0], b"extra " + base64(data).encode(), *LINES[2:]])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"c2sp.org/tlog-proof@v1",
        GOOD.replace(b"@v1", b"@v2"),
        GOOD.replace(b"index 3", b"index 03"),
        GOOD.replace(b"index 3", b"index -3"),
        GOOD.replace(b"index 3\n", b""),
        GOOD.replace(b"index 3", b"place 3"),
        GOOD.replace(b"index 3", b"\xff"),
        GOOD.replace(b"\n\n", b"\n", 1),
        GOOD.replace(b"extra ", b"extra  "),
        GOOD.replace(b"\n", b"\r\n"),
        GOOD[:-1],
        GOOD + b"\n",
        b"\n".join([*LINES[:3], *LINES[3:4] * 65, *LINES[4:]]),
        b"\n".join([*LINES[:3], LINES[3][:-8] + b"AAA=", *LINES[4:]]),
        with_extra(b""),
        with_extra(b"{}"),
        with_extra(b"\n"),
        with_extra(b"{}\nnonsense\n"),
        with_extra(b"{}\n\xff\n"),
        with_extra(f"{{}}\n{LOG.verifier}".encode()),
    ],
)
def test_what_is_no_receipt_is_refused(data):
    """A file that is not exactly a receipt is none."""
    with pytest.raises(FormatError):
        Receipt.parse(data)


def test_a_file_has_a_bound():
    """A file of many megabytes is refused unread."""
    with pytest.raises(FormatError, match="at most"):
        Proof.parse(b"x" * ((1 << 24) + 1))
