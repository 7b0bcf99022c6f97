"""Messages of `authz.v1` as values of the core, and back."""

from datetime import UTC, date, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from authz import wire
from authz.errors import ChangeError
from authz.query import Context, Document, Query, Subject, Target
from authz.registry import changes
from authz.registry.state import (
    Authorisation,
    Block,
    Consents,
    DossierStatus,
    Grantee,
    GranteeKind,
    PatientState,
    Representative,
    ReviewStanding,
    TreatingDoctor,
)
from authz.v1 import authz_pb2 as pb
from serving.errors import RequestError
from tests.service import ANASTA, NOW, change, doctor, holder, opening

PERSON, STRUCTURE = GranteeKind.PROFESSIONAL, GranteeKind.STRUCTURE
WHOM = pb.Grantee(id="899700218896", kind="professional", profession="10")
HOUSE = pb.Grantee(id="10B0252419", kind="structure")
DOCTOR = Target(id="899700218896", kind="professional", profession="10")


def query(request: pb.CheckRequest) -> Query:
    return wire.query(request, caller="dossier", rpc="rpc", trace_id="trace")


def asked(request: pb.ChangeRequest) -> Query:
    return wire.change_query(request, caller="dossier", rpc="rpc", trace_id="trace")


def problem(request: pb.ChangeRequest) -> tuple[str, str, str]:
    with pytest.raises(RequestError) as caught:
        asked(request)
    (violation,) = caught.value.violations
    return violation


