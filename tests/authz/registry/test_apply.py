"""What changes do, and which can't be."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from authz.errors import ChangeError
from authz.registry.changes import (
    AddRepresentative,
    CloseDossier,
    GrantAuthorisation,
    LiftBlock,
    OpenDossier,
    RemoveRepresentative,
    RenewAuthorisation,
    ReopenDossier,
    RevokeAuthorisation,
    SetBlock,
    SetConsents,
    SetTreatingDoctor,
    WithdrawTreatingDoctor,
)
from authz.registry.state import (
    Authorisation,
    AuthorisationState,
    Block,
    Consents,
    DossierStatus,
    PatientState,
    Representative,
    TreatingDoctor,
    unknown,
)
from tests.authz.registry.samples import (
    BIRTH,
    CHILD,
    DAY,
    DOCTOR,
    HOSPITAL,
    NOW,
    NURSE,
    PATIENT,
    PERSON,
    STRUCTURE,
    after,
    opened,
    person,
    structure,
)

NONE, VALID, EXPIRED, FORBIDDEN = AuthorisationState
LATER = NOW + 30 * DAY

GRANT = GrantAuthorisation(grantee=DOCTOR, kind=PERSON)
GRANT_TREATING = GrantAuthorisation(grantee=DOCTOR, kind=PERSON, treating_doctor=True)
BLOCK = SetBlock(grantee=DOCTOR, kind=PERSON)
CLOSE = CloseDossier(reason="FERMETURE_DEMANDE_PATIENT", text="à sa demande")


def test_opening_with_the_answers_of_the_deck():
    """A new dossier holds exactly the answers given, and permits feeding."""
    answers = OpenDossier(
        birth_date=BIRTH,
        samu=True,
        break_glass=False,
        authorise=person(),
        treating_doctor=True,
        representatives=(AddRepresentative(representative=CHILD, relation="RESPRSN"),),
    )
    expected = PatientState(
        patient=PATIENT,
        status=DossierStatus.OPEN,
        birth_date=BIRTH,
        opened_at=NOW,
        consents=Consents(samu=True, break_glass=False, masked_in_emergency=False, feeding=True),
        authorisations=(
            Authorisation(
                grantee=DOCTOR, kind=PERSON, granted_at=NOW, expires_at=NOW.replace(year=2027)
            ),
        ),
        treating_doctors=(TreatingDoctor(professional=DOCTOR, since=NOW),),
        representatives=(Representative(representative=CHILD, relation="RESPRSN", since=NOW),),
    )

    state = after(unknown(PATIENT), answers)

    assert expected == state


def test_structure_creates_with_its_own_term():
    """A structure is authorised for the structures' term, and makes no treating doctor."""
    answers = OpenDossier(samu=True, break_glass=True, authorise=structure())

    state = after(unknown(PATIENT), answers)

    assert state.authorisations[0].expires_at == datetime(2027, 5, 22, 9, 30, 0, 125_000, UTC)
    with pytest.raises(ChangeError, match="must be a person"):
        after(unknown(PATIENT), replace(answers, treating_doctor=True))


def test_treating_doctor_at_creation_needs_the_authorisation():
    """Question 3 of the consent screen can't be yes when question 2 is no."""
    answers = OpenDossier(samu=True, break_glass=True, treating_doctor=True)

    with pytest.raises(ChangeError, match="treating_doctor `yes` needs an authorisation"):
        after(unknown(PATIENT), answers)


def test_representatives_are_named_at_creation():
    """A representative who can't be is refused at creation as later."""
    wrong = AddRepresentative(representative=PATIENT, relation="FTH")
    answers = OpenDossier(samu=True, break_glass=True, representatives=(wrong,))

    with pytest.raises(ChangeError, match="representative is not another person"):
        after(unknown(PATIENT), answers)


def test_birth_lies_in_the_past():
    """A birth date of tomorrow passes, for it is today overseas; later ones are refused."""
    tomorrow = OpenDossier(samu=True, break_glass=True, birth_date=(NOW + DAY).date())
    too_late = replace(tomorrow, birth_date=(NOW + 2 * DAY).date())

    assert after(unknown(PATIENT), tomorrow).birth_date == (NOW + DAY).date()
    with pytest.raises(ChangeError, match="birth_date `2026-11-24` lies in the future"):
        after(unknown(PATIENT), too_late)


def test_closing_keeps_everything():
    """A closed dossier differs from the open one by its status and closure only."""
    state = opened(GRANT_TREATING, SetBlock(grantee=NURSE, kind=PERSON))
    expected = replace(
        state,
        status=DossierStatus.CLOSED,
        closed_at=LATER,
        closure_reason="FERMETURE_DEMANDE_PATIENT",
        closure_text="à sa demande",
    )

    assert expected == after(state, CLOSE, at=LATER)


