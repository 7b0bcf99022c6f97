"""Tiles: their names, their content, and how a tree grows in them."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.errors import FormatError
from audit.merkle import (
    CompactRange,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
    root,
    verify_consistency,
    verify_inclusion,
)
from audit.tiles import (
    ENTRIES,
    WIDTH,
    Edge,
    Tile,
    TiledNodes,
    bundle,
    hashes,
    partial_tiles,
    unbundle,
)

MANY = 70_000


def leaves(start, end):
    return [number.to_bytes(32) for number in range(start, end)]


def fetch_from(files):
    """Gives tiles out of a dictionary of paths."""

    def fetch(tile):
        if tile.path not in files:
            raise FormatError(f"tile `{tile.path}` is not there")
        return files[tile.path]

    return fetch


@pytest.fixture(scope="module")
def large():
    """A tree of 70,000 leaves, grown in uneven steps, with all its tiles."""
    edge, files, sizes = Edge(), {}, [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, MANY]
    roots = {}
    for before, after in pairwise(sizes):
        edge, full = edge.grown(leaves(before, after))
        files |= {tile.path: data for tile, data in (full | edge.partial()).items()}
        roots[after] = edge.root
    return edge, files, roots


def test_a_tree_of_70000_is_these_tiles(large):
    """The example of the specification: 273 and 1 full tiles, three partial ones of 112, 17 and 1."""
    _, files, _ = large
    full = [Tile.parse(path) for path in files if ".p/" not in path]

    assert 273 == sum(tile.level == 0 for tile in full) == sum(tile.level < 0 for tile in full)
    assert 1 == sum(tile.level == 1 for tile in full)
    assert [
        "tile/entries/273.p/112",
        "tile/0/273.p/112",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ] == [tile.path for tile in partial_tiles(MANY)]


def test_no_partial_tile_is_empty():
    """A tree of 256 is a full tile and one of width 1 above it."""
    assert ["tile/1/000.p/1"] == [tile.path for tile in partial_tiles(WIDTH)]
    assert () == partial_tiles(0)


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(level=0, number=0), "tile/0/000"),
        (Tile(level=0, number=1234067), "tile/0/x001/x234/067"),
        (Tile(level=63, number=1000, width=7), "tile/63/x001/000.p/7"),
        (Tile(level=ENTRIES, number=999, width=255), "tile/entries/999.p/255"),
    ],
)
def test_names(tile, path):
    """Tiles have the names of the specification."""
    assert path == tile.path
    assert tile == Tile.parse(path)


@given(st.integers(ENTRIES, 63), st.integers(0, 2**55), st.integers(1, 256))
def test_every_name_is_read_again(level, number, width):
    """A name tells its tile."""
    tile = Tile(level=level, number=number, width=width)

    assert tile == Tile.parse(tile.path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0",
        "tile/00/000",
        "tile/64/000",
        "tile/0/0",
        "tile/0/x000/001",
        "tile/0/001/x234",
        "tile/0/1234",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/300",
        "tile/0/000.p",
        "tile/data/000",
        "tile/0/../0/000",
        "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
    ],
)
def test_what_names_no_tile_is_refused(path):
    """A tile has one name."""
    with pytest.raises(FormatError, match="the name of none"):
        Tile.parse(path)


@given(st.lists(st.binary(max_size=300), min_size=1))
def test_bundles_are_read_as_they_are_written(entries):
    """Entries of any length come back."""
    assert tuple(entries) == unbundle(bundle(entries))


def test_a_commitment_takes_34_bytes():
    """In our bundles 0x0020 stands before each commitment, and nothing else."""
    assert b"\x00\x20" + bytes(32) == bundle([bytes(32)])


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x02x", b"\x00\x01xy", b"\x00\x01x\x00"])
def test_a_bundle_that_is_cut_is_refused(data):
    """A bundle ends where an entry ends."""
    with pytest.raises(FormatError, match="cut off or empty"):
        unbundle(data)


def test_an_entry_has_a_bound():
    """An entry whose length does not fit two bytes is refused."""
    with pytest.raises(FormatError, match="65535 at most"):
        bundle([bytes(65_536)])


@pytest.mark.parametrize("data", [b"", bytes(31), bytes(33)])
def test_a_tile_is_hashes(data):
    """A tile that is not so many hashes is refused."""
    with pytest.raises(FormatError, match="no hashes of 32"):
        hashes(data)


def test_roots_agree(large):
    """Tiles, edge and compact range give one root at each size."""
    _, files, roots = large
    every = CompactRange()
    for size, expected in roots.items():
        every = every.extended(map(leaf_hash, leaves(every.size, size)))

        assert expected == every.root
        assert expected == root(TiledNodes(size=size, fetch=fetch_from(files)), size)
        assert every == Edge.fetched(size, fetch_from(files)).range


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_proofs_come_from_tiles(large, data):
    """Any leaf of any published size, and any pair of sizes, is proved from the tiles alone."""
    _, files, roots = large
    size = data.draw(st.sampled_from(sorted(roots)))
    index = data.draw(st.integers(0, size - 1))
    older = data.draw(st.sampled_from([one for one in sorted(roots) if one <= size]))
    nodes = TiledNodes(size=size, fetch=fetch_from(files))

    verify_inclusion(
        leaf_hash(index.to_bytes(32)), index, size, prove_inclusion(nodes, index, size), roots[size]
    )
    verify_consistency(
        older, size, roots[older], roots[size], prove_consistency(nodes, older, size)
    )


@settings(deadline=None)
@given(st.lists(st.integers(0, 700), max_size=4))
def test_a_tree_grows_in_any_steps(steps):
    """However the leaves come, the same tiles come out, and each full one once."""
    edge, files = Edge(), {}
    for step in steps:
        edge, full = edge.grown(leaves(edge.size, edge.size + step))
        assert not files.keys() & full.keys()
        files |= full
    once, expected = Edge().grown(leaves(0, sum(steps)))

    assert (once, expected) == (edge, files)


def test_an_edge_is_that_of_its_bundle(large):
    """A bundle that is not that of its tile is refused."""
    _, files, _ = large
    spoilt = {**files, "tile/entries/273.p/112": bundle([bytes(32)] * 112)}

    with pytest.raises(FormatError, match="not that of the last level-0 tile"):
        Edge.fetched(MANY, fetch_from(spoilt))


def test_a_missing_tile_is_told(large):
    """Without a tile there is no edge and no proof."""
    _, files, _ = large
    less = {path: data for path, data in files.items() if path != "tile/1/000"}

    with pytest.raises(FormatError, match="`tile/1/000` is not there"):
        root(TiledNodes(size=MANY, fetch=fetch_from(less)), 65_535)
