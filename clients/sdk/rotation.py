"""The channel in use, made anew when the certificate's files have changed.

gRPC for Python can't replace the certificate of a channel. So there is a new channel for the calls to come,
and the old one is closed when its last call has ended. Files that can't be used, as when only one of
two has been replaced yet, change nothing: the channel that there is stays, and the files are looked at again.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import grpc

from clients.sdk.errors import SettingsError
from clients.sdk.security import Plain, Security, Signature, credentials, signature

LOOK_EVERY_S: Final = 1.0

Channel = TypeVar("Channel")
Make = Callable[[grpc.ChannelCredentials | None], Channel]

_log = logging.getLogger("dmp.sdk")


class Held(Generic[Channel]):
    """A channel, and how many calls are on it."""

    __slots__ = ("calls", "channel", "retired")

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.calls = 0
        self.retired = False


class Rotation(Generic[Channel]):
    """Lends the channel for each call. Threads may share it.

    Raises:
        SettingsError: the files can't be used at the start.
    """

    def __init__(
        self, security: Security, make: Make[Channel], *, clock: Callable[[], float]
    ) -> None:
        self._security = security
        self._make = make
        self._clock = clock
        self._lock = threading.Lock()
        self._seen = signature(security)
        self._looked = clock()
        self._told: Signature = ()
        self._idle: list[Channel] = []
        self._closed = False
        self._held = Held(self._new())

    def borrow(self) -> Held[Channel]:
        """The channel for one call; every loan is given back.

        Raises:
            SettingsError: the client has been closed.
        """
        with self._lock:
            if self._closed:
                raise SettingsError("the client is closed")
            self._look()
            self._held.calls += 1
            return self._held

    def give_back(self, held: Held[Channel]) -> list[Channel]:
        """Ends a loan; the channels that nobody needs any more, to be closed."""
        with self._lock:
            held.calls -= 1
            if held.retired and not held.calls:
                self._idle.append(held.channel)
            idle, self._idle = self._idle, []
            return idle

    def close(self) -> list[Channel]:
        """Lends nothing any more; the channels to be closed."""
        with self._lock:
            idle, self._idle = self._idle, []
            if not self._closed:
                idle.append(self._held.channel)
            self._closed = True
            return idle

    def _look(self) -> None:
        now = self._clock()
        if isinstance(self._security, Plain) or now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        found = signature(self._security)
        if found == self._seen:
            return
        try:
            fresh = Held(self._new())
        except SettingsError as exc:
            if found != self._told:
                _log.warning("certificate not replaced, the one before is used: %s", exc)
            self._told = found
            return
        self._seen = found
        old, self._held = self._held, fresh
        old.retired = True
        if not old.calls:
            self._idle.append(old.channel)
        _log.info("certificate replaced")

    def _new(self) -> Channel:
        security = self._security
        return self._make(None if isinstance(security, Plain) else credentials(security))
