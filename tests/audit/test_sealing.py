"""Sealing a log: tiles and checkpoints follow it, and nothing that was sealed may change unnoticed."""

import os
import shutil
import threading
import time

import pytest

from audit import reader
from audit.checkpoint import opened
from audit.database import reader as reading
from audit.entry import commitment
from audit.errors import EvidenceError, FormatError, RefusedError, SealingError
from audit.evidence import Evidence
from audit.merkle import leaf_hash, prove_inclusion, verify_inclusion
from audit.sealing import Sealer
from audit.tiles import ENTRIES, Tile, TiledNodes, unbundle
from tests.audit.harm import altered, cut, emptied, missing, rolled_back
from tests.audit.world import ALICE, BOB, ORIGIN, append, draft, fill
from tests.audit.world import opened as log_opened
from tests.reference import tree

NAME = "dmp.test/log"


@pytest.fixture
def evidence(tmp_path):
    """A folder with a key."""
    made = Evidence(tmp_path / "evidence", ORIGIN)
    made.make_key(NAME, os.urandom)
    return made


@pytest.fixture
def sealers(url, evidence):
    """Makes sealers as an audit process would; each takes over from the one before."""
    engine = reading(url)
    made = []

    def new():
        for one in made:
            one.close()
        made.append(Sealer(engine, evidence))
        return made[-1]

    yield new
    for one in made:
        one.close()


def published(evidence):
    """The published checkpoint, verified."""
    return opened(evidence.checkpoint(), [evidence.verifier()]).checkpoint


def stored(conn):
    """The commitments of all entries, as the database has them."""
    found = [commitment(one.bytes) for one in reader.read(conn, origin=ORIGIN)]
    conn.rollback()
    return found


def grow(conn, log, batches_, size=1):
    """Appends so many batches."""
    for number in range(batches_):
        append(conn, log, *(draft(ALICE if n % 2 else BOB) for n in range(size)), batch=number)


