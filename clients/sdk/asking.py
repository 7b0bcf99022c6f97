"""What the synchronous and the asynchronous client have in common: how a call may be made."""

import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Final, TypedDict

from clients.sdk.errors import DeadlineError, SettingsError
from clients.sdk.retry import Metadata, check_timeout
from clients.sdk.values import Query, Subject

TIMEOUT_S: Final = 0.5
ACTIVATION_S: Final = 30.0
WATCHING: Final = Query(subject=Subject(kind="service", id=""), action="registry.watch")
"""What is asked by watching; which service it is, the decision point knows by itself."""

TOKEN_KEY: Final = "dmp-subject"  # noqa: S105 - the name of a metadata key
TRACE_KEY: Final = "traceparent"


class How(TypedDict, total=False):
    """How a call is to be made.

    Attributes:
        timeout_s: seconds for it, with all repetitions; the client's if left out.
        token: the signed token of the end user, from whoever identified him.
        traceparent: of the call that this one is part of (W3C).
    """

    timeout_s: float
    token: str
    traceparent: str


def metadata(how: How) -> Metadata:
    """What goes along with a call.

    Raises:
        SettingsError: a token or trace that no header can carry.
    """
    given = {TOKEN_KEY: how.get("token", ""), TRACE_KEY: how.get("traceparent", "")}
    for key, value in given.items():
        if not (value.isascii() and (value.isprintable() or not value)):
            raise SettingsError(f"`{key}` must be printable ASCII")
    return tuple((key, value) for key, value in given.items() if value)


def traced(how: How) -> How:
    """The same, of a trace: one is begun where there is none (W3C Trace Context)."""
    if how.get("traceparent"):
        return how
    return {**how, "traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"}


def shares(how: How, timeout_s: float) -> Iterator[How]:
    """How each of several calls is to be made that have one deadline together.

    Raises:
        DeadlineError: there is no time left for the next.
    """
    end = time.monotonic() + check_timeout(how.get("timeout_s", timeout_s))
    while True:
        left_s = end - time.monotonic()
        if left_s <= 0:
            raise DeadlineError("no time left for all the calls: give more, or ask for less")
        yield {**how, "timeout_s": left_s}


def check_duties(duties: Mapping[str, object]) -> None:
    """Raises SettingsError if a duty is nothing to call."""
    for name, duty in duties.items():
        if not callable(duty):
            raise SettingsError(f"duty `{name}` can't be called: give a function of one obligation")
