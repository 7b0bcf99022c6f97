"""Tells the decision point what reviews have left professionals with: overdue cases, or a misuse.

Policy can then refuse them a further break-glass (parameter `emergency.refused_after`). What is so follows
from the cases and the clock, what was told follows from the log: the difference is told, in the audit's own
name, until it is answered. So it survives kills and outages, and what somebody else has told is set right.
Nothing is told while the index is behind: a review that it does not hold yet would make a case overdue.

* *misuse*: a case of the professional was closed as misuse, less than `emergency.misuse_lasts` ago (P1Y, if
  the policies of the review don't say). A verdict stands, so nothing else ends it.
* *overdue*: otherwise, a case of the professional has waited for its review beyond its deadline.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import Connection, and_, func, select
from sqlalchemy.exc import SQLAlchemyError

from audit.entry import Entry
from audit.errors import Error as AuditError
from audit.office import casefile
from audit.office.casebook import TOLD
from audit.office.cases import case_id
from audit.office.gained import micros
from audit.office.office import Office
from audit.office.places import Place, fetch, log_names
from audit.office.steps import Standing, State
from audit.office.tables import case_steps, cases
from clients.sdk import Denied, Error, aio
from serving.servicelog import cause_of
from serving.threads import to_the_end

SERVICE: Final = "audit"
"""The name under which the decision point knows this service."""

POLL_S: Final = 2.0
PATIENCE_S: Final = 60.0
"""What was told is told again only if the index does not show it by then."""
REFUSED_S: Final = 3600.0
"""What was refused is told again after so long: each attempt is on record."""
TIMEOUT_S: Final = 5.0
FRESH: Final = timedelta(minutes=2)
"""An index that is complete until then is not behind."""
MOST: Final = 100
"""Told in one round."""

_c, _s = cases.c, case_steps.c
_log = structlog.get_logger("audit.standings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A standing that the decision point does not know of yet.

    Attributes:
        professional: handle.
        standing: that is so.
        why: the case that it follows from; "" for none.
        since: the decision by which the standing before was told; "" for none.
        place: of an entry that names the professional.
    """

    professional: int
    standing: Standing
    why: str
    since: str
    place: Place


