"""As `clients.sdk.caller`, asynchronously."""

import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping
from types import TracebackType
from typing import Self

from clients.sdk.asking import TIMEOUT_S, How, check_duties, metadata
from clients.sdk.permit import Denied, Obligation, Permit, conclude, shared_out
from clients.sdk.procedures import Procedure
from clients.sdk.retry import AioTransport, Request, Response, call_aio, check_timeout
from clients.sdk.values import Decision, Query

Duty = Callable[[Obligation], Awaitable[None] | None]


class AioCaller:
    """Calls over a transport, with duties that are carried out."""

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

    async def _permit(
        self,
        query: Query,
        decision: Decision,
        supports: Collection[str],
        *,
        more: Collection[str] = (),
        lacking: Collection[str] = (),
    ) -> Permit:
        """The permit that a decision is, with more to do than it says, or what nobody can."""
        due, mine, nobody = shared_out(query, decision, self._duties, supports, more)
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
        return conclude(
            query, decision, mine=mine, nobody=(*nobody, *lacking), failed=failed, cause=cause
        )

    async def _permit_or_denied(
        self, query: Query, decision: Decision, supports: Collection[str]
    ) -> Permit | Denied:
        try:
            return await self._permit(query, decision, supports)
        except Denied as exc:
            return exc

    async def _call(
        self, procedure: Procedure[Request, Response], request: Request, how: How
    ) -> Response:
        timeout_s = how.get("timeout_s", self._timeout_s)
        return await call_aio(
            self._transport, procedure, request, timeout_s=timeout_s, metadata=metadata(how)
        )
