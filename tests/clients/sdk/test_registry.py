"""Reading the registry and the policies, on both clients."""

from dataclasses import replace
from datetime import UTC, date, datetime

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from authz.v1 import authz_pb2 as pb
from clients.sdk import (
    Authorisation,
    AuthorisationState,
    AuthorisedPatient,
    DeadlineError,
    Denied,
    DossierStatus,
    FailedError,
    InvalidError,
    Mistake,
    Patient,
    Permit,
    Subject,
    UnavailableError,
    UnfulfilledError,
)
from clients.sdk.changes import Grantee, Representative
from clients.sdk.testing import Pdp, allow, deny
from tests.clients.sdk.samples import DOCTOR, EMERGENCY, INS, STRANGER
from tests.clients.sdk.servers import KINDS, Saying, called, decided, serving

OFFICER = Subject(kind="compliance_officer", id="CONF-0001")
SPRING, AUTUMN = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)
MINE = Authorisation(
    grantee=Grantee(id=DOCTOR.id, kind="professional"), granted_at=SPRING, expires_at=AUTUMN
)
ANASTA = Patient(
    id=INS,
    dossier=DossierStatus.OPEN,
    birth_date=date(1979, 3, 28),
    opened_at=SPRING,
    samu=True,
    feeding=True,
    authorisations=(
        MINE,
        replace(
            MINE,
            grantee=Grantee(id="10B0252419", kind="structure"),
            state=AuthorisationState.EXPIRED,
        ),
    ),
    treating_doctors=(DOCTOR.id,),
    blocks=(Grantee(id=STRANGER.id, kind="professional"),),
    representatives=(Representative(id="r", relation="MTH"),),
)


def knowing(decide, *patients):
    """A stand-in that knows these patients."""
    pdp = Pdp(decide)
    pdp.patients = {one.id: one for one in patients}
    return pdp


def same(record):
    """A record as the patient that it tells of."""
    return Patient(**{name: getattr(record, name) for name in Patient.__dataclass_fields__})


async def test_patient(asking):
    """A record holds what the registry knows, as typed values, and both permits."""
    pdp = knowing(allow(), ANASTA)

    record = await asking(pdp).get_patient(DOCTOR, INS, context=EMERGENCY)

    assert same(record) == ANASTA
    assert record.decision.id == record.permit.decision.id
    assert isinstance(record.listing, Permit)
    assert ["dossier.read", "authorisation.list"] == [asked.action for asked in pdp.asked]
    assert all((asked.patient, asked.context) == (INS, EMERGENCY) for asked in pdp.asked)
    assert INS not in repr(record.permit)


async def test_patient_without_dossier(asking):
    """Of a patient without dossier there is nothing to know."""
    record = await asking(Pdp(allow())).get_patient(DOCTOR, INS)

    assert (record.dossier, record.birth_date, record.opened_at) == (DossierStatus.NONE, None, None)
    assert record.authorisations == ()


async def test_patient_without_lists(asking):
    """Who may not know who is authorised gets the rest, and the denial."""
    pdp = knowing({"dossier.read": allow(), "authorisation.list": deny("NOT_LISTED")}, ANASTA)

    record = await asking(pdp).get_patient(DOCTOR, INS)

    assert (record.authorisations, record.blocks) == (None, None)
    assert record.treating_doctors == (DOCTOR.id,)
    assert record.listing.reason_code == "NOT_LISTED"
    assert isinstance(record.listing, Denied)


async def test_patient_denied(asking):
    """A record that may not be read raises, whatever may be listed."""
    pdp = knowing({"dossier.read": deny("BLOCKED"), "authorisation.list": allow("x")}, ANASTA)

    with pytest.raises(Denied, match="BLOCKED") as caught:
        await asking(pdp).get_patient(DOCTOR, INS)

    assert INS not in str(caught.value)


