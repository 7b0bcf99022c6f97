"""Reads a request field by field, and tells all that is wrong with it at once. Pure."""

from collections.abc import Callable
from typing import Final, TypeVar

from audit.office.asking import Asker
from clients.sdk import Subject
from serving.errors import RequestError, Violation

NOBODY: Final = Asker(subject=Subject(kind="", id=""))
"""In place of who asks, while a request is looked at that does not say."""

Value = TypeVar("Value")


class Given:
    """A request that is being read.

    Attributes:
        wrong: what is wrong with it so far.
    """

    def __init__(self) -> None:
        self.wrong: list[Violation] = []

    def read(self, reading: Callable[[], Value], otherwise: Value) -> Value:
        """What a part says, or something else in its place where it is wrong."""
        try:
            return reading()
        except RequestError as exc:
            self.wrong += exc.violations
            return otherwise

    def check(self) -> None:
        """Raises RequestError if anything was wrong."""
        if self.wrong:
            raise RequestError(self.wrong)
