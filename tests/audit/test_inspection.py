"""Inspecting a log: whatever was done to it or to its evidence, the first entry concerned is told."""

import os
import shutil

import pytest
from sqlalchemy import update

from audit import inspection
from audit.database import reader as reading
from audit.errors import Damage, EvidenceError, FormatError, LogDamagedError, ProofError
from audit.evidence import Evidence
from audit.inspection import inspect
from audit.keys import KeyType, Signer
from audit.note import Note, signed
from audit.sealing import Sealer
from audit.tables import log_batches, log_head, log_patients
from audit.trusted import Trust, Witness
from tests.audit import harm
from tests.audit.keys import witness_key
from tests.audit.world import ORIGIN, append, draft, fill
from tests.audit.world import opened as log_opened

NAME = "dmp.test/log"


def seal(url, evidence):
    """Seals all there is."""
    sealer = Sealer(reading(url), evidence)
    while sealer.step() is not None:
        pass
    sealer.close()


@pytest.fixture
def evidence(tmp_path):
    """A folder with a key."""
    made = Evidence(tmp_path / "evidence", ORIGIN)
    made.make_key(NAME, os.urandom)
    return made


@pytest.fixture
def sealed(url, conn, evidence):
    """A sealed log of twelve entries, and its evidence."""
    fill(conn)
    seal(url, evidence)
    return evidence


def damage(url, evidence, **settings):
    """The first entry that is wrong, and how."""
    with pytest.raises(LogDamagedError) as found:
        inspect(url, evidence, **settings)
    return found.value.index, found.value.damage


def test_an_intact_log(url, conn, sealed):
    """A sound log is told with its count, its last hash and the checkpoint it is under."""
    head = conn.execute(log_head.select()).one()

    found = inspect(url, sealed)

    assert (12, head.hash, 12, NAME) == (
        found.count,
        found.hash,
        found.checkpoint.size,
        found.checkpoint.origin,
    )


def test_what_is_not_sealed_yet_is_no_damage(url, conn, sealed):
    """Entries behind the checkpoint are counted, and verified by the chain."""
    append(conn, log_opened(conn), draft(), draft())

    found = inspect(url, sealed)

    assert (14, 12) == (found.count, found.checkpoint.size)
    harm.altered(conn, 13)
    assert (12, Damage.ALTERED) == damage(url, sealed)


HARMS = [
    (harm.altered, 0, (0, Damage.ALTERED)),
    (harm.altered, 7, (7, Damage.ALTERED)),
    (harm.altered, 11, (11, Damage.ALTERED)),
    (harm.missing, 3, (3, Damage.MISSING)),
    (harm.missing, 0, (0, Damage.MISSING)),
    (harm.removed, 7, (7, Damage.MISSING)),
    (harm.swapped, 6, (6, Damage.REORDERED)),
    (harm.cut, 9, (9, Damage.CUT)),
    (harm.rolled_back, 2, (6, Damage.ROLLED_BACK)),
    (harm.emptied, 0, (0, Damage.ROLLED_BACK)),
    (harm.rewritten, 4, (4, Damage.ALTERED)),
    (harm.exchanged, 4, (4, Damage.ALTERED)),
    (harm.dropped, 4, (4, Damage.ROLLED_BACK)),
]


@pytest.mark.parametrize("harmed", HARMS, ids=lambda one: f"{one[0].__name__} {one[1]}")
def test_the_first_entry_is_told(url, conn, sealed, harmed):
    """Altered, removed, moved, cut off, taken back: the first entry concerned, even if all hashes fit."""
    how, where, expected = harmed

    how(conn, where)

    assert expected == damage(url, sealed)


def test_a_kept_checkpoint_sees_what_the_owner_hides(url, conn, sealed, tmp_path):
    """Older evidence beside an older log fits together; a checkpoint that was kept elsewhere tells."""
    shutil.copytree(sealed.folder, tmp_path / "older")
    append(conn, log_opened(conn), draft())
    seal(url, sealed)
    kept = sealed.checkpoint()
    harm.rolled_back(conn, 4)
    shutil.rmtree(sealed.folder)
    shutil.copytree(tmp_path / "older", sealed.folder)

    assert 12 == inspect(url, sealed).count
    assert (12, Damage.ROLLED_BACK) == damage(url, sealed, earlier=[kept])

    append(conn, log_opened(conn), draft(), draft())
    seal(url, sealed)
    assert 14 == inspect(url, sealed).count
    assert (0, Damage.ALTERED) == damage(url, sealed, earlier=[kept])


