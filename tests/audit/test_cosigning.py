"""What a witness answers: a cosignature to a log that grew, the right refusal to everything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.checkpoint import Checkpoint
from audit.cosigning import RefusalError, Submission, judge, place
from audit.errors import FormatError
from audit.merkle import EMPTY_ROOT
from audit.note import signed
from audit.trusted import Trust
from tests.audit.keys import log_key
from tests.reference import tree

LOG = log_key("example.org/log")
LEAVES = [f"leaf {number}".encode() for number in range(20)]
KNOWN = Trust(logs=(LOG.verifier,))


def checkpoint(size, *, fork=False, origin=LOG.name):
    """A checkpoint of the log; of another history if it forked."""
    leaves = [b"fork", *LEAVES[1:]] if fork else LEAVES
    return Checkpoint(origin=origin, size=size, root=tree.tree_hash(leaves[:size]))


def request(old, new, *, proof=None, signer=LOG, fork=False, origin=LOG.name):
    """The body of a request."""
    if proof is None:
        leaves = [b"fork", *LEAVES[1:]] if fork else LEAVES
        proof = tree.proof(old, leaves[:new]) if 0 < old <= new else []
    note = signed(str(checkpoint(new, fork=fork, origin=origin)), signer)
    return bytes(Submission(old=old, proof=tuple(proof), note=note))


def seen(size):
    """What the witness cosigned last."""
    return {LOG.name: checkpoint(size)} if size else {}


def refused(data, state):
    """Status and body of a refusal."""
    with pytest.raises(RefusalError) as refusal:
        judge(data, KNOWN, state)
    return refusal.value.status, refusal.value.body


@given(st.integers(0, 20), st.integers(0, 20))
def test_a_log_that_grew_is_cosigned(old, new):
    """From the size that was cosigned last, to any that is not smaller."""
    if old > new:
        old, new = new, old

    assert checkpoint(new) == judge(request(old, new), KNOWN, seen(old)).checkpoint


def test_requests_are_read_as_they_are_written():
    """A request comes back."""
    data = request(5, 9)

    assert data == bytes(Submission.parse(data))
    assert data.startswith(b"old 5\n")


def test_unknown_log_is_404():
    """A log that is not served."""
    other = log_key("example.org/other")

    assert 404 == refused(request(0, 5, signer=other, origin=other.name), {})[0]


def test_wrong_signature_is_403():
    """A checkpoint that no known key of its log signed."""
    namesake = log_key(LOG.name, 1)
    altered = request(0, 5).replace(b"\n5\n", b"\n6\n")

    assert 403 == refused(request(0, 5, signer=namesake), {})[0]
    assert 403 == refused(altered, {})[0]


def test_old_beyond_new_is_400():
    """A tree does not shrink."""
    assert 400 == refused(request(6, 5, proof=[]), seen(6))[0]


@pytest.mark.parametrize(("old", "size"), [(0, 5), (4, 5), (6, 5), (5, 0)])
def test_another_old_size_is_409_with_the_size(old, size):
    """Who does not begin where the witness stands is told where that is."""
    with pytest.raises(RefusalError) as refusal:
        judge(request(old, 9), KNOWN, seen(size))

    found = refusal.value
    assert (409, f"{size}\n", "text/x.tlog.size") == (found.status, found.body, found.content_type)


def test_a_wrong_proof_is_422():
    """A history that is not the one that was cosigned, or is not proved, is refused."""
    proof = tree.proof(5, LEAVES[:9])

    assert 422 == refused(request(5, 9, fork=True), seen(5))[0]
    assert 422 == refused(request(5, 9, proof=proof[1:]), seen(5))[0]
    assert 422 == refused(request(5, 9, proof=[*proof, bytes(32)]), seen(5))[0]
    assert 422 == refused(request(5, 9, proof=[]), seen(5))[0]


def test_two_roots_of_one_size_are_422():
    """Of two trees of one size the second is refused, unless it is the same."""
    assert 422 == refused(request(5, 5, fork=True), seen(5))[0]
    assert 422 == refused(request(5, 5, proof=[bytes(32)]), seen(5))[0]
    assert checkpoint(5) == judge(request(5, 5), KNOWN, seen(5)).checkpoint


def test_size_0_is_judged_apart():
    """From size 0 the proof is empty, and size 0 has one root."""
    wrong = signed(str(Checkpoint(origin=LOG.name, size=0, root=bytes(32))), LOG)

    assert EMPTY_ROOT == judge(request(0, 0), KNOWN, {}).checkpoint.root
    assert 422 == refused(request(0, 5, proof=[bytes(32)]), {})[0]
    assert 422 == refused(bytes(Submission(old=0, proof=(), note=wrong)), {})[0]


GOOD = request(5, 9)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"old 0\n",
        GOOD.replace(b"old 5", b"old 05"),
        GOOD.replace(b"old 5", b"old -5"),
        GOOD.replace(b"old 5", b"old5"),
        GOOD.replace(b"old 5", b"OLD 5"),
        GOOD.replace(b"old 5", b"\xff 5"),
        GOOD.replace(b"old 5\n", b"old 5\nAAAA\n"),
        GOOD.replace(b"old 5\n", b"old 5\n" + b"A" * 43 + b"=\n" + (b"A" * 43 + b"=\n") * 63),
        GOOD.replace(b"\n", b"\r\n"),
        GOOD[:-1],
        GOOD.replace(b"\n9\n", b"\n09\n"),
    ],
)
def test_malformed_is_400(data):
    """What is no request is told so, and nothing is cosigned."""
    assert 400 == refused(data, seen(5))[0]
    with pytest.raises(FormatError):
        Checkpoint.parse(Submission.parse(data).note.text)


def test_place_is_the_hash_of_the_origin():
    """A log is shown below the SHA-256 of its origin, in small hexadecimal digits."""
    assert "d2ddd66899fd15bead08af77cf16e1fda92ebeaacf1c56f97d32388910e8f991/checkpoint" == place(
        "example.org/log"
    )
