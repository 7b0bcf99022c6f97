"""The asynchronous client, of one event loop: `from clients.sdk import aio`.

As `clients.sdk.client`, with `await`. What is not awaited was not asked: so hold the permit in your hands
before you go on, as `guarded` makes you.
"""

import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Self, Unpack
from uuid import uuid4

from authz.v1 import authz_pb2 as pb
from clients.sdk import wire
from clients.sdk.asking import TIMEOUT_S, How, check_duties, metadata
from clients.sdk.changes import Change
from clients.sdk.errors import UnfulfilledError
from clients.sdk.line import AioLine
from clients.sdk.permit import Denied, Obligation, Permit, conclude, shared_out, unfulfilled
from clients.sdk.procedures import CHANGE, CHECK, CHECK_BATCH, EXPLAIN, Procedure
from clients.sdk.retry import AioTransport, Request, Response, call_aio, check_timeout
from clients.sdk.security import Security
from clients.sdk.values import NORMAL, Context, Decision, Explanation, Query, Subject

Duty = Callable[[Obligation], Awaitable[None] | None]


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


class Client:
    """Asks the decision point.

    `require` is for whoever is about to do something, `check` for whoever wants to know. All methods raise an
    `Error` when there is no answer; `timeout_s`, `token` and `traceparent` may be given to each.
    """

    def __init__(
        self,
        transport: AioTransport,
        *,
        timeout_s: float = TIMEOUT_S,
        duties: Mapping[str, Duty] | None = None,
    ) -> None:
        self._transport = transport
        self._timeout_s = check_timeout(timeout_s)
        self._duties = dict(duties or {})
        check_duties(self._duties)

    @property
    def timeout_s(self) -> float:
        """Seconds for a call that is not told otherwise."""
        return self._timeout_s

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
        """A permit or the denial for each, in one call.

        Raises:
            UnfulfilledError: a duty failed; nobody gets a permit.
        """
        decisions = await self.check_all(queries, **how)
        answers: list[Permit | Denied] = []
        for query, decision in zip(queries, decisions, strict=True):
            try:
                answers.append(await self._permit(query, decision, supports))
            except Denied as exc:
                answers.append(exc)
            except UnfulfilledError:
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
        """Decisions by position, in one call: up to 1,000; all are on record, or none is."""
        if not queries:
            return ()
        request = pb.CheckBatchRequest(checks=map(wire.check_request, queries))
        return wire.decisions(await self._call(CHECK_BATCH, request, how), len(queries))

    async def explain(
        self, query: Query, *, language: str = "fr", **how: Unpack[How]
    ) -> Explanation:
        """The decision, and why, in `fr` or `en`."""
        request = pb.ExplainRequest(check=wire.check_request(query), language=language)
        return wire.explanation(await self._call(EXPLAIN, request, how))

    async def change(
        self,
        subject: Subject,
        patient: str,
        change: Change,
        *,
        context: Context = NORMAL,
        request_id: str = "",
        supports: Collection[str] = (),
        **how: Unpack[How],
    ) -> Permit:
        """Makes a change of the registry, once; it has been made when this returns.

        Args:
            subject: who changes it.
            patient: INS of whose dossier it is.
            change: what is to be changed.
            context: the circumstances.
            request_id: of this change, to try it again later without making it twice; a new one if left out.
            supports: the obligations that whoever holds the permit will carry out.
            how: see `How`.

        Raises:
            Denied: it has not been made.
            UnfulfilledError: it has been made, but nobody here can do what must be done because of it.
        """
        request = wire.change_request(subject, patient, change, context)
        request.request_id = request_id or str(uuid4())
        answer = await self._call(CHANGE, request, how)
        query = Query(subject=subject, action=change.action, patient=patient, context=context)
        decision = wire.decision(answer.decision)
        try:
            return await self._permit(query, decision, supports)
        except Denied as exc:
            if exc.unsupported:
                raise unfulfilled(exc.unsupported, decision) from exc
            raise

    async def close(self) -> None:
        """Closes the connection; what is under way is ended."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the connection."""
        await self.close()

    async def _permit(self, query: Query, decision: Decision, supports: Collection[str]) -> Permit:
        due, mine, nobody = shared_out(query, decision, self._duties, supports)
        failed: list[str] = []
        cause: Exception | None = None
        for obligation in due:  # all of them, even when one fails or it is a denial
            try:
                done = self._duties[obligation.name](obligation)
                if inspect.isawaitable(done):
                    await done
            except Exception as exc:  # noqa: BLE001 - whatever it is, it is not done
                failed.append(obligation.name)
                cause = exc
        return conclude(query, decision, mine=mine, nobody=nobody, failed=failed, cause=cause)

    async def _call(
        self, procedure: Procedure[Request, Response], request: Request, how: How
    ) -> Response:
        timeout_s = how.get("timeout_s", self._timeout_s)
        return await call_aio(
            self._transport, procedure, request, timeout_s=timeout_s, metadata=metadata(how)
        )
