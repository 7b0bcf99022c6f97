"""The auditor's questions to a long log: pages of 50 by patient, professional and the rest, found and read.

The index is as long as asked for (`--entries`, 10 million in the documented form). Of the log there are the
batches that are looked into, each of 32 entries; they are put there beforehand.
"""

import argparse
import hashlib
import os
import statistics
import struct
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson
from sqlalchemy import Engine, insert, text

from audit.database import reader
from audit.entry import GENESIS, rfc3339
from audit.log import Log
from audit.office import counting, limits
from audit.office.browsing import Browser
from audit.office.database import opened
from audit.office.filters import Filter
from audit.office.gained import instant, micros
from audit.office.handles import Handles
from audit.office.index import Index, rule_set
from audit.office.policies import Policies, Shelf
from audit.office.search import Question
from audit.office.tables import entries, positions, shapes, words
from audit.office.words import SHAPE
from audit.tables import log_batches
from authz.registry.database import migrate
from bench import processes
from bench.report import Figure, Section, Tell, show
from bench.scale import Scale
from storage.database import connect
from storage.postgresql import prepare_migration

ORIGIN: Final = "bench/1"
BATCH: Final = 32
PAGE: Final = 50
TARGET_MS: Final = 100.0

_KEY: Final = bytes(range(32))
_PORTION: Final = 20_000
_YEAR: Final = 365 * 86_400_000_000
_BEGIN: Final = micros(datetime(2026, 1, 1, tzinfo=UTC))
_TIMEOUT_S: Final = 600.0
_TITLES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
Shapes = dict[tuple[int, ...], int]
"""The numbers of what stands together."""

_FACETS: Final = ("effect", "action", "reason_code", "rule", "day")

