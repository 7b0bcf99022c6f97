"""The tree of a log as its tiles have it on disk: made, read back, and proved before it is signed."""

from collections.abc import Callable, Iterator
from typing import Final

from audit.checkpoint import Checkpoint
from audit.errors import Damage, FormatError, LogDamagedError, ProofError, RefusedError
from audit.evidence import Evidence
from audit.merkle import prove_consistency, root, verify_consistency
from audit.tiles import Edge, Tile, TiledNodes, partial_tiles

Commitments = Callable[[], Iterator[tuple[list[bytes], int]]]
"""Gives all commitments of a log from the first on, some at a time, each with where they end."""


class Tree:
    """The tiles of one log."""

    def __init__(self, evidence: Evidence) -> None:
        """Reads nothing yet."""
        self._evidence = evidence
        self._origin: Final = evidence.origin

    def nodes(self, size: int) -> TiledNodes:
        """The hashes of the tree of this size, read as they are asked for."""
        return TiledNodes(size=size, fetch=self._evidence.tile)

    def edge(self, last: Checkpoint) -> Edge | None:
        """The right edge as the tiles have it; None if they are not those of the checkpoint."""
        try:
            edge = Edge.fetched(last.size, self._evidence.tile)
        except FormatError:
            return None
        return edge if edge.root == last.root else None

    def again(self, last: Checkpoint, commitments: Commitments) -> Edge:
        """Makes the tiles of a checkpoint again, if these are certainly the entries that were sealed.

        Raises:
            LogDamagedError: they are not; no tile was touched.
            OSError: not all tiles are in place.
        """
        edge = Edge()
        for leaves, _ in commitments():
            edge, _ = edge.grown(leaves)
        if (edge.size, edge.root) != (last.size, last.root):
            what = "neither its tiles nor its entries are those of the checkpoint that was signed"
            raise LogDamagedError(self._origin, 0, Damage.TILE, what)
        edge = Edge()
        for leaves, _ in commitments():
            edge, full = edge.grown(leaves)
            self._evidence.put(full)
        self._evidence.put(edge.partial())
        return edge

    def prove(self, old: Checkpoint | None, new: Checkpoint) -> None:
        """Sees in the tiles on disk that a checkpoint is theirs, and grew out of an earlier one.

        Args:
            old: signed already; None before the first.
            new: to be signed.

        Raises:
            FormatError: a tile is not there.
            ProofError: the tiles are not those of `new`.
            RefusedError: `old` is no part of `new`.
        """
        nodes = self.nodes(new.size)
        if root(nodes, new.size) != new.root:
            raise ProofError(f"the tiles of {new.size} entries do not have their root")
        if old is None or not old.size:
            return
        try:
            proof = prove_consistency(nodes, old.size, new.size)
            verify_consistency(old.size, new.size, old.root, new.root, proof)
        except ProofError as exc:
            what = f"a checkpoint of {old.size} entries was signed that is no part of {new.size}"
            raise RefusedError(f"log `{self._origin}`: {what}: {exc}") from exc


def outgrown(old: int, new: int) -> list[Tile]:
    """The tiles that are partial at one size and full at a later one."""
    later = {tile.full for tile in partial_tiles(new)}
    return [tile for tile in partial_tiles(old) if tile.full not in later]
