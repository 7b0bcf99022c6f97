"""Errors of the authz room: one family, each message names the field, the value and the remedy.

A denial is not here: it is an answer, not an error.
"""

from collections.abc import Iterable

from authz.mistake import Mistake
from serving.errors import RequestError


class Error(Exception):
    """Base of every error that this room raises on purpose."""


class BundleError(Error):
    """A policy folder is no bundle.

    Attributes:
        mistakes: everything that is wrong with it, in the order of files and lines.
    """

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(set(mistakes)))
        count = len(self.mistakes)
        first = f", the first: {self.mistakes[0]}" if self.mistakes else ""
        super().__init__(f"{count} mistake{'s' if count != 1 else ''} in the policies{first}")


class FormlessError(Error):
    """What a rule asks of a document can't be said of labels; no bundle with such a rule loads."""


class UnavailableError(Error):
    """The decision could not be put on durable record, so there is none."""


class UnreachableError(UnavailableError):
    """The same, because the database can't be reached or used."""


class UnrecordableError(Error):
    """The record can be written, but not this request: a mistake of ours, so there is no decision."""


class OverloadedError(Error):
    """So many requests wait already that this one was not taken; nothing was decided."""


class LateError(Error):
    """The caller's time was over before there was an answer; an entry may be in the log all the same."""


class RegistryError(Error):
    """Base of what goes wrong around the state of patients."""


class ChangeError(RegistryError):
    """A change makes no sense in the state that it meets, whoever asks for it.

    The message never holds the patient's or a representative's identity.

    Attributes:
        field: the field of the change that is at fault.
        value: what the field holds, "" when it must not be repeated.
        remedy: what to do instead.
    """

    def __init__(self, *, field: str, value: str = "", problem: str, remedy: str) -> None:
        self.field = field
        self.value = value
        self.remedy = remedy
        quoted = f" `{value}`" if value else ""
        super().__init__(f"{field}{quoted} {problem}: {remedy}")

    def as_request(self) -> RequestError:
        """The same, told of a request that asks for such a change."""
        return RequestError([(f"change.{self.field}", str(self), "")])


class AheadError(RegistryError):
    """A revision is asked for that the registry has not reached: it was restored from a backup."""


class InsError(Error):
    """A patient number, or what it would be computed from, breaks a rule of `authz.ins`.

    The message never holds a number, a name or a date of the person.

    Attributes:
        failures: each broken rule with what is wrong, the first broken one first.
    """

    def __init__(self, *failures: tuple[str, str]) -> None:
        self.failures = failures
        super().__init__("; ".join(f"{rule}: {detail}" for rule, detail in failures))

    @property
    def rule(self) -> str:
        """The first broken rule, a value of `authz.ins.Rule`."""
        return self.failures[0][0]


class TokenError(Error):
    """A token of an end user is not accepted, or could not be issued.

    The message never holds a number, a name or a token.

    Attributes:
        reason: why, a value of `authz.token.Reason`.
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        super().__init__(f"{reason}: {detail}")
