"""What becomes of a label when something is done to its document. Pure."""

from dataclasses import replace
from typing import Final

from dossier.errors import TransitionError
from dossier.model import Act, Label, Status

_FLAGS: Final = {
    Act.MASK: ("masked", True),
    Act.UNMASK: ("masked", False),
    Act.SHOW_TO_PATIENT: ("hidden_from_patient", False),
    Act.SHOW_TO_REPRESENTATIVES: ("hidden_from_representatives", False),
    Act.HIDE_FROM_PATIENT: ("hidden_from_patient", True),
}


def changed(label: Label, act: Act) -> Label:
    """The label afterwards, with its old entry; the same one when it is so already.

    Raises:
        TransitionError: that can't be done to a document of its status.
    """
    if label.status is Status.DELETED and act is not Act.DELETE:
        raise TransitionError(act, label.status, "deposit it again, with an id of its own")
    if act in _FLAGS:
        name, value = _FLAGS[act]
        if getattr(label.visibility, name) is value:
            return label
        return replace(label, visibility=replace(label.visibility, **{name: value}))
    wanted = _status(label, act)
    return label if wanted is label.status else replace(label, status=wanted)


def _status(label: Label, act: Act) -> Status:
    """The status afterwards. A version that was replaced must not become the current one again."""
    if act is Act.DELETE:
        return Status.DELETED
    if label.status is Status.DEPRECATED:
        raise TransitionError(act, label.status, "do it to the version that replaced it")
    return Status.ARCHIVED if act is Act.ARCHIVE else Status.APPROVED
