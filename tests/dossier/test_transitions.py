"""What each act makes of a label, in each status."""

import pytest

from dossier.errors import TransitionError
from dossier.model import Act, Status, Visibility
from dossier.transitions import changed
from tests.dossier.world import label

FLAGS = {
    Act.MASK: Visibility(masked=True),
    Act.HIDE_FROM_PATIENT: Visibility(hidden_from_patient=True),
}
LIFTED = {
    Act.UNMASK: Visibility(masked=True),
    Act.SHOW_TO_PATIENT: Visibility(hidden_from_patient=True),
    Act.SHOW_TO_REPRESENTATIVES: Visibility(hidden_from_representatives=True),
}
STANDING = (Status.APPROVED, Status.DEPRECATED, Status.ARCHIVED)
STATUSES = {
    (Status.APPROVED, Act.ARCHIVE): Status.ARCHIVED,
    (Status.APPROVED, Act.UNARCHIVE): Status.APPROVED,
    (Status.APPROVED, Act.DELETE): Status.DELETED,
    (Status.ARCHIVED, Act.ARCHIVE): Status.ARCHIVED,
    (Status.ARCHIVED, Act.UNARCHIVE): Status.APPROVED,
    (Status.ARCHIVED, Act.DELETE): Status.DELETED,
    (Status.DEPRECATED, Act.DELETE): Status.DELETED,
    (Status.DELETED, Act.DELETE): Status.DELETED,
}


@pytest.mark.parametrize("status", STANDING)
@pytest.mark.parametrize("act", FLAGS)
def test_keeping_from(act, status):
    """A document is kept from someone in whatever status it stands, and nothing else of it changes."""
    before = label(status=status)

    after = changed(before, act)

    assert FLAGS[act] == after.visibility
    assert after == label(**{**_fields(before), "visibility": FLAGS[act]})
    assert changed(after, act) is after


@pytest.mark.parametrize("status", STANDING)
@pytest.mark.parametrize("act", LIFTED)
def test_showing(act, status):
    """What kept a document from someone is lifted; what keeps it from others stays."""
    everyone = Visibility(masked=True, hidden_from_patient=True, hidden_from_representatives=True)
    before = label(status=status, visibility=everyone)

    after = changed(before, act)

    assert set(LIFTED[act].codes) == set(everyone.codes) - set(after.visibility.codes)
    assert changed(after, act) is after


@pytest.mark.parametrize(("status", "act"), STATUSES)
def test_statuses(status, act):
    """A document is archived, brought back and deleted; what is so already stays the very same."""
    before = label(status=status)

    after = changed(before, act)

    assert STATUSES[status, act] is after.status
    assert (after is before) is (status is after.status)


@pytest.mark.parametrize("act", [Act.ARCHIVE, Act.UNARCHIVE])
def test_replaced_versions_do_not_come_back(act):
    """A version that was replaced is neither archived nor made current again."""
    with pytest.raises(
        TransitionError, match="`deprecated`: do it to the version that replaced it"
    ):
        changed(label(status=Status.DEPRECATED), act)


@pytest.mark.parametrize("act", set(Act) - {Act.DELETE})
def test_deleted_documents_stay_deleted(act):
    """Nothing is done to a document that was deleted."""
    with pytest.raises(
        TransitionError, match=f"`{act}` can't be done .* `deleted`: deposit it again"
    ):
        changed(label(status=Status.DELETED), act)


def test_every_act_is_tried():
    """No act is left out here."""
    assert set(Act) == {*FLAGS, *LIFTED, *(act for _, act in STATUSES)}


def _fields(of):
    return {name: getattr(of, name) for name in of.__dataclass_fields__}
