"""When to ask again: only what may be asked twice, only when nobody answered, few times, within the deadline.

No hedging: a second question while the first is under way would be a second record for nothing.
"""

import asyncio
import secrets
import time
from typing import Final, Protocol, TypeVar

from google.protobuf.message import Message

from clients.sdk.errors import (
    DeadlineError,
    Error,
    OverloadedError,
    SettingsError,
    UnavailableError,
)
from clients.sdk.procedures import Procedure

ATTEMPTS: Final = 4
FIRST_PAUSE_S: Final = 0.03

Metadata = tuple[tuple[str, str], ...]
Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


Heard_co = TypeVar("Heard_co", bound=Message, covariant=True)


class Stream(Protocol[Heard_co]):
    """The answers of one call, as they come. Closed once, and then again at will."""

    def read(self, timeout_s: float) -> Heard_co | None:
        """The next answer, waited for so long; None when the stream has ended well.

        Raises:
            Error: it has not, or nothing came in time, or it was closed.
        """
        ...

    def close(self) -> None:
        """Ends it at once, from whichever thread."""
        ...


class AioStream(Protocol[Heard_co]):
    """The same, asynchronously."""

    async def read(self, timeout_s: float) -> Heard_co | None:
        """As `Stream.read`."""
        ...

    async def close(self) -> None:
        """Ends it at once."""
        ...


class Transport(Protocol):
    """Carries one call, once. Every failure is an `Error` of this package."""

    def once(
        self,
        procedure: Procedure[Request, Response],
        request: Request,
        *,
        timeout_s: float,
        metadata: Metadata,
    ) -> Response:
        """The answer.

        Raises:
            Error: there is none.
        """
        ...

    def stream(
        self,
        procedure: Procedure[Request, Response],
        request: Request,
        *,
        timeout_s: float,
        metadata: Metadata,
    ) -> Stream[Response]:
        """The answers, for so long at most; nothing is waited for yet.

        Raises:
            Error: there are none.
        """
        ...

    def close(self) -> None:
        """Ends what is under way, and takes no more."""
        ...


class AioTransport(Protocol):
    """The same, asynchronously."""

    async def once(
        self,
        procedure: Procedure[Request, Response],
        request: Request,
        *,
        timeout_s: float,
        metadata: Metadata,
    ) -> Response:
        """As `Transport.once`."""
        ...

    def stream(
        self,
        procedure: Procedure[Request, Response],
        request: Request,
        *,
        timeout_s: float,
        metadata: Metadata,
    ) -> AioStream[Response]:
        """As `Transport.stream`."""
        ...

    async def close(self) -> None:
        """Lets what is under way end, and takes no more."""
        ...


def call(
    transport: Transport,
    procedure: Procedure[Request, Response],
    request: Request,
    *,
    timeout_s: float,
    metadata: Metadata = (),
) -> Response:
    """The answer within so many seconds in all, asked for again where that is safe.

    Raises:
        Error: there is none.
    """
    end = time.monotonic() + check_timeout(timeout_s)
    for attempt in range(1, ATTEMPTS + 1):
        left = max(end - time.monotonic(), 0.0)
        try:
            return transport.once(procedure, request, timeout_s=left, metadata=metadata)
        except Error as exc:
            pause_s = _pause_s(exc, procedure, request, attempt)
            if pause_s is None or pause_s >= end - time.monotonic():
                raise
        time.sleep(pause_s)
    raise AssertionError("the last attempt returns or raises")


async def call_aio(
    transport: AioTransport,
    procedure: Procedure[Request, Response],
    request: Request,
    *,
    timeout_s: float,
    metadata: Metadata = (),
) -> Response:
    """As `call`."""
    end = time.monotonic() + check_timeout(timeout_s)
    for attempt in range(1, ATTEMPTS + 1):
        left = max(end - time.monotonic(), 0.0)
        try:
            return await transport.once(procedure, request, timeout_s=left, metadata=metadata)
        except Error as exc:
            pause_s = _pause_s(exc, procedure, request, attempt)
            if pause_s is None or pause_s >= end - time.monotonic():
                raise
        await asyncio.sleep(pause_s)
    raise AssertionError("the last attempt returns or raises")


def check_timeout(timeout_s: float) -> float:
    """The timeout, if it is one: there is no call without.

    Raises:
        SettingsError: it is none.
    """
    given: object = timeout_s  # None, too, as a careless caller may
    if not isinstance(given, int | float) or not 0 < timeout_s < float("inf"):
        raise SettingsError(f"`{timeout_s}` is no timeout: give seconds, more than 0")
    return timeout_s


def _pause_s(
    error: Error, procedure: Procedure[Request, Response], request: Request, attempt: int
) -> float | None:
    """How long to wait before asking again; None not to."""
    # What carries a request id is done once, however often it comes.
    repeatable = procedure.repeatable or bool(getattr(request, "request_id", ""))
    if not repeatable or attempt >= ATTEMPTS or isinstance(error, DeadlineError):
        return None
    asked_s = 0.0
    if isinstance(error, OverloadedError):
        asked_s = error.retry_after_s
    elif not isinstance(error, UnavailableError):
        return None
    longest_ms = int(FIRST_PAUSE_S * 1000 * 2 ** (attempt - 1))
    # Between half and all of it, so that those who failed together don't come back together.
    return asked_s + (longest_ms - secrets.randbelow(longest_ms // 2 + 1)) / 1000