@pytest.mark.parametrize(
    ("reason", "text"),
    [("", ""), ("parce que", ""), ("decès", ""), ("DECES", "x" * 1001), ("DECES", "a\x00b")],
)
def test_closing_needs_a_code_and_plain_text(reason, text):
    """A closure has a reason in code, and a text that can be shown."""
    with pytest.raises(ChangeError, match=r"^(reason|text) "):
        after(opened(), CloseDossier(reason=reason, text=text))


def test_reopening_asks_for_consent_anew():
    """Re-activation drops authorisations, keeps blocks, representatives and the feeding opposition."""
    state = opened(
        SetConsents(feeding=False, masked_in_emergency=True),
        GRANT_TREATING,
        SetBlock(grantee=NURSE, kind=PERSON),
        AddRepresentative(representative=CHILD, relation="MTH"),
        CLOSE,
    )
    expected = PatientState(
        patient=PATIENT,
        status=DossierStatus.OPEN,
        birth_date=BIRTH,
        opened_at=NOW,
        consents=Consents(samu=False, break_glass=True, masked_in_emergency=False, feeding=False),
        blocks=(Block(grantee=NURSE, kind=PERSON, since=NOW),),
        representatives=(Representative(representative=CHILD, relation="MTH", since=NOW),),
    )

    assert expected == after(state, ReopenDossier(samu=False, break_glass=True), at=LATER)


def test_reopening_authorises_who_asks_unless_blocked():
    """The professional who re-activates may be authorised in the same step, but not when blocked."""
    answers = ReopenDossier(samu=True, break_glass=True, authorise=person(), treating_doctor=True)

    state = after(opened(CLOSE), answers)

    assert state.is_treating_doctor(DOCTOR)
    with pytest.raises(ChangeError, match="is blocked"):
        after(opened(BLOCK, CLOSE), answers)


NOT_OPEN = [
    CLOSE,
    SetConsents(samu=True),
    GRANT,
    RenewAuthorisation(grantee=DOCTOR, kind=PERSON),
    RevokeAuthorisation(grantee=DOCTOR, kind=PERSON),
    SetTreatingDoctor(professional=DOCTOR),
    WithdrawTreatingDoctor(professional=DOCTOR),
    BLOCK,
    LiftBlock(grantee=DOCTOR, kind=PERSON),
    AddRepresentative(representative=CHILD, relation="FTH"),
    RemoveRepresentative(representative=CHILD),
]


@pytest.mark.parametrize("change", NOT_OPEN, ids=lambda change: type(change).__name__)
@pytest.mark.parametrize(
    "state",
    [unknown(PATIENT), opened(CLOSE), replace(opened(), status=DossierStatus.DESTROYED)],
    ids=lambda state: state.status,
)
def test_only_an_open_dossier_changes(state, change):
    """A dossier that is missing, closed or destroyed takes no change but its opening."""
    with pytest.raises(ChangeError, match=f"dossier `{state.status}` is not open"):
        after(state, change)


@pytest.mark.parametrize(
    ("state", "kind", "remedy"),
    [
        (opened(), OpenDossier, "change its settings"),
        (opened(), ReopenDossier, "change its settings"),
        (opened(CLOSE), OpenDossier, "re-activate it"),
        (unknown(PATIENT), ReopenDossier, "create it"),
        (replace(opened(), status=DossierStatus.DESTROYED), OpenDossier, "nothing brings it back"),
        (replace(opened(), status=DossierStatus.DESTROYED), ReopenDossier, "nothing brings it"),
    ],
)
def test_opening_fits_the_status(state, kind, remedy):
    """What is missing is created, what is closed is re-activated, and nothing else is opened."""
    with pytest.raises(ChangeError, match=remedy) as refused:
        after(state, kind(samu=True, break_glass=True))

    assert state.status == refused.value.value


def test_consents_change_one_by_one():
    """An answer that is not given stays as it was."""
    state = opened(SetConsents(samu=False), SetConsents(feeding=False))

    assert state.consents == Consents(samu=False, break_glass=True, feeding=False)


def test_consents_need_an_answer():
    """A change of consents without any answer is refused."""
    with pytest.raises(ChangeError, match="consents name no change: give at least one of samu"):
        after(opened(), SetConsents())


def test_masked_consent_ends_with_both_emergencies():
    """Opposing both emergency accesses ends the consent for masked documents; one does not."""
    masked = opened(SetConsents(masked_in_emergency=True))

    one = after(masked, SetConsents(samu=False))
    both = after(one, SetConsents(break_glass=False))
    back = after(both, SetConsents(samu=True))

    assert [s.consents.masked_in_emergency for s in (one, both, back)] == [True, False, False]


