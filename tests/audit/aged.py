"""A log that has grown old: its first batches are of a time that is over."""

import os
from datetime import UTC, datetime

from sqlalchemy import Connection

from audit.comparison import Published
from audit.database import reader, snapshot
from audit.erased import Purges
from audit.evidence import Evidence
from audit.log import Log
from audit.purging import plan
from audit.purging import purge as carry_out
from audit.retention import RETENTION, Purge
from audit.sealing import Sealer
from storage.database import connect
from tests.audit.world import ALICE, BOB, CAROL, ORIGIN, draft, opened

OLD = 4
"""So many batches of three entries are old."""

ERASED = 3 * OLD
MARKER = "SOMEBODY-WHO-IS-TO-BE-FORGOTTEN"
BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 23, tzinfo=UTC)
NAMES = {ORIGIN: "dmp.test/log", RETENTION: "dmp.test/retention"}


def age(conn: Connection, origin: str = ORIGIN) -> Log:
    """Four old batches of Alice, Bob and nobody; then two new ones of Alice, Carol and nobody."""
    log = opened(conn, origin)
    for batch in range(OLD):
        people = (ALICE, BOB, "")
        old = [draft(one, remarks=[f"{MARKER} {batch} {one}"]) for one in people]
        write(conn, log, f"201{batch + 1}-02-03T04:05:06.000000Z", *old)
    for day in (18, 19):
        new = [draft(one) for one in (ALICE, CAROL, "")]
        write(conn, log, f"2026-11-{day}T04:05:06.000000Z", *new)
    return log


def write(conn: Connection, log: Log, at: str, *drafts: dict[str, object]) -> None:
    """One batch, of an instant."""
    log.append(conn, drafts, at=at, random=os.urandom)
    conn.commit()
    log.committed()


def seal(url: str, evidence: Evidence) -> None:
    """Seals all there is."""
    sealer = Sealer(reader(url), evidence)
    while sealer.step() is not None:
        pass
    sealer.close()


def purge(
    url: str,
    *,
    before: datetime = BEFORE,
    published: Published | None = None,
    by: str = "B. Martin",
) -> Purge | None:
    """Erases what is old."""
    with snapshot(reader(url)) as conn:
        wanted = plan(conn, ORIGIN, before=before, retention="P6Y", published=published)
    engine = connect(url)
    try:
        return carry_out(engine, wanted, by=by, now=NOW, random=os.urandom)
    finally:
        engine.dispose()


def purges(url: str) -> dict[int, Purge]:
    """What the log of retention says."""
    with snapshot(reader(url)) as conn:
        return Purges(conn).known()
