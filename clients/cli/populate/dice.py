"""Draws that are the same each time: what follows from a seed and a name, and from nothing else."""

import hashlib
from collections.abc import Sequence
from typing import Final, TypeVar

Item = TypeVar("Item")

_BITS: Final = 64


class Dice:
    """Throws that depend on a path of names alone: `Dice(7, "patient", 12)` throws as it did before."""

    def __init__(self, *path: object) -> None:
        self._path = "/".join(map(str, path)).encode()
        self._thrown = 0

    def below(self, limit: int) -> int:
        """A number from 0 up to, but not, the limit."""
        return self._throw() * limit >> _BITS

    def between(self, first: int, last: int) -> int:
        """A number from the first to the last, both included."""
        return first + self.below(last - first + 1)

    def chance(self, per_mille: int) -> bool:
        """Whether it happens, so many times of a thousand."""
        return self.below(1000) < per_mille

    def pick(self, items: Sequence[Item]) -> Item:
        """One of them."""
        return items[self.below(len(items))]

    def weighted(self, items: Sequence[tuple[int, Item]]) -> Item:
        """One of them, each as often as its weight says."""
        thrown = self.below(sum(weight for weight, _ in items))
        for weight, item in items:
            thrown -= weight
            if thrown < 0:
                return item
        raise AssertionError("the throw is below the sum of the weights")

    def skewed(self, limit: int) -> int:
        """A number below the limit, small ones more often: some patients have many documents."""
        return limit * self.below(1 << 20) * self.below(1 << 20) >> 40

    def _throw(self) -> int:
        self._thrown += 1
        data = self._path + b"#%d" % self._thrown
        return int.from_bytes(hashlib.sha256(data).digest()[: _BITS // 8], "big")
