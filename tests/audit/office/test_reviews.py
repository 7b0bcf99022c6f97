"""Emergency accesses at the auditor's desk: queue, one case, its closing, and how many there are of whom."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import grpc
import pytest

from audit.office import reviews as module
from audit.office import wire
from audit.v1 import audit_pb2 as pb
from authz.v1 import authz_pb2 as authz
from tests.audit.office.served import running
from tests.service import ANASTA, NOW, auditor, failure, note, patient, reason, stranger, violations

DAY = timedelta(days=1)


class Clock:
    """An instant that tests set."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """The clock of all services."""
    return Clock()


def emergency(whose=ANASTA, who=None, code="risque_vital"):
    """May this one read this document, by break-glass?"""
    return authz.CheckRequest(
        subject=who or stranger(),
        action="document.read",
        resource=authz.Resource(patient=whose, document=note()),
        context=authz.Context(
            mode="bris_de_glace", reason=authz.Reason(code=code, text="found unconscious")
        ),
    )


def report(decision, whose=ANASTA, obligation="notify_holder", how="email"):
    """The dossier service has carried out an obligation."""
    return authz.CheckRequest(
        subject=authz.Subject(kind="service", id="dossier", authentication="service_channel"),
        action="obligation.report",
        resource=authz.Resource(patient=whose, about=decision),
        context=authz.Context(reason=authz.Reason(code=obligation, text=how)),
    )


async def broken(audit, whose=ANASTA, **how):
    """A break-glass access that is in the index; its decision."""
    decision = await audit.decide(emergency(whose, **how))
    assert decision.effect == authz.EFFECT_ALLOW, decision
    await audit.settled()
    return decision.id


async def listed(audit, who=None, **asked):
    return await audit.stub.ListCases(pb.ListCasesRequest(subject=who or auditor(), **asked))


async def read(audit, id_, who=None):
    return await audit.stub.ReadCase(pb.ReadCaseRequest(subject=who or auditor(), id=id_))


async def close(audit, id_, verdict="justified", why="as the ward's file says", who=None):
    request = pb.CloseCaseRequest(subject=who or auditor(), id=id_, verdict=verdict, why=why)
    return await audit.stub.CloseCase(request)


async def test_entries_name_their_case(tmp_path, clock):
    """Pages and single entries say to which case an emergency access belongs; of other entries nothing."""
    async with running(tmp_path, clock=clock) as audit:
        await audit.open()
        first = await broken(audit)
        second = await broken(audit)
        (page,) = [one async for one in audit.stub.Query(pb.QueryRequest(subject=auditor()))]
        named = {one.id: one.case for one in page.entries if one.case}
        assert named == {first: first, second: first}
        shown = await audit.stub.Show(pb.ShowRequest(subject=auditor(), id=second))
        assert shown.entry.case == first


async def test_case_fits_into_a_message(tmp_path, clock, monkeypatch):
    """Of a case with many accesses as many are shown as a message takes; it says how many there are."""
    monkeypatch.setattr(wire, "MOST_BYTES", 10)
    async with running(tmp_path, clock=clock) as audit:
        await audit.open()
        first = await broken(audit)
        await broken(audit)
        found = await read(audit, first)
        assert ([one.id for one in found.accesses], found.case.accesses) == ([first], 2)


async def test_from_access_to_verdict(tmp_path, database, clock):
    """A break-glass access waits, its notice is reported, an auditor closes it, and all of it is told."""
    async with running(tmp_path, database=database, clock=clock) as audit:
        await audit.open()
        id_ = await broken(audit)
        (case,) = (await listed(audit)).cases
        assert (case.id, case.state, case.accesses, case.overdue) == (id_, "open", 1, False)
        assert case.professional.id == stranger().id
        assert case.due_at.ToDatetime(UTC) == NOW + 7 * DAY
        assert [(one.name, one.state) for one in case.obligations] == [
            ("notify_holder", "due"),
            ("notify_treating_doctor", "due"),
        ]
        await audit.decide(report(id_))
        await audit.settled()
        found = await read(audit, id_)
        assert [(one.state, one.how) for one in found.case.obligations] == [
            ("carried_out", "email"),
            ("due", ""),
        ]
        answer = await close(audit, id_, "justified")
        assert (answer.case.state, answer.case.closed.why) == (
            "justified",
            "as the ward's file says",
        )
        assert answer.case.closed.who == auditor().id
        after = await read(audit, id_)
        assert [one.what for one in after.steps] == ["opened", "carried_out", "justified"]
        assert [one.id for one in after.accesses] == [id_]
        waiting = await listed(audit)
        assert (len(waiting.cases), waiting.open) == (0, 0)
        (done,) = (await listed(audit, state="justified")).cases
        assert done.id == id_


async def test_list_hides_patients_and_case_shows_them(tmp_path, clock):
    """The list goes by pseudonym; one case is shown in clear, which stands in the patient's own trace."""
    async with running(tmp_path, clock=clock) as audit:
        await audit.open()
        id_ = await broken(audit)
        page = await listed(audit)
        assert page.look.pseudonymised
        assert ANASTA not in str(page)
        assert page.cases[0].patient.startswith("~")
        found = await read(audit, id_)
        assert (found.case.patient, found.look.pseudonymised) == (ANASTA, False)
        (named,) = (await listed(audit, patient=ANASTA)).cases
        assert named.patient == ANASTA