async def test_obligations_of_a_record(asking):
    """What is due for a record is done by duties, or by whoever gets it; else there is none."""
    done = []
    pdp = knowing({"dossier.read": allow("show_mode", "review"), "authorisation.list": allow()})
    client = asking(pdp, duties={"review": done.append})

    with pytest.raises(Denied, match="OBLIGATION_UNSUPPORTED: show_mode"):
        await client.get_patient(DOCTOR, INS)
    record = await client.get_patient(DOCTOR, INS, supports={"show_mode"})

    assert record.permit.pending == ("show_mode",)
    assert [(o.name, o.query.action) for o in done] == [("review", "dossier.read")] * 2
    with record.permit as permit:
        permit.fulfil("show_mode")


async def test_obligation_of_the_lists_that_nobody_carries_out(asking):
    """When nobody can do what the lists ask for, they are left out, and nothing else."""
    pdp = knowing({"dossier.read": allow(), "authorisation.list": allow("confirm")}, ANASTA)

    record = await asking(pdp).get_patient(DOCTOR, INS)

    assert (record.authorisations, record.blocks) == (None, None)
    assert record.listing.unsupported == ("confirm",)
    assert record.samu


async def test_failed_duty_of_a_record(asking, recwarn):
    """A duty that fails leaves no record, and no permit lying about."""

    def full(_):
        raise OSError("disk full")

    pdp = knowing({"dossier.read": allow("review"), "authorisation.list": allow("confirm")}, ANASTA)

    with pytest.raises(UnfulfilledError, match="review"):
        await asking(pdp, duties={"review": full}).get_patient(DOCTOR, INS, supports={"confirm"})

    assert list(recwarn) == []


async def test_duties_of_two_denials(asking):
    """What must be done on either denial is done."""
    done = []
    pdp = Pdp({"dossier.read": deny("A", "review"), "authorisation.list": deny("B", "confirm")})

    with pytest.raises(Denied, match="A"):
        await asking(pdp, duties=dict.fromkeys(("review", "confirm"), done.append)).get_patient(
            DOCTOR, INS
        )

    assert {"review", "confirm"} == {obligation.name for obligation in done}


def patients(*numbers):
    """Patients of whom the doctor is authorised on the dossier."""
    return [replace(ANASTA, id=f"{number:022d}") for number in numbers]


async def test_page(asking):
    """A page lists the patients on whose open dossiers somebody has a valid authorisation."""
    others = [
        replace(ANASTA, id="2", dossier=DossierStatus.CLOSED),
        replace(ANASTA, id="3", authorisations=()),
        replace(ANASTA, id="4", authorisations=(replace(MINE, state=AuthorisationState.EXPIRED),)),
    ]

    page = await asking(knowing(allow(), ANASTA, *others)).list_patients(DOCTOR)

    expected = AuthorisedPatient(
        patient=INS, birth_date=date(1979, 3, 28), treating_doctor=True, expires_at=AUTUMN
    )
    assert (page.patients, page.next) == ((expected,), "")
    assert page.decision.reason_code == "ALLOWED"


async def test_pages(asking):
    """Each page says where the next begins; the last says that it is the last."""
    client = asking(knowing(allow(), *patients(1, 2, 3, 4, 5)))

    first = await client.list_patients(DOCTOR, page_size=2)
    last = await client.list_patients(DOCTOR, page_size=3, after=first.next)

    assert [1, 2] == [int(one.patient) for one in first.patients]
    assert [3, 4, 5] == [int(one.patient) for one in last.patients]
    assert last.next == ""


async def test_all_pages(asking):
    """All patients come page by page, each page with its own decision."""
    pdp = knowing(allow(), *patients(*range(5)))

    found = await asking(pdp).gathered("all_patients", DOCTOR, page_size=2)

    assert list(range(5)) == [int(one.patient) for one in found]
    assert pdp.calls == 3


