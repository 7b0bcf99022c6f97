"""The trace: complete for who may see it, silent on what is kept from them, and read page by page."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from clients.sdk.values import NORMAL, Subject
from dossier.model import Visibility
from dossier.records import record
from dossier.trace import Actor
from serving.errors import RequestError
from tests.dossier.town import (
    BREAK_GLASS,
    HOLDER,
    MOTHER,
    OTHER_DOCTOR,
    SECRETLY,
    query,
)
from tests.dossier.world import DOCTOR, JEAN, NOW, PHILIPPE, label

WITHHOLD = ("withhold_secret_entries",)


@pytest.fixture
def look(town):
    """Reads the trace of a patient, as the holder unless said otherwise."""

    def read(*, subject=HOLDER, obligations=(), patient=JEAN, **asked):
        permit = town.permit("trace.read", patient, subject=subject, obligations=obligations)
        return town.records.trace(permit, patient, **asked)

    return read


@pytest.fixture
def do(town):
    """Records an act, some minutes after NOW."""

    def act(minutes, action="document.read", *, of=None, patient=JEAN, shown=0, **how):
        permit = town.permit(action, patient, document=of.id if of else "", **how)
        with town.writer.begin() as conn:
            record(conn, permit, at=NOW + timedelta(minutes=minutes), label=of, shown=shown)
        return permit.decision

    return act


def test_entry_says_everything(town, look, do):
    """An entry tells who did what to which document, when, in which mode and why."""
    of = label()
    town.keep(of)
    who = replace(DOCTOR, name="Dr ESSAI", structure_name="Centre")
    decision = do(3, of=of, subject=who, context=BREAK_GLASS)

    (entry,) = look().traces

    actor = Actor(
        kind="professional",
        id=DOCTOR.id,
        name="Dr ESSAI",
        profession="10",
        structure=DOCTOR.structure,
        structure_name="Centre",
    )
    assert NOW + timedelta(minutes=3) == entry.at
    assert ("document.read", "allow", "AUTHORISED") == (
        entry.action,
        entry.effect,
        entry.reason_code,
    )
    assert actor == entry.actor
    assert (of.id, of.type, of.space, of.structure) == (
        entry.document,
        entry.type,
        entry.space,
        entry.origin,
    )
    assert ("bris_de_glace", "VITAL: coma", decision) == (entry.mode, entry.reason, entry.decision)


def test_newest_comes_first(look, do):
    """The latest entry stands first."""
    done = [do(minutes) for minutes in (1, 3, 2)]

    assert [done[1], done[2], done[0]] == [entry.decision for entry in look().traces]


def test_reading_is_traced(look):
    """Who read the trace stands in it."""
    look()

    (entry,) = look().traces
    assert ("trace.read", HOLDER.id) == (entry.action, entry.actor.id)


def test_refused_attempts_are_shown(town, look, do):
    """What was refused stands there too, and can be asked for alone."""
    do(-5)
    town.refused(query("document.read", OTHER_DOCTOR), reason="BLOCKED")

    (entry,) = look(refused=True).traces
    assert ("deny", "BLOCKED", OTHER_DOCTOR.id) == (
        entry.effect,
        entry.reason_code,
        entry.actor.id,
    )
    assert 3 == len(look().traces)


def test_nobody_elses_trace_is_shown(look, do):
    """What was done in another dossier is not shown."""
    do(1, patient=PHILIPPE)

    assert () == look().traces


@pytest.mark.parametrize(
    ("actor", "found"),
    [(DOCTOR.id, 2), (DOCTOR.structure, 2), (OTHER_DOCTOR.id, 1), ("x", 0), ("%", 0), ("a\0", 0)],
)
def test_actor_narrows(look, do, actor, found):
    """The trace of one professional, or of all of a structure."""
    do(1)
    do(2)
    do(3, subject=OTHER_DOCTOR)

    assert found == len(look(actor=actor).traces)


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [
        (date(2026, 5, 4), date(2026, 5, 4), [1, 2]),
        (date(2026, 5, 5), None, [3]),
        (None, date(2026, 5, 3), [0]),
        (None, None, [0, 1, 2, 3]),
        (date(1, 1, 1), date(9999, 12, 31), [0, 1, 2, 3]),
        (date(2026, 5, 6), date(2026, 5, 6), []),
    ],
)
def test_days_are_french_ones(town, look, since, until, found):
    """A day begins at midnight in France, two hours before UTC in summer."""
    instants = [
        datetime(2026, 5, 3, 21, 59, tzinfo=UTC),
        datetime(2026, 5, 3, 22, 0, tzinfo=UTC),
        datetime(2026, 5, 4, 21, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 5, 4, 22, 0, tzinfo=UTC),
    ]
    for at in instants:
        with town.writer.begin() as conn:
            record(conn, town.permit("document.list"), at=at)

    shown = look(since=since, until=until).traces

    assert [instants[place] for place in reversed(found)] == [entry.at for entry in shown]


def test_representative_sees_no_secret(town, look, do):
    """What was done in secret is left out for whom it is withheld, and shown to the holder."""
    hidden = label(visibility=Visibility(hidden_from_representatives=True))
    town.keep(hidden)
    do(1, context=SECRETLY)
    do(2, "document.deposit", of=label(secret=True))
    do(3, of=hidden)
    kept = do(4)

    withheld = look(subject=MOTHER, obligations=WITHHOLD).traces

    assert [kept] == [entry.decision for entry in withheld]
    assert 5 == len(look().traces)


HIDDEN = Visibility(hidden_from_patient=True)


@pytest.mark.parametrize(
    ("who", "visibility", "told"),
    [
        (HOLDER, Visibility(), True),
        (HOLDER, Visibility(masked=True), True),
        (HOLDER, HIDDEN, False),
        (HOLDER, Visibility(hidden_from_representatives=True), True),
        (MOTHER, Visibility(), True),
        (MOTHER, HIDDEN, False),
        (MOTHER, Visibility(hidden_from_representatives=True), False),
        (DOCTOR, HIDDEN, True),
        (DOCTOR, Visibility(hidden_from_representatives=True), True),
    ],
)
def test_hidden_document_is_not_named(town, look, do, who, visibility, told):  # noqa: PLR0917 - three fixtures
    """To whom a document is hidden, its trace says what was done, not to what."""
    of = label(visibility=visibility)
    town.keep(of)
    do(1, of=of)

    (entry,) = look(subject=who).traces

    shown = (entry.document, entry.type, entry.space, entry.origin)
    assert ((of.id, of.type, of.space, of.structure) if told else ("",) * 4) == shown
    assert "document.read" == entry.action


def test_document_is_named_once_it_is_shown(town, look, do):
    """What was done to a document before the announcement is told after it."""
    of = label(visibility=HIDDEN)
    do(1, of=of)
    town.keep(replace(of, visibility=Visibility()))

    (entry,) = look().traces

    assert of.id == entry.document


def test_hidden_new_version_is_not_named(town, look, do):
    """That a document was replaced by one that is hidden does not name it to the holder."""
    new = label(visibility=HIDDEN)
    old = label(replaced_by=new.id)
    town.keep(old)
    town.keep(new)
    do(1, "document.replace", of=old)
    do(2, of=old)

    read, replaced = look().traces

    assert (old.id, "") == (read.document, replaced.document)


def test_refused_deposit_is_not_named(town, look):
    """Of a document that was refused, and so never was, the holder learns that somebody tried."""
    of = label(visibility=HIDDEN)
    town.refused(query("document.deposit", document=of.id), label=of)

    (entry,) = look().traces
    assert ("document.deposit", "", "") == (entry.action, entry.document, entry.type)
    entry = look(subject=DOCTOR, refused=True).traces[0]
    assert (of.id, of.type) == (entry.document, entry.type)


def test_counts_of_others_are_not_told_to_persons(look, do):
    """How many documents others were shown would tell how many there are; one's own count is told."""
    do(1, "document.list", shown=7)
    do(2, "document.list", shown=5, subject=HOLDER)

    def counts(who):
        traces = look(subject=who).traces
        return [entry.shown for entry in traces if entry.action == "document.list"]

    assert [5, 0] == counts(HOLDER)
    assert [5, 7] == counts(DOCTOR)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 50])
