"""A depositor that is killed at any instant: each submission is there whole, with its record, or not at all.

14 kills without a half submission say that fewer than 1 in 4 leaves one, with 95 % confidence (rule of
three); the long form, run by `make faults`, has 1,600 and says so of 1 in 533.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from sqlalchemy import select

from dossier import tables
from dossier.model import Status
from tests.dossier.world import JEAN, draft, world
from tests.shared import ROOT

SEED = 20260504
TOGETHER = 4

NURSERY = """
import os, sys
from pathlib import Path
from tests.dossier.world import draft, world

url, folder, together = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])


def tell(what):
    os.write(1, f"{what}\\n".encode())


def deposit(name):
    with world(url, folder) as here:
        last = ""
        for number in range(10_000):
            ids = [f"{name}.{number}.{part}" for part in range(together)]
            drafts = [draft(one.encode() * 20_000, unique_id=one) for one in ids[1:]]
            first = draft(ids[0].encode() * 20_000, unique_id=ids[0], replaces=last)
            last = here.deposit(first, *drafts)[-1].id
            tell(number or "ready")


for name in sys.stdin:
    pid = os.fork()
    if not pid:
        deposit(name.strip())
    tell(f"pid {pid}")
    os.waitpid(pid, 0)
    tell("dead")
"""


def check(here, answered):
    """Every submission is whole, recorded, readable, and there if its depositor was told so."""
    documents = tables.documents.c
    columns = (documents.id, documents.unique_id, documents.status)
    with here.reader.connect() as conn:
        found = conn.execute(select(*columns, documents.replaces, documents.replaced_by)).all()
        acts = conn.scalars(select(tables.acts.c.decision)).all()
        bodies = set(conn.scalars(select(tables.bodies.c.document)))
        by = set(conn.scalars(select(tables.authors.c.document)))
    submissions = Counter(row.unique_id.rpartition(".")[0] for row in found)
    assert set(submissions.values()) <= {TOGETHER}
    assert answered <= set(submissions)
    rows = {row.id: row for row in found}
    assert len(acts) == len(rows)
    assert set(rows) == bodies == by
    for row in found:
        assert bool(row.replaced_by) is (row.status == Status.DEPRECATED)
        if row.replaced_by:
            assert rows[row.replaced_by].replaces == row.id
    return len(submissions)


def survive(database, *, kills, seed=SEED):
    """Kills a depositor so many times, and looks after each."""
    chance, answered, whole = random.Random(seed), set(), 0
    command = [sys.executable, "-c", NURSERY, database.url, str(database.folder), str(TOGETHER)]
    with (
        world(database.url, database.folder) as here,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as nursery,
    ):
        for round_ in range(kills):
            name = f"1.2.{seed}.{round_}"
            print(name, file=nursery.stdin, flush=True)
            said = [nursery.stdout.readline().split() for _ in range(2)]
            (pid,) = (int(words[1]) for words in said if words[0] == "pid")
            assert ["ready"] in said
            time.sleep(chance.uniform(0, 0.25))
            os.kill(pid, signal.SIGKILL)
            told = iter(nursery.stdout.readline, "dead\n")
            answered |= {f"{name}.{line.strip()}" for line in told}
            whole = check(here, answered)
        nursery.stdin.close()
        for row in here.rows()["documents"]:
            label = here.store.label(JEAN, row[0])
            assert here.read(label)[2] == label.unique_id.encode() * 20_000
        here.deposit(draft())
    return whole


def test_a_submission_is_whole_or_not_there(database):
    """Killed at random instants, a depositor leaves whole submissions only, and all that it was told of."""
    assert survive(database, kills=10 if database.kind == "sqlite" else 4) > 3


@pytest.mark.slow
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("part", range(4))
def test_many_kills(database, part):
    """The same 1,600 times."""
    assert (
        survive(database, kills=300 if database.kind == "sqlite" else 100, seed=SEED + 1 + part)
        > 50
    )