@pytest.mark.parametrize(
    ("samu", "break_glass", "possible"),
    [(True, True, True), (True, False, True), (False, True, True), (False, False, False)],
)
def test_masked_consent_needs_an_emergency(samu, break_glass, possible):
    """Masked documents are permitted in an emergency only if one emergency access is."""
    opening = OpenDossier(samu=samu, break_glass=break_glass, masked_in_emergency=True)
    setting = SetConsents(samu=samu, break_glass=break_glass, masked_in_emergency=True)

    if possible:
        assert after(unknown(PATIENT), opening).consents.masked_in_emergency
        assert opened(setting).consents.masked_in_emergency
    else:
        with pytest.raises(ChangeError, match="masked_in_emergency `yes` needs an emergency"):
            after(unknown(PATIENT), opening)
        with pytest.raises(ChangeError, match="permit samu or break_glass"):
            opened(setting)


def test_granting_again_starts_the_term_anew():
    """A second grant replaces the first, so a grantee has one authorisation."""
    state = after(opened(GRANT), GRANT, at=LATER)

    assert [entry.granted_at for entry in state.authorisations] == [LATER]


def test_renewal_keeps_the_day_of_consent():
    """A renewed authorisation runs a whole term from now, and remembers when it was given."""
    state = after(opened(GRANT), RenewAuthorisation(grantee=DOCTOR, kind=PERSON), at=LATER)

    assert state.authorisations == (
        Authorisation(
            grantee=DOCTOR, kind=PERSON, granted_at=NOW, expires_at=LATER.replace(year=2027)
        ),
    )


def test_renewal_leaves_others_alone():
    """Renewing one authorisation does not touch that of another."""
    state = opened(GRANT, GrantAuthorisation(grantee=HOSPITAL, kind=STRUCTURE))

    renewed = after(state, RenewAuthorisation(grantee=HOSPITAL, kind=STRUCTURE), at=LATER)

    assert state.authorisations[1] == renewed.authorisations[1]
    assert renewed.authorisations[0].expires_at > state.authorisations[0].expires_at


def test_only_what_runs_is_renewed():
    """An authorisation that never was, has expired or was revoked can't be renewed."""
    renew = RenewAuthorisation(grantee=DOCTOR, kind=PERSON)
    expiry = NOW.replace(year=2027)

    assert after(opened(GRANT), renew, at=expiry - timedelta(microseconds=1))
    for state, at in (
        (opened(), NOW),
        (opened(GRANT), expiry),
        (opened(GRANT, RevokeAuthorisation(grantee=DOCTOR, kind=PERSON)), NOW),
    ):
        with pytest.raises(ChangeError, match="has no authorisation that is valid"):
            after(state, renew, at=at)


def test_expired_treating_doctor_is_granted_again():
    """An expired authorisation can be granted anew, and the treating doctor is still that one."""
    much_later = NOW + 500 * DAY

    state = after(opened(GRANT_TREATING), GRANT, at=much_later)

    assert state.authorisation_of(DOCTOR, None, much_later) is VALID
    assert state.treating_doctors == (TreatingDoctor(professional=DOCTOR, since=NOW),)


def test_revoking_ends_the_treating_doctor():
    """Who loses the authorisation is no treating doctor any more."""
    state = opened(GRANT_TREATING, RevokeAuthorisation(grantee=DOCTOR, kind=PERSON))

    assert state == opened()


def test_treating_doctors_can_be_several():
    """A dossier may name several treating doctors; naming one twice changes nothing."""
    state = opened(
        GRANT_TREATING,
        GrantAuthorisation(grantee=NURSE, kind=PERSON),
        SetTreatingDoctor(professional=NURSE),
    )

    again = after(state, SetTreatingDoctor(professional=NURSE), at=LATER)

    assert {DOCTOR, NURSE} == {entry.professional for entry in state.treating_doctors}
    assert state == again


@pytest.mark.parametrize(
    ("state", "at", "problem"),
    [
        (opened(), NOW, "has no authorisation that is valid"),
        (opened(GRANT), NOW + 365 * DAY, "has no authorisation that is valid"),
        (opened(GrantAuthorisation(grantee=DOCTOR, kind=STRUCTURE)), NOW, "has no authorisation"),
        (opened(BLOCK), NOW, "is blocked"),
    ],
)
def test_treating_doctor_needs_an_own_valid_authorisation(state, at, problem):
    """Only who has a valid authorisation in person can be named treating doctor."""
    with pytest.raises(ChangeError, match=f"grantee `{DOCTOR}` {problem}"):
        after(state, SetTreatingDoctor(professional=DOCTOR), at=at)


