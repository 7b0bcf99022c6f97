"""The desk of questions: pages of entries, counts, entries as they come, one entry.

Each look is decided before anything is read: without a patient entries are shown by pseudonym, with one they
are shown in clear and the look stands in that patient's own trace.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final
from uuid import UUID

from audit.office import casefile, counting, cursor, filters, single, wire
from audit.office.asking import Look
from audit.office.cases import case_id
from audit.office.counting import Facet
from audit.office.filters import Filter
from audit.office.gained import EMERGENCIES
from audit.office.given import NOBODY, Given
from audit.office.looking import PORTION, Looking, begun
from audit.office.places import Place
from audit.office.shown import Shown
from audit.reader import Stored
from audit.v1 import audit_pb2 as pb
from clients.sdk.asking import How

PAGE: Final = 50
MOST: Final = 1_000
MOST_PAGES: Final = 10_000
POLL_S: Final = 0.25
_LANGUAGES: Final = ("", "fr", "en")


class Queries(Looking):
    """What can be asked of the log."""

    async def query(self, request: pb.QueryRequest, how: How) -> AsyncIterator[pb.QueryResponse]:
        """Entries that meet a filter, page by page.

        Raises:
            RequestError: what is asked is malformed.
            Denied: no.
            TooMuchError: it takes too long to find them.
        """
        given, asker, asked = begun(request, how)
        size = wire.page_size(request.page_size, default=PAGE, most=MOST, wrong=given.wrong)
        if not 0 <= request.pages <= MOST_PAGES:
            given.wrong.append(("pages", f"`{request.pages}`", f"1 to {MOST_PAGES}, or 0 for 1"))
        question = asked.canonical() + (b"+" if request.ascending else b"-")
        given.check()  # else the cursor is of another question
        after = cursor.read(request.cursor, of=question)
        look = await self._look(asker, "query", asked)
        for _ in range(request.pages or 1):
            page = await asyncio.to_thread(
                self._browser.page, asked, size=size, after=after, ascending=request.ascending
            )
            stored = [one.stored for one in page.seen]
            shown = await asyncio.to_thread(self._fitting, stored, look)
            cut = len(shown) < len(page.seen)
            after = page.seen[len(shown) - 1].position if cut else page.after
            yield pb.QueryResponse(
                look=wire.look(look),
                standing=wire.standing(self._office.standing()),
                entries=shown,
                cursor=cursor.write(after, of=question) if after is not None else "",
            )
            if after is None:
                return

    async def count(self, request: pb.CountRequest, how: How) -> pb.CountResponse:
        """How many entries meet a filter.

        Raises:
            RequestError: what is asked is malformed.
            Denied: no.
            TooMuchError: it takes too long to count them.
        """
        given, asker, asked = begun(request, how)
        facets = tuple(dict.fromkeys(request.facets))
        for name in facets:
            if name not in counting.FACETS:
                cure = f"one of {', '.join(counting.FACETS)}"
                given.wrong.append(("facets", f"unknown: `{filters.hint(name)}`", cure))
        given.check()
        look = await self._look(asker, "count", asked, facets=list(facets))
        counted, known = await asyncio.to_thread(self._browser.count, asked, facets)
        named = {place: self._shown(one, look) for place, one in known.items()}
        return pb.CountResponse(
            look=wire.look(look),
            standing=wire.standing(self._office.standing()),
            total=counted.total,
            facets=[_facet(facet, named) for facet in counted.facets],
        )

    async def follow(self, request: pb.FollowRequest, how: How) -> AsyncIterator[pb.QueryResponse]:
        """Entries as the index takes them in; the first answer comes at once, without any.

        Raises:
            RequestError: what is asked is malformed.
            Denied: no.
        """
        given, asker, asked = begun(request, how)
        given.check()
        look = await self._look(asker, "follow", asked)
        since = await asyncio.to_thread(self._browser.ends)
        yield pb.QueryResponse(
            look=wire.look(look), standing=wire.standing(self._office.standing())
        )
        while True:
            await asyncio.sleep(POLL_S)
            found = await asyncio.to_thread(self._browser.gained, asked, since, size=PORTION)
            while found:
                shown = await asyncio.to_thread(self._fitting, found, look)
                del found[: len(shown)]
                yield pb.QueryResponse(
                    look=wire.look(look),
                    standing=wire.standing(self._office.standing()),
                    entries=shown,
                )

    async def show(self, request: pb.ShowRequest, how: How) -> pb.ShowResponse:
        """One entry with its reasons and its proof.

        Raises:
            RequestError: what is asked is malformed.
            Denied: no.
            UnknownError: there is none.
        """
        given = Given()
        asker = given.read(lambda: wire.asker(request, how), NOBODY)
        given.read(lambda: single.read(request.id), None)
        if request.language not in _LANGUAGES:
            wrong = f"unknown: `{filters.hint(request.language)}`"
            given.wrong.append(("language", wrong, "fr or en"))
        given.check()
        stored, patient = None, ""
        if request.identify:
            stored = await asyncio.to_thread(single.find, self._office, request.id)
            patient = single.concerned(stored)
        look = await self._look(asker, "show", Filter(patient=patient), id=request.id)
        if stored is None:
            stored = await asyncio.to_thread(single.found, self._office, request.id)
        seen = self._shown(stored, look)
        answer = await asyncio.to_thread(single.told, self._office, seen, stored)
        await asyncio.to_thread(self._name_cases, [answer.entry])
        answer.replayed.CopyFrom(await asyncio.to_thread(self._replayer.replayed, stored))
        answer.look.CopyFrom(wire.look(look))
        answer.standing.CopyFrom(wire.standing(self._office.standing()))
        return answer

    def _fitting(self, stored: Sequence[Stored], look: Look) -> list[pb.Entry]:
        """Of several as many entries as a message takes, one at least; each with the case that it is of."""
        shown = wire.fitting(self._shown(one, look).message() for one in stored)
        self._name_cases(shown)
        return shown

    def _name_cases(self, shown: Sequence[pb.Entry]) -> None:
        accesses = {UUID(one.id).bytes: one for one in shown if one.mode in EMERGENCIES}
        if accesses:
            with self._office.index.connect() as conn:
                found = casefile.cases_of(conn, accesses)
            for id_, case in found.items():
                accesses[id_].case = case_id(case)


def _facet(facet: Facet, known: Mapping[Place, Shown]) -> pb.Facet:
    made = pb.Facet(name=facet.name, others=facet.others)
    for value in facet.values:
        text = value.text
        if value.place is not None and value.place in known:
            subject = known[value.place].entry.get("subject", {})
            id_, structure = subject.get("id", ""), subject.get("structure", "")
            text = id_ if facet.name == "subject" else structure
        made.values.add(value=text, count=value.count)
    return made
