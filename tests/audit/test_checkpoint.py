"""Checkpoints: read in their one form, believed when the right key signed."""

import pytest

from audit.checkpoint import Checkpoint, opened
from audit.errors import FormatError, ProofError
from audit.keys import Verifier
from audit.merkle import EMPTY_ROOT, CompactRange, leaf_hash
from audit.note import Note, signed
from audit.tiles import ENTRIES, Edge, Tile, hashes, partial_tiles, unbundle
from tests.audit.keys import log_key, witness_key
from tests.shared import shared_data

LOG = log_key("example.org/log")
WITNESS = witness_key("witness.example/1")
CHECKPOINT = Checkpoint(origin="example.org/log", size=3, root=bytes(range(32)))
TEXT = str(CHECKPOINT)

TESSERA = Verifier.parse(
    "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
)
"""The key of a published log for tests."""


def test_text_is_three_lines():
    """Origin, size and root in base64."""
    assert "example.org/log\n3\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n" == TEXT
    assert CHECKPOINT == Checkpoint.parse(TEXT)


def test_further_lines_are_kept():
    """A log may say more in its own lines, and they stay what was signed."""
    text = TEXT + "more\n"

    assert ("more",) == Checkpoint.parse(text).extensions
    assert text == str(Checkpoint.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        TEXT[:-1],
        TEXT + "\n",
        TEXT.replace("3\n", "03\n"),
        TEXT.replace("3\n", "-3\n"),
        TEXT.replace("3\n", "3 \n"),
        TEXT.replace("3\n", "\n"),
        TEXT.replace("3\n", f"{2**63}\n"),
        TEXT.replace("example.org/log", ""),
        TEXT.replace("AAEC", ""),
        TEXT.replace("AAEC", "AAECAAEC"),
        TEXT.replace("=\n", "\n"),
        "example.org/log\n3\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    """A checkpoint has one form."""
    with pytest.raises(FormatError, match="checkpoint"):
        Checkpoint.parse(text)


def test_opened_tells_who_signed():
    """A checkpoint is told with the key of its log and the known witnesses."""
    note = signed(TEXT, LOG).signed_also([WITNESS.cosign(TEXT, 5)])

    found = opened(bytes(note), [LOG.verifier], [WITNESS.verifier])

    assert (CHECKPOINT, LOG.verifier, (WITNESS.verifier,)) == (
        found.checkpoint,
        found.log,
        found.witnesses,
    )
    assert () == opened(bytes(note), [LOG.verifier]).witnesses


def test_a_checkpoint_of_another_log_is_refused():
    """The origin is that of a known key."""
    other = log_key("example.org/other")
    note = signed(TEXT, other, LOG)

    with pytest.raises(ProofError, match="whose key is not known here"):
        opened(bytes(note), [other.verifier])


def test_a_witness_alone_makes_no_checkpoint():
    """Without the signature of the log, a cosignature says nothing."""
    note = Note(text=TEXT, signatures=(WITNESS.cosign(TEXT, 5),))

    with pytest.raises(ProofError, match="not signed by the key of log"):
        opened(bytes(note), [LOG.verifier], [WITNESS.verifier])


def test_a_wrong_cosignature_is_refused():
    """A known witness whose signature is wrong spoils the checkpoint."""
    note = signed(TEXT, LOG).signed_also([WITNESS.cosign(TEXT.replace("3", "4", 1), 5)])

    with pytest.raises(
        ProofError, match=r"the signature of `witness\.example/1` is not of its key"
    ):
        opened(bytes(note), [LOG.verifier], [WITNESS.verifier])


# A log that Tessera wrote


@pytest.fixture
def tessera():
    """Its folder."""
    return shared_data("merkle", "tessera-log")


@pytest.mark.parametrize("size", range(16))
def test_tessera_checkpoint_and_tiles_are_ours(tessera, size):
    """A signed checkpoint verifies, and we write its text, tiles and bundle byte for byte."""
    found = opened((tessera / f"checkpoint.{size}").read_bytes(), [TESSERA]).checkpoint
    entries = ()
    if size:
        entries = unbundle((tessera / f"tile/entries/000.p/{size}").read_bytes())
    edge, full = Edge().grown(entries)

    assert size == found.size == len(entries) == edge.size
    assert found.root == edge.root == CompactRange().extended(map(leaf_hash, entries)).root
    assert str(found) == str(Checkpoint(origin=TESSERA.name, size=edge.size, root=edge.root))
    assert {} == full
    assert {tile.path for tile in edge.partial()} == {tile.path for tile in partial_tiles(size)}
    for tile, data in edge.partial().items():
        assert (tessera / tile.path).read_bytes() == data


@pytest.mark.parametrize("size", range(1, 16))
def test_tessera_root_comes_from_its_tile(tessera, size):
    """The root is that of the hashes in the tile of the same width, and of the edge read from the files."""
    found = opened((tessera / f"checkpoint.{size}").read_bytes(), [TESSERA]).checkpoint
    tile = Tile(level=0, number=0, width=size)
    leaves = hashes((tessera / tile.path).read_bytes())

    edge = Edge.fetched(size, lambda one: (tessera / one.path).read_bytes())

    assert found.root == CompactRange().extended(leaves).root == edge.root
    assert Tile(level=ENTRIES, number=0, width=size) in partial_tiles(size)


def test_tessera_empty_tree(tessera):
    """Its first checkpoint is of the empty tree."""
    assert EMPTY_ROOT == opened((tessera / "checkpoint.0").read_bytes(), [TESSERA]).checkpoint.root


def test_tessera_altered(tessera):
    """Any altered byte of the text of a checkpoint breaks its signature."""
    data = (tessera / "checkpoint.15").read_bytes()

    for place in range(data.index(b"\n\n")):
        spoilt = bytearray(data)
        spoilt[place] ^= 1
        with pytest.raises((FormatError, ProofError)):
            opened(bytes(spoilt), [TESSERA])
