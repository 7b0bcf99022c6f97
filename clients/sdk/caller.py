"""What all calls of the synchronous client have in common: how they are made, and what a decision brings."""

from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import Self

from clients.sdk.asking import TIMEOUT_S, How, check_duties, metadata
from clients.sdk.permit import Denied, Obligation, Permit, conclude, shared_out
from clients.sdk.procedures import Procedure
from clients.sdk.retry import Request, Response, Transport, call, check_timeout
from clients.sdk.values import Decision, Query

Duty = Callable[[Obligation], None]


class Caller:
    """Calls over a transport, with duties that are carried out."""

    def __init__(
        self,
        transport: Transport,
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

    def close(self) -> None:
        """Closes the connection; what is under way is ended."""
        self._transport.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the connection."""
        self.close()

    def _permit(
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
                self._duties[obligation.name](obligation)
            except Exception as exc:  # noqa: BLE001 - whatever it is, it is not done
                failed.append(obligation.name)
                cause = exc
        return conclude(
            query, decision, mine=mine, nobody=(*nobody, *lacking), failed=failed, cause=cause
        )

    def _permit_or_denied(
        self, query: Query, decision: Decision, supports: Collection[str]
    ) -> Permit | Denied:
        try:
            return self._permit(query, decision, supports)
        except Denied as exc:
            return exc

    def _call(
        self, procedure: Procedure[Request, Response], request: Request, how: How
    ) -> Response:
        timeout_s = how.get("timeout_s", self._timeout_s)
        return call(
            self._transport, procedure, request, timeout_s=timeout_s, metadata=metadata(how)
        )
