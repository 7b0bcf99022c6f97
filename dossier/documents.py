"""What callers do with documents: each procedure from its request to its answer.

Every one of them goes the same way: read the request, find the label, ask the gate, spend the permit in the
store. Nothing here touches a document; nothing in the store decides.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from clients.sdk.asking import How
from dossier import wire
from dossier.deposits import Checker, as_judged, check_replacement, inheriting
from dossier.errors import StaleError
from dossier.gate import Asker, Gate
from dossier.model import Act, Draft, Label, Shown, Status
from dossier.permit import Permit
from dossier.store import Store
from dossier.v1 import dossier_pb2 as pb
from serving.errors import RequestError

MAX_PAGE: Final = 200
PAGE: Final = 20
PATHWAY: Final = 1_000
ATTEMPTS: Final = 3
"""How often a request is decided again when the document changed between its decision and its use."""

ACTS: Final = {
    pb.ACT_MASK: Act.MASK,
    pb.ACT_UNMASK: Act.UNMASK,
    pb.ACT_SHOW_TO_PATIENT: Act.SHOW_TO_PATIENT,
    pb.ACT_SHOW_TO_REPRESENTATIVES: Act.SHOW_TO_REPRESENTATIVES,
    pb.ACT_HIDE_FROM_PATIENT: Act.HIDE_FROM_PATIENT,
    pb.ACT_ARCHIVE: Act.ARCHIVE,
    pb.ACT_UNARCHIVE: Act.UNARCHIVE,
    pb.ACT_DELETE: Act.DELETE,
}

_ALL: Final = (Status.APPROVED, Status.DEPRECATED, Status.ARCHIVED)
_NOWHERE: Final = "unknown"
"""Asked about when there is no document to ask about; no document is called so."""

Result = TypeVar("Result")


class Documents:
    """The procedures of `dossier.v1.DocumentService`."""

    def __init__(self, gate: Gate, store: Store, checker: Checker) -> None:
        self._gate = gate
        self._store = store
        self._checker = checker

    async def submit(self, request: pb.SubmitRequest, how: How) -> pb.SubmitResponse:
        """Deposits all documents of a request, or none."""
        asker = wire.asker(request, how)
        drafts = await asyncio.to_thread(self._checker.check, asker, tuple(request.deposits))

        async def attempt() -> tuple[tuple[Permit, ...], tuple[Label, ...]]:
            permits, kept = await self._permit_all(asker, drafts)
            return permits, await asyncio.to_thread(
                self._store.submit, permits, asker.patient, kept
            )

        permits, labels = await _again(attempt)
        answer = pb.SubmitResponse(ruling=wire.ruling(permits[0]))
        for permit, label in zip(permits, labels, strict=True):
            answer.deposited.add(
                document=label.id,
                unique_id=label.unique_id,
                space=label.space,
                decision_id=permit.decision,
            )
        return answer

    async def list(self, request: pb.ListRequest, how: How) -> pb.ListResponse:
        """One page of the documents that may be seen."""
        asker = wire.asker(request, how)
        size = wire.page_size(request.page_size, default=PAGE, most=MAX_PAGE)
        search = wire.search(request.search, statuses=(Status.APPROVED,))
        permit = await self._gate.permit_list(asker)
        page = await asyncio.to_thread(
            self._store.list, permit, asker.patient, search, size=size, after=request.cursor
        )
        return pb.ListResponse(
            ruling=wire.ruling(permit),
            documents=map(wire.label, page.shown),
            cursor=page.next,
            limits=_limits(permit),
        )

    async def read_pathway(
        self, request: pb.ReadPathwayRequest, how: How
    ) -> pb.ReadPathwayResponse:
        """The documents that may be seen, by month of act."""
        asker = wire.asker(request, how)
        search = wire.search(request.search, statuses=_ALL)
        permit = await self._gate.permit_list(asker)
        page = await asyncio.to_thread(
            self._store.pathway, permit, asker.patient, search, limit=PATHWAY
        )
        months: dict[str, list[Shown]] = defaultdict(list)
        for shown in page.shown:
            months[f"{shown.label.act_from:%Y-%m}"].append(shown)
        return pb.ReadPathwayResponse(
            ruling=wire.ruling(permit),
            months=(
                pb.Month(month=month, documents=map(wire.label, found))
                for month, found in months.items()
            ),
            partial=page.partial,
            limits=_limits(permit),
        )

    async def read(self, request: pb.ReadRequest, how: How) -> pb.ReadResponse:
        """One document with its bytes."""
        asker = wire.asker(request, how)
        document = _named(request.document)

        async def attempt() -> pb.ReadResponse:
            label = await asyncio.to_thread(self._store.label, asker.patient, document)
            permit = await self._gate.permit_on(asker, "document.read", document, label)
            of, particulars, content = await asyncio.to_thread(
                self._store.body, permit, asker.patient, document
            )
            shown = Shown(label=of, particulars=particulars)
            return pb.ReadResponse(
                ruling=wire.ruling(permit), label=wire.label(shown), content=content
            )

        return await _again(attempt)

    async def change(self, request: pb.ChangeRequest, how: How) -> pb.ChangeResponse:
        """Does something to a document that leaves its bytes alone."""
        asker = wire.asker(request, how)
        document = _named(request.document)
        act = ACTS.get(request.act)
        if act is None:
            cure = f"one of {', '.join(pb.Act.Name(number) for number in ACTS)}"
            raise RequestError([("act", "missing or unknown", cure)])

        async def attempt() -> pb.ChangeResponse:
            label = await asyncio.to_thread(self._store.label, asker.patient, document)
            permit = await self._gate.permit_on(asker, act.value, document, label)
            changed = await asyncio.to_thread(
                self._store.change, permit, asker.patient, document, act
            )
            return pb.ChangeResponse(ruling=wire.ruling(permit), entry=changed.entry)

        return await _again(attempt)

    async def locate(self, request: pb.LocateRequest, how: How) -> pb.LocateResponse:
        """Our id of a document, by its producer's."""
        asker = wire.asker(request, how)
        if not request.unique_id:
            raise RequestError([("unique_id", "missing", "give the document's own id")])
        label = await asyncio.to_thread(
            self._store.label_by_unique_id, asker.patient, request.unique_id
        )
        document = label.id if label else _NOWHERE
        permit = await self._gate.permit_on(asker, "document.locate", document, label)
        found = await asyncio.to_thread(self._store.locate, permit, asker.patient, document)
        return pb.LocateResponse(ruling=wire.ruling(permit), document=found)

    async def _permit_all(
        self, asker: Asker, drafts: Sequence[Draft]
    ) -> tuple[tuple[Permit, ...], tuple[Draft, ...]]:
        """A permit for each draft, and the drafts as they were judged; or an error: one has none."""
        fresh = [draft.label for draft in drafts if not draft.label.replaces]
        granted = await self._gate.permit_each(asker, "document.deposit", fresh) if fresh else ()
        left = iter(granted)
        permits, kept = [], []
        for draft in drafts:
            if not draft.label.replaces:
                permits.append(next(left))
                kept.append(draft)
                continue
            old = draft.label.replaces
            standing = await asyncio.to_thread(self._store.label, asker.patient, old)
            new = inheriting(standing, draft) if standing else draft
            judged = as_judged(standing, new.label) if standing else None
            permits.append(await self._gate.permit_on(asker, "document.replace", old, judged))
            if standing:
                check_replacement(standing, draft)
            kept.append(new)
        return tuple(permits), tuple(kept)


async def _again(attempt: Callable[[], Awaitable[Result]]) -> Result:
    """Decides anew when the document changed between its decision and its use."""
    for _ in range(ATTEMPTS - 1):
        try:
            return await attempt()
        except StaleError:
            continue
    return await attempt()


def _limits(permit: Permit) -> tuple[str, ...]:
    """The reasons for which a list may leave documents out, whether or not there are such documents."""
    if permit.condition is None:
        return ()
    return tuple(dict.fromkeys(clause.reason_code for clause in permit.condition.deny))


def _named(document: str) -> str:
    if not document:
        raise RequestError([("document", "missing", "give the document's id, as a list shows it")])
    return document