async def test_pages_are_asked_for_as_they_are_wanted():
    """Whoever stops in the middle has asked no further."""
    pdp = knowing(allow(), *patients(*range(5)))
    iterator = pdp.client().all_patients(DOCTOR, page_size=2)

    next(iterator)

    assert pdp.calls == 1


async def test_denied_between_pages(asking):
    """A denial between two pages raises: a part of a list is not taken for the whole."""
    answers = [allow(), deny("BLOCKED")]
    pdp = knowing(lambda _: answers.pop(0), *patients(*range(5)))

    with pytest.raises(Denied, match="BLOCKED"):
        await asking(pdp).gathered("all_patients", DOCTOR, page_size=2)


async def test_obligations_of_a_page(asking):
    """What is due for a page is its permit's."""
    client = asking(knowing(allow("confirm"), ANASTA))

    with pytest.raises(Denied, match="OBLIGATION_UNSUPPORTED"):
        await client.gathered("all_patients", DOCTOR)
    page = await client.list_patients(DOCTOR, supports={"confirm"})

    with page.permit as permit:
        permit.fulfil("confirm")


@pytest.mark.parametrize("size", [-1, 1_001, 2**40, "3", True, None], ids=str)
async def test_no_page_size(asking, size):
    """What is no size of a page is refused at once."""
    with pytest.raises(InvalidError) as caught:
        await asking(Pdp(allow())).list_patients(DOCTOR, page_size=size)

    assert [violation.field for violation in caught.value.violations] == ["page_size"]


async def test_policies(asking):
    """Who may know is told which policies decide, and what is wrong with the last candidate."""
    pdp = Pdp({"policy.read": allow(), "policy.activate": deny("OFFICERS_ONLY")})
    wrong = Mistake(path="rules/a.yaml", line=3, column=5, where="a", message="no", hint="yes")
    pdp.refused = [wrong]

    bundle = await asking(pdp).get_bundle(OFFICER)

    assert (bundle.digest, bundle.rules, bundle.refused) == ("0" * 64, 1, (wrong,))
    assert bundle.activated_at.tzinfo is UTC
    assert bundle.decision.reason_code == "ALLOWED"
    with pytest.raises(Denied, match="OFFICERS_ONLY"):
        await asking(pdp).activate_bundle(OFFICER)


async def test_activation(asking):
    """An activation is asked for once, and given its time."""
    pdp = Pdp(allow())
    pdp.slow(1)

    bundle = await asking(pdp).activate_bundle(OFFICER)

    assert bundle.refused == ()
    assert [event.action for event in pdp.events] == ["policy.activate"]
    with pytest.raises(DeadlineError):
        await asking(pdp).activate_bundle(OFFICER, timeout_s=0.5)
    pdp.up()
    pdp.down()
    with pytest.raises(UnavailableError):
        await asking(pdp, timeout_s=5).activate_bundle(OFFICER)
    assert pdp.calls == 2


async def test_obligations_of_policies(asking):
    """What nobody can do denies the look at policies; once they are activated, it is no denial."""
    client = asking(Pdp(allow("confirm")))

    with pytest.raises(Denied, match="OBLIGATION_UNSUPPORTED"):
        await client.get_bundle(OFFICER)
    with pytest.raises(UnfulfilledError, match="confirm"):
        await client.activate_bundle(OFFICER)


READ = pb.Patient(id=INS, dossier="open")
BOTH = {"decision": decided(), "listing": decided()}
NOBODY = Timestamp(seconds=10**12)


