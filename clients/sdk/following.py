"""Where a watch stands: what has been told, what is due next, and when to ask again. Neither IO nor clock.

A stream of the decision point lasts a quarter of an hour, and has a message at least every five seconds.
When it ends, or nothing is heard, it is asked for again from the last revision that was told. Each time the
decision point decides again, on record, so it is not asked in a hurry.
"""

import secrets
from collections import deque
from typing import Final

from authz.v1 import authz_pb2 as pb
from clients.sdk import reads, wire
from clients.sdk.errors import (
    Error,
    FailedError,
    OverloadedError,
    SettingsError,
    UnavailableError,
)
from clients.sdk.registry import Event
from clients.sdk.values import Decision

SILENCE_S: Final = 7.5
"""Nothing for so long is one heartbeat of five seconds missed."""

STREAM_S: Final = 960.0
"""The deadline of one stream, which ends by itself after 900 s."""

PATIENCE_S: Final = 60.0
"""After so long without a word the watch is given up, unless it is told otherwise."""

STEADY_S: Final = 10.0
"""A stream that has lasted so long is asked for again at once when it ends."""

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0


class Following:
    """One watch. Instants are seconds of a clock that never goes back.

    Attributes:
        revision: the last that was told.
        head: the revision that the registry was at when it was last heard of; 0 before.
        heard: when that was; at first, when the watch began.
    """

    def __init__(self, after: int, *, follow: bool, patience_s: float, now: float) -> None:
        """A watch from a revision on.

        Args:
            after: the last revision that is known; 0 for everything since the beginning.
            follow: go on when all that has happened is told.
            patience_s: give up after so long without a word; `math.inf` for never.
            now: the instant.

        Raises:
            InvalidError: this is no revision.
            SettingsError: this is no patience.
        """
        reads.watch_request(after)
        given: object = patience_s
        if not isinstance(given, int | float) or not given >= 0:
            raise SettingsError(f"patience_s: `{patience_s}`: give seconds, or math.inf")
        self.revision = after
        self.head = 0
        self.heard = now
        self._follow = follow
        self._patience_s = patience_s
        self._goal: int | None = None
        self._events: deque[Event] = deque()
        self._began: float | None = None
        self._attempts = 0

    def request(self) -> pb.WatchRequest:
        """What to ask for now."""
        self._began = None
        return reads.watch_request(self.revision)

    def begin(self, message: pb.WatchResponse | None, now: float) -> Decision:
        """The decision, which is the first message of a stream.

        Raises:
            FailedError: there is none.
        """
        if message is None:
            raise FailedError("the stream has ended without a decision")
        decided = wire.decision(message.decision)
        self._began = self.heard = now
        return decided

    def hear(self, message: pb.WatchResponse, now: float) -> None:
        """Takes a message in.

        Raises:
            FailedError: events are missing, doubled or out of order.
        """
        self.heard = now
        for event in map(reads.event, message.events):
            if event.revision != self._last + 1:
                raise FailedError(
                    f"revision `{event.revision}` is told after `{self._last}`: "
                    "none may be missing, and none told twice"
                )
            self._events.append(event)
        if message.head < self._last:
            raise FailedError(
                f"the registry is said to be at `{message.head}`, behind its own events"
            )
        self.head = message.head
        if self._goal is None:
            self._goal = message.head

    def next(self) -> Event | None:
        """The next event that is there to be told."""
        if not self._events:
            return None
        event = self._events.popleft()
        self.revision = event.revision
        return event

    @property
    def is_done(self) -> bool:
        """Whether all is told that is to be."""
        return not self._follow and self._goal is not None and self.revision >= self._goal

    def pause_s(self, error: Error | None, now: float) -> float:
        """How long to wait before the stream is asked for again, which ended with this error, or well.

        Raises:
            Error: as it is, when there is no use in asking again, or patience is at an end.
        """
        if error is not None and not isinstance(error, UnavailableError | OverloadedError):
            raise error
        if self._began is not None and now - self._began >= STEADY_S:
            self._attempts = 0
        longest_s = min(FIRST_PAUSE_S * 2**self._attempts, LONGEST_PAUSE_S)
        self._attempts = min(self._attempts + 1, 16)
        asked_s = error.retry_after_s if isinstance(error, OverloadedError) else 0.0
        # Between half and all of it, so that those who lost their streams together don't come back together.
        pause_s: float = asked_s + longest_s * (1 - secrets.randbelow(500) / 1000)
        if error is not None and now + pause_s - self.heard > self._patience_s:
            raise error
        return pause_s

    @property
    def _last(self) -> int:
        return self._events[-1].revision if self._events else self.revision