def test_pages_hold_everything_once(look, do, size):
    """Pages one after the other show every entry once, even those of one instant."""
    done = {do(number // 3 - 10) for number in range(8)}
    seen, cursor = [], ""
    while True:
        page = look(size=size, after=cursor)
        seen += [entry.decision for entry in page.traces if entry.action != "trace.read"]
        cursor = page.next
        if not cursor:
            break

    assert 8 == len(seen)
    assert done == set(seen)


def test_cursor_is_of_one_question(look, do):
    """A cursor of another question, reader or patient is refused, and so is one that is none."""
    for minutes in range(3):
        do(minutes)
    cursor = look(size=1).next

    for others in (
        {"actor": DOCTOR.id},
        {"refused": True},
        {"subject": MOTHER},
        {"obligations": WITHHOLD},
        {"patient": PHILIPPE},
        {"since": date(2026, 1, 1)},
    ):
        with pytest.raises(RequestError, match="cursor"):
            look(after=cursor, **others)
    for broken in (cursor[:-2], cursor + "A", "A" * 5_000, "é", "====", "\0", "0001"):
        with pytest.raises(RequestError, match="cursor"):
            look(after=broken)
    assert look(after=cursor, size=1).traces


def test_structure_without_number_is_no_filter(look, do):
    """Nobody is looked for by an empty text."""
    do(1, subject=Subject(kind="professional", id="899700218896"), context=NORMAL)

    assert 1 == len(look(actor="").traces)
