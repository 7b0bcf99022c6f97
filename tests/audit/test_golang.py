"""Our log, verified by code that is not ours: Go's checksum database (`sumdb/tlog` and `sumdb/note`).

It comes with Debian's packages `golang-go` and `golang-golang-x-mod-dev`; nothing is fetched.
"""

import os
import random
import shutil
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import pytest

from audit.database import reader as reading
from audit.evidence import Evidence
from audit.merkle import leaf_hash, verify_consistency, verify_inclusion
from audit.sealing import Sealer
from tests.audit.harm import flipped
from tests.audit.keys import log_key
from tests.audit.test_checkpoint import TESSERA
from tests.audit.test_merkle import holds, spoilt, vectors
from tests.audit.world import ORIGIN, append, draft
from tests.audit.world import opened as log_opened
from tests.reference import tree
from tests.shared import shared_data

SOURCE = Path(__file__).with_name("golang") / "main.go"
PACKAGES = Path("/usr/share/gocode")
SEED = 20261118
TREES = 1000
ABSENT = "NOT VERIFIED BY GO: install golang-go and golang-golang-x-mod-dev to run these tests"

pytestmark = pytest.mark.timeout(300)  # the first build compiles Go's own library


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    """Runs the verifier; what it says, and how it ended."""
    if shutil.which("go") is None or not (PACKAGES / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        print(ABSENT, file=sys.__stderr__)
        pytest.skip(ABSENT)
    folder = tmp_path_factory.mktemp("go")
    # All processes of a run share what was compiled.
    cache = tmp_path_factory.getbasetemp().parent / "go-cache"
    environment = os.environ | {
        "GO111MODULE": "off",
        "GOPATH": str(PACKAGES),
        "GOCACHE": str(cache),
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
    }
    command = ["go", "build", "-o", folder / "verify", SOURCE]
    built = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr

    def run(*words, told=""):
        done = subprocess.run(
            [folder / "verify", *map(str, words)],
            input=told,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_go_verifies_a_log_of_tessera(go):
    """The verifier itself is right about a log that neither of us wrote."""
    folder = shared_data("merkle", "tessera-log")
    older = [folder / f"checkpoint.{size}" for size in range(16)]

    assert (0, "verified 15\n") == go("log", folder, TESSERA, *older)


def test_go_verifies_our_log(go, url, conn, tmp_path):
    """Go verifies our signature, tiles, bundles, each entry, every earlier checkpoint; and sees damage."""
    evidence = Evidence(tmp_path / "evidence", ORIGIN)
    evidence.make_key("dmp.test/log", os.urandom)
    sealer, log, older = Sealer(reading(url), evidence), log_opened(conn), []
    sealer.step()
    for size in (1, 2, 252, 1, 1, 255, 300, 7):
        append(conn, log, *(draft() for _ in range(size)))
        sealer.step()
        older.append(tmp_path / f"checkpoint.{log.next_index}")
        older[-1].write_bytes(evidence.checkpoint())
    sealer.close()
    public, key = evidence.public, evidence.verifier()

    assert (0, f"verified {log.next_index}\n") == go("log", public, key, *older)

    other = log_key("dmp.test/log").verifier
    assert 1 == go("log", public, other)[0]
    for path, place in (("tile/0/001", 77), ("tile/entries/002", 8000), ("checkpoint", 15)):
        flipped(evidence, path, place)
        assert 1 == go("log", public, key)[0], path
        flipped(evidence, path, place)


def line(kind, *values):
    """A proof as Go is told."""
    return " ".join([kind, *(v.hex() if isinstance(v, bytes) else str(v) for v in values)])


def drawn():
    """Proofs of random trees, right and wrong: as Go is told, and whether we accept them."""
    chance = random.Random(SEED)
    for _ in range(TREES):
        leaves = [chance.randbytes(4) for _ in range(chance.randint(2, 80))]
        new, index = len(leaves), chance.randrange(len(leaves))
        old, whole = chance.randint(1, new), tree.tree_hash(leaves)
        path, grown = tree.path(index, leaves), tree.proof(old, leaves)
        leaf, before = leaf_hash(leaves[index]), tree.tree_hash(leaves[:old])
        paths = [(one, path) for one in (index, chance.randrange(new), new - 1)]
        for place, proof in [*paths, (index, chance.choice(wrong(path)))]:
            yield (
                line("inclusion", place, new, leaf, whole, *proof),
                holds(verify_inclusion, leaf, place, new, proof, whole),
            )
        proofs = [(old, grown), (chance.randint(1, new), grown)]
        for size, proof in [*proofs, (old, chance.choice(wrong(grown)))]:
            yield (
                line("consistency", size, new, before, whole, *proof),
                holds(verify_consistency, size, new, before, whole, proof),
            )


def wrong(proof):
    """Changed proofs of whole hashes; Go knows no others."""
    return [one for one in spoilt(proof) if all(len(hashed) == 32 for hashed in one)]


def test_go_agrees_on_a_thousand_random_trees(go):
    """Of proofs for a thousand random trees, right and wrong, Go accepts exactly those that we accept."""
    told, ours = zip(*drawn(), strict=True)

    code, said = go("proofs", told="\n".join(told))

    assert 0 == code
    assert list(ours) == [word == "true" for word in said.split()]
    assert min(sum(ours), len(ours) - sum(ours)) > TREES


def test_go_agrees_on_the_public_vectors(go):
    """Of the public vectors that Go can be told, it accepts those that it must."""
    told, due = [], []
    for kind, names in (
        ("inclusion", ("leafIdx", "treeSize", "leafHash", "root")),
        ("consistency", ("size1", "size2", "root1", "root2")),
    ):
        for _, one in vectors(kind):
            first, second, *hashes = (one[name] for name in names)
            data = [b64decode(text) for text in (*hashes, *(one["proof"] or ()))]
            if max(first, second) < 2**63 and all(len(hashed) == 32 for hashed in data):
                told.append(line(kind, first, second, *data))
                due.append(not one["wantErr"])

    code, said = go("proofs", told="\n".join(told))

    assert 0 == code
    assert due == [word == "true" for word in said.split()]
    assert len(due) > 140