def test_a_continued_older_copy_is_told(url, conn, sealed):
    """A database that was taken back and has grown on is told by where it was taken back to."""
    harm.rolled_back(conn, 2)
    log = log_opened(conn)
    for number in range(5):
        append(conn, log, *(draft() for _ in range(3)), batch=number)

    assert (6, Damage.ROLLED_BACK) == damage(url, sealed)


def test_head_and_patients_are_verified(url, conn, sealed):
    """The head, and what the writer knows of patients, are held against the entries."""
    conn.execute(update(log_patients).values(seq=9))
    conn.commit()

    assert Damage.PATIENT == damage(url, sealed)[1]
    conn.execute(update(log_head).values(hash=bytes(32)))
    conn.commit()
    assert (12, Damage.HEAD) == damage(url, sealed)


def test_a_batch_with_another_hash_is_told(url, conn, sealed):
    """A hash that does not fit is damage, though every entry is what was sealed."""
    conn.execute(update(log_batches).where(log_batches.c.first_index == 6).values(hash=bytes(32)))
    conn.commit()

    assert (6, Damage.ALTERED) == damage(url, sealed)


@pytest.mark.parametrize(
    ("path", "place", "expected"),
    [
        ("tile/entries/000.p/12", 34 * 5 + 10, 5),
        ("tile/entries/000.p/12", 1, 0),
        ("tile/0/000.p/12", 32 * 7, 7),
    ],
)
def test_damaged_tiles_are_told(url, sealed, path, place, expected):
    """A published file that was altered is told by the first entry that it is wrong about."""
    harm.flipped(sealed, path, place)

    assert (expected, Damage.TILE) == damage(url, sealed)


@pytest.mark.parametrize("path", ["tile/entries/000.p/12", "tile/0/000.p/12"])
def test_missing_tiles_are_told(url, sealed, path):
    """A published file that is gone is told."""
    (sealed.public / path).unlink()

    assert (0, Damage.TILE) == damage(url, sealed)


def test_bundles_written_again_are_told(url, conn, sealed):
    """Whoever alters database and bundles is told by the tiles."""
    harm.rewritten(conn, 4)
    harm.published_too(conn, sealed, tiles=False)

    assert (4, Damage.TILE) == damage(url, sealed)


def test_tiles_written_again_are_told(url, conn, sealed):
    """Whoever alters the tiles as well is told by the signature."""
    harm.rewritten(conn, 4)
    harm.published_too(conn, sealed, tiles=True)

    assert (0, Damage.ALTERED) == damage(url, sealed)


def test_a_kept_checkpoint_narrows_it_down(url, conn, sealed):
    """With an earlier checkpoint it is told behind which entry tiles were written again."""
    kept = sealed.checkpoint()
    append(conn, log_opened(conn), draft(), draft())
    seal(url, sealed)
    harm.rewritten(conn, 13)
    harm.published_too(conn, sealed, tiles=True)

    assert (12, Damage.ALTERED) == damage(url, sealed, earlier=[kept])


@pytest.fixture
def long(url, conn, evidence, monkeypatch):
    """A sealed log of 600 entries, which is derived in many stretches."""
    monkeypatch.setattr(inspection, "SPAN", 100)
    monkeypatch.setattr("audit.stretch.SPAN", 100)
    log = log_opened(conn)
    for number in range(60):
        append(conn, log, *(draft(f"{n % 7:022}") for n in range(10)), batch=number)
    seal(url, evidence)
    return evidence


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_long_log_is_derived_in_stretches(url, conn, long, jobs):
    """In one process or in several, a log is sound, and its progress told to the end."""
    told = []

    found = inspect(url, long, jobs=jobs, progress=lambda done, of: told.append((done, of)))

    assert 600 == found.count
    assert [(100 * number, 600) for number in range(1, 7)] == told
    harm.altered(conn, 437)
    assert (437, Damage.ALTERED) == damage(url, long, jobs=jobs)


