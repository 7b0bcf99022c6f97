"""Errors of the storage room."""


class Error(Exception):
    """Base of every error that this room raises on purpose."""


class ConflictError(Error):
    """Another writer changed what this one read since: do it again."""


class DatabaseError(Error):
    """The database can't be opened, is not one of ours, or can't keep the promise of durability."""
