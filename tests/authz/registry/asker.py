"""One of two processes that are asked for the same changes: `python -m ... URL IDS`.

They start together: each waits for the other's row. What a process changed, and what it told its caller in
the end, it prints as JSON.
"""

import json
import random
import sys
import time

from sqlalchemy import Engine, func, select

from authz.registry import tables
from authz.registry.requests import Answered, find, keep
from authz.registry.state import unknown
from authz.registry.store import Store
from storage.database import connect
from tests.authz.registry.samples import NOW, opened, save

PAUSE_S = 0.004


def answer(number: int, decision_id: str, caller: str = "dossier") -> Answered:
    """The answer to a request."""
    return Answered(
        caller=caller,
        request_id=str(number),
        digest=bytes(32),
        decision_id=decision_id,
        at=NOW,
        answer=b"{}",
    )


def meet(engine: Engine, me: str) -> None:
    """Says that this process is there, and waits for the other."""
    everyone = select(func.count()).where(tables.requests.c.caller == "meeting")
    with engine.begin() as conn:
        keep(conn, answer(int(me), me, caller="meeting"))
    while True:
        with engine.begin() as conn:
            if conn.scalar(everyone) == 2:
                return
        time.sleep(0.001)


def ask(engine: Engine, store: Store, number: int, me: str) -> tuple[str, bool]:
    """The decision that stands in the end, and whether this process made it."""
    decision, new = f"{number} by {me}", opened(patient=f"{number:022d}")
    with engine.begin() as conn:
        store.catch_up(conn, changes=True)
        before = find(conn, "dossier", str(number))
        if before is not None:
            return before.decision_id, False
        revision = save(store, conn, unknown(new.patient), new)
        keep(conn, answer(number, decision))
    store.adopt([new], revision)
    return decision, True


def main(url: str, ids: int) -> None:
    """Asks for one change after the other, after a pause each, so that now one is first, now the other."""
    engine, store, me = connect(url), Store(), str(time.monotonic_ns())
    pause = random.Random(me)
    meet(engine, me)
    answers = []
    for number in range(ids):
        time.sleep(pause.uniform(0, PAUSE_S))
        answers.append(ask(engine, store, number, me))
    engine.dispose()
    told = [decision for decision, _ in answers]
    json.dump({"told": told, "changed": [one for one, mine in answers if mine]}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
