"""The desk where unusual accesses are shown, each with the limit that it passes; patients go by pseudonym."""

import asyncio
from datetime import UTC, datetime
from typing import Final

from audit.entry import rfc3339
from audit.office import cursor, unusual, wire
from audit.office.cursor import Position
from audit.office.filters import hint
from audit.office.gained import instant, micros
from audit.office.handles import Handles
from audit.office.limits import limited
from audit.office.office import Office
from audit.office.places import fetch
from audit.office.unusual import BASE, SIGNS, Finding
from audit.v1 import audit_pb2 as pb
from clients.sdk.asking import How
from serving.errors import RequestError, Violation

_FIRST: Final = datetime.min.replace(tzinfo=UTC)


class Findings:
    """Lists them."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def list_unusual(
        self, request: pb.ListUnusualRequest, how: How
    ) -> pb.ListUnusualResponse:
        """A page of what was found in a period of at most 31 days, the latest first.

        Without an end it ends now, without a beginning it has the longest length.

        Raises:
            RequestError: something can't be asked.
            Denied: no.
            TooMuchError: the period is too long for the entries in it.
        """
        wrong: list[Violation] = []
        size = wire.page_size(request.page_size, default=50, most=200, wrong=wrong)
        since, until = wire.period(request, wrong)
        end = until or self._office.clock()
        begin = since or _before(end)
        if since is not None and until is None and since >= end:
            wrong.append(("from", "not earlier than now", "give an earlier instant"))
        if end - begin > BASE:
            wrong.append(("from", f"more than {BASE.days} days", "ask for shorter periods"))
        for place, sign in enumerate(request.signs):
            if sign not in SIGNS:
                cure = f"one of {', '.join(SIGNS)}"
                wrong.append((f"signs[{place}]", f"`{hint(sign)}`", cure))
        if wrong:
            raise RequestError(wrong)
        signs = [sign for sign in SIGNS if sign in request.signs or not request.signs]
        asked = {"signs": signs, "from": _text(since), "until": _text(until)}
        of = repr(asked).encode()
        after = cursor.read(request.cursor, of=of)
        look = await self._office.asking.look_into_log(
            wire.asker(request, how), "list_unusual", asked
        )
        hidden = self._office.handles if look.pseudonymised else None
        found, behind = await asyncio.to_thread(self._page, signs, begin, end, size, after, hidden)
        return pb.ListUnusualResponse(
            look=wire.look(look),
            standing=wire.standing(self._office.standing()),
            found=found,
            cursor=cursor.write(behind, of=of) if behind else "",
        )

    def _page(  # noqa: PLR0917 - what was asked
        self,
        signs: list[str],
        begin: datetime,
        end: datetime,
        size: int,
        after: Position | None,
        hidden: Handles | None,
    ) -> tuple[list[pb.Unusual], Position | None]:
        with self._office.index.connect() as conn, limited(conn):
            found = unusual.find(conn, signs, begin=micros(begin), end=micros(end))
            rest = [one for one in found if after is None or one.key < after]
            page = rest[:size]
            places = [unusual.places(conn, one) for one in page]
        with self._office.log.connect() as log:
            stored = fetch(log, [place for each in places for place in each])
        shown = []
        for one, each in zip(page, places, strict=True):
            entries = [stored[place] for place in each if place in stored]
            known = [entry.entry for entry in entries if entry.erased is None]
            # Whether a subject is a professional the index does not say.
            if not known or known[0].get("subject", {}).get("kind") != "professional":
                continue
            shown.append(_message(one, hidden))
            shown[-1].professional.CopyFrom(wire.who(known[0], hidden=hidden))
            if one.patient:
                patient = known[0].get("patient", "")
                shown[-1].patient = hidden.pseudonym(patient) if hidden else patient
            shown[-1].decision_ids.extend(entry["id"] for entry in known)
        return shown, Position(*page[-1].key) if len(rest) > size else None


def _message(of: Finding, hidden: Handles | None) -> pb.Unusual:
    made = pb.Unusual(
        sign=of.sign,
        fr=wire.veiled(of.said.fr, hidden),
        en=wire.veiled(of.said.en, hidden),
        until=wire.stamp(instant(of.end)),
        accesses=of.accesses,
    )
    getattr(made, "from").FromDatetime(instant(of.begin))
    return made


def _before(end: datetime) -> datetime:
    """Where the longest period begins that ends then."""
    return end - BASE if end - _FIRST > BASE else _FIRST


def _text(at: datetime | None) -> str:
    return rfc3339(at) if at else ""