async def test_most_urgent_first_page_by_page(tmp_path, clock):
    """Cases wait in the order of their deadlines, and each is on one page."""
    async with running(tmp_path, clock=clock) as audit:
        ids = []
        for number in range(5):
            await audit.open(whose=patient(number))
            ids.append(await broken(audit, patient(number)))
            clock.now += timedelta(hours=1)
        seen, cursor = [], ""
        while True:
            page = await listed(audit, page_size=2, cursor=cursor)
            seen += [case.id for case in page.cases]
            cursor = page.cursor
            if not cursor:
                break
        assert seen == ids
        assert page.open == 5
        error = await failure(listed(audit, page_size=2, cursor=page.cursor or "x"))
        assert "cursor" in violations(error)


async def test_overdue(tmp_path, clock):
    """What was not reviewed in time is overdue, and is open all the same."""
    async with running(tmp_path, clock=clock) as audit:
        await audit.open()
        id_ = await broken(audit)
        assert not (await listed(audit, state="overdue")).cases
        clock.now += 7 * DAY + timedelta(seconds=1)
        for state in ("overdue", "open"):
            page = await listed(audit, state=state)
            assert [(case.id, case.overdue) for case in page.cases] == [(id_, True)]
            assert (page.open, page.overdue) == (1, 1)


async def test_nobody_closes_their_own(tmp_path, clock):
    """An auditor who is the professional concerned is refused; the case stays open, the attempt is a step."""
    async with running(tmp_path, clock=clock) as audit:
        await audit.open()
        id_ = await broken(audit)
        self_ = authz.Subject(kind="auditor", id=stranger().id, authentication="individual_card")
        error = await failure(close(audit, id_, who=self_))
        assert (error.code(), reason(error)) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "REVIEW_BY_SECOND_PERSON",
        )
        await audit.settled()
        found = await read(audit, id_)
        assert (found.case.state, found.steps[-1].what, found.steps[-1].why) == (
            "open",
            "refused",
            "REVIEW_BY_SECOND_PERSON",
        )


async def test_others_than_auditors_are_denied(tmp_path, clock):
    """A doctor sees no case, not even whether there is one, and closes none."""
    async with running(tmp_path, clock=clock) as audit:
        await audit.open()
        id_ = await broken(audit)
        for call in (
            listed(audit, who=stranger()),
            read(audit, id_, who=stranger()),
            read(audit, _unknown(), who=stranger()),
            close(audit, id_, who=stranger()),
            close(audit, _unknown(), who=stranger()),
            audit.stub.CountCases(pb.CountCasesRequest(subject=stranger(), by="structure")),
        ):
            error = await failure(call)
            assert error.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_closed_stays_closed(tmp_path, clock):
    """A second closing is a clear error, and no review is recorded."""
    async with running(tmp_path, clock=clock) as audit:
        await audit.open()
        id_ = await broken(audit)
        await close(audit, id_, "misuse")
        error = await failure(close(audit, id_, "justified"))
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "misuse" in error.details()
        await audit.settled()
        assert [one.what for one in (await read(audit, id_)).steps] == ["opened", "misuse"]


async def test_two_auditors_at_once(tmp_path, clock):
    """Of two who close at the same time one is told that the other was faster."""
    async with running(tmp_path, clock=clock) as audit:
        await audit.open()
        id_ = await broken(audit)
        answers = await asyncio.gather(
            close(audit, id_, "misuse"), close(audit, id_, "justified"), return_exceptions=True
        )
        lost = [one for one in answers if isinstance(one, grpc.aio.AioRpcError)]
        assert [one.code() for one in lost] == [grpc.StatusCode.FAILED_PRECONDITION]
        found = (await read(audit, id_)).case
        assert found.state == next(a for a in answers if a not in lost).case.state


async def test_access_behind_the_review_waits_again(tmp_path, clock):
    """What was done after the closing is the next case."""
    async with running(tmp_path, clock=clock) as audit:
        await audit.open()
        id_ = await broken(audit)
        await close(audit, id_)
        clock.now += timedelta(minutes=5)
        next_ = await broken(audit)
        assert [case.id for case in (await listed(audit)).cases] == [next_]