class Standings:
    """Tells them: `asyncio.create_task(standings.run())`, until it is cancelled."""

    def __init__(
        self,
        office: Office,
        client: aio.Client,
        *,
        registry: CollectorRegistry | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        """Somebody who has not begun.

        Args:
            office: index and log.
            client: of the decision point.
            registry: where it counts; nobody stands there.
            poll_s: how often to look, in seconds.
        """
        self._office = office
        self._client = client
        self._poll_s = poll_s
        # Told or refused, and not to be told again before an instant of the event loop.
        self._until: dict[tuple[int, Standing, str], float] = {}
        registry = registry or CollectorRegistry()
        self._told = Counter(
            "audit_standings_told", "Standings told to the decision point.", registry=registry
        )
        self._failed = Counter(
            "audit_standings_failed", "Standings that could not be told.", registry=registry
        )
        self._cases = Gauge(
            "audit_cases", "Emergency cases that wait for review.", ["state"], registry=registry
        )

    async def run(self) -> None:
        """Tells until it is cancelled; whatever fails, it goes on."""
        while True:
            try:
                await self.tell()
            except (SQLAlchemyError, AuditError) as exc:
                _log.warning("standings can't be read", why=cause_of(exc))
            except Exception:  # noqa: BLE001 - whatever it is, it must not end here
                _log.exception("standings can't be told")
            await asyncio.sleep(self._poll_s)

    async def tell(self) -> int:
        """Tells what the decision point does not know yet; how many it was told.

        Raises:
            SQLAlchemyError: the index can't be read.
            AuditError: nor the log.
        """
        clock = asyncio.get_running_loop().time
        self._until = {key: at for key, at in self._until.items() if at > clock()}
        told = 0
        for one, professional in await to_the_end(self._differences):
            key = (one.professional, one.standing, one.since)
            if key in self._until:
                continue
            try:
                permit = await self._client.set_review_standing(
                    SERVICE,
                    professional,
                    one.standing.name.lower(),
                    why=f"case {one.why}" if one.why else "",
                    # Of the same difference, so that it is not told twice when an answer is lost.
                    request_id=f"{one.professional:x}-{one.standing.name}-{one.since}-{one.why}",
                    timeout_s=TIMEOUT_S,
                )
                permit.settle()
            except Denied as exc:
                self._failed.inc()
                self._until[key] = clock() + REFUSED_S
                _log.error("a standing was refused: look at the policies", why=exc.reason_code)
            except Error as exc:
                self._failed.inc()
                _log.warning("a standing can't be told", why=str(exc))
                break
            else:
                told += 1
                self._told.inc()
                self._until[key] = clock() + PATIENCE_S
        return told

    def _differences(self) -> list[tuple[Difference, str]]:
        """What to tell of whom, by the number of the professional."""
        at, until = self._office.clock(), self._office.standing().complete_until
        if until is None or at - until > FRESH:
            return []
        now = micros(at)
        with self._office.index.connect() as conn:
            waiting, overdue = casefile.totals(conn, now=now)
            found = differences(conn, now=now)[:MOST]
        self._cases.labels("open").set(waiting)
        self._cases.labels("overdue").set(overdue)
        with self._office.log.connect() as log:
            stored = fetch(log, [one.place for one in found])
        named = []
        for one in found:
            entry = stored.get(one.place)
            if entry is None or entry.erased is not None:
                continue  # with it, what it says of the professional is gone
            numbers = (_subject(entry.entry), _target(entry.entry))
            named += [
                (one, number)
                for number in numbers
                if self._office.handles.person(number) == one.professional
            ][:1]
        return named


def differences(conn: Connection, *, now: int) -> list[Difference]:
    """Where what is so differs from what was told last.

    Args:
        conn: the index.
        now: microseconds since 1970.
    """
    told = {row.professional: row for row in _told(conn)}
    wanted: dict[int, tuple[Standing, Any]] = {}
    overdue = and_(_c.state == int(State.OPEN), _c.due < now)
    misuse = and_(_c.state == int(State.MISUSE), _c.until > now)
    for standing, condition in ((Standing.OVERDUE, overdue), (Standing.MISUSE, misuse)):
        for row in _first(conn, condition):
            wanted[row.professional] = standing, row
    logs = log_names(conn)
    found = []
    for professional in sorted(wanted.keys() | told.keys()):
        standing, row = wanted.get(professional, (Standing.NONE, None))
        before = told.get(professional)
        if standing != (before.what if before else Standing.NONE):
            found.append(_difference(professional, standing, row, before, logs))
    return found


def _difference(
    professional: int,
    standing: Standing,
    row: Any,  # noqa: ANN401 - of `cases`
    before: Any,  # noqa: ANN401 - of `case_steps`
    logs: Mapping[int, str],
) -> Difference:
    at = row if row is not None else before
    return Difference(
        professional=professional,
        standing=standing,
        why=case_id(row.id) if row is not None else "",
        since=case_id(before.id) if before is not None else "",
        place=Place(origin=logs[at.log], index=at.place, at=at.at),
    )


def _first(conn: Connection, condition: Any) -> Any:  # noqa: ANN401 - rows
    """Of each professional the case that was due first, of those that meet a condition."""
    order = (_c.due, _c.log, _c.place)
    number = func.row_number().over(partition_by=_c.professional, order_by=order).label("number")
    each = select(cases, number).where(condition).subquery()
    return conn.execute(select(each).where(each.c.number == 1))


def _told(conn: Connection) -> Any:  # noqa: ANN401 - rows
    """What was told last of each professional."""
    order = (_s.at.desc(), _s.log.desc(), _s.place.desc())
    number = func.row_number().over(partition_by=_s.professional, order_by=order).label("number")
    each = select(case_steps, number).where(_s.kind == TOLD).subquery()
    return conn.execute(select(each).where(each.c.number == 1))


def _subject(entry: Entry) -> str:
    return entry.get("subject", {}).get("id", "")


def _target(entry: Entry) -> str:
    return entry.get("target", {}).get("id", "")