def sealed_as(evidence, commitments):
    """Sees that these entries, and no others, are published, each with a proof."""
    tree_ = published(evidence)
    assert (len(commitments), tree.tree_hash(commitments)) == (tree_.size, tree_.root)
    nodes = TiledNodes(size=tree_.size, fetch=evidence.tile)
    for index, one in enumerate(commitments):
        proof = prove_inclusion(nodes, index, tree_.size)
        verify_inclusion(leaf_hash(one), index, tree_.size, proof, tree_.root)
    found = []
    for number in range(-(-tree_.size // 256)):
        width = min(tree_.size - 256 * number, 256)
        found += unbundle(evidence.tile(Tile(level=ENTRIES, number=number, width=width)))
    assert commitments == found


def test_an_empty_log_is_published(evidence, sealers):
    """A log without entries has a checkpoint too."""
    sealer = sealers()

    assert 0 == sealer.step().size
    assert sealer.step() is None
    assert (0, "") == (published(evidence).size, sealer.standing.trouble)


def test_entries_are_sealed_as_they_come(conn, evidence, sealers):
    """Each step publishes what has come since, in tiles that prove each entry."""
    sealer = sealers()
    log = log_opened(conn)
    for size in (1, 3, 251, 1, 1, 260, 5):
        append(conn, log, *(draft() for _ in range(size)))
        sealer.step()

        assert published(evidence).size == log.next_index
    sealed_as(evidence, stored(conn))
    assert sealer.step() is None


def test_a_new_sealer_goes_on(conn, evidence, sealers):
    """Another process goes on where the last one stopped."""
    log = log_opened(conn)
    for size in (3, 300, 300):
        append(conn, log, *(draft() for _ in range(size)))
        sealers().step()
    sealed_as(evidence, stored(conn))
    assert sealers().step() is None


def test_partial_tiles_go_when_full(conn, evidence, sealers):
    """What is full needs no partial tiles; what is not keeps all that a checkpoint was made of."""
    log, sealer = log_opened(conn), sealers()
    for size in (200, 50, 10, 10):
        append(conn, log, *(draft() for _ in range(size)))
        sealer.step()
    partial = sorted(
        path.relative_to(evidence.public).as_posix() for path in evidence.public.rglob("*.p/*")
    )

    assert [
        "tile/0/001.p/14",
        "tile/0/001.p/4",
        "tile/1/000.p/1",
        "tile/entries/001.p/14",
        "tile/entries/001.p/4",
    ] == partial


def test_what_was_left_is_tidied(conn, evidence, sealers):
    """Partial tiles that somebody was killed before removing go at the next start."""
    grow(conn, log_opened(conn), 1, 300)
    sealers().step()
    left = evidence.public / "tile/0/000.p/7"
    left.parent.mkdir()
    left.write_bytes(bytes(7 * 32))

    sealers().step()

    assert not left.parent.exists()


def test_many_entries_are_sealed_in_parts(conn, evidence, sealers, monkeypatch):
    """A long log is caught up with in several checkpoints, each of them consistent."""
    monkeypatch.setattr("audit.following.MOST", 5)
    grow(conn, log_opened(conn), 4, 3)
    sealer = sealers()

    assert [6, 12] == [sealer.step().size, sealer.step().size]
    sealed_as(evidence, stored(conn))


# What must not be sealed


HARMS = [
    (rolled_back, 2, "entry 6: rolled back: the database ends here and knows of no more"),
    (altered, 0, "entry 0: altered"),
    (altered, 7, "entry 7: altered"),
    (altered, 11, "entry 11: altered"),
    (cut, 9, "entry 9: cut: entries 9 to 11 had been sealed"),
    (missing, 3, "entry 3: missing: entries 3 to 5 are gone"),
    (emptied, 0, "entry 0: rolled back"),
]


@pytest.mark.parametrize("harmed", HARMS, ids=lambda one: f"{one[0].__name__} {one[1]}")
@pytest.mark.parametrize("restarted", [False, True])
def test_a_log_that_changed_is_refused(conn, evidence, sealers, harmed, restarted):
    """Whatever is done to what was sealed: nothing is signed any more, the entry is told, and it stays so."""
    fill(conn)
    sealer = sealers()
    sealer.step()
    before = evidence.checkpoint()
    how, where, message = harmed
    how(conn, where)
    if restarted:
        sealer = sealers()

    for _ in range(3):
        with pytest.raises(RefusedError, match=message):
            sealer.step()
    with pytest.raises(RefusedError, match=message):
        sealers().step()
    assert before == evidence.checkpoint() == evidence.signed()
    assert sealer.standing.refused
    assert message in sealer.standing.trouble


@pytest.mark.parametrize("restarted", [False, True])
def test_an_older_copy_that_was_continued_is_refused(conn, sealers, restarted):
    """A database that was rolled back and has grown beyond what was sealed is no less refused."""
    fill(conn)
    sealer = sealers()
    sealer.step()
    rolled_back(conn, 2)
    grow(conn, log_opened(conn), 5, 3)
    if restarted:
        sealer = sealers()

    with pytest.raises(RefusedError, match="entry 6: rolled back: from here on nothing"):
        sealer.step()


def test_a_damaged_addition_is_refused(conn, evidence, sealers):
    """What is damaged before it was sealed is not sealed."""
    log = fill(conn)
    sealer = sealers()
    sealer.step()
    append(conn, log, draft(), draft())
    altered(conn, 13)

    with pytest.raises(
        RefusedError, match=r"entry 12: altered: entries 12 to 13 do not have the hash"
    ):
        sealer.step()
    assert 12 == published(evidence).size


def test_a_hole_behind_what_is_sealed_is_refused(conn, sealers):
    """A batch that is gone before it was sealed leaves a hole, which is told."""
    log = fill(conn)
    sealer = sealers()
    sealer.step()
    append(conn, log, draft(), draft())
    append(conn, log, draft())
    missing(conn, 12)

    with pytest.raises(RefusedError, match="entry 12: missing"):
        sealer.step()


def test_older_evidence_is_caught_by_what_is_published(conn, evidence, sealers):
    """If `signed` is gone or older, the published checkpoint is not forgotten."""
    log = fill(conn)
    sealers().step()
    older = evidence.signed()
    append(conn, log, draft())
    sealers().step()
    newer = evidence.signed()
    for left in (older, None):
        if left is None:
            (evidence.folder / "signed").unlink()
        else:
            (evidence.folder / "signed").write_bytes(left)

        assert sealers().step() is None
        assert newer == evidence.signed() == evidence.checkpoint()


def test_what_was_signed_and_not_published_is_published(conn, evidence, sealers):
    """Killed between signing and publishing, the next start publishes what was signed."""
    log = fill(conn)
    sealers().step()
    older = evidence.checkpoint()
    append(conn, log, draft())
    sealers().step()
    (evidence.public / "checkpoint").write_bytes(older)

    assert sealers().step() is None
    assert evidence.signed() == evidence.checkpoint() != older


def test_two_histories_are_refused(conn, evidence, sealers):
    """Of two signed checkpoints that contradict each other, none is gone on from."""
    fill(conn)
    sealers().step()
    other = evidence.checkpoint()
    rolled_back(conn, 2)
    grow(conn, log_opened(conn), 5, 3)
    shutil.rmtree(evidence.public)
    (evidence.folder / "signed").unlink()
    sealers().step()
    (evidence.public / "checkpoint").write_bytes(other)

    with pytest.raises(RefusedError, match="of 12 entries was signed that is no part of 21"):
        sealers().step()


def test_what_another_key_signed_is_refused(conn, evidence, sealers):
    """A checkpoint in our folder that is not of our key is not gone on from."""
    fill(conn)
    sealers().step()
    data = evidence.signed()
    (evidence.folder / "signed").write_bytes(data.replace(b"\n12\n", b"\n11\n"))

    with pytest.raises(RefusedError, match=r"what was signed last in .* is not of its key"):
        sealers().step()


# What heals


@pytest.mark.parametrize("lost", ["tile/0/000.p/12", "tile/entries/000.p/12", "tile"])
def test_lost_tiles_are_made_again(conn, evidence, sealers, lost):
    """Tiles that are gone are made again, as the entries certainly are those that were sealed."""
    fill(conn)
    sealers().step()
    path = evidence.public / lost
    before = {one: one.read_bytes() for one in evidence.public.rglob("*") if one.is_file()}
    shutil.rmtree(path) if path.is_dir() else path.unlink()

    assert sealers().step() is None
    assert before == {one: one.read_bytes() for one in evidence.public.rglob("*") if one.is_file()}


def test_lost_tiles_are_not_made_of_other_entries(conn, evidence, sealers):
    """If entries were altered as well, nothing is made of them."""
    fill(conn)
    sealers().step()
    (evidence.public / "tile/0/000.p/12").unlink()
    altered(conn, 5)

    with pytest.raises(RefusedError, match="neither its tiles nor its entries"):
        sealers().step()
    assert not (evidence.public / "tile/0/000.p/12").exists()


def test_a_database_that_is_away_is_waited_for(conn, sealers, monkeypatch):
    """Without a database nothing is sealed, and when it is back all is."""
    fill(conn)
    sealer = sealers()
    monkeypatch.setattr(sealer._engine, "connect", lambda: (_ for _ in ()).throw(OSError("away")))

    with pytest.raises(SealingError, match="can't be sealed now: away"):
        sealer.step()
    assert ("away", False) == (sealer.standing.trouble, sealer.standing.refused)

    monkeypatch.undo()
    assert 12 == sealer.step().size
    assert "" == sealer.standing.trouble


def test_only_one_seals(evidence, sealers, url):
    """While one process seals a log, another one can't."""
    sealers().step()
    other = Sealer(reading(url), evidence)

    with pytest.raises(EvidenceError, match="another process is at work on it"):
        other.step()


def test_without_a_key_nothing_is_sealed(url, tmp_path):
    """A log without key is not sealed, and the message says how to make one."""
    bare = Sealer(reading(url), Evidence(tmp_path / "bare", ORIGIN))

    with pytest.raises(EvidenceError, match=f"dmp audit keys make {ORIGIN}"):
        bare.step()


def test_a_damaged_key_is_told(evidence, sealers):
    """A key that does not fit its public half is not used."""
    other = Evidence(evidence.folder.parent, "other")
    other.make_key(NAME, os.urandom)
    shutil.copy(other.folder / "key.pub", evidence.folder / "key.pub")

    with pytest.raises(FormatError, match=r"`key` and `key\.pub` do not fit"):
        sealers().step()


def test_a_commit_is_sealed_within_a_second(conn, evidence, sealers):
    """The published checkpoint counts an entry less than a second after its commit."""
    log = fill(conn)
    sealer, stop, waits = sealers(), threading.Event(), []
    thread = threading.Thread(target=sealer.run, args=(stop,))
    thread.start()
    try:
        for number in range(5):
            append(conn, log, draft(), batch=number)
            began = time.monotonic()
            while not evidence.checkpoint() or published(evidence).size < log.next_index:
                time.sleep(0.005)
                assert time.monotonic() < began + 10, sealer.standing
            waits.append(time.monotonic() - began)
    finally:
        stop.set()
        thread.join()

    assert sorted(waits)[2] < 1, waits
    sealed_as(evidence, stored(conn))


def test_run_tells_of_a_refusal_and_stays(conn, evidence, sealers):
    """A sealer that refuses goes on refusing, and does not end."""
    fill(conn)
    sealer, stop = sealers(), threading.Event()
    sealer.step()
    altered(conn, 3)
    thread = threading.Thread(target=sealer.run, args=(stop,), kwargs={"poll_s": 0.01})
    thread.start()
    began = time.monotonic()
    while not sealer.standing.refused and time.monotonic() < began + 20:
        time.sleep(0.01)
    alive = thread.is_alive()
    stop.set()
    thread.join()

    assert alive
    assert "entry 3: altered" in sealer.standing.trouble
    assert 12 == published(evidence).size
