"""What can go wrong in the auditor's office; what the log itself shows stands in `audit.errors`."""

from audit.errors import Error


class OfficeError(Error):
    """Base of every error that this room raises on purpose."""


class StrangerError(OfficeError):
    """The calling service may not call here."""


class UnknownError(OfficeError):
    """There is nothing of this name: no such decision, no such case."""


class NotPossibleError(OfficeError):
    """It can't be done as things stand, such as closing a case that is closed."""


class NotReadyError(OfficeError):
    """The index does not hold it yet, or can't be read now."""
