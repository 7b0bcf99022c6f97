"""The tree as files of fixed content (C2SP tlog-tiles): names, partial tiles, entry bundles. Pure.

A tile holds up to 256 hashes of one level of tiles: on level 0 of leaves, above that of whole tiles of
the level below. Its file never changes once it is full; one that is not is a partial tile, named by its
width. An entry bundle holds the data of the leaves of a level-0 tile.

In our logs the data of a leaf is the *commitment* of an entry, the SHA-256 of its bytes. So a bundle of
ours is 34 bytes for each entry, 0x0020 and the commitment, and tells nothing of anybody.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from audit.errors import FormatError
from audit.merkle import HASH_BYTES, CompactRange, leaf_hash, whole_hash

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
ENTRIES: Final = -1
"""The level of entry bundles, so to speak."""

_LENGTH: Final = 2
_MAX_DATA: Final = (1 << 16) - 1
_MAX_LEVEL: Final = 63
_PATH: Final = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """Which tile.

    Attributes:
        level: 0 and up, or `ENTRIES` for the bundle below a level-0 tile.
        number: from the left, from 0.
        width: how many hashes, or entries, it holds: 1 to 256.
    """

    level: int
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Its name below the log's prefix, as `tile/0/x001/x234/067.p/8`."""
        level = "entries" if self.level == ENTRIES else str(self.level)
        digits = str(self.number)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        *first, last = (digits[place : place + 3] for place in range(0, len(digits), 3))
        name = "/".join([*(f"x{three}" for three in first), last])
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{name}{partial}"

    @classmethod
    def parse(cls, path: str) -> "Tile":
        """Reads a name.

        Raises:
            FormatError: it names no tile, or not in its one form.
        """
        if found := _PATH.fullmatch(path):
            level, name, partial = found.groups()
            tile = cls(
                level=ENTRIES if level == "entries" else int(level),
                number=int(name.replace("x", "").replace("/", "")),
                width=int(partial or WIDTH),
            )
            if tile.path == path and tile.width <= WIDTH and tile.level <= _MAX_LEVEL:
                return tile
        raise FormatError(f"tile: `{path}` is the name of none")

    @property
    def start(self) -> int:
        """The index of the first entry below it."""
        return self.number << HEIGHT * (max(self.level, 0) + 1)

    @property
    def full(self) -> "Tile":
        """The tile that it is, or will be, when full."""
        return Tile(level=self.level, number=self.number)


Fetch = Callable[[Tile], bytes]
"""Gives the content of a tile, of exactly its width; raises `FormatError` where it has not got that."""


def partial_tiles(size: int) -> tuple[Tile, ...]:
    """The partial tiles of a tree of this size, and its partial entry bundle."""
    found: list[Tile] = []
    level = 0
    while count := size >> HEIGHT * level:
        if width := count % WIDTH:
            rows = (ENTRIES, 0) if level == 0 else (level,)
            found += [Tile(level=row, number=count >> HEIGHT, width=width) for row in rows]
        level += 1
    return tuple(found)


def hashes(data: bytes) -> tuple[bytes, ...]:
    """The hashes of a tile.

    Raises:
        FormatError: it is no tile.
    """
    if not data or len(data) % HASH_BYTES:
        raise FormatError(f"tile: {len(data)} bytes are no hashes of {HASH_BYTES}")
    return tuple(data[place : place + HASH_BYTES] for place in range(0, len(data), HASH_BYTES))


def bundle(leaves: Iterable[bytes]) -> bytes:
    """An entry bundle: each leaf's data behind its length in two bytes, the higher one first.

    Raises:
        FormatError: the data of a leaf are too long.
    """
    every = list(leaves)
    lengths = set(map(len, every))
    if any(length > _MAX_DATA for length in lengths):
        raise FormatError(f"entry: {max(lengths)} bytes, {_MAX_DATA} at most")
    if len(lengths) == 1:  # as in our logs: all of it in one go
        length = lengths.pop().to_bytes(_LENGTH)
        return length + length.join(every)
    return b"".join(part for data in every for part in (len(data).to_bytes(_LENGTH), data))


