"""A professional's list of patients (TD0.4), over real sockets."""

import asyncio
from datetime import timedelta

import pytest

from authz.procedures import measure
from authz.product import LIST_PATIENTS
from authz.v1 import authz_pb2 as pb
from tests.service import (
    ANASTA,
    NOW,
    change,
    doctor,
    failure,
    holder,
    opening,
    patient,
    running,
    stranger,
    violations,
)

YEAR = timedelta(days=365)
COLLEAGUE = doctor(id="899700218896")


def listing(who: pb.Subject | None = None, **fields) -> pb.ListPatientsRequest:
    """Who authorises this one?"""
    asked = {"subject": who or doctor(), "context": pb.Context(mode="normal")}
    return pb.ListPatientsRequest(**{**asked, **fields})


def numbers(answer: pb.ListPatientsResponse) -> list[str]:
    """The patients of a page."""
    return [one.patient for one in answer.patients]


async def opened(service, count: int, **answers) -> list[str]:
    """So many dossiers, on each of which the doctor is authorised."""
    found = [patient(number) for number in range(1, count + 1)]
    made = await asyncio.gather(
        *(service.door.change(opening(whose=one, **answers)) for one in found)
    )
    assert all(decision.effect == pb.EFFECT_ALLOW for decision in made)
    return found


async def test_a_professional_lists_who_authorises(tmp_path):
    """Listed are those who authorise the doctor, each with birth date, end and treating doctor."""
    async with running(tmp_path, clock=lambda: NOW) as service:
        await service.door.change(opening(whose=patient(3), birth_date=""))
        await service.door.change(opening(whose=patient(1), treating_doctor=True))
        await service.door.change(opening(whose=patient(2), authorise=False))

        answer = await service.door.registry.ListPatients(listing())
        others = await service.door.registry.ListPatients(listing(stranger()))

    assert (answer.decision.effect, answer.decision.reason_code) == (
        pb.EFFECT_ALLOW,
        "OWN_PATIENTS",
    )
    assert [(one.patient, one.birth_date, one.treating_doctor) for one in answer.patients] == [
        (patient(1), "1979-03-28", True),
        (patient(3), "", False),
    ]
    assert {one.expires_at.ToDatetime(NOW.tzinfo) for one in answer.patients} == {NOW + YEAR}
    assert answer.next == ""
    assert (others.decision.effect, numbers(others)) == (pb.EFFECT_ALLOW, [])


async def test_the_structure_s_patients_are_one_s_own(tmp_path):
    """Who acts for an authorised structure lists its patients, until one of them blocks either."""
    grant = pb.GrantAuthorisation(grantee=pb.Grantee(id=COLLEAGUE.structure, kind="structure"))
    block = pb.SetBlock(grantee=pb.Grantee(id=COLLEAGUE.id, kind="professional"))
    async with running(tmp_path, clock=lambda: NOW) as service:
        for one in await opened(service, 2, authorise=False):
            await service.door.change(change(holder(one), one, grant_authorisation=grant))

        before = await service.door.registry.ListPatients(listing(COLLEAGUE))
        await service.door.change(change(holder(patient(1)), patient(1), set_block=block))
        after = await service.door.registry.ListPatients(listing(COLLEAGUE))
        elsewhere = listing(doctor(id=COLLEAGUE.id, structure="10B0252419"))
        not_theirs = await service.door.registry.ListPatients(elsewhere)

    assert numbers(before) == [patient(1), patient(2)]
    assert numbers(after) == [patient(2)]
    assert after.decision.revision == before.decision.revision + 1
    assert numbers(not_theirs) == []


