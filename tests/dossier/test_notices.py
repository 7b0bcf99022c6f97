"""Who is told what: of every emergency, of what the holder wishes to know, and of nothing twice."""

from dataclasses import replace

import pytest

from clients.sdk.values import Context, Subject
from dossier.errors import PermitError
from dossier.model import Contact, Visibility
from dossier.records import record
from dossier.wishes import Wishes
from tests.dossier.town import (
    BREAK_GLASS,
    CENTRE_15,
    HOLDER,
    OTHER_DOCTOR,
    SECRETLY,
    URGENT,
    contact,
    query,
)
from tests.dossier.world import DOCTOR, JEAN, PHILIPPE, label

BOTH = ("email", "sms")
TO_DOCTOR = ("emergency_access", "treating_doctor", "inbox")


def do(town, action, *, of=None, at=None, patient=JEAN, shown=1, **how):
    """Records one act; a list shows something."""
    permit = town.permit(action, patient, document=of.id if of else "", **how)
    with town.writer.begin() as conn:
        record(conn, permit, at=at or town.clock.now(), label=of, shown=shown)
    return permit


def told(kind, *channels):
    """The holder is told by these channels."""
    return [(kind, "holder", channel) for channel in channels]


@pytest.mark.parametrize("context", [BREAK_GLASS, CENTRE_15])
@pytest.mark.parametrize("action", ["document.read", "document.list", "dossier.read"])
def test_emergency_access_is_told(town, context, action):
    """The holder and the treating doctors are told of an emergency access."""
    town.create()

    do(town, action, context=context, obligations=URGENT)

    assert [*told("emergency_access", *BOTH), TO_DOCTOR] == town.notices()


def test_emergency_access_is_told_whatever_policy_says(town):
    """A policy that forgets the obligation does not keep an emergency access from being told."""
    town.create()

    do(town, "document.read", context=BREAK_GLASS)

    assert [*told("emergency_access", *BOTH), TO_DOCTOR] == town.notices()


def test_emergency_deposit_is_told_as_such(town):
    """What is deposited in an emergency is told as an emergency access, even if hidden from the holder."""
    town.create()
    of = label(visibility=Visibility(hidden_from_patient=True))

    do(town, "document.deposit", of=of, context=BREAK_GLASS, obligations=URGENT)

    assert [*told("emergency_access", *BOTH), TO_DOCTOR] == town.notices()


def test_emergency_access_of_a_stranger_is_told(town):
    """An emergency access is told in the inbox where no way leads to the holder."""
    do(town, "document.read", context=BREAK_GLASS, obligations=URGENT)

    assert [*told("emergency_access", "inbox"), TO_DOCTOR] == town.notices()


def test_one_notice_an_hour_for_one_who_reads_much(town):
    """Emergency accesses of one professional within an hour are one notice; in the next, another."""
    town.create(contact=contact(phone=""))
    hour = town.clock.now().replace(minute=0)

    for minute in (1, 2, 59):
        do(town, "document.read", context=BREAK_GLASS, at=hour.replace(minute=minute))
    first = town.notices()
    do(town, "document.read", context=BREAK_GLASS, at=hour.replace(hour=hour.hour + 1))

    assert [*told("emergency_access", "email"), TO_DOCTOR] == first
    assert [*told("emergency_access", *["email"] * 2), TO_DOCTOR, TO_DOCTOR] == town.notices()


@pytest.mark.parametrize(
    "other",
    [
        {"subject": OTHER_DOCTOR, "context": BREAK_GLASS},
        {"context": CENTRE_15},
        {"patient": PHILIPPE, "context": BREAK_GLASS},
    ],
)
def test_no_emergency_hides_behind_another(town, other):
    """Another professional, mode or patient within the same hour is another notice."""
    do(town, "document.read", context=BREAK_GLASS)

    do(town, "document.read", **other)

    assert [*told("emergency_access", *["inbox"] * 2), TO_DOCTOR, TO_DOCTOR] == town.notices()


