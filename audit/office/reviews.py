"""The desk where emergency accesses are reviewed (CSP L.1111-17 I, R.1111-48; CNIL 2024: regular checks).

To look at a case is a look at what was done in its patient's record, and stands in that patient's trace
(`log.identify`); the list of cases shows patients by pseudonym. To close a case is a decision on it
(`emergency.review`), which stands in the log, and from there comes back into the index.
"""

import asyncio
from datetime import datetime
from typing import Final
from uuid import UUID

from audit.entry import rfc3339
from audit.office import casefile, cursor, wire
from audit.office.asking import Asker, Look
from audit.office.casefile import STATES, Filed, Wanted
from audit.office.cases import case_id
from audit.office.caseview import CaseView
from audit.office.errors import NotPossibleError, UnknownError
from audit.office.filters import hint
from audit.office.handles import Handles
from audit.office.office import Office
from audit.office.steps import REVIEW, VERDICTS, State
from audit.office.veil import INS
from audit.reader import Stored
from audit.v1 import audit_pb2 as pb
from clients.sdk import Context, Query, Reason, Target
from clients.sdk.asking import How
from serving.errors import RequestError, Violation

LONGEST_WHY: Final = 500
"""Characters of a reason (authz.v1.Reason)."""
BY: Final = ("structure", "professional")

WAIT_S: Final = 3.0
"""So long is waited for the index to take in a review."""
POLL_S: Final = 0.05
_LONGEST: Final = 128


class Reviews:
    """Lists cases, shows one, closes one, counts them."""

    def __init__(self, office: Office, *, wait_s: float = WAIT_S) -> None:
        self._office = office
        self._view = CaseView(office)
        self._wait_s = wait_s

    async def list_cases(self, request: pb.ListCasesRequest, how: How) -> pb.ListCasesResponse:
        """A page of the cases, the most urgent first, and how many wait in all.

        Raises:
            RequestError: something can't be asked.
            Denied: no.
        """
        wrong: list[Violation] = []
        size = wire.page_size(request.page_size, default=50, most=200, wrong=wrong)
        since, until = wire.period(request, wrong)
        asked = {**_period(since, until), **_named(request, wrong)}
        state = request.state or casefile.OPEN
        if state not in STATES:
            wrong.append(("state", f"`{hint(state)}`", f"one of {', '.join(STATES)}"))
        if request.patient and not INS.fullmatch(request.patient):
            wrong.append(("patient", "not an INS", "give 22 digits, or 15 characters"))
        if wrong:
            raise RequestError(wrong)
        of = repr((state, sorted(asked.items()), request.patient)).encode()
        after = cursor.read(request.cursor, of=of)
        look = await self._office.asking.look_into_log(
            wire.asker(request, how),
            "list_cases",
            {"state": state, **asked},
            patient=request.patient,
        )
        handles = self._office.handles
        wanted = Wanted(
            state=state,
            professional=handles.person(request.professional),
            structure=handles.structure(request.structure),
            patient=handles.person(request.patient),
            since=since,
            until=until,
        )
        found = await asyncio.to_thread(self._view.page, wanted, size, after, self._hidden(look))
        shown, behind, totals = found
        return pb.ListCasesResponse(
            look=wire.look(look),
            standing=wire.standing(self._office.standing()),
            cases=shown,
            cursor=cursor.write(behind, of=of) if behind else "",
            open=totals[0],
            overdue=totals[1],
        )

    async def read_case(self, request: pb.ReadCaseRequest, how: How) -> pb.ReadCaseResponse:
        """One case with its accesses and everything that was done with it, in clear.

        Raises:
            RequestError: the id is none.
            Denied: no.
            UnknownError: there is no such case.
        """
        id_ = _id(request.id)
        asker = wire.asker(request, how)
        found, opening = await self._found(asker, id_, "read_case")
        look = await self._office.asking.look_into_log(
            asker, "read_case", {"id": request.id}, patient=opening.entry.get("patient", "")
        )
        hidden = self._hidden(look)
        accesses, steps = await asyncio.to_thread(self._view.steps, found, hidden)
        return pb.ReadCaseResponse(
            look=wire.look(look),
            standing=wire.standing(self._office.standing()),
            case=await asyncio.to_thread(self._view.case, found, hidden),
            accesses=wire.fitting(accesses),  # the case says how many there are
            steps=steps,
        )

    async def close_case(self, request: pb.CloseCaseRequest, how: How) -> pb.CloseCaseResponse:
        """Closes a case, for good. Where the index is late, the answer shows the case as still open.

        Raises:
            RequestError: the id is none, or there is no verdict, or no reason.
            Denied: no: nobody closes their own.
            UnknownError: there is no such case.
            NotPossibleError: it is closed already, or somebody else was faster.
        """
        wrong: list[Violation] = []
        if request.verdict not in VERDICTS:
            wrong.append(("verdict", f"`{hint(request.verdict)}`", f"one of {', '.join(VERDICTS)}"))
        if not any(map(str.isalnum, request.why)):
            wrong.append(("why", "missing", "say in words why, for the record"))
        if len(request.why) > LONGEST_WHY:
            wrong.append(("why", f"`{len(request.why)}` characters", f"at most {LONGEST_WHY}"))
        id_ = _id(request.id, wrong)
        asker = wire.asker(request, how)
        found, opening = await self._found(asker, id_, "close_case")
        if found.row.state != State.OPEN:
            await self._office.asking.look_into_log(asker, "close_case", {"id": request.id})
            raise _closed_before(found)
        entry = opening.entry
        query = Query(
            subject=asker.subject,
            action=REVIEW,
            patient=entry.get("patient", ""),
            target=Target(id=entry.get("subject", {}).get("id", ""), kind="professional"),
            about=case_id(id_),
            context=Context(reason=Reason(code=request.verdict, text=request.why)),
        )
        names = {"context.reason.text": "why"}
        look = await self._office.asking.require(query, how, names=names)
        closed = await self._taken_in(id_, look) or found
        if closed.row.review not in (None, UUID(look.decision).bytes):
            raise _closed_before(closed)
        return pb.CloseCaseResponse(
            look=wire.look(look),
            case=await asyncio.to_thread(self._view.case, closed, self._hidden(look)),
        )

    async def count_cases(self, request: pb.CountCasesRequest, how: How) -> pb.CountCasesResponse:
        """Cases by structure or professional: the hundred with most of them.

        Raises:
            RequestError: something can't be asked.
            Denied: no.
            TooMuchError: the period is too long.
        """
        wrong: list[Violation] = []
        since, until = wire.period(request, wrong)
        if request.by not in BY:
            wrong.append(("by", f"`{hint(request.by)}`", f"one of {', '.join(BY)}"))
        if wrong:
            raise RequestError(wrong)
        asked = {"by": request.by, **_period(since, until)}
        look = await self._office.asking.look_into_log(
            wire.asker(request, how), "count_cases", asked
        )
        wanted = Wanted(since=since, until=until)
        counts = await asyncio.to_thread(self._view.counts, request.by, wanted)
        return pb.CountCasesResponse(
            look=wire.look(look),
            standing=wire.standing(self._office.standing()),
            counts=counts,
        )

    async def _found(self, asker: Asker, id_: bytes, what: str) -> tuple[Filed, Stored]:
        """A case with the entry that opened it; that there is none is told only to who may look."""
        found = await asyncio.to_thread(self._view.find, id_)
        if found is None:
            await self._office.asking.look_into_log(asker, what, {"id": case_id(id_)})
            raise UnknownError(f"no case `{case_id(id_)}`: list them, or wait for the index")
        return found

    async def _taken_in(self, id_: bytes, look: Look) -> Filed | None:
        """The case as it is once the index holds the review; None if that takes too long."""
        clock = asyncio.get_running_loop().time
        end, review = clock() + self._wait_s, UUID(look.decision).bytes
        while clock() < end:
            found = await asyncio.to_thread(self._view.find_with, id_, review)
            if found is not None:
                return found
            await asyncio.sleep(POLL_S)
        return None

    def _hidden(self, look: Look) -> Handles | None:
        return self._office.handles if look.pseudonymised else None


