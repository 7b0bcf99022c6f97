"""Cases as they are shown: what the index says of them, with what their entries say in the log."""

from audit.entry import Entry
from audit.office import casefile, wire
from audit.office.casebook import ACCESS, REPORT
from audit.office.casefile import Filed, Wanted
from audit.office.cases import case_id
from audit.office.cursor import Position
from audit.office.gained import EMERGENCIES, instant, micros, moment
from audit.office.handles import Handles
from audit.office.limits import limited
from audit.office.office import Office
from audit.office.places import Place, fetch
from audit.office.shown import shown
from audit.office.steps import State
from audit.office.veil import veiled
from audit.reader import Stored
from audit.v1 import audit_pb2 as pb


class CaseView:
    """Reads index and log; each call is a transaction of its own. With `hidden`, patients go by pseudonym."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def page(
        self, wanted: Wanted, size: int, after: Position | None, hidden: Handles | None
    ) -> tuple[list[pb.Case], Position | None, tuple[int, int]]:
        """Some cases, behind which one the next page begins, and how many are open and overdue in all.

        Raises:
            TooMuchError: it takes too long to find them.
        """
        now = self._now()
        with self._office.index.connect() as conn, limited(conn):
            found, behind = casefile.page(conn, wanted, now=now, size=size, after=after)
            totals = casefile.totals(conn, now=now)
        places = [place for one in found for place in _places(one)]
        stored = self._fetch(places)
        told = [self._shown(one, stored, hidden) for one in found]
        return [one for one in told if one is not None], behind, totals

    def case(self, of: Filed, hidden: Handles | None) -> pb.Case | None:
        """One case; None where its opening was erased since."""
        return self._shown(of, self._fetch(_places(of)), hidden)

    def _shown(
        self, of: Filed, stored: dict[Place, Stored], hidden: Handles | None
    ) -> pb.Case | None:
        """A case as a message; None where its opening was erased since."""
        opening, row = stored.get(of.opening), of.row
        if opening is None or opening.erased is not None:
            return None
        entry, patient = opening.entry, opening.entry.get("patient", "")
        made = pb.Case(
            id=case_id(row.id),
            log=of.opening.origin,
            professional=wire.who(entry, hidden=hidden),
            patient=hidden.pseudonym(patient) if hidden else patient,
            mode=EMERGENCIES[row.mode - 1],
            opened_at=wire.stamp(instant(row.at)),
            last_at=wire.stamp(instant(row.last_at)),
            due_at=wire.stamp(instant(row.due)),
            accesses=row.accesses,
            overdue=row.state == State.OPEN and row.due < self._now(),
            state=State(row.state).name.lower(),
        )
        reason = (entry if hidden is None else veiled(entry, hidden)).get("reason", {})
        made.reason.code, made.reason.text = reason.get("code", ""), reason.get("text", "")
        for duty in of.duties:
            told = made.obligations.add(name=duty.name, state="carried_out" if duty.done else "due")
            report = stored.get(duty.last) if duty.last else None
            if report is not None and report.erased is None:
                told.at.FromDatetime(moment(report.entry["at"]))
                told.how = report.entry.get("reason", {}).get("text", "")
                told.decision_id = report.entry.get("id", "")
        review = stored.get(of.review) if of.review else None
        if review is not None and review.erased is None:
            made.closed.CopyFrom(_step(review, made.state, hidden))
        return made

    def steps(self, of: Filed, hidden: Handles | None) -> tuple[list[pb.Entry], list[pb.Step]]:
        """The accesses of a case, and what was done with it."""
        id_ = case_id(of.row.id)
        with self._office.index.connect() as conn:
            rows = casefile.steps(conn, of.row.id)
        stored = self._fetch([place for _, place in rows])
        accesses, steps = [], []
        for row, place in rows:
            one = stored.get(place)
            if one is None or one.erased is not None:
                continue
            if row.kind == ACCESS:
                seen = shown(one, self._office.handles, hidden=hidden is not None).message()
                seen.case = id_
                accesses.append(seen)
                steps.append(_step(one, "opened" if row.id == of.row.id else "access", hidden))
            elif row.kind == REPORT:
                steps.append(_step(one, "carried_out", hidden))
            else:
                counts = row.id == of.row.review
                what = State(row.what).name.lower() if counts else "refused"
                steps.append(_step(one, what, hidden))
        return accesses, steps

    def counts(self, by: str, wanted: Wanted) -> list[pb.CaseCount]:
        """Cases by structure or professional.

        Raises:
            TooMuchError: it takes too long to count them.
        """
        with self._office.index.connect() as conn, limited(conn):
            rows = casefile.count(conn, by, wanted, now=self._now())
        stored = self._fetch([place for _, _, place in rows])
        counts = []
        for row, share, place in rows:
            one = stored.get(place)
            subject = one.entry.get("subject", {}) if one and one.erased is None else {}
            id_, name = ("structure", "structure_name") if by == "structure" else ("id", "name")
            counts.append(
                pb.CaseCount(
                    id=str(subject.get(id_, "")),
                    name=str(subject.get(name, "")),
                    cases=row.cases,
                    accesses=row.accesses,
                    patients=row.patients,
                    open=row.open,
                    overdue=row.overdue,
                    justified=row.justified,
                    misuse=row.misuse,
                    share=share,
                )
            )
        return counts

    def find(self, id_: bytes) -> tuple[Filed, Stored] | None:
        """A case with the entry that opened it; None if there is none, or it was erased."""
        with self._office.index.connect() as conn:
            found = casefile.find(conn, id_)
        if found is None:
            return None
        opening = self._fetch([found.opening]).get(found.opening)
        return None if opening is None or opening.erased is not None else (found, opening)

    def find_with(self, id_: bytes, review: bytes) -> Filed | None:
        """A case, once the index holds this review."""
        with self._office.index.connect() as conn:
            return casefile.find(conn, id_) if casefile.is_known(conn, review) else None

    def _now(self) -> int:
        return micros(self._office.clock())

    def _fetch(self, places: list[Place]) -> dict[Place, Stored]:
        with self._office.log.connect() as log:
            return fetch(log, places)


def _places(of: Filed) -> list[Place]:
    places = [of.opening, *(duty.last for duty in of.duties)]
    return [place for place in (*places, of.review) if place is not None]


def _step(stored: Stored, what: str, hidden: Handles | None) -> pb.Step:
    """Something that was done with a case: by whom, and why."""
    entry = stored.entry if hidden is None else veiled(stored.entry, hidden)
    return pb.Step(
        at=wire.stamp(entry["at"]),
        what=what,
        why=_why(entry, what),
        who=wire.who(entry).id,
        decision_id=entry.get("id", ""),
    )


def _why(entry: Entry, what: str) -> str:
    reason = entry.get("reason", {})
    code, text = reason.get("code", ""), reason.get("text", "")
    if what == "refused":
        denied = entry.get("effect") != "allow"
        return entry.get("reason_code", "") if denied else f"NOT_COUNTED: {code}: {text}"
    verdict = what in ("justified", "misuse")
    return text if verdict else f"{code}: {text}" if code or text else ""
