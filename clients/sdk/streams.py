"""The answers of one call as they come over the line, each waited for with a limit."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Generic

import grpc

from clients.sdk.errors import DeadlineError, Error, FailedError, UnavailableError
from clients.sdk.retry import Response
from clients.sdk.status import translate


class LineStream(Generic[Response]):
    """The answers of one call; for one thread, and another may close it."""

    def __init__(self, call: Any, address: str, give_back: Callable[[], None]) -> None:  # noqa: ANN401 - as grpc returns it
        self._call = call
        self._address = address
        self._give_back = give_back
        self._lock = threading.Lock()
        self._closed = False

    def read(self, timeout_s: float) -> Response | None:
        """The next answer; None when there are no more.

        Raises:
            Error: it failed, nothing came in time, or it was closed.
        """
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._call.cancel()

        timer = threading.Timer(timeout_s, give_up)  # gRPC itself waits for a message without end
        timer.daemon = True
        timer.start()
        try:
            answer: Response = next(self._call)
        except StopIteration:
            return None
        except grpc.RpcError as exc:
            if late.is_set():
                raise _silent(self._address, timeout_s) from exc
            raise translate(exc, self._address) from exc
        finally:
            timer.cancel()
        return answer

    def close(self) -> None:
        """Ends the call at once."""
        with self._lock:
            closed, self._closed = self._closed, True
        self._call.cancel()
        if not closed:
            self._give_back()


class AioLineStream(Generic[Response]):
    """The answers of one call, asynchronously; for one task, and another may close it."""

    def __init__(
        self,
        call: Any,  # noqa: ANN401 - as grpc returns it
        kind: type[Response],
        address: str,
        give_back: Callable[[], Awaitable[None]],
    ) -> None:
        self._call = call
        self._kind = kind
        self._address = address
        self._give_back = give_back
        self._closed = False

    async def read(self, timeout_s: float) -> Response | None:
        """The next answer; None when there are no more.

        Raises:
            Error: it failed, nothing came in time, or it was closed.
        """
        task = asyncio.current_task()
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._call.read()
        except TimeoutError as exc:
            raise _silent(self._address, timeout_s) from exc
        except grpc.RpcError as exc:
            raise translate(exc, self._address) from exc
        except asyncio.CancelledError:
            if task is not None and task.cancelling():
                raise
            # It is the call that was cancelled: by `close`, or with its channel.
            raise UnavailableError(f"`{self._address}`: closed") from None
        if answer is grpc.aio.EOF:
            return None
        if not isinstance(answer, self._kind):  # gRPC gives None for what it can't read
            raise FailedError(f"`{self._address}`: the answer can't be read")
        return answer

    async def close(self) -> None:
        """Ends the call at once."""
        closed, self._closed = self._closed, True
        self._call.cancel()
        if not closed:
            await self._give_back()


def _silent(address: str, seconds: float) -> Error:
    return DeadlineError(f"`{address}` has said nothing for {seconds:g} s")
