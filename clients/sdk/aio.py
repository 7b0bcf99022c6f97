"""The asynchronous client, of one event loop: `from clients.sdk import aio`.

As `clients.sdk.client`, with `await`. What is not awaited was not asked: so hold the permit in your hands
before you go on, as `guarded` makes you.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Unpack

from authz.v1 import authz_pb2 as pb
from clients.sdk import filterwire, wire
from clients.sdk.aiocaller import Duty
from clients.sdk.aioregistrar import AioRegistrar
from clients.sdk.asking import TIMEOUT_S, How, shares
from clients.sdk.condition import Filtered
from clients.sdk.filterpermit import FilterPermit, terms_of
from clients.sdk.line import AioLine
from clients.sdk.permit import Denied, Permit
from clients.sdk.procedures import CHECK, CHECK_BATCH, EXPLAIN, FILTER
from clients.sdk.security import Security
from clients.sdk.values import NORMAL, Context, Decision, Effect, Explanation, Query, Subject

__all__ = ["Client", "Duty", "connect"]


def connect(
    address: str,
    security: Security,
    *,
    timeout_s: float = TIMEOUT_S,
    duties: Mapping[str, Duty] | None = None,
) -> "Client":
    """A client of the decision point at an address. Nothing is connected before the first call.

    Args:
        address: HOST:PORT or unix:/PATH.
        security: `Tls(...)`; or `PLAIN`, on this machine only.
        timeout_s: seconds for a call, with all repetitions.
        duties: what carries out obligations, by their names; one that raises leaves no permit.

    Raises:
        SettingsError: something of this can't be used.
    """
    return Client(AioLine(address, security), timeout_s=timeout_s, duties=duties)


class Client(AioRegistrar):
    """Asks the decision point.

    `require` is for whoever is about to do something, `check` for whoever wants to know. All methods raise an
    `Error` when there is no answer; `timeout_s`, `token` and `traceparent` may be given to each.
    """

    async def require(
        self, query: Query, *, supports: Collection[str] = (), **how: Unpack[How]
    ) -> Permit:
        """A permit; duties have been carried out by then.

        Args:
            query: what is about to be done.
            supports: the obligations that whoever holds the permit will carry out.
            how: see `How`.

        Raises:
            Denied: no.
            UnfulfilledError: yes, but a duty failed.
        """
        return await self._permit(query, await self.check(query, **how), supports)

    async def require_each(
        self, queries: Sequence[Query], *, supports: Collection[str] = (), **how: Unpack[How]
    ) -> tuple[Permit | Denied, ...]:
        """A permit or the denial for each, in one call a thousand.

        Raises:
            UnfulfilledError: a duty failed; nobody gets a permit.
        """
        decisions = await self.check_all(queries, **how)
        answers: list[Permit | Denied] = []
        try:
            for query, decision in zip(queries, decisions, strict=True):
                answers.append(await self._permit_or_denied(query, decision, supports))
        except BaseException:
            for answer in answers:
                if isinstance(answer, Permit):
                    answer.drop()
            raise
        return tuple(answers)

    async def check(self, query: Query, **how: Unpack[How]) -> Decision:
        """The decision, to be looked at."""
        answer = await self._call(CHECK, wire.check_request(query), how)
        return wire.decision(answer.decision)

    async def check_all(self, queries: Sequence[Query], **how: Unpack[How]) -> tuple[Decision, ...]:
        """Decisions by position, in one call a thousand, within one deadline for all.

        Of each call all decisions are on record, or none is. When one fails, no later one is made and there
        is no answer at all, though those of the calls before are on record.
        """
        requests = wire.batch_requests(queries)
        decisions: list[Decision] = []
        for request, share in zip(requests, shares(how, self.timeout_s), strict=False):
            answer = await self._call(CHECK_BATCH, request, share)
            decisions += wire.decisions(answer, len(request.checks))
        return tuple(decisions)

    async def explain(
        self, query: Query, *, language: str = "fr", **how: Unpack[How]
    ) -> Explanation:
        """The decision, and why, in `fr` or `en`."""
        request = pb.ExplainRequest(check=wire.check_request(query), language=language)
        return wire.explanation(await self._call(EXPLAIN, request, how))

    async def require_filter(
        self,
        subject: Subject,
        action: str,
        patient: str,
        *,
        context: Context = NORMAL,
        supports: Collection[str] = (),
        **how: Unpack[How],
    ) -> FilterPermit:
        """A permit for those of a patient's documents that meet its condition, by one decision.

        A list is an access: duties have been carried out by then, also those that a document on the list
        could bring. A document that brings what neither a duty nor the holder can carry out is not admitted.

        Args:
            subject: who is about to see the documents.
            action: `document.list` or `document.read`.
            patient: INS of whose dossier it is.
            context: the circumstances.
            supports: the obligations that whoever holds the permit will carry out.
            how: see `How`.

        Raises:
            Denied: no, or no document could be shown on terms that can be kept here.
            UnfulfilledError: yes, but a duty failed.
        """
        query = Query(subject=subject, action=action, patient=patient, context=context)
        answer = filterwire.filter_answer(
            await self._call(FILTER, filterwire.filter_request(query), how)
        )
        terms = terms_of(answer.condition, {*self._duties, *supports})
        permit = await self._permit(
            query, answer.decision, supports, more=terms.more, lacking=terms.lacking
        )
        return FilterPermit(permit, terms.condition)

    async def filter(
        self,
        subject: Subject,
        action: str,
        patient: str,
        *,
        context: Context = NORMAL,
        **how: Unpack[How],
    ) -> Filtered:
        """Which of a patient's documents may be shown, to be looked at; nothing is carried out.

        Raises:
            Denied: none of them.
        """
        query = Query(subject=subject, action=action, patient=patient, context=context)
        answer = filterwire.filter_answer(
            await self._call(FILTER, filterwire.filter_request(query), how)
        )
        if answer.decision.effect is not Effect.ALLOW:
            raise Denied(query, answer.decision)
        return Filtered(decision=answer.decision, condition=answer.condition)