def unbundle(data: bytes) -> tuple[bytes, ...]:
    """The data of the leaves of an entry bundle.

    Raises:
        FormatError: it is no entry bundle.
    """
    found, place = [], 0
    while place < len(data):
        begin = place + _LENGTH
        place = begin + int.from_bytes(data[begin - _LENGTH : begin])
        found.append(data[begin:place])
    if place != len(data) or not found:
        raise FormatError("entry bundle: it is cut off or empty")
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The right edge of a tiled tree: the content of its partial tiles. With it the tree can grow.

    Attributes:
        size: the number of leaves.
        leaves: the data of those in the partial bundle.
        levels: for each level the hashes in the partial tile.
    """

    size: int = 0
    leaves: tuple[bytes, ...] = ()
    levels: tuple[tuple[bytes, ...], ...] = ((),)

    @classmethod
    def fetched(cls, size: int, fetch: Fetch) -> "Edge":
        """Reads it from the tiles of a tree; whether its root is the right one is for the caller to see.

        Raises:
            FormatError: a tile is not there, or is none.
        """
        levels: dict[int, tuple[bytes, ...]] = {}
        leaves: tuple[bytes, ...] = ()
        for tile in partial_tiles(size):
            if tile.level == ENTRIES:
                leaves = unbundle(fetch(tile))
            else:
                levels[tile.level] = hashes(fetch(tile))
        height = max(levels, default=0) + 1
        rows = tuple(levels.get(level, ()) for level in range(height))
        if tuple(map(leaf_hash, leaves)) != rows[0]:
            raise FormatError("tiles: the last entry bundle is not that of the last level-0 tile")
        return cls(size=size, leaves=leaves, levels=rows)

    def grown(self, leaves: Sequence[bytes]) -> "tuple[Edge, dict[Tile, bytes]]":
        """The edge with more leaves, and the tiles and bundles that became full by them."""
        full: dict[Tile, bytes] = {}
        data = [*self.leaves, *leaves]
        first = self.size >> HEIGHT
        for number in range(first, first + (len(data) >> HEIGHT)):
            begin = (number - first) * WIDTH
            full[Tile(level=ENTRIES, number=number)] = bundle(data[begin : begin + WIDTH])
        rows: list[tuple[bytes, ...]] = []
        rising, level = list(map(leaf_hash, leaves)), 0
        while rising or level < len(self.levels):
            row = [*(self.levels[level] if level < len(self.levels) else ()), *rising]
            first = self.size >> HEIGHT * (level + 1)
            rising = []
            for number in range(first, first + (len(row) >> HEIGHT)):
                begin = (number - first) * WIDTH
                part = row[begin : begin + WIDTH]
                full[Tile(level=level, number=number)] = b"".join(part)
                rising.append(whole_hash(part))
            rows.append(tuple(row[len(row) - len(row) % WIDTH :]))
            level += 1
        rest = tuple(data[len(data) - len(data) % WIDTH :])
        return Edge(size=self.size + len(leaves), leaves=rest, levels=tuple(rows)), full

    def partial(self) -> dict[Tile, bytes]:
        """The partial tiles and the partial bundle, with their content."""
        return {
            tile: bundle(self.leaves)
            if tile.level == ENTRIES
            else b"".join(self.levels[tile.level])
            for tile in partial_tiles(self.size)
        }

    @property
    def range(self) -> CompactRange:
        """The whole subtrees that the tree is made of."""
        nodes: list[bytes] = []
        for row in reversed(self.levels):
            rest = row
            while rest:
                count = 1 << len(rest).bit_length() - 1
                nodes.append(whole_hash(rest[:count]))
                rest = rest[count:]
        return CompactRange(size=self.size, nodes=tuple(nodes))

    @property
    def root(self) -> bytes:
        """The root of the tree."""
        return self.range.root


@dataclass(frozen=True, slots=True, kw_only=True)
class TiledNodes:
    """The hashes of whole subtrees, out of the tiles of a tree of a given size: see `merkle.Nodes`.

    Attributes:
        size: the number of leaves.
        fetch: gives the tiles; each is asked for once.
    """

    size: int
    fetch: Fetch
    _seen: dict[Tile, tuple[bytes, ...]] = field(default_factory=dict, repr=False)

    def __call__(self, level: int, number: int) -> bytes:
        """The hash of one whole subtree.

        Raises:
            FormatError: the tile that it stands in, or is made from, can't be had.
        """
        row, height = divmod(level, HEIGHT)
        first = number << height
        there = (self.size >> HEIGHT * row) - (first - first % WIDTH)
        tile = Tile(level=row, number=first >> HEIGHT, width=min(there, WIDTH))
        if tile not in self._seen:
            self._seen[tile] = hashes(self.fetch(tile))
        begin = first % WIDTH
        return whole_hash(self._seen[tile][begin : begin + (1 << height)])
