"""What can go wrong in a development authority."""


class Error(Exception):
    """Base of every error of this package."""


class InputError(Error):
    """Something that was given can't be used."""


class StandingError(Error):
    """What is there already stands in the way; nothing was changed."""
