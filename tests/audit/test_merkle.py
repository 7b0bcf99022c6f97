"""The Merkle tree against the slow one of the RFC, against public vectors, and against altered proofs."""

import json
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import ProofError
from audit.merkle import (
    EMPTY_ROOT,
    CompactRange,
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    root,
    verify_consistency,
    verify_inclusion,
    whole_hash,
)
from tests.reference import tree
from tests.shared import shared_data

MOST = 70


def data(count):
    """So many different leaves."""
    return [f"leaf {number}".encode() for number in range(count)]


def vectors(kind):
    """All public vectors of a kind."""
    found = sorted(shared_data("merkle", kind).rglob("*.json"))
    assert len(found) == 98
    for path in found:
        yield path, json.loads(path.read_bytes())


def unbase64(texts):
    return [b64decode(text) for text in texts or ()]


def holds(verify, *arguments):
    """Whether a proof is accepted."""
    try:
        verify(*arguments)
    except ProofError:
        return False
    return True


def test_roots_are_those_of_the_rfc():
    """Root, compact range and the root from whole subtrees agree with the RFC, size by size."""
    leaves = data(MOST)
    grown = CompactRange()
    for size in range(MOST + 1):
        expected = tree.tree_hash(leaves[:size])

        assert expected == root(tree.nodes(leaves), size) == grown.root
        assert size == grown.size
        grown = grown.extended(map(leaf_hash, leaves[size : size + 1]))


@given(st.lists(st.binary(max_size=3), max_size=40), st.integers(0, 40))
def test_a_compact_range_grows_in_any_steps(leaves, cut):
    """However the leaves come, the compact range is the same."""
    first = CompactRange().extended(map(leaf_hash, leaves[:cut]))

    assert CompactRange().extended(map(leaf_hash, leaves)) == first.extended(
        map(leaf_hash, leaves[cut:])
    )


def test_whole_hash_is_the_root_of_a_power_of_two():
    """Of 2, 4, 8... hashes the whole hash is the root."""
    for level in range(6):
        leaves = data(1 << level)

        assert tree.tree_hash(leaves) == whole_hash([leaf_hash(one) for one in leaves])


def test_every_inclusion_is_proved_as_the_rfc_does():
    """Each leaf of each small tree is proved by the path of the RFC, which verifies."""
    leaves = data(MOST)
    for size in range(1, MOST + 1):
        whole = tree.tree_hash(leaves[:size])
        for index in range(size):
            made = prove_inclusion(tree.nodes(leaves), index, size)

            assert tree.path(index, leaves[:size]) == list(made)
            verify_inclusion(leaf_hash(leaves[index]), index, size, made, whole)


def test_every_consistency_is_proved_as_the_rfc_does():
    """Each pair of small trees is proved by the proof of the RFC, which verifies."""
    leaves = data(MOST)
    roots = [tree.tree_hash(leaves[:size]) for size in range(MOST + 1)]
    for new in range(1, MOST + 1):
        for old in range(1, new + 1):
            made = prove_consistency(tree.nodes(leaves), old, new)

            assert tree.proof(old, leaves[:new]) == list(made)
            verify_consistency(old, new, roots[old], roots[new], made)


def test_public_vectors_of_inclusion():
    """Of 98 public vectors exactly those are refused that must be."""
    wrong = [
        str(path)
        for path, one in vectors("inclusion")
        if one["wantErr"]
        == holds(
            verify_inclusion,
            b64decode(one["leafHash"]),
            one["leafIdx"],
            one["treeSize"],
            unbase64(one["proof"]),
            b64decode(one["root"]),
        )
    ]

    assert wrong == []


def test_public_vectors_of_consistency():
    """Of 98 public vectors exactly those are refused that must be."""
    wrong = [
        str(path)
        for path, one in vectors("consistency")
        if one["wantErr"]
        == holds(
            verify_consistency,
            one["size1"],
            one["size2"],
            b64decode(one["root1"]),
            b64decode(one["root2"]),
            unbase64(one["proof"]),
        )
    ]

    assert wrong == []


def spoilt(proof):
    """All that a proof can be turned into by one small change."""
    for place in range(len(proof)):
        one = bytearray(proof[place])
        one[7] ^= 16
        yield [*proof[:place], bytes(one), *proof[place + 1 :]]
        yield [*proof[:place], *proof[place + 1 :]]
        yield [*proof[:place], proof[place], *proof[place:]]
        yield [*proof[:place], proof[place][:-1], *proof[place + 1 :]]
    for more in (b"", EMPTY_ROOT):
        yield [*proof, more]
        yield [more, *proof]


@given(
    st.integers(1, MOST).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size)))
)
def test_an_altered_inclusion_is_refused(case):
    """One bit, one hash, one place or one size more or less: refused."""
    index, size = case
    leaves = data(size)
    whole, leaf = tree.tree_hash(leaves), leaf_hash(leaves[index])
    proof = tree.path(index, leaves)

    assert not any(holds(verify_inclusion, leaf, index, size, one, whole) for one in spoilt(proof))
    assert not holds(verify_inclusion, leaf, index + 1, size, proof, whole)
    assert not holds(verify_inclusion, leaf, index - 1, size, proof, whole)
    assert not holds(verify_inclusion, node_hash(leaf, leaf), index, size, proof, whole)
    assert not holds(verify_inclusion, leaf, index, size, proof, leaf_hash(whole))


@given(st.integers(2, MOST).flatmap(lambda new: st.tuples(st.integers(1, new - 1), st.just(new))))
def test_an_altered_consistency_is_refused(case):
    """One bit, one hash, swapped roots or another size: refused."""
    old, new = case
    leaves = data(new)
    before, after = tree.tree_hash(leaves[:old]), tree.tree_hash(leaves)
    proof = tree.proof(old, leaves)

    wrong = [
        one for one in spoilt(proof) if holds(verify_consistency, old, new, before, after, one)
    ]

    assert wrong == []
    assert not holds(verify_consistency, old, new, after, before, proof)
    assert not holds(verify_consistency, old, new, before, before, proof)
    assert not holds(verify_consistency, new, old, after, before, proof)


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 5), (6, 5), (-1, 5)])
def test_nothing_is_proved_from_nothing(old, new):
    """From size 0, and backwards, no proof is made and none accepted."""
    leaves = data(5)

    with pytest.raises(ProofError, match="nothing can be proved"):
        prove_consistency(tree.nodes(leaves), old, new)
    with pytest.raises(ProofError, match="nothing can be proved"):
        verify_consistency(old, new, EMPTY_ROOT, EMPTY_ROOT, ())


@pytest.mark.parametrize("index", [-1, 5])
def test_no_leaf_is_proved_that_is_not_there(index):
    """A leaf outside the tree has no proof."""
    with pytest.raises(ProofError, match="not in a tree of 5"):
        prove_inclusion(tree.nodes(data(5)), index, 5)


def test_huge_places_are_refused_at_once():
    """Numbers beyond any tree make no work."""
    with pytest.raises(ProofError, match="64 hashes lead to the root"):
        verify_inclusion(EMPTY_ROOT, 2**64 - 2, 2**64, (), EMPTY_ROOT)
