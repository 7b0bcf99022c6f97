"""Holds what a service says it did against what it was permitted: its record of acts, and the decision log.

For each act there must be exactly one decision, of that service and saying the same; for each denial the
record must say so. A permission that was not used is no fault: the service may have stopped in between.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from audit.entry import Entry, uuid7_ms
from audit.errors import UnreachableError
from audit.reader import erased_until, kept_from, origins, read

_ACTS: Final = "SELECT decision, patient, action, effect, document FROM acts ORDER BY decision"
_CHUNK: Final = 10_000
_REPORT: Final = "obligation.report"
"""Tells of what was done, and is itself no act."""

SETTLED: Final = timedelta(minutes=1)
"""Within this time after a decision, what it permits is done and recorded, or never."""


class Fault(StrEnum):
    """How an act and its decision can disagree."""

    UNDECIDED = "undecided"
    """An act without a decision: something was done that nobody permitted, or the log lost it."""

    DIFFERENT = "different"
    """Act and decision say different things."""

    DOUBLE = "double"
    """Two decisions under one id."""

    UNRECORDED = "unrecorded"
    """A denial that the service's own record does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault, by the id of the decision; no personal data."""

    fault: Fault
    decision: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """What was found.

    Attributes:
        acts: so many acts.
        decided: so many of them have their one decision, which says the same.
        unused: so many permissions were not used.
        recent: so many decisions are too young to say: what they permit may be under way.
        erased: so many acts are too old to say: the decisions of their time are erased.
        faults: everything that is wrong, by decision.
    """

    acts: int
    decided: int
    unused: int
    recent: int
    erased: int
    faults: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


Act = tuple[str, str, str, str]
"""Patient, action, effect, document."""


def check(log: Connection, record: Connection, *, service: str, at: datetime) -> Completeness:
    """Compares all acts of a record with all decisions of a log, of services that may be running.

    Acts are read first: what each was decided by is in the log by then.

    Args:
        log: on a database that holds logs.
        record: on the service's own database, with its table `acts`.
        service: the name under which it calls the decision point.
        at: now; decisions of the last minute that are without an act are not judged yet.

    Raises:
        UnreachableError: the second is no such database.
        LogDamagedError: an entry can't be read.
    """
    found = acts(record)
    until = erased_until(log)
    gone = datetime.fromisoformat(until) + SETTLED if until else None
    return compare(found, _entries(log), service=service, settled=at - SETTLED, gone=gone)


def compare(
    found: dict[str, Act],
    entries: Iterable[Entry],
    *,
    service: str,
    settled: datetime,
    gone: datetime | None = None,
) -> Completeness:
    """The same, of acts by their decisions, and of entries. Pure.

    Judges what is older than `settled`; and what is missing only if it is not older than `gone`, up to where
    entries are erased.
    """
    before = int(settled.timestamp() * 1000)
    since = int(gone.timestamp() * 1000) if gone is not None else -1
    faults: list[Finding] = []
    matched: set[str] = set()
    told: set[str] = set()
    denied: list[tuple[str, str, set[str]]] = []
    unused = recent = 0
    for entry in entries:
        if entry.get("caller") != service or entry.get("action") == _REPORT:
            continue
        decision = entry["id"]
        act = found.get(decision)
        if act is None:
            if uuid7_ms(decision) >= before:
                recent += 1
            elif entry["effect"] == "deny" and uuid7_ms(decision) > since:
                asked_in = {entry.get("call", ""), entry.get("trace_id", "")} - {""}
                denied.append((decision, entry["action"], asked_in))
            else:
                unused += 1
            continue
        if decision in matched:
            faults.append(Finding(fault=Fault.DOUBLE, decision=decision, action=act[1]))
        elif act != _said(entry):
            faults.append(Finding(fault=Fault.DIFFERENT, decision=decision, action=act[1]))
        matched.add(decision)
        told.add(entry.get("call", ""))
        told.add(entry.get("trace_id", ""))
    undecided = [decision for decision in found if decision not in matched]
    old = {decision for decision in undecided if gone is not None and uuid7_ms(decision) <= since}
    faults += [
        Finding(fault=Fault.UNDECIDED, decision=decision, action=found[decision][1])
        for decision in undecided
        if decision not in old
    ]
    # Of several questions that were asked for one request, one act tells; the others found what may be told.
    faults += [
        Finding(fault=Fault.UNRECORDED, decision=decision, action=action)
        for decision, action, asked_in in denied
        if not asked_in & told
    ]
    wrong = {finding.decision for finding in faults}
    return Completeness(
        acts=len(found),
        decided=len(matched - wrong),
        unused=unused,
        recent=recent,
        erased=len(old),
        faults=tuple(sorted(faults, key=lambda finding: finding.decision)),
    )


def acts(record: Connection) -> dict[str, Act]:
    """All acts of a record, by the decision that each was done under.

    Raises:
        UnreachableError: the database holds no such record.
    """
    try:
        if not inspect(record).has_table("acts"):
            raise UnreachableError("the database holds no acts: is it that of the dossier?")
        rows = record.execution_options(yield_per=_CHUNK).execute(text(_ACTS))
        return {row[0]: (row[1], row[2], row[3], row[4]) for row in rows}
    except DBAPIError as exc:
        cause = " ".join(str(exc.orig).split())
        raise UnreachableError(f"the record cannot be read: {cause}") from exc


def _said(entry: Entry) -> Act:
    document = entry.get("document", {}).get("id", "")
    return entry.get("patient", ""), entry["action"], entry["effect"], document


def _entries(log: Connection) -> Iterator[Entry]:
    for origin in origins(log):
        for stored in read(log, origin=origin, start=kept_from(log, origin)):
            yield stored.entry
