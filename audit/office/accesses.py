"""The patient's view of the log: who saw or tried to see what, when, from where and why it was allowed.

Asked by the patient, a minor's representative, or the treating doctor (CSP R.1111-43, L.1111-19; EHDS art.
9); that they look is decided, and stands in the same trail.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from audit.database import snapshot
from audit.office import wire
from audit.office.asking import WITHHOLD_SECRET
from audit.office.gained import micros
from audit.office.office import Office
from audit.office.trail import Question, Trail
from audit.office.view import Reader
from audit.v1 import audit_pb2 as pb
from clients.sdk.asking import How
from serving import cursor
from serving.days import midnight
from serving.errors import RequestError, Violation

MAX_PAGE: Final = 1_000
PAGE: Final = 50
_FIRST: Final = date(1900, 1, 1)
_LAST: Final = date(9990, 1, 1)
"""Beyond these a bound bounds nothing, and could not be computed with."""

_MOST_WHO: Final = 255
_ID_BYTES: Final = 16
"""A cursor holds the id of the last line, which the line shows too, and nothing else of the log."""

_REPRESENTATIVE: Final = "representative"


class Accesses:
    """The desk of the patient's view."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def list_accesses(
        self, request: pb.ListAccessesRequest, how: How
    ) -> AsyncIterator[pb.ListAccessesResponse]:
        """Who did, or tried, what with the record of a patient; the latest first, page by page.

        Raises:
            RequestError: the request is malformed, or the cursor not one of this question.
            Denied: the asker may not see it; that is on record.
            clients.sdk.Error: the decision point does not answer.
        """
        asker = wire.asker(request, how)
        question, size = _read(request)
        after = cursor.unseal(request.cursor, size=_ID_BYTES)
        asked = {
            name: value
            for name in ("from", "until", "who", "refused", "emergency")
            if (value := getattr(request, name))
        }
        look = await self._office.asking.look(
            asker,
            "trace.read",
            patient=request.patient,
            what="accesses",
            asked=asked,
            carried=(WITHHOLD_SECRET,),
        )
        reader = Reader(
            kind=asker.subject.kind,
            id=asker.subject.id,
            patient=request.patient,
            withholds=WITHHOLD_SECRET in look.obligations or asker.subject.kind == _REPRESENTATIVE,
        )
        of = _canonical(reader, question)
        if after is not None:
            after.check(of=of)
        last = "" if after is None else str(UUID(bytes=after.place))
        for _ in range(max(request.pages, 1)):
            standing = self._office.standing()
            found, more = await asyncio.to_thread(self._page, reader, question, size, last)
            lines = wire.fitting(found)
            more = more or len(lines) < len(found)
            last = lines[-1].decision_id if more else ""
            yield pb.ListAccessesResponse(
                look=wire.look(look),
                # Figures of the whole log would tell that something was done that is not shown.
                standing=pb.Standing(complete_until=wire.stamp(standing.complete_until)),
                accesses=lines,
                cursor=cursor.seal(UUID(last).bytes, of=of) if more else "",
            )
            if not more:
                return

    def _page(
        self, reader: Reader, question: Question, size: int, last: str
    ) -> tuple[list[pb.Access], bool]:
        """The lines behind the one with this id, and whether there are more."""
        office = self._office
        with office.index.connect() as index, snapshot(office.log) as log:
            trail = Trail(index, log, reader, handles=office.handles, shelf=office.shelf)
            after = trail.place(last, question) if last else None
            if last and after is None:
                raise RequestError([("cursor", "its line is there no more", cursor.AGAIN)])
            return trail.lines(question, after=after, size=size)


def _read(request: pb.ListAccessesRequest) -> tuple[Question, int]:
    """What is asked for, and how much at once."""
    wrong: list[Violation] = []
    if not request.patient:
        wrong.append(("patient", "missing", "give the INS of the record"))
    since = _day(getattr(request, "from"), "from", wrong)
    until = _day(request.until, "until", wrong)
    if since and until and until < since:
        wrong.append(("from", "later than `until`", "exchange the two days"))
    if len(request.who) > _MOST_WHO or not request.who.isprintable():
        cure = "give the idNat_PS of a professional, or the idNat_Struct of a structure"
        wrong.append(("who", "not a number", cure))
    size = wire.page_size(request.page_size, default=PAGE, most=MAX_PAGE, wrong=wrong)
    if request.pages < 0:
        wrong.append(("pages", f"`{request.pages}`", "1 or more, or 0 for 1"))
    if wrong:
        raise RequestError(wrong)
    bounded = until is not None and until < _LAST
    return (
        Question(
            since=micros(midnight(since)) if since and since > _FIRST else None,
            until=micros(midnight(until + timedelta(days=1))) if until and bounded else None,
            who=request.who,
            refused=request.refused,
            emergency=request.emergency,
        ),
        size,
    )


def _day(text: str, field: str, wrong: list[Violation]) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        wrong.append((field, "not a day", "write it as 2026-05-04"))
        return None
    return day


def _canonical(reader: Reader, question: Question) -> bytes:
    """What is asked, and by whom it is seen."""
    asked: Sequence[object] = (reader, question)
    return repr(asked).encode("utf-8", "backslashreplace")
