"""The Merkle tree of RFC 6962, section 2.1: its hashes, and proofs made and verified. Pure.

A subtree is *whole* when it has `2**level` leaves and begins at a multiple of that: its hash never
changes again, however the tree grows. Every proof is made of hashes of whole subtrees.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from audit.errors import ProofError

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""

MAX_PROOF: Final = 64
"""No proof has more hashes: a tree has less than 2^64 leaves."""

Nodes = Callable[[int, int], bytes]
"""Gives the hash of a whole subtree, by its level (0: a leaf) and its number from the left."""

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"
_sha256: Final = hashlib.sha256  # looked up once: most of the time goes into these three functions


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf: SHA-256 of a zero byte and its data."""
    return _sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees side by side: SHA-256 of a byte 1 and their hashes."""
    return _sha256(_NODE + left + right).digest()


def whole_hash(hashes: Sequence[bytes]) -> bytes:
    """The hash of a whole subtree, of those on its lowest level: a power of two of them."""
    row = hashes
    while len(row) > 1:
        pairs = zip(row[::2], row[1::2], strict=True)
        row = [_sha256(_NODE + left + right).digest() for left, right in pairs]
    return row[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactRange:
    """All that is needed of a tree to let it grow: the whole subtrees it is made of.

    Attributes:
        size: the number of leaves.
        nodes: the hashes of its whole subtrees, the largest first; one for each bit set in `size`.
    """

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def extended(self, leaves: Iterable[bytes]) -> "CompactRange":
        """The tree with these leaf hashes behind its own."""
        size, nodes = self.size, list(self.nodes)
        for leaf in leaves:
            hashed, rest = leaf, size
            while rest & 1:
                hashed, rest = node_hash(nodes.pop(), hashed), rest >> 1
            nodes.append(hashed)
            size += 1
        return CompactRange(size=size, nodes=tuple(nodes))

    @property
    def root(self) -> bytes:
        """The hash of the whole tree (RFC 6962, 2.1)."""
        return _folded(self.nodes) if self.nodes else EMPTY_ROOT


def root(nodes: Nodes, size: int) -> bytes:
    """The hash of the tree of the first `size` leaves."""
    return _hash(nodes, 0, size) if size else EMPTY_ROOT


def prove_inclusion(nodes: Nodes, index: int, size: int) -> tuple[bytes, ...]:
    """The audit path of a leaf in the tree of the first `size` leaves (RFC 6962, 2.1.1), its sibling first.

    Raises:
        ProofError: that tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ProofError(f"index: `{index}` is not in a tree of {size} leaves")
    return tuple(_hash(nodes, *span) for span in _beside(index, size))


def prove_consistency(nodes: Nodes, old: int, new: int) -> tuple[bytes, ...]:
    """That the first `old` of `new` leaves are what they were (RFC 6962, 2.1.2).

    Raises:
        ProofError: `old` is 0, of which nothing can be proved, or more than `new`.
    """
    if not 0 < old <= new:
        raise ProofError(f"sizes: nothing can be proved from `{old}` to `{new}` leaves")
    return tuple(_hash(nodes, *span) for span in _between(old, new))


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root_hash: bytes
) -> None:
    """Verifies an audit path (RFC 9162, 2.1.3.2, which does for RFC 6962 as well).

    Args:
        leaf: the hash of the leaf, as `leaf_hash` makes it.
        index: its place, from 0.
        size: the number of leaves of the tree.
        proof: the hashes, the sibling of the leaf first.
        root_hash: of that tree.

    Raises:
        ProofError: it proves nothing, or something else.
    """
    if not 0 <= index < size:
        raise ProofError(f"index: `{index}` is not in a tree of {size} leaves")
    _check_hashes([leaf, root_hash, *proof])
    found = leaf
    for sibling, left in zip(proof, _sides(index, size - 1, len(proof)), strict=True):
        found = node_hash(sibling, found) if left else node_hash(found, sibling)
    if found != root_hash:
        raise ProofError("proof: it leads to another root")


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Verifies that a tree grew out of an earlier one (RFC 9162, 2.1.4.2).

    From size 0 nothing is accepted: every tree grew out of the empty one, so nothing would be proved.

    Raises:
        ProofError: it proves nothing, or something else.
    """
    if not 0 < old <= new:
        raise ProofError(f"sizes: nothing can be proved from `{old}` to `{new}` leaves")
    if old == new:
        if proof or old_root != new_root:
            raise ProofError(f"proof: two trees of {old} leaves have one root, and nothing between")
        return
    _check_hashes([old_root, new_root, *proof])
    if not proof:
        raise ProofError("proof: it is empty")
    # The old tree ends in a whole subtree, with which both begin; it is the tree itself, or is told.
    ends = (old & -old).bit_length() - 1
    first, *rest = proof if old & (old - 1) else [old_root, *proof]
    before = after = first
    sides = _sides((old - 1) >> ends, (new - 1) >> ends, len(rest))
    for sibling, left in zip(rest, sides, strict=True):
        if left:
            before = node_hash(sibling, before)
        after = node_hash(sibling, after) if left else node_hash(after, sibling)
    if before != old_root:
        raise ProofError(f"proof: the first {old} leaves have another root")
    if after != new_root:
        raise ProofError(f"proof: the {new} leaves have another root")


def _sides(place: int, last: int, count: int) -> list[bool]:
    """For each hash of a proof whether it is of a subtree to the left, from the bottom up.

    Args:
        place: the number of the subtree that it begins with, on its level.
        last: the number of the last one on that level.
        count: how many hashes there are.

    Raises:
        ProofError: so many can't lead to the root.
    """
    sides = []
    while last:
        left = place & 1 == 1 or place == last
        while left and not place & 1:
            place, last = place >> 1, last >> 1
        sides.append(left)
        place, last = place >> 1, last >> 1
    if len(sides) != count:
        raise ProofError(f"proof: {len(sides)} hashes lead to the root, there are {count}")
    return sides


def _check_hashes(hashes: Iterable[bytes]) -> None:
    if any(len(one) != HASH_BYTES for one in hashes):
        raise ProofError(f"a hash has not {HASH_BYTES} bytes")


def _split(count: int) -> int:
    """The largest power of two below `count`: so many leaves go to the left (RFC 6962, 2.1)."""
    return 1 << (count - 1).bit_length() - 1


def _beside(index: int, size: int) -> list[tuple[int, int]]:
    """The spans of leaves whose hashes make an audit path, the smallest first."""
    begin, end, spans = 0, size, []
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((begin, middle))
            begin = middle
    return spans[::-1]


def _between(old: int, new: int) -> list[tuple[int, int]]:
    """The spans of leaves whose hashes prove consistency, in the order of the proof."""
    begin, end, spans = 0, new, []
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((begin, middle))
            begin = middle
    if begin:
        spans.append((begin, end))
    return spans[::-1]


def _hash(nodes: Nodes, begin: int, end: int) -> bytes:
    """The hash over the leaves of a span."""
    return _folded([nodes(*one) for one in _whole(begin, end)])


def _whole(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The whole subtrees of a span, the largest first, as level and number."""
    while begin < end:
        level = (end - begin).bit_length() - 1
        yield level, begin >> level
        begin += 1 << level


def _folded(hashes: Sequence[bytes]) -> bytes:
    *rest, found = hashes
    for one in reversed(rest):
        found = node_hash(one, found)
    return found
