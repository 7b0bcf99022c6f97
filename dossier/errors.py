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


class KeysError(Error):
    """A patient's key, or what is sealed with it, can't be used; nothing of it was read or written."""


class KeyMissingError(KeysError):
    """There is no key of this patient, and nothing says that there ever was one."""


class KeyDestroyedError(KeysError):
    """The patient's key was destroyed: what it sealed is gone for good, and none takes its place."""


class MasterError(KeysError):
    """The master keys can't be used as they lie there."""


class SealError(KeysError):
    """What is stored can't be opened: it was altered or moved, or sealed with another key."""


class StaleError(Error):
    """The document changed between the decision and its use; nothing was done. Decide again."""


class DuplicateError(Error):
    """A document with this unique id is in the record already; nothing was deposited.

    Attributes:
        place: of the deposit, from 0.
    """

    def __init__(self, place: int) -> None:
        self.place = place
        super().__init__(
            f"deposits[{place}].content: its unique id is in the record already:"
            " give a new version an id of its own, and say what it replaces"
        )


class ReplacedError(Error):
    """What is to be replaced can't be; nothing was deposited.

    Attributes:
        place: of the deposit, from 0.
    """

    def __init__(self, place: int, why: str, remedy: str) -> None:
        self.place = place
        super().__init__(f"deposits[{place}].replaces: {why}: {remedy}")


class TransitionError(Error):
    """What is to be done to a document makes no sense in its status; nothing was changed."""

    def __init__(self, action: str, status: str, remedy: str) -> None:
        super().__init__(f"`{action}` can't be done to a document that is `{status}`: {remedy}")


class ConditionError(Error):
    """A decision asks something of documents that the record does not know; nothing was read."""


class ListingError(Error):
    """What the database found is not what the decision permits; nothing was shown."""


class PasswordError(Error):
    """A password is not the one that is stored."""


class SendError(Error):
    """A notice could not be sent.

    Attributes:
        about_recipient: whether it is about this recipient, so that others can be sent to.
        final: whether trying again makes no sense.
    """

    def __init__(self, why: str, *, about_recipient: bool = False, final: bool = False) -> None:
        self.about_recipient = about_recipient
        self.final = final
        super().__init__(why)
