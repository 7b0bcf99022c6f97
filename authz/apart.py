"""The decider in a process of its own, joined to the door by a socket that both hold.

The door spends its processor on the network, the decider spends its own on deciding; and what comes
from the network is taken apart by a process that holds neither the registry nor the log.

One message at a time goes each way: four bytes of length, then a tuple of plain values (`marshal`,
which is fast; both ends are the same program). When one process ends, so does the other: the decider
at once, and the door starts another decider with the next probe.
"""

import asyncio
import marshal
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final

import structlog

from audit.errors import Error as AuditError
from authz.batch import Activation
from authz.bundle import Summary, restore
from authz.decider import Decider, Item, Outcome, Report
from authz.errors import Error, UnavailableError, UnreachableError, UnrecordableError
from authz.procedures import Answered, Asked
from authz.product import DMP
from serving.errors import Error as ServingError
from serving.errors import RequestError
from serving.memory import settle
from serving.servicelog import configure
from storage.errors import DatabaseError
from storage.errors import Error as StorageError

_LENGTH: Final = 4
_BUFFER: Final = 1 << 22
CLOSE_S: Final = 2.0
"""A decider that has nothing to do any more, and has not ended after so long, is stuck: it is killed."""

_OPEN, _RUN, _PROBE = "open", "run", "probe"
_DONE, _REFUSED = "done", "refused"
_REFUSALS: Final[dict[str, type[Error | StorageError]]] = {
    "DatabaseError": DatabaseError,
    "UnrecordableError": UnrecordableError,
    "UnavailableError": UnavailableError,
    "UnreachableError": UnreachableError,
}

_log = structlog.get_logger("authz.apart")


class Apart:
    """A decider in a process of its own, as the loop sees it."""

    def __init__(self, *, database: str, origin: str) -> None:
        """Prepares the process.

        Args:
            database: where registry and log are, as `Decider.open` takes it.
            origin: the name of the log.
        """
        self._database, self._origin = database, origin
        self._content = b""
        self._process: subprocess.Popen[bytes] | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def start(self) -> None:
        """Starts the process, which then gets ready for `open` by itself."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - ourselves; it takes a millisecond
                [sys.executable, "-P", "-m", "authz.apart", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self._streams = await asyncio.open_connection(sock=ours, limit=_BUFFER)

    async def open(self, content: bytes, *, yields: bool = False) -> None:
        """Opens database and log; it decides when this returns.

        Args:
            content: the bundle that decides at first.
            yields: decide rather under what is active on the database, if anything is.

        Raises:
            DatabaseError: the database or the log can't be used.
            UnavailableError: the process ended.
        """
        self._content = content
        await self._ask((_OPEN, self._database, self._origin, self._content, yields))

    async def run(self, items: Sequence[Item]) -> Report:
        """As `Decider.run`."""
        await self._restart()
        plain = [
            (item.bundle.content, item.cause) if isinstance(item, Activation) else tuple(item)
            for item in items
        ]
        answer = await self._ask((_RUN, plain))
        for item in items:
            if isinstance(item, Activation):
                self._content = item.bundle.content
        outcomes, summary, revision, read_at = answer
        return Report(list(map(_outcome, outcomes)), Summary(*summary), revision, read_at)

    async def probe(self) -> None:
        """As `Decider.probe`; starts the process again when it has ended."""
        await self._restart()
        await self._ask((_PROBE,))

    async def close(self) -> None:
        """Lets the process end."""
        self._hang_up()
        if self._process is not None:
            await asyncio.to_thread(_end, self._process)
            self._process = None

    def _hang_up(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _restart(self) -> None:
        if self._streams is None:
            _log.warning("decider_started_again")
            await self.close()
            try:
                await self.start()
                await self.open(self._content, yields=True)
            except DatabaseError as exc:
                raise UnavailableError(str(exc)) from exc

    async def _ask(self, what: tuple[Any, ...]) -> Any:  # noqa: ANN401 - plain values, by the kind of question
        if self._streams is None:
            raise UnavailableError("the decider has ended")
        reader, writer = self._streams
        try:
            writer.write(_framed(what))
            length = int.from_bytes(await reader.readexactly(_LENGTH))
            kind, *rest = marshal.loads(await reader.readexactly(length))  # noqa: S302 - from our own process
        except (OSError, asyncio.IncompleteReadError) as exc:
            self._hang_up()
            raise UnavailableError("the decider has ended") from exc
        except BaseException:  # an answer that nobody waits for would be taken for the next one's
            self._hang_up()
            raise
        if kind == _REFUSED:
            name, text = rest
            raise _REFUSALS[name](text)
        return rest


def _end(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(CLOSE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _framed(what: tuple[Any, ...]) -> bytes:
    data = marshal.dumps(what)
    return len(data).to_bytes(_LENGTH) + data


def _outcome(plain: Any) -> Outcome:  # noqa: ANN401 - plain values from the other process
    """What `_plain` made of an outcome, back."""
    if plain is None:
        return None
    return Answered(*plain) if isinstance(plain, tuple) else RequestError(plain)


def _plain(outcome: Outcome) -> object:
    if isinstance(outcome, RequestError):
        return list(outcome.violations)
    return None if outcome is None else tuple(outcome)


class Servant:
    """The other end: a decider that answers the door until that is gone."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end.makefile("rwb")
        self._decider: Decider | None = None

    def serve(self) -> None:
        """Answers one message after the other."""
        while head := self._end.read(_LENGTH):
            question, *rest = marshal.loads(self._end.read(int.from_bytes(head)))  # noqa: S302 - from our own process
            try:
                answer = (_DONE, *self._answer(question, rest))
            except (Error, AuditError, ServingError, StorageError) as exc:
                name = type(exc).__name__
                answer = (_REFUSED, name if name in _REFUSALS else "DatabaseError", str(exc))
            self._end.write(_framed(answer))
            self._end.flush()
        if self._decider is not None:
            self._decider.close()

    def _answer(self, question: str, rest: list[Any]) -> tuple[Any, ...]:
        if question == _OPEN:
            database, origin, content, yields = rest
            bundle = restore(content, DMP)
            self._decider = Decider.open(
                database=database, origin=origin, bundle=bundle, yields=yields
            )
            settle()
            return ()
        if self._decider is None:
            raise UnavailableError("the decider is not open")
        if question == _PROBE:
            self._decider.probe()
            return ()
        (items,) = rest
        report = self._decider.run([_item(*item) for item in items])
        outcomes = list(map(_plain, report.outcomes))
        return outcomes, tuple(report.bundle), report.revision, report.read_at


def _item(*values: Any) -> Item:  # noqa: ANN401 - plain values from the other process
    if len(values) == len(Asked._fields):
        return Asked(*values)
    content, cause = values
    return Activation(restore(content, DMP), cause)


def main() -> None:
    """Serves the door that holds the other end of the socket with the number given."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the door is asked to stop, and closes the socket
    configure()
    try:
        with socket.socket(fileno=int(sys.argv[1])) as end:
            Servant(end).serve()
    except OSError:
        os._exit(1)  # the door was killed in the middle of a message


if __name__ == "__main__":
    main()