def patient(**fields):
    """An answer about a patient."""
    return pb.GetPatientResponse(
        **BOTH, patient=pb.Patient(id=INS, **{"dossier": "open", **fields})
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("call", "answer"),
    [
        pytest.param("get_patient", pb.GetPatientResponse(), id="nothing"),
        pytest.param("get_patient", b"\xff", id="garbage"),
        pytest.param("get_patient", pb.GetPatientResponse(**BOTH), id="no patient"),
        pytest.param(
            "get_patient",
            pb.GetPatientResponse(**BOTH, patient=pb.Patient(id="2" * 22, dossier="open")),
            id="another patient",
        ),
        pytest.param(
            "get_patient",
            pb.GetPatientResponse(decision=decided(), patient=READ),
            id="no second decision",
        ),
        pytest.param("get_patient", patient(dossier="ajar"), id="another status"),
        pytest.param("get_patient", patient(dossier=""), id="no status"),
        pytest.param("get_patient", patient(birth_date="28/03/1979"), id="no day"),
        pytest.param("get_patient", patient(opened_at=NOBODY), id="no instant"),
        pytest.param(
            "get_patient",
            patient(authorisations=[pb.Authorisation(state="perhaps")]),
            id="another state",
        ),
        pytest.param("list_patients", pb.ListPatientsResponse(), id="page of nothing"),
        pytest.param(
            "list_patients",
            pb.ListPatientsResponse(decision=decided(), next="1" * 22),
            id="the same page again",
        ),
        pytest.param(
            "list_patients",
            pb.ListPatientsResponse(decision=decided(), patients=[pb.AuthorisedPatient()]),
            id="no number",
        ),
        pytest.param("filter", pb.FilterResponse(), id="no list"),
        pytest.param("filter", pb.FilterResponse(decision=decided()), id="no condition"),
        pytest.param(
            "filter",
            pb.FilterResponse(decision=decided(), condition=pb.Condition(deny=[pb.Clause()])),
            id="nothing allowed",
        ),
        pytest.param(
            "filter",
            pb.FilterResponse(
                decision=decided(),
                condition=pb.Condition(
                    allow=[pb.Clause()],
                    deny=[pb.Clause(tests=[pb.Test(field="title", values=["x"])])],
                ),
            ),
            id="another field",
        ),
        pytest.param("require_filter", pb.FilterResponse(decision=decided()), id="on no terms"),
        pytest.param("get_bundle", pb.GetBundleResponse(decision=decided()), id="no policies"),
        pytest.param("activate_bundle", pb.ActivateBundleResponse(), id="nothing activated"),
    ],
)
async def test_no_proper_answer(kind, call, answer):
    """An answer that is none is an error that holds nothing of any patient; it is asked once."""
    arguments = {
        "get_patient": (DOCTOR, INS),
        "list_patients": (DOCTOR,),
        "filter": (DOCTOR, "document.list", INS),
        "require_filter": (DOCTOR, "document.list", INS),
        "get_bundle": (OFFICER,),
        "activate_bundle": (OFFICER,),
    }
    saying = Saying(answer)
    more = {"after": "1" * 22} if call == "list_patients" else {}

    async with serving(saying) as address:
        with pytest.raises(FailedError) as caught:
            await called(kind, address, call, *arguments[call], **more)

    assert len(saying.asked) == 1
    for secret in (INS, "2" * 22, "1979"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("get_patient", (DOCTOR, INS)),
        ("list_patients", (DOCTOR,)),
        ("filter", (DOCTOR, "document.list", INS)),
        ("get_bundle", (OFFICER,)),
    ],
)
async def test_asked_again(kind, call, arguments):
    """What is only read is asked for again when nobody answered."""
    saying = Saying(*[grpc.StatusCode.UNAVAILABLE] * 4)

    async with serving(saying) as address:
        with pytest.raises(UnavailableError):
            await called(kind, address, call, *arguments)

    assert len(saying.asked) == 4
    assert len(set(saying.asked)) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_duties_wait_for_a_proper_answer(kind):
    """Nothing is carried out because of an answer that is then not used."""
    done = []
    wrong = pb.GetPatientResponse(
        decision=decided(obligations=["review"]), listing=decided(), patient=pb.Patient(id="2")
    )

    async with serving(Saying(wrong)) as address:
        with pytest.raises(FailedError):
            await called(kind, address, "get_patient", DOCTOR, INS, duties={"review": done.append})

    assert done == []
