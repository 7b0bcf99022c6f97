"""The Merkle tree of RFC 6962, word for word: slow, recursive, obvious."""

import hashlib
from collections.abc import Sequence


def tree_hash(data: Sequence[bytes]) -> bytes:
    """MTH (section 2.1)."""
    if not data:
        return hashlib.sha256(b"").digest()
    if len(data) == 1:
        return hashlib.sha256(b"\x00" + data[0]).digest()
    k = split(len(data))
    return hashlib.sha256(b"\x01" + tree_hash(data[:k]) + tree_hash(data[k:])).digest()


def path(m: int, data: Sequence[bytes]) -> list[bytes]:
    """PATH (section 2.1.1)."""
    if len(data) == 1:
        return []
    k = split(len(data))
    if m < k:
        return [*path(m, data[:k]), tree_hash(data[k:])]
    return [*path(m - k, data[k:]), tree_hash(data[:k])]


def proof(m: int, data: Sequence[bytes]) -> list[bytes]:
    """PROOF (section 2.1.2)."""
    return subproof(m, data, whole=True)


def subproof(m: int, data: Sequence[bytes], *, whole: bool) -> list[bytes]:
    """SUBPROOF (section 2.1.2)."""
    if m == len(data):
        return [] if whole else [tree_hash(data)]
    k = split(len(data))
    if m <= k:
        return [*subproof(m, data[:k], whole=whole), tree_hash(data[k:])]
    return [*subproof(m - k, data[k:], whole=False), tree_hash(data[:k])]


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def nodes(data: Sequence[bytes]):
    """The hashes of whole subtrees, as `audit.merkle.Nodes` gives them."""

    def node(level: int, number: int) -> bytes:
        part = data[number << level : (number + 1) << level]
        assert len(part) == 1 << level
        return tree_hash(part)

    return node
