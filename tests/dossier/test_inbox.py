"""The notices in the portal: to whom they are shown, and to whom not."""

from datetime import timedelta

import pytest

from clients.sdk.values import NORMAL
from dossier.errors import PermitError
from dossier.notices import Kind
from dossier.records import record
from serving.errors import RequestError
from tests.dossier.town import (
    BREAK_GLASS,
    HOLDER,
    MOTHER,
    OTHER_DOCTOR,
    SECRETLY,
    contact,
)
from tests.dossier.world import DOCTOR, JEAN, NOW, PHILIPPE

WITHHOLD = ("withhold_secret_entries",)


@pytest.fixture
def do(town):
    """Records an emergency access, some hours after NOW."""

    def act(hours, *, patient=JEAN, subject=DOCTOR, context=BREAK_GLASS, action="document.read"):
        permit = town.permit(action, patient, subject=subject, context=context)
        with town.writer.begin() as conn:
            record(conn, permit, at=NOW + timedelta(hours=hours), shown=1)
        return permit.decision

    return act


@pytest.fixture
def look(town):
    """Reads the notices about one patient."""

    def read(*, subject=HOLDER, obligations=(), patient=JEAN, **asked):
        permit = town.permit("trace.read", patient, subject=subject, obligations=obligations)
        return town.records.notices(permit, patient, **asked)

    return read


@pytest.fixture
def look_at_all(town):
    """Reads the notices about several patients, as their treating doctor."""

    def read(*patients, subject=OTHER_DOCTOR, **asked):
        permit = town.permit("patient.list", "", subject=subject)
        return town.records.notices(permit, patients=patients, **asked)

    return read


def test_holder_reads_who_did_what(look, do):
    """A holder reads what happened, when, and who did it."""
    decision = do(1)

    (notice,) = look().notices

    assert (Kind.EMERGENCY_ACCESS, JEAN, DOCTOR.id, decision) == (
        notice.kind,
        notice.patient,
        notice.actor.id,
        notice.decision,
    )
    assert (NOW + timedelta(hours=1), None, "") == (notice.at, notice.sent_at, notice.channel)


def test_what_is_waiting_was_not_sent(town, look, do):
    """A notice that waits to be sent names no channel yet."""
    town.create(contact=contact(phone=""))
    do(1)

    (notice,) = look().notices
    assert (None, "") == (notice.sent_at, notice.channel)


def test_newest_comes_first(look, do):
    """The latest notice stands first."""
    done = [do(1), do(3), do(2)]

    assert [done[1], done[2], done[0]] == [notice.decision for notice in look().notices]


def test_representative_sees_no_secret(look, do):
    """What was done in secret is left out for whom it is withheld."""
    secret = do(1, context=BREAK_GLASS.__class__(mode="bris_de_glace", secret_connection=True))
    kept = do(2)

    assert [kept] == [n.decision for n in look(subject=MOTHER, obligations=WITHHOLD).notices]
    assert [kept, secret] == [notice.decision for notice in look().notices]


def test_treating_doctor_reads_what_treating_doctors_were_told(look, do):
    """A professional who reads about one patient reads what treating doctors were told, not the holder's."""
    emergency = do(1)
    first = do(2, context=NORMAL, action="document.list")

    assert [emergency] == [n.decision for n in look(subject=OTHER_DOCTOR).notices]
    assert [first, emergency] == [n.decision for n in look().notices]


def test_treating_doctor_reads_of_all_patients(look_at_all, do):
    """A treating doctor reads of all of his patients, and of nobody else's."""
    one, two = do(1), do(2, patient=PHILIPPE)

    assert [two, one] == [n.decision for n in look_at_all(JEAN, PHILIPPE).notices]
    assert [one] == [n.decision for n in look_at_all(JEAN).notices]
    assert () == look_at_all().notices


def test_first_access_is_not_told_to_doctors(look_at_all, do):
    """What only the holder is told does not stand in a doctor's inbox."""
    do(1, context=NORMAL, action="document.list")
    do(2, context=SECRETLY, action="document.list")

    assert () == look_at_all(JEAN).notices


def test_holder_is_shown_nobody_elses(look, do):
    """What happened in another dossier is not shown."""
    do(1, patient=PHILIPPE)

    assert () == look().notices


def test_reading_is_recorded(town, look, look_at_all):
    """To read notices is on record."""
    look()
    town.clock.seconds += 1
    look_at_all(JEAN)

    assert [("trace.read", "allow"), ("patient.list", "allow")] == town.acts()


def test_permit_for_all_does_not_open_one(town, do):
    """A permit for the dashboard does not show one patient's notices, nor the other way round."""
    do(1)

    with pytest.raises(PermitError):
        town.records.notices(town.permit("patient.list", ""), JEAN)
    with pytest.raises(PermitError):
        town.records.notices(town.permit("trace.read"), patients=(JEAN,))


@pytest.mark.parametrize("size", [1, 2, 5, 6, 50])
def test_pages_hold_everything_once(look, do, look_at_all, size):
    """Pages one after the other show every notice once, also those of one instant."""
    done = {do(hours, subject=who) for hours in range(3) for who in (DOCTOR, OTHER_DOCTOR)}
    for read in (look, lambda **asked: look_at_all(JEAN, **asked)):
        seen, cursor = [], ""
        while True:
            page = read(size=size, after=cursor)
            seen += [notice.decision for notice in page.notices]
            cursor = page.next
            if not cursor:
                break

        assert (6, done) == (len(seen), set(seen))


def test_cursor_is_of_one_question(look, look_at_all, do):
    """A cursor of the holder's inbox is none of a representative's or a doctor's."""
    do(1)
    do(2)
    cursor = look(size=1).next

    with pytest.raises(RequestError, match="cursor"):
        look(after=cursor, subject=MOTHER)
    with pytest.raises(RequestError, match="cursor"):
        look_at_all(JEAN, after=cursor)