def test_secret_emergency_hides_none(town):
    """An access in a secret connection does not take the place of the notice of another one."""
    town.create()

    do(town, "document.read", context=replace(BREAK_GLASS, secret_connection=True))
    do(town, "document.read", context=BREAK_GLASS)

    expected = told("emergency_access", "email", "inbox", "sms")
    assert [*expected, TO_DOCTOR, TO_DOCTOR] == town.notices()


def test_first_access_is_told_once(town):
    """The first time that a professional consults is told, and the second is not."""
    town.create()

    do(town, "document.list")
    do(town, "document.read")

    assert told("first_access", *BOTH) == town.notices()


def test_empty_list_is_no_access(town):
    """Who was shown nothing has seen nothing; the first access is still to come."""
    do(town, "document.list", shown=0)
    assert town.notices() == []
    do(town, "document.list")
    assert {kind for kind, *_ in town.notices()} == {"first_access"}


def test_first_access_of_each_professional_is_told(town):
    """The first access of another professional is told as well."""
    town.create(contact=contact(phone=""))

    do(town, "document.list")
    do(town, "document.list", subject=OTHER_DOCTOR)

    assert told("first_access", "email", "email") == town.notices()


@pytest.mark.parametrize("action", ["dossier.find", "dossier.update", "document.mask"])
def test_what_is_no_consultation_is_no_first_access(town, action):
    """Nothing is told of acts that consult nothing and carry no obligation."""
    town.create()

    do(town, action)

    assert [] == town.notices()


@pytest.mark.parametrize("kind", ["patient", "representative", "structure", "employee"])
def test_first_access_is_a_professional_one(town, kind):
    """Nobody is told of what the holder reads himself."""
    town.create()

    do(town, "document.list", subject=Subject(kind=kind, id="x"))

    assert [] == town.notices()


def test_emergency_does_not_count_as_first_access(town):
    """A first consultation in normal mode is told even after an emergency access."""
    do(town, "document.list", context=BREAK_GLASS)

    do(town, "document.list")

    assert ("first_access", "holder", "inbox") in town.notices()


def test_first_access_in_secret_is_not_told(town):
    """A secret connection is told to nobody; the first open access after it is."""
    town.create()

    do(town, "document.list", context=SECRETLY)
    before = town.notices()
    do(town, "document.list")

    assert [] == before
    assert told("first_access", *BOTH) == town.notices()


def test_new_document_is_told(town):
    """A document that the holder may see is told of."""
    town.create()

    do(town, "document.deposit", of=label(), obligations=("notify_holder",))

    assert told("new_document", *BOTH) == town.notices()


def test_documents_deposited_together_are_told_once(town):
    """Documents that come in one submission are one notice; those of another are another."""
    town.create(contact=contact(phone=""))

    for _ in range(3):
        do(town, "document.deposit", of=label(), obligations=("notify_holder",))
    together = town.notices()
    town.clock.seconds += 60
    do(town, "document.replace", of=label(), obligations=("notify_holder",))

    assert told("new_document", "email") == together
    assert told("new_document", "email", "email") == town.notices()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"visibility": Visibility(hidden_from_patient=True)}, []),
        ({"visibility": Visibility(hidden_from_representatives=True)}, ["inbox"]),
        ({"secret": True}, ["inbox"]),
        ({"visibility": Visibility(masked=True)}, ["email", "sms"]),
    ],
)
def test_hidden_document_is_not_told(town, changes, expected):
    """Nothing is told of what is kept from the holder, and no mailbox told what is kept from the parents."""
    town.create()

    do(town, "document.deposit", of=label(**changes), obligations=("notify_holder",))

    assert told("new_document", *expected) == town.notices()


def test_deposit_without_label_is_not_recorded(town):
    """A deposit whose visibility is not known is not recorded: nobody would know whom to tell."""
    with pytest.raises(PermitError, match="label"):
        do(town, "document.deposit", obligations=("notify_holder",))

    assert [] == town.acts()


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("document.show_to_patient", "new_document"),
        ("document.unmask", "changed"),
        ("authorisation.grant", "changed"),
        ("dossier.close", "changed"),
        ("dossier.reopen", "changed"),
        ("dossier.create", "created"),
        ("document.read", "access"),
    ],
)
def test_obligation_is_always_carried_out(town, action, kind):
    """Whatever carries the obligation to tell the holder is told, as what it is."""
    town.create()

    do(town, action, of=label(), obligations=("notify_holder",))

    assert told(kind, *BOTH) == town.notices()


