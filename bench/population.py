"""A registry as large as a country's region: as many patients as asked for, the same each time.

They come into the tables in bulk, as a migration from another system would bring them. Every patient
authorises the doctor of the bench, and half of them others too.
"""

import os
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Table, event, update

from audit.entry import Entry, rfc3339, uuid7
from audit.log import Log
from authz.registry import tables
from authz.registry.database import migrate
from bench.asking import DOCTOR
from storage.database import connect

SEED: Final = 2011
AT: Final = datetime(2026, 5, 4, 10, tzinfo=UTC)
ORIGIN: Final = "authz-1"

_PORTION: Final = 20_000
_BATCH: Final = 256
_TERM: Final = timedelta(days=3_650)  # valid whenever the bench runs
_PROFESSIONALS: Final = [f"8997{number:08}" for number in range(20_000)]
_STRUCTURES: Final = [f"1{number:09}" for number in range(2_000)]

Row = tuple[Any, ...]


def fill(url: str, patients: Sequence[str]) -> None:
    """Makes the registry of these patients in an empty database, with a line of the feed for each."""
    engine = connect(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda conn, _: conn.execute("PRAGMA cache_size=-400000"))
        engine.dispose()
    patients = sorted(patients)  # the order of the tables: several times as fast
    try:
        migrate(engine)
        for start in range(0, len(patients), _PORTION):
            with engine.begin() as conn:
                _insert(conn, patients[start : start + _PORTION], start)
        with engine.begin() as conn:
            conn.execute(update(tables.head).values(revision=len(patients)))
            conn.exec_driver_sql("ANALYZE")  # as PostgreSQL does by itself after a while
    finally:
        engine.dispose()


def fill_log(url: str, patients: Sequence[str], entries: int) -> None:
    """Writes so many entries, as the service would, about patients at random."""
    engine, log, chance = connect(url), Log(ORIGIN), random.Random(SEED)
    try:
        with engine.begin() as conn:
            log.open(conn, random=os.urandom)
        for start in range(0, entries, _BATCH):
            drafts = [_draft(chance.choice(patients)) for _ in range(min(_BATCH, entries - start))]
            with engine.begin() as conn:
                log.append(conn, drafts, at=rfc3339(AT), random=os.urandom)
            log.committed()
        with engine.begin() as conn:
            conn.exec_driver_sql("ANALYZE")
    finally:
        engine.dispose()


def _draft(patient: str) -> Entry:
    """An entry as long as most are."""
    now = int(AT.timestamp() * 1000)
    return {
        "kind": "decision",
        "id": uuid7(now, os.urandom(10)),
        "call": uuid7(now, os.urandom(10)),
        "caller": "dossier",
        "subject": {"kind": "professional", "id": DOCTOR.id, "profession": "10"},
        "action": "document.read",
        "patient": patient,
        "facts": [0] * 45,
        "effect": "allow",
        "reason_code": "AUTHORISED",
        "rules": ["read-authorised"],
        "obligations": [],
        "bundle": "0" * 64,
        "revision": 1,
        "mode": "normal",
    }


def _insert(conn: Connection, patients: Sequence[str], start: int) -> None:
    rows: dict[Table, list[Row]] = {table: [] for table in tables.metadata.sorted_tables}
    for number, patient in enumerate(patients, start):
        for table, row in _rows(patient, number):
            rows[table].append(row)
    for table, some in rows.items():
        if some:
            _copy(conn, table, some)


def _rows(patient: str, number: int) -> Iterator[tuple[Table, Row]]:
    """What is stored of a patient: every time the same, as it depends on the number alone."""
    chance = random.Random(SEED * 1_000_003 + number)
    since, until = rfc3339(AT), rfc3339(AT + _TERM)
    born = date(1930, 1, 1) + timedelta(days=chance.randrange(34_000))
    answers = (chance.random() < 0.9, chance.random() < 0.9, False, True)
    place = (None, "", "", *answers, number + 1)
    yield tables.patients, (patient, "open", born.isoformat(), since, *place)
    yield tables.changes, (number + 1, patient, "dossier.create", f"decision {number}", since)
    others = chance.sample(_PROFESSIONALS, chance.choice((0, 0, 1, 2, 4)))
    for grantee in {DOCTOR.id, *others}:
        yield tables.authorisations, (patient, grantee, "professional", since, until)
    if chance.random() < 0.3:
        grantee = chance.choice(_STRUCTURES)
        yield tables.authorisations, (patient, grantee, "structure", since, until)
    if others:
        yield tables.treating_doctors, (patient, others[0], since)
    if chance.random() < 0.03:
        yield tables.blocks, (patient, "899800000000", "professional", since)
    if chance.random() < 0.1:
        yield tables.representatives, (patient, chance.choice(_PROFESSIONALS), "MTH", since)


def _copy(conn: Connection, table: Table, rows: Sequence[Row]) -> None:
    """The fastest way in that the database has."""
    names = ", ".join(column.name for column in table.columns)
    raw: Any = conn.connection.driver_connection
    if conn.dialect.name == "sqlite":
        marks = ", ".join("?" * len(table.columns))
        raw.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", rows)
        return
    with raw.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
