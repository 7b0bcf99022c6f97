"""Cursors: they lead on in the list that gave them, and nowhere else."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.sdk.values import Subject
from dossier import cursor
from dossier.cursor import Position
from dossier.model import Search, Status
from serving.errors import RequestError
from tests.dossier.world import DOCTOR, JEAN, PHILIPPE

AT = Position(at=datetime(2026, 5, 4, 9, 30, 0, 123456, tzinfo=UTC), id="a-document")
ASKED = (JEAN, Search(), DOCTOR)


def test_leads_to_where_it_was():
    """A cursor leads back to the position that it was written for; an empty one to the beginning."""
    assert AT == cursor.read(cursor.write(AT, of=ASKED), of=ASKED)
    assert cursor.read("", of=ASKED) is None


def test_in_any_time_zone():
    """The instant is the same one, wherever it is told."""
    paris = replace(AT, at=AT.at.astimezone(timezone(timedelta(hours=2))))

    assert cursor.write(AT, of=ASKED) == cursor.write(paris, of=ASKED)


@pytest.mark.parametrize(
    "other",
    [
        (PHILIPPE, Search(), DOCTOR),
        *(
            (JEAN, search, DOCTOR)
            for search in (
                Search(author=DOCTOR.id),
                Search(since=date(2026, 1, 1)),
                Search(until=date(2026, 1, 1)),
                Search(spaces=("1",)),
                Search(types=("1",)),
                Search(statuses=(Status.ARCHIVED,)),
            )
        ),
        (JEAN, Search(), Subject(kind="patient", id=DOCTOR.id)),
        (JEAN, Search(), replace(DOCTOR, id="00B1038575")),
        (JEAN, Search(), replace(DOCTOR, structure="")),
    ],
)
def test_belongs_to_its_list(other):
    """A cursor of another patient, search or person is refused, and it is said why."""
    with pytest.raises(
        RequestError, match="cursor: belongs to another question; leave it out"
    ) as told:
        cursor.read(cursor.write(AT, of=ASKED), of=other)

    assert [field for field, *_ in told.value.violations] == ["cursor"]


def test_tells_no_number():
    """Neither the patient nor the person who asks can be read from it."""
    shown = cursor.write(AT, of=ASKED)
    opened = repr(urlsafe_b64decode(shown))

    for text in (JEAN, DOCTOR.id, DOCTOR.structure):
        assert text not in shown
        assert text not in opened


@given(st.text(max_size=600) | st.binary(max_size=200).map(lambda b: urlsafe_b64encode(b).decode()))
def test_whatever_is_sent(text):
    """Whatever is sent as a cursor is a position, or a clear error of the field `cursor`."""
    try:
        found = cursor.read(text, of=ASKED)
    except RequestError as exc:
        fields = [field for field, *_ in exc.violations]
    else:
        fields = ["cursor"] if (found is None) is (text == "") else []

    assert fields == ["cursor"]


@pytest.mark.parametrize("at", range(60))
def test_altered(at):
    """A cursor in which a byte was changed is refused, or leads into the same list."""
    content = bytearray(urlsafe_b64decode(cursor.write(AT, of=ASKED)))
    content[at % len(content)] ^= 0x55
    altered = urlsafe_b64encode(content).decode()

    try:
        found = cursor.read(altered, of=ASKED)
    except RequestError:
        return
    assert isinstance(found, Position)