def stamp(at: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(at)
    return made


def test_a_check_says_everything_it_says():
    """Each field of the message has its place in the query, and none is judged."""
    request = pb.CheckRequest(
        subject=pb.Subject(
            kind="a",
            id="b",
            profession="c",
            structure="d",
            structure_kind="e",
            authentication="f",
            capacity="g",
            regulator=True,
            name="h",
            structure_name="i",
        ),
        action="j",
        resource=pb.Resource(
            patient="k",
            document=pb.Document(
                id="l",
                type="m",
                authors=["n", "o"],
                author_structure="p",
                visibility=["q"],
                status="r",
                system="s",
            ),
            target=pb.Target(id="t", kind="u", profession="v"),
        ),
        context=pb.Context(
            mode="w",
            reason=pb.Reason(code="x", text="y"),
            declared_at=stamp(NOW),
            secret_connection=True,
            agreement=True,
            announced=True,
            closure="z",
            claims={"fact": "value"},
        ),
    )

    found = query(request)

    assert found == Query(
        caller="dossier",
        rpc="rpc",
        subject=Subject(
            kind="a",
            id="b",
            profession="c",
            structure="d",
            structure_kind="e",
            authentication="f",
            capacity="g",
            regulator=True,
            name="h",
            structure_name="i",
        ),
        action="j",
        patient="k",
        document=Document(
            id="l",
            type="m",
            authors=("n", "o"),
            author_structure="p",
            visibility=("q",),
            status="r",
            system="s",
        ),
        target=Target(id="t", kind="u", profession="v"),
        context=Context(
            mode="w",
            reason_code="x",
            reason_text="y",
            declared_at=NOW,
            secret_connection=True,
            agreement=True,
            announced=True,
            closure="z",
        ),
        claims={"fact": "value"},
        trace_id="trace",
    )


def test_an_empty_check_states_nothing():
    """What is absent is empty or None, never a value of ours."""
    found = query(pb.CheckRequest())

    assert found == Query(
        caller="dossier", rpc="rpc", subject=Subject(kind="", id=""), action="", trace_id="trace"
    )


@pytest.mark.parametrize("seconds", [10**12, -(10**12), 2**62])
def test_an_instant_beyond_the_calendar_is_refused(seconds):
    """A timestamp that is no instant names its field."""
    request = pb.CheckRequest(context=pb.Context(declared_at=Timestamp(seconds=seconds)))

    with pytest.raises(RequestError, match=r"context\.declared_at: not an instant"):
        query(request)


REVOKED = changes.RevokeAuthorisation(grantee="00B1038575", kind=PERSON)
ONESELF = Target(id="00B1038575", kind="professional", profession="10")
CHANGES = [
    (
        {"close_dossier": pb.CloseDossier(reason="DECES", text="signalé")},
        "dossier.close",
        changes.CloseDossier(reason="DECES", text="signalé"),
        None,
    ),
    (
        {"set_consents": pb.SetConsents(samu=False, feeding=True)},
        "consent.update",
        changes.SetConsents(samu=False, feeding=True),
        None,
    ),
    (
        {"own_authorisation": pb.OwnAuthorisation(authorise=True)},
        "authorisation.grant",
        changes.GrantAuthorisation(grantee="00B1038575", kind=PERSON),
        ONESELF,
    ),
    (
        {"own_authorisation": pb.OwnAuthorisation(authorise=True, treating_doctor=True)},
        "authorisation.grant",
        changes.GrantAuthorisation(grantee="00B1038575", kind=PERSON, treating_doctor=True),
        ONESELF,
    ),
    ({"own_authorisation": pb.OwnAuthorisation()}, "authorisation.revoke", REVOKED, ONESELF),
    (
        {"own_authorisation": pb.OwnAuthorisation(treating_doctor=True)},
        "treating_doctor.withdraw",
        changes.WithdrawTreatingDoctor(professional="00B1038575"),
        ONESELF,
    ),
    (
        {"grant_authorisation": pb.GrantAuthorisation(grantee=WHOM, treating_doctor=True)},
        "authorisation.grant",
        changes.GrantAuthorisation(grantee="899700218896", kind=PERSON, treating_doctor=True),
        DOCTOR,
    ),
    (
        {"renew_authorisation": pb.RenewAuthorisation(grantee=HOUSE)},
        "authorisation.renew",
        changes.RenewAuthorisation(grantee="10B0252419", kind=STRUCTURE),
        Target(id="10B0252419", kind="structure"),
    ),
    (
        {"revoke_authorisation": pb.RevokeAuthorisation(grantee=WHOM)},
        "authorisation.revoke",
        changes.RevokeAuthorisation(grantee="899700218896", kind=PERSON),
        DOCTOR,
    ),
    (
        {"set_treating_doctor": pb.SetTreatingDoctor(professional=WHOM)},
        "treating_doctor.set",
        changes.SetTreatingDoctor(professional="899700218896"),
        DOCTOR,
    ),
    (
        {"withdraw_treating_doctor": pb.WithdrawTreatingDoctor(professional=WHOM)},
        "treating_doctor.withdraw",
        changes.WithdrawTreatingDoctor(professional="899700218896"),
        DOCTOR,
    ),
    (
        {"set_block": pb.SetBlock(grantee=WHOM, withdraw_treating_doctor=True)},
        "block.set",
        changes.SetBlock(grantee="899700218896", kind=PERSON, withdraw_treating_doctor=True),
        DOCTOR,
    ),
    (
        {"lift_block": pb.LiftBlock(grantee=HOUSE)},
        "block.lift",
        changes.LiftBlock(grantee="10B0252419", kind=STRUCTURE),
        Target(id="10B0252419", kind="structure"),
    ),
    (
        {
            "add_representative": pb.AddRepresentative(
                representative=pb.Representative(id="154", relation="FTH")
            )
        },
        "representative.add",
        changes.AddRepresentative(representative="154", relation="FTH"),
        Target(id="154", kind="person"),
    ),
    (
        {"remove_representative": pb.RemoveRepresentative(representative="154")},
        "representative.remove",
        changes.RemoveRepresentative(representative="154"),
        Target(id="154", kind="person"),
    ),
]


@pytest.mark.parametrize(("what", "action", "expected", "target"), CHANGES)
def test_each_change_has_its_action_and_target(what, action, expected, target):
    """A change names the action that policy decides on, and whom it aims at."""
    found = asked(change(doctor(), **what))

    assert (found.action, found.change, found.target) == (action, expected, target)
    assert found.patient == ANASTA


TOLD = pb.SetReviewStanding(professional="899700218896", standing="misuse", why="deux avis")


def test_a_standing_is_of_no_patient():
    """What reviews have left aims at a professional, and a patient beside it is too much."""
    found = asked(change(doctor(), "", set_review_standing=TOLD))

    assert (found.action, found.patient) == ("standing.set", "")
    assert found.target == Target(id="899700218896", kind="professional")
    assert found.change == changes.SetReviewStanding(
        professional="899700218896", standing=ReviewStanding.MISUSE, why="deux avis"
    )
    with pytest.raises(RequestError, match="of no patient"):
        asked(change(doctor(), set_review_standing=TOLD))


def test_every_change_of_the_contract_is_known():
    """No field of the contract's `change` is forgotten here."""
    names = {field.name for field in pb.ChangeRequest.DESCRIPTOR.oneofs[0].fields}

    others = {"open_dossier", "reopen_dossier", "set_review_standing"}
    assert names == {next(iter(case[0])) for case in CHANGES} | others


@pytest.mark.parametrize("field", ["open_dossier", "reopen_dossier"])
def test_the_answers_of_the_consent_screen(field):
    """Question 2 authorises the one who asks; all other answers are taken as given."""
    answers = pb.OpenDossier(
        birth_date="1979-03-28",
        authorise=True,
        treating_doctor=True,
        break_glass=True,
        masked_in_emergency=True,
        representatives=[pb.Representative(id="154", relation="FTH")],
    )

    found = asked(change(doctor(), **{field: answers})).change

    kind = changes.OpenDossier if field == "open_dossier" else changes.ReopenDossier
    assert found == kind(
        birth_date=date(1979, 3, 28),
        authorise=Grantee(identifier="00B1038575", kind=PERSON),
        treating_doctor=True,
        samu=False,
        break_glass=True,
        masked_in_emergency=True,
        representatives=(changes.AddRepresentative(representative="154", relation="FTH"),),
    )


@pytest.mark.parametrize("kind", ["structure", "employee"])
def test_a_structure_authorises_the_structure(kind):
    """Who acts for a structure records the authorisation for the structure."""
    found = asked(opening(doctor(kind=kind))).change

    assert found.authorise == Grantee(identifier="10B0193488", kind=STRUCTURE)


def test_a_structure_is_no_treating_doctor():
    """A structure can't give up what it can't be; the field is named."""
    own = pb.OwnAuthorisation(treating_doctor=True)

    with pytest.raises(ChangeError, match="must be a person"):
        asked(change(doctor(kind="structure"), own_authorisation=own))


def test_no_change_at_all_is_refused():
    """A request that names no change says which field is missing."""
    assert problem(pb.ChangeRequest(subject=doctor(), patient=ANASTA))[:2] == ("change", "missing")


@pytest.mark.parametrize("day", ["28/03/1979", "1979-02-30", "x" * 1_000])
def test_a_birth_date_that_is_no_day_is_refused(day):
    """The field, the value (not all of it) and the remedy are named."""
    field, wrong, cure = problem(opening(birth_date=day))

    assert (field, cure) == ("change.birth_date", "write it as 1979-03-28")
    assert wrong == f"not a day: `{day[:20]}`"


def test_an_unknown_kind_of_grantee_is_refused():
    """Only a professional or a structure may be authorised or blocked."""
    whom = pb.Grantee(id="1", kind="person")

    found = problem(change(holder(), set_block=pb.SetBlock(grantee=whom)))

    assert found == ("change.grantee.kind", "unknown kind: `person`", "professional or structure")


@pytest.mark.parametrize(
    ("what", "field"),
    [
        ({"close_dossier": pb.CloseDossier(reason="DECES", text="x" * 1_001)}, "change.text"),
        ({"close_dossier": pb.CloseDossier(reason="x" * 1_001)}, "change.reason"),
        (
            {"remove_representative": pb.RemoveRepresentative(representative="x" * 1_001)},
            "change.representative",
        ),
        (
            {"open_dossier": pb.OpenDossier(representatives=[pb.Representative(id="1")] * 21)},
            "change.representatives",
        ),
        (
            {"open_dossier": pb.OpenDossier(representatives=[pb.Representative(id="1" * 1_001)])},
            "change.representatives",
        ),
    ],
)
def test_a_change_too_large_for_the_log_is_refused(what, field):
    """Whoever asks, allowed or not, nobody fills the log with what a change holds."""
    assert problem(change(doctor(), **what))[0] == field


def test_a_state_is_shown_as_it_is():
    """Each part of a patient's state has its field, and authorisations say whether they still run."""
    state = PatientState(
        patient=ANASTA,
        status=DossierStatus.CLOSED,
        birth_date=date(1979, 3, 28),
        opened_at=NOW,
        closed_at=NOW,
        closure_reason="DECES",
        consents=Consents(samu=True, break_glass=False, masked_in_emergency=True, feeding=False),
        authorisations=(
            Authorisation(
                grantee="a", kind=PERSON, granted_at=NOW, expires_at=NOW + timedelta(days=1)
            ),
            Authorisation(grantee="b", kind=STRUCTURE, granted_at=NOW, expires_at=NOW),
        ),
        treating_doctors=(TreatingDoctor(professional="a", since=NOW),),
        blocks=(Block(grantee="c", kind=STRUCTURE, since=NOW),),
        representatives=(Representative(representative="d", relation="FTH", since=NOW),),
    )

    found = wire.patient(state, NOW, with_lists=True)

    assert found == pb.Patient(
        id=ANASTA,
        dossier="closed",
        birth_date="1979-03-28",
        opened_at=stamp(NOW),
        closed_at=stamp(NOW),
        closure_reason="DECES",
        samu=True,
        masked_in_emergency=True,
        authorisations=[
            pb.Authorisation(
                grantee=pb.Grantee(id="a", kind="professional"),
                granted_at=stamp(NOW),
                expires_at=stamp(NOW + timedelta(days=1)),
                state="valid",
            ),
            pb.Authorisation(
                grantee=pb.Grantee(id="b", kind="structure"),
                granted_at=stamp(NOW),
                expires_at=stamp(NOW),
                state="expired",
            ),
        ],
        treating_doctors=["a"],
        blocks=[pb.Grantee(id="c", kind="structure")],
        representatives=[pb.Representative(id="d", relation="FTH")],
    )
    shown = wire.patient(state, NOW, with_lists=False)
    found.ClearField("authorisations")
    found.ClearField("blocks")
    assert shown == found


def test_a_patient_without_dossier_is_shown_so():
    """Nothing but the number and `none`."""
    state = PatientState(patient=ANASTA, status=DossierStatus.NONE)

    assert wire.patient(state, NOW, with_lists=True) == pb.Patient(id=ANASTA, dossier="none")


def test_an_instant_is_sent_in_utc():
    """Whatever time zone it was written in."""
    paris = datetime.fromisoformat("2026-05-04T12:00:00+02:00")

    assert wire.instant(paris) == stamp(datetime(2026, 5, 4, 10, tzinfo=UTC))


@pytest.mark.parametrize("length", [0, 1, 0x7F, 0x80, 0x3FFF, 0x4000, 0x1F_FFFF, 0x20_0000])
def test_a_message_in_another_is_read_as_it_was_written(length):
    """What is put before a message of any length is what protobuf puts there."""
    decision = pb.Decision(reason_code="x" * length).SerializeToString()

    joined = wire._head(len(decision)) + decision

    assert (
        joined
        == pb.CheckResponse(decision=pb.Decision(reason_code="x" * length)).SerializeToString()
    )