async def test_index_that_is_late_is_said(tmp_path, clock, monkeypatch):
    """Where the index does not have the review in time, the case is shown as open, with the decision."""
    monkeypatch.setattr(module.Reviews, "_taken_in", _never)
    async with running(tmp_path, clock=clock) as audit:
        await audit.open()
        id_ = await broken(audit)
        answer = await close(audit, id_)
        assert answer.case.state == "open"
        await audit.settled()
        assert (await read(audit, id_)).case.closed.decision_id == answer.look.decision_id


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (pb.CloseCaseRequest(id="x", verdict="perhaps", why=" "), {"id", "verdict", "why"}),
        (pb.CloseCaseRequest(id=str(uuid4()), verdict="misuse", why="x" * 501), {"why"}),
        (pb.ReadCaseRequest(id="0197"), {"id"}),
        (
            pb.ListCasesRequest(state="lost", page_size=201, patient="1", professional="x" * 129),
            {"state", "page_size", "patient", "professional"},
        ),
        (pb.ListCasesRequest(professional="1" * 22), {"professional"}),
        (pb.ListCasesRequest(professional="\x1b", structure=" x"), {"professional", "structure"}),
        (pb.ListCasesRequest(patient="1541187387477485562489"), {"patient"}),
        (pb.ListCasesRequest(cursor="x"), {"cursor"}),
        (pb.CountCasesRequest(by="sex"), {"by"}),
    ],
)
async def test_what_cannot_be_asked(tmp_path, clock, request_, fields):
    """All that is wrong is told at once, field by field, and nothing is recorded."""
    async with running(tmp_path, clock=clock) as audit:
        before = audit.stored()
        request_.subject.CopyFrom(auditor())
        name = type(request_).__name__.removesuffix("Request")
        error = await failure(getattr(audit.stub, name)(request_))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert set(violations(error)) == fields
        assert audit.stored() == before


@pytest.mark.parametrize(
    "request_",
    [
        pb.ListCasesRequest(state="279035121518989\x1b"),
        pb.CountCasesRequest(by="279035121518989\x1b"),
        pb.CloseCaseRequest(id=str(uuid4()), verdict="279035121518989\x1b", why="well"),
        pb.ListUnusualRequest(signs=["279035121518989\x1b"]),
    ],
)
async def test_number_of_a_patient_in_the_wrong_place_is_not_repeated(tmp_path, clock, request_):
    """An error repeats neither a patient's number nor what would steer a terminal."""
    async with running(tmp_path, clock=clock) as audit:
        request_.subject.CopyFrom(auditor())
        name = type(request_).__name__.removesuffix("Request")
        error = await failure(getattr(audit.stub, name)(request_))
        told = f"{error.details()} {violations(error)}"
        assert "279035121518989" not in told
        assert "\x1b" not in told


async def test_reasons_must_be_plain_text(tmp_path, clock):
    """Reasons that can't be printed are refused, and the case stays open."""
    async with running(tmp_path, clock=clock) as audit:
        await audit.open()
        case = await broken(audit)
        error = await failure(close(audit, case, why="well\x1b[2J"))
        assert set(violations(error)) == {"why"}
        assert (await read(audit, case)).case.state == "open"


async def test_period_the_wrong_way_round(tmp_path, clock):
    """A period that ends before it begins is refused."""
    request = pb.ListCasesRequest(subject=auditor())
    getattr(request, "from").FromDatetime(NOW)
    request.until.FromDatetime(NOW - DAY)
    async with running(tmp_path, clock=clock) as audit:
        assert "until" in violations(await failure(audit.stub.ListCases(request)))


async def test_unknown_case(tmp_path, clock):
    """A case that there is not is NOT_FOUND, to those who may look."""
    async with running(tmp_path, clock=clock) as audit:
        await audit.open()
        for call in (read(audit, _unknown()), close(audit, _unknown())):
            assert (await failure(call)).code() is grpc.StatusCode.NOT_FOUND


async def test_statistics(tmp_path, clock):
    """Cases are counted by professional and by structure, with the share of emergencies."""
    async with running(tmp_path, clock=clock) as audit:
        ids = []
        for number in range(3):
            await audit.open(whose=patient(number))
            ids.append(await broken(audit, patient(number)))
        await broken(audit, patient(0))
        await close(audit, ids[0], "misuse")
        clock.now += 8 * DAY
        for by, expected in (
            ("professional", stranger().id),
            ("structure", stranger().structure),
        ):
            request = pb.CountCasesRequest(subject=auditor(), by=by)
            (one,) = (await audit.stub.CountCases(request)).counts
            assert (one.id, one.cases, one.accesses, one.patients) == (expected, 3, 4, 3)
            assert (one.open, one.overdue, one.justified, one.misuse) == (2, 2, 0, 1)
            assert one.share == 1000


async def test_filters(tmp_path, clock):
    """Cases are found by professional, structure and period."""
    async with running(tmp_path, clock=clock) as audit:
        await audit.open()
        id_ = await broken(audit)
        for asked, found in (
            ({"professional": stranger().id}, 1),
            ({"professional": "00B1038575"}, 0),
            ({"structure": stranger().structure}, 1),
            ({"structure": "10B0193488"}, 0),
            ({"until": _stamp(NOW)}, 0),
            ({"until": _stamp(NOW + DAY)}, 1),
        ):
            page = await listed(audit, **asked)
            assert [case.id for case in page.cases] == [id_] * found, asked


def _stamp(at: datetime):
    made = pb.Standing().complete_until
    made.FromDatetime(at)
    return made


def _unknown():
    return "0197b0a0-0000-7000-8000-000000000000"


async def _never(*_):
    return None
