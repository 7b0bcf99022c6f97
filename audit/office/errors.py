"""What can go wrong in the auditor's office; what the log itself shows stands in `audit.errors`."""

from audit.errors import Error


class OfficeError(Error):
    """Base of every error that this room raises on purpose."""


class UnknownError(OfficeError):
    """There is nothing of this name: no such decision, no such case."""


class NotPossibleError(OfficeError):
    """It can't be done as things stand, such as closing a case that is closed."""


class NotReadyError(OfficeError):
    """The index does not hold it yet, or can't be read now."""


class LateError(OfficeError):
    """Not all was done in the time that a call gets."""


class TooMuchError(OfficeError):
    """A question to the index takes too long; it was given up.

    Attributes:
        limit_s: after how many seconds.
    """

    def __init__(self, limit_s: float) -> None:
        super().__init__(
            f"no answer within {limit_s:g} s: narrow the question, such as by a period, a patient or a"
            " professional"
        )
        self.limit_s = limit_s
