"""A small world for the log: drafts, and a filled log."""

import os

from sqlalchemy import Connection

from audit.entry import uuid7
from audit.log import Log, Recorded

ORIGIN = "dmp.test/1"
START_MS = 1_794_997_600_000  # 2026-11-18T10:26:40Z
ALICE, BOB, CAROL = "0000000000000000000001", "0000000000000000000002", "0000000000000000000003"


def draft(patient: str = ALICE, *, ms: int = START_MS, **fields: object) -> dict[str, object]:
    """What the decision loop hands over for one decision."""
    return {
        "id": uuid7(ms, os.urandom(10)),
        "kind": "decision",
        "call": uuid7(ms, os.urandom(10)),
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "caller": "dossier",
        "subject": {
            "kind": "professional",
            "id": "899700218896",
            "name": "Hélène MEDECIN3857",
            "profession": "10",
            "structure": "10B0152872",
            "structure_name": "CABINET M",
            "authentication": "card",
        },
        "action": "document:read",
        "patient": patient,
        "document": {"id": "1.2.250.1.99.1", "type": "11502-2", "class": "11", "space": "biology"},
        "origin": {"author_structure": "10B0152872", "authors": ["899700218896"], "system": "lps"},
        "mode": "normal",
        "facts": [1, 5, "899700218896", ["899700218896", "899700218870"], ""],
        "effect": "allow",
        "reason_code": "AUTHORISED",
        "rules": ["read_when_authorised"],
        "obligations": [],
        "remarks": [],
        "bundle": "ab" * 32,
        "revision": 7,
        **fields,
    }


def instant(batch: int) -> str:
    """The instant of the batch with this number, one a second."""
    return f"2026-11-18T10:{26 + (40 + batch) // 60:02}:{(40 + batch) % 60:02}.000000Z"


def append(
    conn: Connection, log: Log, *drafts: dict[str, object], batch: int = 0
) -> list[Recorded]:
    """One batch, committed."""
    recorded = log.append(conn, drafts, at=instant(batch), random=os.urandom)
    conn.commit()
    log.committed()
    return list(recorded)


def opened(conn: Connection, origin: str = ORIGIN, **settings: int) -> Log:
    """A log that may write."""
    log = Log(origin, **settings)
    log.open(conn, random=os.urandom)
    conn.commit()
    return log


def fill(conn: Connection, origin: str = ORIGIN) -> Log:
    """Four batches of three entries: Alice, Bob, and none by turns."""
    log = opened(conn, origin)
    for batch in range(4):
        ms = START_MS + 1000 * batch
        append(conn, log, *(draft(p, ms=ms) for p in (ALICE, BOB, "")), batch=batch)
    return log
