"""People: kept, read, changed, each under its permit; and done once, however often it is asked for."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest

from dossier import accounts
from dossier.accounts import Account
from dossier.closures import Closure
from dossier.errors import PermitError
from dossier.model import Administrative, Contact
from dossier.people import RIGHTS
from dossier.wishes import Wishes
from serving.errors import RequestError
from tests.dossier.town import HOLDER, MOBILE, contact, guardian, person
from tests.dossier.world import DOCTOR, JEAN, PHILIPPE


def create(town, *, decision="", patient=JEAN, guardians=(), **changes):
    """Creates a dossier; what the holder is told."""
    permit = town.permit("dossier.create", patient, decision=decision or str(uuid4()))
    return town.people.create(permit, patient, person(**changes), guardians)


def read(town, patient=JEAN):
    """The administrative data."""
    return town.people.read(town.permit("dossier.read", patient, subject=HOLDER), patient)


def wishes(town):
    """What the holder wishes to be told."""
    return town.people.settings(town.permit("dossier.read", subject=HOLDER), JEAN)


def test_what_is_kept_is_read(town):
    """Administrative data and representatives come back as they were given."""
    given = person(usage_name="O'Connor-Œuvré", sex="", birth_date=None)
    guardians = (guardian(), guardian(id=JEAN, contact=contact(address=("a", "b"))))
    town.people.create(town.permit("dossier.create"), JEAN, given, guardians)

    assert (given, guardians) == read(town)


def test_account_is_told_and_kept_as_a_hash(town):
    """The holder is told a login and a password; what is kept verifies it and does not hold it."""
    account = create(town)

    (row,) = town.rows("accounts")
    assert isinstance(account, Account)
    assert (JEAN, account.login, True) == (row["patient"], row["login"], row["temporary"])
    assert account.temporary_password not in repr(town.rows("accounts"))
    accounts.verify(row["password"], account.temporary_password)


@pytest.mark.parametrize(
    ("ways", "made"),
    [
        (contact(phone=""), True),
        (contact(email=""), True),
        (contact(phone="", email=""), False),
        (contact(phone="+33549000000", email=""), False),
    ],
)
def test_account_needs_a_channel_for_its_code(town, ways, made):
    """E-mail or a mobile phone make an account; a postal address alone makes none."""
    account = create(town, contact=ways)

    assert (made, int(made)) == (account is not None, len(town.rows("accounts")))


def test_login_of_another_is_not_given(town, monkeypatch):
    """Who draws a login that somebody has draws again; and is told the one that is kept."""
    drawn = [Account(login=login, temporary_password="p" * 14) for login in "aab"]
    monkeypatch.setattr(accounts, "new", iter(drawn).__next__)

    first, second = create(town), create(town, patient=PHILIPPE)

    assert ("a", "b") == (first.login, second.login)
    assert {JEAN: "a", PHILIPPE: "b"} == {r["patient"]: r["login"] for r in town.rows("accounts")}


def test_creation_is_told(town):
    """The holder is told of the creation, by every channel there is, and it is on record."""
    create(town)

    assert [("created", "holder", "email"), ("created", "holder", "sms")] == town.notices()
    assert [("dossier.create", "allow")] == town.acts()


def test_creation_that_is_repeated_is_done_once(town):
    """The same creation again, by whatever process, does not fail, makes no account and tells nobody."""
    permit = town.permit("dossier.create")
    other, _ = town.others()
    first = town.people.create(permit, JEAN, person())
    before = {name: town.rows(name) for name in ("dossiers", "accounts", "acts", "notices")}

    again = [
        people.create(permit, JEAN, person(family_name="AUTRE")) for people in (town.people, other)
    ]

    assert first is not None
    assert [None, None] == again
    assert before == {name: town.rows(name) for name in before}


def test_creation_is_done_once_by_however_many(town):
    """Of many processes that are asked for one creation at the same time, one makes the account."""
    permit = town.permit("dossier.create")
    processes = [town.others()[0] for _ in range(6)]

    with ThreadPoolExecutor(6) as threads:
        told = list(threads.map(lambda one: one.create(permit, JEAN, person()), processes))

    assert 1 == sum(account is not None for account in told)
    assert (1, 1, 2) == tuple(len(town.rows(name)) for name in ("accounts", "acts", "notices"))


def test_creation_with_bad_data_can_be_repeated(town):
    """Data that will not do leave nothing behind, and the same creation succeeds with better ones."""
    permit = town.permit("dossier.create")
    with pytest.raises(RequestError, match="family_name"):
        town.people.create(permit, JEAN, person(family_name=""))
    before = [*town.rows("dossiers"), *town.acts()]

    account = town.people.create(permit, JEAN, person())

    assert [] == before
    assert account is not None


def test_dossier_created_anew_keeps_its_account(town):
    """A second creation under another decision changes the data; whoever has an account keeps it."""
    create(town)
    town.clock.seconds += 60
    before = town.rows("accounts")

    again = create(town, family_name="NOUVEAU")

    assert again is None
    assert before == town.rows("accounts")
    assert "NOUVEAU" == read(town)[0].family_name


def test_nobody_is_known_without_data(town):
    """A dossier that another service opened has no administrative data; asking is on record."""
    assert (None, ()) == read(town)
    assert [("dossier.read", "allow")] == town.acts()


def test_update_replaces_everything(town):
    """A change of the data is of all of them, and keeps the day of creation."""
    create(town, guardians=(guardian(),))
    town.clock.seconds += 60
    new = Administrative(family_name="N", given_names="", contact=Contact(email="n@example.org"))

    town.people.update(town.permit("dossier.update"), JEAN, new)

    (row,) = town.rows("dossiers")
    assert (new, ()) == read(town)
    assert timedelta(seconds=60) == row["updated_at"] - row["created_at"]


def test_update_with_bad_data_changes_nothing(town):
    """Data that will not do change nothing, and are not on record."""
    create(town)
    before = town.rows("dossiers"), town.acts()

    with pytest.raises(RequestError, match="no way to reach"):
        town.people.update(town.permit("dossier.update"), JEAN, person(contact=Contact()))

    assert before == (town.rows("dossiers"), town.acts())


def test_update_of_nobody_adds(town):
    """A dossier without data gets some by a change of them."""
    town.people.update(town.permit("dossier.update"), JEAN, person())

    assert person() == read(town)[0]


@pytest.mark.parametrize("action", RIGHTS)
def test_change_of_rights_is_recorded_once(town, action):
    """Each change of rights is on record, once, however often it is asked for."""
    permit = town.permit(action, obligations=("notify_holder",))
    other, _ = town.others()

    for people in (town.people, town.people, other):
        people.rights_changed(permit, JEAN)

    assert [(action, "allow")] == town.acts()
    assert [("changed", "holder", "inbox")] == town.notices()


def test_change_of_rights_is_one(town):
    """Nothing else can be recorded as a change of rights."""
    with pytest.raises(PermitError, match="of something else"):
        town.people.rights_changed(town.permit("document.read"), JEAN)

    assert [] == town.acts()


def test_closure_is_told_while_it_lasts(town):
    """When and why a dossier was closed is told until it is open again; each once."""

    def find():
        return town.people.find(town.permit("dossier.find"), JEAN)

    closing, opening = town.permit("dossier.close"), town.permit("dossier.reopen")
    town.people.close(closing, JEAN, "DECES")
    closed = find()
    town.people.close(closing, JEAN, "OTHER")
    still = find()
    town.people.reopen(opening, JEAN)
    town.people.reopen(opening, JEAN)

    assert Closure(at=town.clock.now(), reason="DECES") == closed == still
    assert find() is None


def test_all_is_wished_for_at_first(town):
    """Who has chosen nothing is told everything."""
    create(town)

    assert Wishes() == wishes(town)


def test_wishes_are_kept(town):
    """What the holder chose is kept, and can be changed."""
    create(town)

    for chosen in (Wishes(new_document=False, by_sms=False), Wishes(first_access=False)):
        town.people.change_settings(town.permit("dossier.update", subject=HOLDER), JEAN, chosen)
        assert chosen == wishes(town)


@pytest.mark.parametrize(
    ("ways", "chosen"),
    [
        (contact(), Wishes(by_email=False, by_sms=False)),
        (contact(phone=""), Wishes(by_email=False)),
        (contact(email=""), Wishes(by_sms=False)),
    ],
)
def test_emergency_cannot_be_switched_off(town, ways, chosen):
    """Wishes by which an emergency access would not be told are refused, and the error says why."""
    create(town, contact=ways)

    with pytest.raises(RequestError, match=r"R\.1111-48") as error:
        town.people.change_settings(town.permit("dossier.update", subject=HOLDER), JEAN, chosen)

    assert "settings.channels" == error.value.violations[0][0]
    assert Wishes() == wishes(town)


def test_channels_that_there_are_not_may_be_left_out(town):
    """Who has neither e-mail nor mobile phone may choose anything."""
    create(town, contact=contact(email="", phone=""))
    chosen = Wishes(by_email=False, by_sms=False)

    town.people.change_settings(town.permit("dossier.update", subject=HOLDER), JEAN, chosen)

    assert chosen == wishes(town)


def test_wishes_of_nobody_are_refused(town):
    """There are no wishes of a holder of whom nothing is known."""
    with pytest.raises(RequestError, match="administrative data"):
        town.people.change_settings(town.permit("dossier.update"), JEAN, Wishes())

    assert [] == town.acts()


def test_holder_is_told_when_another_chooses(town):
    """The holder is told when a professional changes the wishes, by the channels there were before."""
    town.create()
    chosen = Wishes(by_email=False)

    town.people.change_settings(town.permit("dossier.update", subject=HOLDER), JEAN, chosen)
    own = town.notices()
    town.people.change_settings(town.permit("dossier.update", subject=DOCTOR), JEAN, Wishes())

    assert [] == own
    assert [("changed", "holder", "sms")] == town.notices()


def test_contacts_are_kept_to_the_letter(town):
    """A phone number and an address come back as they are."""
    create(town)

    assert MOBILE == read(town)[0].contact.phone
    assert contact() == read(town)[0].contact