def test_block_ends_the_authorisation_for_good():
    """After block and lift the state is "none": the patient has to be asked again."""
    blocked = opened(GRANT, BLOCK)

    lifted = after(blocked, LiftBlock(grantee=DOCTOR, kind=PERSON))

    assert blocked.authorisation_of(DOCTOR, None, NOW) is FORBIDDEN
    assert lifted.authorisation_of(DOCTOR, None, NOW) is NONE
    assert after(lifted, GRANT).authorisation_of(DOCTOR, None, NOW) is VALID


def test_blocked_get_nothing():
    """A blocked grantee can't be authorised; the other kind of the same number can."""
    state = opened(BLOCK)

    with pytest.raises(ChangeError, match=f"grantee `{DOCTOR}` is blocked: lift the block"):
        after(state, GRANT)
    assert after(state, GrantAuthorisation(grantee=DOCTOR, kind=STRUCTURE)).authorisations


def test_blocking_twice_keeps_the_first():
    """A second block changes nothing, and so does lifting what is not blocked."""
    state = opened(BLOCK)

    assert state == after(state, BLOCK, at=LATER)
    assert opened() == opened(LiftBlock(grantee=DOCTOR, kind=PERSON))


def test_blocking_a_treating_doctor_takes_one_clear_step():
    """A treating doctor is blocked only when the status is withdrawn in the same step."""
    state = opened(GRANT_TREATING)

    with pytest.raises(ChangeError, match="is a treating doctor: withdraw that status"):
        after(state, BLOCK)
    assert opened(BLOCK) == after(state, replace(BLOCK, withdraw_treating_doctor=True))


def test_blocking_a_structure_leaves_its_doctors_settings():
    """A block on a structure ends the structure's authorisation only."""
    state = opened(GRANT_TREATING, GrantAuthorisation(grantee=HOSPITAL, kind=STRUCTURE))

    blocked = after(state, SetBlock(grantee=HOSPITAL, kind=STRUCTURE))

    assert [entry.grantee for entry in blocked.authorisations] == [DOCTOR]
    assert blocked.is_treating_doctor(DOCTOR)


def test_what_is_not_there_can_be_removed():
    """Ending what does not exist changes nothing."""
    nothing = (
        RevokeAuthorisation(grantee=DOCTOR, kind=PERSON),
        RevokeAuthorisation(grantee=HOSPITAL, kind=STRUCTURE),
        WithdrawTreatingDoctor(professional=DOCTOR),
        RemoveRepresentative(representative=CHILD),
    )

    assert opened() == opened(*nothing)


def test_representative_has_one_relation():
    """Naming a representative again gives the new relation; the same one changes nothing."""
    mother = AddRepresentative(representative=CHILD, relation="MTH")
    state = opened(mother)

    assert state == after(state, mother, at=LATER)
    assert after(state, replace(mother, relation="STPMTH"), at=LATER).representatives == (
        Representative(representative=CHILD, relation="STPMTH", since=LATER),
    )


@pytest.mark.parametrize("number", [PATIENT, "", "with space", "é", "x" * 129])
def test_representative_is_another_person(number):
    """A patient does not represent themselves, and the refusal repeats nobody's number."""
    with pytest.raises(ChangeError) as refused:
        opened(AddRepresentative(representative=number, relation="FTH"))

    assert refused.value.field == "representative"
    assert not number.strip() or number not in str(refused.value)


@pytest.mark.parametrize("relation", ["", "fth", "F TH", "1", "X" * 65])
def test_relation_is_a_code(relation):
    """The relation of a representative is a code in capital letters."""
    with pytest.raises(ChangeError, match="relation"):
        opened(AddRepresentative(representative=CHILD, relation=relation))


@pytest.mark.parametrize("number", ["", " ", "a b", "a\n", "é", "x" * 129])
def test_grantees_have_identifiers(number):
    """Nobody is authorised or blocked under an empty, endless or unreadable identifier."""
    with pytest.raises(ChangeError, match="is not an identifier"):
        opened(GrantAuthorisation(grantee=number, kind=PERSON))
    with pytest.raises(ChangeError, match="is not an identifier"):
        opened(SetBlock(grantee=number, kind=PERSON))


def test_nothing_is_reopened_after_a_death():
    """A dossier that was closed after a death is not re-activated."""
    state = opened(CloseDossier(reason="DECES"))

    with pytest.raises(ChangeError, match="closed after a death"):
        after(state, ReopenDossier(samu=True, break_glass=True), at=LATER)


def test_reopening_gives_no_other_birth_date():
    """Who re-activates a dossier can't make its holder older or younger."""
    state = opened(CLOSE)

    with pytest.raises(ChangeError, match="not the one on record"):
        after(
            state, ReopenDossier(samu=True, break_glass=True, birth_date=date(2020, 1, 1)), at=LATER
        )
