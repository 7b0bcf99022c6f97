"""Calls that are made again while the service is busy: all that a population asks may be asked twice."""

import time
from dataclasses import dataclass
from typing import Final

from clients import sdk
from clients.cli.link import RefusedError, UnreachableError
from clients.cli.record.link import Record
from clients.sdk.procedures import Procedure
from clients.sdk.retry import Request, Response

ATTEMPTS: Final = 6
_PAUSE_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Asking:
    """A record that is asked patiently."""

    record: Record

    def ask(self, procedure: Procedure[Request, Response], request: Request) -> Response:
        """One call, again while the service is busy; everything asked here may be asked twice."""
        for attempt in range(ATTEMPTS):
            try:
                return self.record.ask(procedure, request)
            except UnreachableError as exc:
                busy = isinstance(exc.__cause__, sdk.OverloadedError | sdk.DeadlineError)
                if not busy or attempt == ATTEMPTS - 1:
                    raise
            except RefusedError as exc:
                if exc.reason_code != "CHANGED_MEANWHILE" or attempt == ATTEMPTS - 1:
                    raise
            time.sleep(_PAUSE_S * 2**attempt)
        raise AssertionError("the last attempt returns or raises")