def _named(request: pb.ListCasesRequest, wrong: list[Violation]) -> dict[str, str]:
    """Professional and structure as they go on record, where they narrow; what is wrong is added."""
    named: dict[str, str] = {}
    for name in ("professional", "structure"):
        value: str = getattr(request, name)
        if len(value) > _LONGEST:
            wrong.append((name, f"{len(value)} characters", f"at most {_LONGEST}"))
        elif not value.isprintable() or value != value.strip():
            cure = "give it as it stands in the log"
            wrong.append((name, "blank or unprintable characters", cure))
        elif name == "professional" and INS.fullmatch(value):
            wrong.append((name, "a patient's number", "name patients in `patient`"))
        elif value:
            named[name] = value
    return named


def _closed_before(of: Filed) -> NotPossibleError:
    verdict = State(of.row.state).name.lower()
    by = case_id(of.row.review)
    return NotPossibleError(
        f"case `{case_id(of.row.id)}` is closed as `{verdict}` by decision `{by}`: a review stands"
    )


def _period(since: datetime | None, until: datetime | None) -> dict[str, str]:
    both = {"from": since, "until": until}
    return {name: rfc3339(value) for name, value in both.items() if value is not None}


def _id(text: str, wrong: list[Violation] | None = None) -> bytes:
    """The bytes of a case's id.

    Raises:
        RequestError: it is none, or something else is wrong.
    """
    wrong = wrong if wrong is not None else []
    try:
        found = UUID(text)
    except ValueError:
        found = None
    if found is None or str(found) != text:
        cure = "give all of it, in small letters, as the list of cases shows it"
        wrong = [("id", "not the id of a case", cure), *wrong]
    if wrong or found is None:
        raise RequestError(wrong)
    return found.bytes