@pytest.mark.parametrize(
    "harmed",
    [
        (harm.altered, 99, (99, Damage.ALTERED)),
        (harm.missing, 100, (100, Damage.MISSING)),
        (harm.missing, 390, (390, Damage.MISSING)),
        (harm.removed, 100, (100, Damage.MISSING)),
        (harm.swapped, 255, (255, Damage.REORDERED)),
        (harm.cut, 300, (300, Damage.CUT)),
        (harm.cut, 10, (10, Damage.CUT)),
        (harm.rolled_back, 17, (170, Damage.ROLLED_BACK)),
        (harm.rewritten, 317, (317, Damage.ALTERED)),
    ],
    ids=lambda one: f"{one[0].__name__} {one[1]}",
)
def test_stretches_are_put_together(url, conn, long, harmed):
    """Damage within a stretch and between two of them is told alike."""
    how, where, expected = harmed

    how(conn, where)

    assert expected == damage(url, long)


def test_higher_tiles_are_compared(url, conn, long):
    """Whoever alters all below the second level is told by that, to 256 entries."""
    harm.flipped(long, "tile/1/000.p/2", 40)

    assert (256, Damage.TILE) == damage(url, long)

    harm.flipped(long, "tile/1/000.p/2", 40)
    harm.rewritten(conn, 300)
    harm.published_too(conn, long, tiles=True)
    assert (256, Damage.TILE) == damage(url, long)


@pytest.mark.parametrize("index", [3, 99, 100, 206, 599])
def test_patients_are_followed_across_stretches(url, conn, evidence, monkeypatch, index):
    """An entry that does not follow its patient's last one is told, though it was sealed so."""
    monkeypatch.setattr(inspection, "SPAN", 100)
    monkeypatch.setattr("audit.stretch.SPAN", 100)
    log = log_opened(conn)
    for number in range(60):
        append(conn, log, *(draft(f"{n % 7:022}") for n in range(10)), batch=number)
    harm.misnumbered(conn, index)
    seal(url, evidence)

    assert (index, Damage.PATIENT) == damage(url, evidence)


# Whom to believe


def test_nothing_published_is_no_verdict(url, conn, evidence):
    """A log that was never sealed can't be held against anything."""
    fill(conn)

    with pytest.raises(EvidenceError, match="nothing is published"):
        inspect(url, evidence)


def test_another_key_is_refused(url, sealed, tmp_path):
    """Evidence that is not signed by the key that is known is not believed."""
    other = Evidence(tmp_path / "other", ORIGIN)

    with pytest.raises(ProofError, match="no known key"):
        inspect(url, sealed, trust=Trust(logs=(other.make_key(NAME, os.urandom),)))
    with pytest.raises(ProofError, match="whose key is not known here"):
        inspect(url, sealed, trust=Trust(logs=(witness_key("dmp.test/else").verifier,)))


def test_a_quorum_is_asked_for(url, sealed):
    """If a quorum of witnesses is wanted, the published checkpoint must have it."""
    witness = witness_key("witness.example/1")
    trust = Trust(
        logs=(sealed.verifier(),),
        witnesses=(Witness(name="w", key=witness.verifier),),
        quorum="w",
    )

    with pytest.raises(ProofError, match="not the quorum `w`"):
        inspect(url, sealed, trust=trust)

    note = Note.parse(sealed.checkpoint())
    sealed.publish(note.signed_also([witness.cosign(note.text, 5)]))
    assert ("witness.example/1",) == inspect(url, sealed, trust=trust).witnesses


def test_a_kept_checkpoint_of_another_log_is_refused(url, sealed):
    """A checkpoint that was kept must be of this log, and signed by it."""
    note = Note.parse(sealed.checkpoint())
    other = Signer(name="dmp.test/other", type=KeyType.ED25519, seed=bytes(32))
    theirs = signed(note.text.replace(NAME, other.name), other)

    with pytest.raises(ProofError, match="whose key is not known here"):
        inspect(url, sealed, earlier=[bytes(theirs)])
    with pytest.raises(FormatError, match="no signatures"):
        inspect(url, sealed, earlier=[b"nonsense"])
