"""What can go wrong in the archive."""


class Error(Exception):
    """Base of every error of this package."""


class NotFoundError(Error):
    """There is no such image."""
