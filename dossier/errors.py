"""Errors of the dossier room: one family, each message names the place, what is wrong and the remedy.

No message holds a name, a patient's number or anything else of a document: it can be logged.
"""

from collections.abc import Iterable

from dossier.mistake import Mistake, told


class Error(Exception):
    """Base of every error that this room raises on purpose."""


class CdaError(Error):
    """A document is not taken.

    Attributes:
        mistakes: everything that is wrong with it, in the order in which it was found.
    """

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__(told(self.mistakes, "the document"))


class SchemaError(Error):
    """A folder of schemas can't be used to validate documents."""


class TypesError(Error):
    """The table of document types can't be read."""


class CardError(Error):
    """A carte Vitale can't be read, or what is on it is not what belongs there."""


class PermitError(Error):
    """What was about to be done is not what a permit is for; nothing was done."""


class DocumentUnavailableError(Error):
    """There is no such document, or nothing that this person may be told of it; which, is not told.

    Attributes:
        decision_id: of the denial, in the log.
    """

    def __init__(self, decision_id: str) -> None:
        self.decision_id = decision_id
        super().__init__(
            "no such document, or it is not open to this person: list the documents that are"
        )
