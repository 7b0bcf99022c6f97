"""The desk of files: what a filter finds in forms that others read; and entries decided again."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Final

from audit.office import filters, single, wire
from audit.office.asking import Look
from audit.office.cursor import Position
from audit.office.export import FORMATS
from audit.office.filters import Filter
from audit.office.looking import PORTION, Looking, begun
from audit.office.policies import Policies
from audit.office.replaying import Tally
from audit.office.shown import Shown
from audit.reader import Stored
from audit.v1 import audit_pb2 as pb
from clients.sdk.asking import How

MOST_IDS: Final = 1_000
MOST_BYTES: Final = 1 << 20
"""Of one piece of a file."""


class Files(Looking):
    """Goes through all that a filter finds, the earliest first."""

    async def export(self, request: pb.ExportRequest, how: How) -> AsyncIterator[pb.ExportResponse]:
        """What a filter finds as a file, the earliest first.

        Raises:
            RequestError: what is asked is malformed.
            Denied: no.
        """
        given, asker, asked = begun(request, how)
        if request.format not in FORMATS:
            wrong = f"unknown: `{filters.hint(request.format)}`"
            given.wrong.append(("format", wrong, f"one of {', '.join(FORMATS)}"))
        given.check()
        look = await self._look(asker, "export", asked, format=request.format)
        counter = _Counter()
        pieces = FORMATS[request.format](counter.counted(self._all(asked, look)))
        yield pb.ExportResponse(
            look=wire.look(look), standing=wire.standing(self._office.standing())
        )
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            for start in range(0, len(piece), MOST_BYTES):
                yield pb.ExportResponse(
                    piece=piece[start : start + MOST_BYTES], entries=counter.entries
                )
        yield pb.ExportResponse(entries=counter.entries)

    async def replay(self, request: pb.ReplayRequest, how: How) -> AsyncIterator[pb.ReplayResponse]:
        """Entries decided again, the earliest first: how many came out the same, and all that did not.

        Raises:
            RequestError: what is asked is malformed.
            Denied: no.
            UnknownError: there is no entry with one of the ids.
        """
        given, asker, asked = begun(request, how)
        if len(request.ids) > MOST_IDS:
            given.wrong.append(("ids", f"`{len(request.ids)}`", f"at most {MOST_IDS}"))
        if request.ids and asked != Filter():
            given.wrong.append(("filter", "`ids` are given, too", "give one of both"))
        for place, id_ in enumerate(request.ids[:MOST_IDS]):
            given.read(partial(single.read, id_, field=f"ids[{place}]"), None)
        given.check()
        ids = list(request.ids)
        look = await self._look(asker, "replay", asked, **({"ids": len(ids)} if ids else {}))
        tally = Tally()
        head = tally.told()
        head.look.CopyFrom(wire.look(look))
        head.standing.CopyFrom(wire.standing(self._office.standing()))
        yield head
        portions = self._named(ids) if ids else self._portions(asked)
        while (portion := await asyncio.to_thread(next, portions, None)) is not None:
            for one in await asyncio.to_thread(list, map(self._replayer.replayed, portion)):
                tally.add(one)
            yield tally.told()
        yield tally.told(done=True)

    def _named(self, ids: Sequence[str]) -> Iterator[Sequence[Stored]]:
        for id_ in ids:
            yield [single.found(self._office, id_)]

    def _portions(self, asked: Filter) -> Iterator[Sequence[Stored]]:
        """All that a filter finds, the earliest first."""
        after: Position | None = None
        while True:
            page = self._browser.page(asked, size=PORTION, after=after, ascending=True)
            yield [one.stored for one in page.seen]
            after = page.after
            if after is None:
                return

    def _all(self, asked: Filter, look: Look) -> Iterator[Shown]:
        known: dict[str, Policies | None] = {}
        for stored in chain.from_iterable(self._portions(asked)):
            digest: str = "" if stored.erased is not None else stored.entry.get("bundle", "")
            if digest not in known:
                known[digest] = self._policies(digest)
            yield self._shown(stored, look, known[digest])

    def _policies(self, digest: str) -> Policies | None:
        with self._office.log.connect() as log:
            return self._office.shelf.get(log, digest)


class _Counter:
    """Counts what passes through it."""

    def __init__(self) -> None:
        self.entries = 0

    def counted(self, of: Iterable[Shown]) -> Iterator[Shown]:
        for one in of:
            self.entries += 1
            yield one