async def test_page_by_page(tmp_path):
    """Pages follow one another by INS; each is decided, and on record without what it told."""
    async with running(tmp_path, clock=lambda: NOW) as service:
        expected = await opened(service, 5)

        told, after = [], ""
        for _ in range(3):
            page = await service.door.registry.ListPatients(listing(after=after, page_size=2))
            told.append(numbers(page))
            after = page.next

        entries = service.entries()[-3:]
    assert told == [expected[:2], expected[2:4], expected[4:]]
    assert after == ""
    assert {(e["kind"], e["action"], e["patient"]) for e in entries} == {
        ("decision", "patient.list", "")
    }
    assert not any(one in str(entries) for one in expected)


async def test_a_list_knows_what_its_revision_does(tmp_path):
    """Among changes that are made at the same time, each list is that of the revision it names."""
    async with running(tmp_path, clock=lambda: NOW) as service:
        calls = []
        for number in range(1, 31):
            calls += [
                service.door.registry.Change(opening(whose=patient(number))),
                service.door.registry.ListPatients(listing()),
            ]
        answers = await asyncio.gather(*calls)

    made = {one.revision for one in answers[::2]}
    for answer in answers[1::2]:
        known = [revision for revision in made if revision <= answer.decision.revision]
        assert len(answer.patients) == len(known)


@pytest.mark.parametrize(
    ("who", "why"),
    [
        (doctor(authentication="password"), "AUTHENTICATION_TOO_WEAK"),
        (doctor(capacity="insurance"), "CATEGORY_EXCLUDED"),
        (holder(), "PROFESSIONALS_ONLY"),
    ],
    ids=["password", "insurer", "patient"],
)
async def test_a_denial_lists_nobody(tmp_path, who, why):
    """Who may not list patients gets the reason, and no patient."""
    async with running(tmp_path, clock=lambda: NOW) as service:
        await opened(service, 1)

        answer = await service.door.registry.ListPatients(listing(who))

    assert (answer.decision.effect, answer.decision.reason_code) == (pb.EFFECT_DENY, why)
    assert (numbers(answer), answer.next) == ([], "")


async def test_the_portal_does_not_list_patients(tmp_path):
    """A service that may not ask for lists is denied them."""
    async with running(tmp_path, services=("operator", "portal")) as service:
        answer = await service.doors["portal"].registry.ListPatients(listing())

    assert answer.decision.reason_code == "CALLER_REFUSED"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"page_size": -1}, {"page_size": "`-1`; 1 to 1000, or 0 for 1000"}),
        ({"page_size": 1001}, {"page_size": "`1001`; 1 to 1000, or 0 for 1000"}),
        ({"after": "12"}, {"after": None}),
        ({"subject": pb.Subject()}, {"subject.kind": None, "subject.id": None}),
    ],
    ids=["negative", "too-large", "no-ins", "nobody"],
)
async def test_malformed(tmp_path, fields, expected):
    """What is malformed is refused by field, and nothing is decided."""
    async with running(tmp_path) as service:
        error = await failure(service.door.registry.ListPatients(listing(**fields)))

        entries = service.entries()
    found = violations(error)
    assert found.keys() == expected.keys()
    assert all(text in (None, found[name]) for name, text in expected.items())
    assert len(entries) == 1


def test_a_large_page_counts_as_many():
    """A page weighs as its size does, so that a batch of pages takes no longer than one of checks."""
    sizes = (0, 1, 100, 1000, -5)

    weights = [
        measure(LIST_PATIENTS, listing(page_size=size).SerializeToString()) for size in sizes
    ]

    assert weights == [(200, False), (10, False), (20, False), (200, False), (10, False)]


async def test_whose_dossier_is_closed_is_not_listed(tmp_path):
    """A closed dossier is listed no more."""
    close = pb.CloseDossier(reason="FERMETURE_DEMANDE_PATIENT")
    async with running(tmp_path, clock=lambda: NOW) as service:
        await service.door.change(opening())
        before = await service.door.registry.ListPatients(listing())
        await service.door.change(change(holder(), close_dossier=close))

        after = await service.door.registry.ListPatients(listing())

    assert (numbers(before), numbers(after)) == ([ANASTA], [])
