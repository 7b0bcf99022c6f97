"""What can go wrong when a decision is asked for. None of it is ever a permit.

`Denied` is not among these: it is an answer, and stands in `clients.sdk.permit`.
"""

from collections.abc import Iterable
from typing import NamedTuple, Self


class Error(Exception):
    """Base of every error of this package: there is no answer, so nothing is permitted."""


class SettingsError(Error):
    """A client can't be made or used as it was told to."""


class Violation(NamedTuple):
    """One thing that is wrong with a request."""

    field: str
    problem: str


class InvalidError(Error):
    """The request is malformed: nothing was decided, and asking again is no use.

    Attributes:
        violations: field by field what is wrong, and the remedy.
    """

    def __init__(self, message: str, violations: tuple[Violation, ...] = ()) -> None:
        super().__init__(message)
        self.violations = violations

    @classmethod
    def of(cls, field: str, problem: str) -> Self:
        """The error for one field."""
        return cls(f"{field}: {problem}", (Violation(field, problem),))


class UnauthenticatedError(Error):
    """The decision point does not believe who we are, or whom the token names.

    Attributes:
        reason: stable code, such as `CERTIFICATE_REVOKED` or `TOKEN_EXPIRED`; "" if it gave none.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class UnavailableError(Error):
    """Nobody answers there, or nothing can be decided now.

    Attributes:
        reason: stable code of the decision point, such as `NOT_RECORDED`; "" if it was not reached.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class DeadlineError(UnavailableError):
    """There was no answer in time. A decision may be on record all the same."""


class AheadError(Error):
    """The registry has not reached the revision that is to be watched from: it was restored from a backup.

    Forget what was read from it, and watch again from 0.
    """


class OverloadedError(Error):
    """Too many are asking.

    Attributes:
        retry_after_s: seconds after which it makes sense to ask again; 0 if that was not said.
    """

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class FailedError(Error):
    """The decision point failed on this request, or gave an answer that is none: tell its operator."""


class UnfulfilledError(Error):
    """What had to be done with a permit was not done, so it must not be used.

    Attributes:
        obligations: their names.
        decision_id: under which it is on record.
    """

    def __init__(self, message: str, obligations: Iterable[str], decision_id: str) -> None:
        super().__init__(message)
        self.obligations = tuple(obligations)
        self.decision_id = decision_id
