"""One of two processes that change a registry and watch each other: `python -m ... URL ME RACES BOARD QUEUE`.

Each puts its own patient into state after state and, once a state is committed, says so on the board: memory
that both share. In between it looks at what the board says of the other, begins a batch, and must find at
least that. A race is a look behind which the other had moved on since the one before.
"""

import json
import mmap
import os
import struct
import sys
import time
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Engine

from authz.registry.state import PatientState, Representative, unknown
from authz.registry.store import Store
from storage.database import connect
from storage.errors import ConflictError
from tests.authz.registry.samples import CHILD, NOW, PATIENT, opened, save

SPIN_S = 0.002


class Board:
    """What each of the two says of itself, in a file that both map."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)

    def say(self, place: int, number: int) -> None:
        """Writes a number."""
        struct.pack_into("<Q", self._memory, 8 * place, number)

    def said(self, place: int) -> int:
        """Reads a number."""
        return int(struct.unpack_from("<Q", self._memory, 8 * place)[0])


def numbered(patient: str, number: int) -> PatientState:
    """A state whose number stands in two tables: one that was loaded torn shows two numbers."""
    related = Representative(representative="anybody", relation=f"R{number}", since=NOW)
    return replace(opened(patient=patient), closure_text=str(number), representatives=(related,))


def number_of(state: PatientState) -> tuple[int, int]:
    """The number of a state, from either table."""
    if state == unknown(state.patient):
        return 0, 0
    return int(state.closure_text), int(state.representatives[0].relation[1:])


class Racer:
    """Changes one patient, watches another."""

    def __init__(self, engine: Engine, patient: str, *, queue: bool) -> None:
        self._engine = engine
        self._store = Store()
        self._patient = patient
        self._queue = queue
        self.conflicts = 0

    def move(self, number: int) -> None:
        """Commits the next state, however often another is faster."""
        new = numbered(self._patient, number)
        while True:
            try:
                with self._engine.begin() as conn:
                    self._store.catch_up(conn, changes=self._queue)
                    old = self._store.get(conn, self._patient)
                    assert number_of(old) == (number - 1, number - 1)
                    revision = save(self._store, conn, old, new)
                self._store.adopt([new], revision)
            except ConflictError:
                self.conflicts += 1
            else:
                return

    def look(self, patient: str) -> tuple[int, int]:
        """The number of a patient now."""
        with self._engine.begin() as conn:
            self._store.catch_up(conn)
            return number_of(self._store.get(conn, patient))


def race(url: str, me: int, races: int, board: Board, *, queue: bool) -> dict[str, int]:
    """Races until both have raced often enough; tells what went wrong."""
    patients, other = (PATIENT, CHILD), 1 - me
    state, raced = other, 2 + other  # the places of the other one on the board
    engine = connect(url)
    racer = Racer(engine, patients[me], queue=queue)
    number = seen = 0
    found = {"races": 0, "stale": 0, "torn": 0}
    while found["races"] < races or board.said(raced) < races:
        number += 1
        racer.move(number)
        board.say(me, number)
        until = time.monotonic() + SPIN_S
        while board.said(state) == seen and time.monotonic() < until:
            os.sched_yield()
        answered = board.said(state)
        one, two = racer.look(patients[other])
        found["races"] += answered > seen
        found["stale"] += one < answered
        found["torn"] += one != two
        board.say(2 + me, found["races"])
        seen = answered
    engine.dispose()
    return {**found, "conflicts": racer.conflicts}


if __name__ == "__main__":
    url, me, races, board, queue = sys.argv[1:]
    found = race(url, int(me), int(races), Board(Path(board)), queue=queue == "queue")
    sys.stdout.write(json.dumps(found))