def test_obligation_towards_the_treating_doctor(town):
    """The treating doctors are told of what carries the obligation to, and of nothing else."""
    town.create()

    do(town, "document.unmask", obligations=("notify_treating_doctor",), context=Context())

    assert [("changed", "treating_doctor", "inbox")] == town.notices()


def test_obligations_of_a_denial_are_carried_out(town):
    """A denial may have to be told as well; without an obligation it is not."""
    town.create()
    town.refused(query("document.read"))
    before = town.notices()

    town.refused(query("document.read"), obligations=("notify_holder",))

    assert [] == before
    assert told("refused", *BOTH) == town.notices()


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        (Wishes(), [*told("first_access", *BOTH), *told("new_document", *BOTH)]),
        (Wishes(first_access=False), told("new_document", *BOTH)),
        (Wishes(new_document=False), told("first_access", *BOTH)),
        (Wishes(first_access=False, new_document=False), []),
        (
            Wishes(by_email=False),
            [*told("first_access", "sms"), *told("new_document", "sms")],
        ),
    ],
)
def test_holder_chooses(town, wishes, expected):
    """The holder is told what they wish to know, by the channels that they chose."""
    town.create()
    permit = town.permit("dossier.update", subject=HOLDER)
    town.people.change_settings(permit, JEAN, wishes)

    do(town, "document.list")
    do(town, "document.deposit", of=label(), obligations=("notify_holder",))

    assert expected == town.notices()


@pytest.mark.parametrize(
    ("contact_", "channels"),
    [
        (contact(), ["email", "sms"]),
        (contact(email=""), ["sms"]),
        (contact(phone="+33549000000"), ["email"]),
        (contact(phone="", email=""), ["inbox"]),
    ],
)
def test_channels_are_those_there_are(town, contact_, channels):
    """A notice goes by each channel that there is, and else stands in the inbox; a landline is none."""
    town.create(contact=contact_)

    do(town, "document.list")

    assert told("first_access", *channels) == town.notices()


def test_emergency_goes_by_what_is_left(town):
    """When the one channel that was chosen is gone, an emergency is told by another."""
    town.create()
    chosen = Wishes(by_email=False)
    town.people.change_settings(town.permit("dossier.update", subject=HOLDER), JEAN, chosen)
    person, _ = town.people.read(town.permit("dossier.read", subject=HOLDER), JEAN)
    moved = replace(person, contact=Contact(email="new@example.org"))
    town.people.update(town.permit("dossier.update", subject=HOLDER), JEAN, moved)

    do(town, "document.list", context=BREAK_GLASS)

    assert [*told("emergency_access", "email"), TO_DOCTOR] == town.notices()


def test_notice_and_act_are_one_transaction(town):
    """What was not done after all is told to nobody."""
    permit = town.permit("document.read", context=BREAK_GLASS)

    with town.writer.connect() as conn:
        record(conn, permit, at=town.clock.now())
        conn.rollback()

    assert ([], []) == (town.acts(), town.notices())


def test_what_is_to_be_sent_is_due_at_once(town):
    """A notice by e-mail is due, one in the inbox never; none was sent or tried."""
    town.create(contact=contact(phone=""))

    do(town, "document.read", context=BREAK_GLASS)

    due = {row["channel"]: row["due_at"] for row in town.rows("notices")}
    assert {"email": town.clock.now(), "inbox": None} == due
    assert {(0, None)} == {(row["attempts"], row["sent_at"]) for row in town.rows("notices")}


def test_doctor_is_not_named_twice(town):
    """A treating doctor's notice tells of the deed by its decision, and so of who did it."""
    permit = do(town, "document.read", context=BREAK_GLASS, subject=DOCTOR)

    assert {permit.decision} == {row["decision"] for row in town.rows("notices")}