_KINDS: Final = ("decision",) * 90 + ("filter",) * 8 + ("change",) * 2
_CALLERS: Final = ("dossier",) * 90 + ("portal",) * 9 + ("archive",)
_ACTIONS: Final = (
    *(("document.read",) * 55 + ("document.list",) * 20 + ("document.deposit",) * 12),
    *(("dossier.find",) * 8 + ("trace.read",) * 3 + ("authorisation.grant",)),
    "log.query",
)
_REASONS: Final = tuple(f"REASON_{n}" for n in range(40))
_RULES: Final = tuple(rule_set((f"rule-{n}", f"rule-{n // 2}")) for n in range(60))
_BUNDLES: Final = tuple(f"{n:02x}" * 32 for n in range(20))


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Who is spoken of in the log, by numbers from which ids are made."""

    entries: int
    patients: int
    professionals: int
    structures: int
    documents: int


def run(scale: Scale, tell: Tell) -> list[Section]:
    """Measures both databases."""
    return [_section(kind, scale.entries, max(2, scale.rounds * 2), tell) for kind in _TITLES]


def _section(kind: str, count: int, rounds: int, tell: Tell) -> Section:
    with TemporaryDirectory() as name, _database(kind, Path(name)) as (log_url, index_url):
        log, index = connect(log_url), opened(index_url)
        migrate(log)
        tell(f"query: {_TITLES[kind]}, {count:,} entries")
        people = _fill(index, count)
        figures = [_taking_in(log, index, people, max(1_000, count // 50))]
        index.dispose()
        kept = _Kept(log, people, count)
        index, readable = opened(index_url, read_only=True), reader(log_url, kept=1)
        browser = Browser(index, readable, Handles(_KEY), limit_s=_TIMEOUT_S)
        figures += _pages(browser, index, kept, rounds, tell)
        figures += _counts(index, kept)
        for engine in (log, index, readable):
            engine.dispose()
    return Section(
        title=f"Questions to a log of {count:,} entries, {_TITLES[kind]}",
        note=f"p95 of {rounds} pages of {PAGE}, found in the index, read in the log and compared",
        figures=tuple(figures),
    )


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[tuple[str, str]]:
    if kind == "sqlite":
        yield f"sqlite:///{folder}/log.db", f"sqlite:///{folder}/index.db"
        return
    with processes.postgresql() as (_, url):
        yield url, url


def _population(count: int) -> Population:
    return Population(
        entries=count,
        patients=max(1, count // 100),
        professionals=max(1, count // 1_000),
        structures=max(1, count // 10_000),
        documents=max(1, count // 10),
    )


def _taking_in(log: Engine, index: Engine, people: Population, count: int) -> Figure:
    """How fast an index that is long already takes entries in."""
    with log.connect() as conn:
        writer = Log("bench/2")
        writer.open(conn, random=os.urandom)
        conn.commit()
        for first in range(0, count, BATCH):
            drafts = [_entry(place, count, people) for place in range(first, first + BATCH)]
            for draft in drafts:
                for name in ("v", "index", "at", "salt", "patient_seq", "patient_prev"):
                    del draft[name]
            at = rfc3339(instant(_BEGIN - _YEAR + first))
            writer.append(conn, drafts, at=at, random=os.urandom)
            conn.commit()
            writer.committed()
    shelf = Shelf()
    shelf._read |= {one: Policies({}, (), {}) for one in _BUNDLES}  # noqa: SLF001 - none are stored here
    follower, taken = Index(index, Handles(_KEY), shelf=shelf), 0
    reading = reader(log.url.render_as_string(hide_password=False))
    began = time.perf_counter()
    while True:
        with reading.connect() as conn:
            step = follower.step(conn).entries
        if not step:
            break
        taken += step
    rate = taken / (time.perf_counter() - began)
    return Figure(what=f"taking {taken:,} entries in", value=rate, unit="/s")


def _texts() -> dict[str, int]:
    known = (*_KINDS, *_CALLERS, *_ACTIONS, *_REASONS, *_RULES, *_BUNDLES)
    known += ("normal", "bris_de_glace", "centre_15", "allow", "deny")
    return {one: number for number, one in enumerate(dict.fromkeys(known))}


def _drawn(place: int, people: Population) -> dict[str, Any]:
    """What the entry with this place is about; always the same."""
    digest = hashlib.blake2b(place.to_bytes(8, "big"), digest_size=24).digest()
    n, *chances = struct.unpack(">6I", digest)
    n %= 1_000
    # Some are seen much more than others: every second entry is about a tenth of the patients.
    few = 10 if n % 2 else 1
    verdict = chances[0] % len(_RULES)
    return {
        "patient": f"{1_000_000 + chances[1] % max(1, people.patients // few):022d}",
        "subject": f"8{chances[2] % max(1, people.professionals // few):011d}",
        "structure": f"1{chances[3] % people.structures:09d}",
        "document": str(chances[4] % people.documents),
        "kind": _KINDS[n % 100],
        "caller": _CALLERS[(n // 7) % 100],
        "action": _ACTIONS[(n // 3) % 100],
        "mode": "bris_de_glace" if n < 3 else "centre_15" if n == 3 else "normal",
        "effect": "deny" if verdict >= 54 else "allow",
        "reason": _REASONS[verdict * 2 // 3],
        "rules": _RULES[verdict],
        "bundle": _BUNDLES[place // max(1, people.entries // len(_BUNDLES)) % len(_BUNDLES)],
    }


def _at(place: int, count: int) -> int:
    """Entries of one batch have one instant."""
    return _BEGIN + place // BATCH * BATCH * _YEAR // count


def _fill(index: Engine, count: int) -> Population:
    people, numbers = _population(count), _texts()
    known: Shapes = {}
    with index.begin() as conn:
        conn.execute(insert(words), [{"number": n, "text": one} for one, n in numbers.items()])
        row = {"origin": ORIGIN, "log": 1, "next_index": count, "link": GENESIS, "at": 0}
        conn.execute(insert(positions), row)
    ordered = sorted(entries.indexes, key=lambda index: str(index.name))
    with index.begin() as conn:
        for one in ordered:  # made again when all are there: that is faster by far
            one.drop(conn)
    for start in range(0, count, _PORTION):
        rows = (
            _row(place, count, people, numbers, known)
            for place in range(start, min(start + _PORTION, count))
        )
        _add(index, rows)
    with index.begin() as conn:
        if index.dialect.name == "postgresql":
            prepare_migration(conn)
        for one in ordered:
            one.create(conn)
        rows = [dict(zip(("number", *SHAPE), (n, *one), strict=True)) for one, n in known.items()]
        conn.execute(insert(shapes), rows)
    if index.dialect.name == "postgresql":  # as its own housekeeping does sooner or later
        with index.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            raw: Any = conn.connection.driver_connection
            conn.detach()  # it takes as long as it takes
            raw.patience = None
            conn.execute(text("SET statement_timeout = 0"))
            conn.execute(text("VACUUM ANALYZE"))
    return people


def _row(
    place: int, count: int, people: Population, numbers: Mapping[str, int], known: Shapes
) -> tuple[object, ...]:
    one, handles = _drawn(place, people), Handles(_KEY)
    shape = tuple(numbers[one[name]] for name in SHAPE)
    return (
        *(_at(place, count), 1, place, place.to_bytes(16, "big"), *shape),
        known.setdefault(shape, len(known)),
        *(handles.person(one["subject"]), handles.structure(one["structure"])),
        *(handles.person(one["patient"]), handles.document(one["document"])),
        *(int(one["mode"] != "normal"), 0),
    )


def _add(index: Engine, rows: Iterator[tuple[object, ...]]) -> None:
    names = [column.name for column in entries.columns]
    with index.begin() as conn:
        cursor: Any = conn.connection.cursor()
        if index.dialect.name == "postgresql":
            with cursor.copy(f"COPY entries ({', '.join(names)}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            marks = ", ".join("?" * len(names))
            cursor.executemany(f"INSERT INTO entries ({', '.join(names)}) VALUES ({marks})", rows)
        cursor.close()


def _entry(place: int, count: int, people: Population) -> dict[str, Any]:
    """The entry of a place, about as long as those of the record."""
    one = _drawn(place, people)
    return {
        "v": 1,
        "index": place,
        "id": f"{place:08x}-0000-7000-8000-000000000000",
        "call": f"{place:08x}-0000-7000-8000-000000000001",
        "at": rfc3339(instant(_at(place, count))),
        "kind": one["kind"],
        "caller": one["caller"],
        "subject": {
            "kind": "professional",
            "id": one["subject"],
            "name": "Dr MEDECIN3857",
            "profession": "10",
            "structure": one["structure"],
            "structure_name": "CABINET M",
            "authentication": "individual_card",
        },
        "action": one["action"],
        "patient": one["patient"],
        "document": {"id": one["document"], "type": "11502-2", "class": "11", "space": "biology"},
        "origin": {"author_structure": "10B0152872", "authors": ["899700218896"], "system": "lps"},
        "mode": one["mode"],
        "facts": [1, 5, "899700218896", ["899700218896", "899700218870"], *range(40)],
        "effect": one["effect"],
        "reason_code": one["reason"],
        "rules": one["rules"].split(),
        "obligations": [],
        "bundle": one["bundle"],
        "revision": 7,
        "patient_prev": "ab" * 32,
        "patient_seq": 12,
        "salt": "cd" * 32,
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }


class _Kept:
    """The log: the batches of the places that were looked at."""

    def __init__(self, log: Engine, people: Population, count: int) -> None:
        self._log = log
        self.people = people
        self.count = count
        self._there: set[int] = set()

    def put(self, places: Sequence[int]) -> None:
        """Puts the batches of these places there."""
        firsts = {place // BATCH * BATCH for place in places} - self._there
        self._there |= firsts
        rows = [self._batch(first) for first in sorted(firsts)]
        if rows:
            with self._log.begin() as conn:
                conn.execute(insert(log_batches), rows)

    def _batch(self, first: int) -> dict[str, Any]:
        places = range(first, min(first + BATCH, self.count))
        lines = [orjson.dumps(_entry(one, self.count, self.people)) + b"\n" for one in places]
        return {
            "origin": ORIGIN,
            "first_index": first,
            "count": len(places),
            "at": rfc3339(instant(_at(first, self.count))),
            "previous": GENESIS,
            "hash": GENESIS,
            "entries": b"".join(lines),
        }


def _questions(people: Population, count: int, n: int) -> Mapping[str, Filter]:
    """One question of each kind; `n` says about whom."""
    one = _drawn(count // 100 * (n % 100) + n, people)
    since = instant(_at(count // 3, count))
    patient = Filter(patient=one["patient"])
    professional = Filter(subjects=(one["subject"],))
    rare = ("authorisation.grant",)
    return {
        "by patient": patient,
        "by patient, refused": replace(patient, effect="deny"),
        "by patient, read": replace(patient, actions=("document.read",)),
        "by patient, a month": replace(patient, since=since, until=since + timedelta(days=30)),
        "by professional": professional,
        "by professional, refused": replace(professional, effect="deny"),
        "by professional, a rare act": replace(professional, actions=rare),
        "by professional, a month": replace(
            professional, since=since, until=since + timedelta(days=30)
        ),
        "by professional, one patient": replace(professional, patient=one["patient"]),
        "by structure": Filter(structures=(one["structure"],)),
        "by structure, emergencies": Filter(structures=(one["structure"],), emergency=True),
        "by document": Filter(documents=(one["document"],)),
        "by action": Filter(actions=("document.read",)),
        "by a rare act": Filter(actions=rare),
        "by a rare act, refused": Filter(actions=rare, effect="deny"),
        "by rule": Filter(rules=("rule-7",)),
        "by reason code": Filter(reason_codes=("REASON_7",)),
        "refused": Filter(effect="deny"),
        "emergencies": Filter(emergency=True),
        "centre 15": Filter(modes=("centre_15",)),
        "emergencies, refused": Filter(emergency=True, effect="deny"),
        "by caller": Filter(callers=("archive",)),
        "by bundle": Filter(bundle="0303030303"),
        "a day": Filter(since=since, until=since + timedelta(days=1)),
        "a day, refused": Filter(since=since, until=since + timedelta(days=1), effect="deny"),
        "all": Filter(),
    }


def _pages(
    browser: Browser, index: Engine, kept: _Kept, rounds: int, tell: Tell
) -> Iterator[Figure]:
    """Pages of each kind of question, in turns, about others each time."""
    taken: dict[str, list[float]] = {}
    found: dict[str, int] = {}
    for n in range(rounds):
        for name, asked in _questions(kept.people, kept.count, n).items():
            kept.put(_places(index, asked))
            began = time.perf_counter()
            page = browser.page(asked, size=PAGE)
            taken.setdefault(name, []).append((time.perf_counter() - began) * 1e3)
            found[name] = found.get(name, 0) + len(page.seen)
        tell(f"query: round {n + 1} of {rounds}")
    for name, times in taken.items():
        p50, p95 = statistics.median(times), _percentile(times, 0.95)
        judged = name.startswith(("by patient", "by professional"))
        yield Figure(
            what=f"{name} ({found[name] / rounds:.0f} entries)",
            value=p95,
            unit="ms",
            target=f"< {TARGET_MS:.0f} ms" if judged else "",
            met=p95 < TARGET_MS if judged else None,
            latency_ms=(p50, _percentile(times, 0.9), max(times)),
        )


def _counts(index: Engine, kept: _Kept) -> Iterator[Figure]:
    """Counts with facets, of few entries, of many and of all."""
    questions = _questions(kept.people, kept.count, 1)
    for name in ("by professional", "refused", "all"):
        began = time.perf_counter()
        with index.connect() as conn, limits.limited(conn, _TIMEOUT_S):
            question = Question(conn, questions[name], Handles(_KEY))
            total = counting.count(conn, question, _FACETS).total
        took = (time.perf_counter() - began) * 1e3
        yield Figure(
            what=f"count with {len(_FACETS)} facets, {name}: {total:,}", value=took, unit="ms"
        )


def _places(index: Engine, asked: Filter) -> list[int]:
    with index.connect() as conn:
        question = Question(conn, asked, Handles(_KEY))
        return [row.place for row in question.page(size=PAGE + 1)]


def _percentile(times: Sequence[float], part: float) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def main() -> int:
    """Measures with a log as long as asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.query", description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000_000, metavar="N")
    parser.add_argument("--rounds", type=int, default=20, metavar="N")
    parser.add_argument("--only", choices=("sqlite", "postgresql"), help="one database alone")
    given = parser.parse_args()
    kinds = [kind for kind in _TITLES if given.only in (None, kind)]
    for kind in kinds:
        made = _section(kind, given.entries, given.rounds, _say)
        show([made], sys.stdout, width=None if sys.stdout.isatty() else 140)
        sys.stdout.flush()
    return 0


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
