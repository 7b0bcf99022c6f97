"""The gRPC door: every procedure of `authz.v1`, and what becomes of calls that are wrong."""

import asyncio
import random
import time
from datetime import timedelta

import grpc
import pytest

from audit.database import reader
from authz import procedures, waiting
from authz.batch import Batcher
from authz.registry.state import PatientState, unknown
from authz.registry.store import Store
from authz.v1 import authz_pb2 as pb
from serving.listener import local_only
from tests.service import (
    ANASTA,
    NOW,
    Running,
    auditor,
    change,
    doctor,
    failure,
    holder,
    note,
    officer,
    opening,
    patient,
    reading,
    reason,
    running,
    stranger,
    violations,
)

CHILD = patient(7)
SEVERAL = [
    reading(doctor()),
    reading(stranger()),
    reading(holder()),
    reading(stranger(authentication="password")),
    reading(doctor(), patient(9)),
    reading(doctor(), what=note(status="deleted")),
]
"""Requests that are all decided otherwise."""


def state(service: Running, whose: str = ANASTA) -> PatientState:
    """A patient's state as it is stored."""
    engine = reader(service.url)
    with engine.connect() as conn:
        found = Store().get(conn, whose)
    engine.dispose()
    return found


def batch(*checks: pb.CheckRequest) -> pb.CheckBatchRequest:
    return pb.CheckBatchRequest(checks=checks)


def whom(**changes: str) -> pb.Grantee:
    """Dr AUTRE, as one whom an act aims at."""
    return pb.Grantee(
        **{"id": "899700301015", "kind": "professional", "profession": "10", **changes}
    )


def seen(who: pb.Subject, whose: str = ANASTA) -> pb.GetPatientRequest:
    return pb.GetPatientRequest(subject=who, patient=whose, context=pb.Context(mode="normal"))


def reasons(answer: pb.CheckBatchResponse) -> list[str]:
    return [decision.reason_code for decision in answer.decisions]


# CheckBatch


async def test_a_batch_is_answered_by_position(tmp_path):
    """Whatever the order, and however often the same is asked, each answer stands where its question does."""
    shuffled = SEVERAL * 20
    random.Random(1).shuffle(shuffled)
    async with running(tmp_path) as service:
        await service.door.change(opening())
        alone = {
            one.SerializeToString(deterministic=True): (await service.door.check(one)).reason_code
            for one in SEVERAL
        }

        answer = await service.door.authz.CheckBatch(batch(*shuffled))

    assert len(set(alone.values())) == len(SEVERAL)
    assert reasons(answer) == [alone[o.SerializeToString(deterministic=True)] for o in shuffled]
    assert len({decision.id for decision in answer.decisions}) == len(shuffled)


async def test_a_thousand_checks_are_one_call_on_record(tmp_path):
    """The largest batch is decided as a whole: one call, one entry for each answer, in order."""
    checks = [reading(whose=patient(n)) for n in range(1_000)]
    async with running(tmp_path) as service:
        answer = await service.door.authz.CheckBatch(batch(*checks))

        entries = service.entries()[1:]
    assert [d.id for d in answer.decisions] == [entry["id"] for entry in entries]
    assert [entry["patient"] for entry in entries] == [c.resource.patient for c in checks]
    assert len({entry["call"] for entry in entries}) == 1


@pytest.mark.parametrize("count", [0, 1_001])
async def test_a_batch_of_the_wrong_size_is_refused(tmp_path, count):
    """None or more than a thousand: the field and the remedy are named, and nothing is recorded."""
    async with running(tmp_path) as service:
        error = await failure(service.door.authz.CheckBatch(batch(*[reading()] * count)))

        assert len(service.entries()) == 1
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violations(error) == {"checks": f"`{count}` checks; send 1 to 1000 checks a call"}


async def test_a_batch_with_a_malformed_check_is_refused_as_a_whole(tmp_path):
    """Each wrong check is told by its place, and none of the right ones is decided."""
    odd = reading()
    odd.action = "document.reed"
    odder = reading(whose="12")
    odder.context.declared_at.seconds = 2**60
    async with running(tmp_path) as service:
        error = await failure(
            service.door.authz.CheckBatch(batch(reading(), odd, reading(), odder))
        )
        lone = await failure(service.door.authz.CheckBatch(batch(odd)))

        assert len(service.entries()) == 1
    assert set(violations(error)) == {"checks[1].action", "checks[3].context.declared_at"}
    assert violations(lone) == {
        "checks[0].action": "unknown action: `document.reed`; did you mean `document.read`?"
    }


async def test_a_batch_that_is_wrong_everywhere_is_refused_quickly(tmp_path):
    """A thousand malformed checks cost no more than some: the first ones are told."""
    odd = reading(stranger(kind="medic"), "12")
    odd.action = "document.reed"
    async with running(tmp_path) as service:
        began = time.process_time()
        error = await failure(service.door.authz.CheckBatch(batch(*[odd] * 1_000)))

        assert time.process_time() - began < 2
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "checks[0].action" in violations(error)


# Explain


async def test_an_explanation_is_a_decision_with_its_reasons(tmp_path):
    """A denial says which rule decided, which came nearest, and what would have made it yes."""
    async with running(tmp_path) as service:
        await service.door.change(opening())

        answer = await service.door.authz.Explain(pb.ExplainRequest(check=reading(), language="en"))

        assert service.entries()[-1]["id"] == answer.decision.id
    assert answer.decision.reason_code == "NOT_AUTHORISED"
    assert [finding.uid for finding in answer.deciding] == list(answer.decision.rules)
    assert answer.nearest.effect == pb.EFFECT_ALLOW
    assert answer.facts["subject.authorisation"] == "none"
    first = answer.remedies[0].changes[0]
    assert (first.fact, getattr(first, "from"), first.to) == (
        "subject.authorisation",
        "none",
        "valid",
    )


async def test_an_explanation_speaks_two_languages(tmp_path):
    """French unless English is asked for; any other is refused."""
    async with running(tmp_path) as service:
        texts = [
            (
                await service.door.authz.Explain(
                    pb.ExplainRequest(check=reading(), language=language)
                )
            )
            .deciding[0]
            .told
            for language in ("", "fr", "en")
        ]
        error = await failure(
            service.door.authz.Explain(pb.ExplainRequest(check=reading(), language="de"))
        )

    assert texts[0] == texts[1] != texts[2]
    assert violations(error) == {"language": "unknown language: `de`; fr or en"}


async def test_a_malformed_question_is_told_in_the_fields_of_its_message(tmp_path):
    """Where the question is a part of the message, so is the field that is named."""
    async with running(tmp_path) as service:
        error = await failure(
            service.door.authz.Explain(pb.ExplainRequest(check=reading(whose="12")))
        )

    assert set(violations(error)) == {"check.resource.patient"}


# The registry


ME = whom(id="00B1038575")
FATHER = pb.Representative(id=patient(8), relation="FTH")
STORY = [
    opening(whose=CHILD, birth_date="2015-04-02"),
    change(doctor(), CHILD, add_representative=pb.AddRepresentative(representative=FATHER)),
    change(doctor(), CHILD, set_treating_doctor=pb.SetTreatingDoctor(professional=ME)),
    change(doctor(), CHILD, set_consents=pb.SetConsents(samu=False)),
    change(stranger(), CHILD, grant_authorisation=pb.GrantAuthorisation(grantee=whom())),
    change(stranger(), CHILD, renew_authorisation=pb.RenewAuthorisation(grantee=whom())),
    change(stranger(), CHILD, revoke_authorisation=pb.RevokeAuthorisation(grantee=whom())),
    change(doctor(), CHILD, set_block=pb.SetBlock(grantee=whom())),
    change(doctor(), CHILD, lift_block=pb.LiftBlock(grantee=whom())),
    change(doctor(), CHILD, withdraw_treating_doctor=pb.WithdrawTreatingDoctor(professional=ME)),
    change(
        doctor(), CHILD, remove_representative=pb.RemoveRepresentative(representative=FATHER.id)
    ),
    change(doctor(), CHILD, own_authorisation=pb.OwnAuthorisation(authorise=True)),
    change(doctor(), CHILD, close_dossier=pb.CloseDossier(reason="FERMETURE_DEMANDE_PATIENT")),
    change(doctor(), CHILD, reopen_dossier=pb.OpenDossier(break_glass=True)),
]
"""A dossier's life: every change of the contract once, each as it is permitted."""


def told(found: PatientState) -> dict[str, object]:
    """What the story changes, in short."""
    return {
        "status": found.status.value,
        "samu": found.consents.samu,
        "authorised": {a.grantee for a in found.authorisations},
        "doctors": {d.professional for d in found.treating_doctors},
        "blocked": {b.grantee for b in found.blocks},
        "representatives": {r.representative for r in found.representatives},
    }


async def test_every_change_of_the_contract_is_carried_out(tmp_path):
    """Each is decided, recorded and stored, and gets the next revision."""
    me, other = "00B1038575", "899700301015"
    expected = [
        {"status": "open", "samu": True, "authorised": {me}},
        {"representatives": {patient(8)}},
        {"doctors": {me}},
        {"samu": False},
        {"authorised": {me, other}},
        {},
        {"authorised": {me}},
        {"blocked": {other}},
        {"blocked": set()},
        {"doctors": set()},
        {"representatives": set()},
        {},
        {"status": "closed"},
        {"status": "open", "authorised": set()},
    ]
    now = told(unknown(CHILD))
    changes = {field.name for field in pb.ChangeRequest.DESCRIPTOR.oneofs[0].fields}
    # What reviews leave a professional with concerns no patient: `tests/authz/test_standing.py`.
    assert {request.WhichOneof("change") for request in STORY} == changes - {"set_review_standing"}
    async with running(tmp_path, clock=lambda: NOW) as service:
        for revision, (request, then) in enumerate(zip(STORY, expected, strict=True), 2):
            answer = await service.door.registry.Change(request)

            now = {**now, **then}
            assert answer.decision.effect == pb.EFFECT_ALLOW, answer.decision
            assert answer.revision == revision
            assert told(state(service, CHILD)) == now, request
        assert len(service.entries()) == 1 + len(STORY)


@pytest.mark.parametrize("place", range(len(STORY)))
async def test_a_denied_change_changes_nothing(tmp_path, place):
    """With a password instead of a card each change is denied: state and revision stay, it is on record."""
    async with running(tmp_path, clock=lambda: NOW) as service:
        for request in STORY[:place]:
            await service.door.registry.Change(request)
        before = state(service, CHILD)
        request = pb.ChangeRequest()
        request.CopyFrom(STORY[place])
        request.subject.authentication = "password"

        answer = await service.door.registry.Change(request)

        assert answer.decision.reason_code == "AUTHENTICATION_TOO_WEAK"
        assert (answer.revision, answer.decision.revision) == (0, place + 1)
        assert state(service, CHILD) == before
        assert service.entries()[-1]["effect"] == "deny"


async def test_a_permitted_change_that_is_impossible_is_denied(tmp_path):
    """It has a reason code of its own, and a remark that names the field and the remedy."""
    async with running(tmp_path) as service:
        await service.door.change(opening())
        before = state(service)

        answer = await service.door.registry.Change(change(holder(), set_consents=pb.SetConsents()))

        assert answer.decision.effect == pb.EFFECT_DENY
        assert answer.decision.reason_code == "CHANGE_IMPOSSIBLE"
        assert answer.decision.told_en.endswith("impossible in the state of the dossier.")
        assert answer.decision.remarks[-1].startswith("consents name no change: give at least one")
        assert (answer.revision, state(service)) == (0, before)


async def test_a_change_is_seen_by_the_next_check(tmp_path):
    """What was answered is in force: nothing decides on the state before."""
    own = pb.OwnAuthorisation
    async with running(tmp_path) as service:
        await service.door.change(opening())
        found = []
        for turn in range(40):
            await service.door.change(change(stranger(), own_authorisation=own(authorise=turn % 2)))

            found.append((await service.door.check(reading())).reason_code)

    assert found == ["NOT_AUTHORISED", "AUTHORISED"] * 20


async def test_changes_and_checks_at_once_are_consistent(tmp_path):
    """Under load, each check's answer is that of the revision that it names."""
    own = pb.OwnAuthorisation
    async with running(tmp_path) as service:
        await service.door.change(opening())
        authorised_from: dict[int, bool] = {2: False}
        decisions: list[pb.Decision] = []

        async def switch() -> None:
            for turn in range(40):
                wanted = turn % 2 == 0
                asked = change(stranger(), own_authorisation=own(authorise=wanted))
                answer = await service.door.registry.Change(asked)
                authorised_from[answer.revision] = wanted

        async def look() -> None:
            decisions.extend([await service.door.check(reading()) for _ in range(40)])

        await asyncio.gather(switch(), *(look() for _ in range(10)))

    assert len(authorised_from) == 41
    assert {d.reason_code for d in decisions} == {"AUTHORISED", "NOT_AUTHORISED"}
    for decision in decisions:
        expected = "AUTHORISED" if authorised_from[decision.revision] else "NOT_AUTHORISED"
        assert decision.reason_code == expected


NOBODY: tuple[bool, bool] = (False, False)


@pytest.mark.parametrize("before", [NOBODY, (True, False), (True, True)])
@pytest.mark.parametrize(
    ("answers", "after"),
    [
        ((True, False), lambda was: (True, was[1])),
        ((True, True), lambda _: (True, True)),
        ((False, False), lambda _: NOBODY),
        ((False, True), lambda was: (was[0], False)),
    ],
)
async def test_what_a_professional_records_for_oneself(tmp_path, before, answers, after):
    """TD0.3: two answers say what becomes of access and of the treating doctor's status."""
    async with running(tmp_path) as service:
        await service.door.change(opening(authorise=before[0], treating_doctor=before[1]))
        own = pb.OwnAuthorisation(authorise=answers[0], treating_doctor=answers[1])

        await service.door.change(change(doctor(), own_authorisation=own))

        found = state(service)
    me = "00B1038575"
    access = any(a.grantee == me for a in found.authorisations)
    assert (access, found.is_treating_doctor(me)) == after(before)


async def test_a_structure_authorises_itself(tmp_path):
    """A structure that feeds records its own authorisation, and it counts for those who work there."""
    house = doctor(kind="structure", authentication="structure_certificate", id="10B0252419")
    house.structure, house.profession = "10B0252419", ""
    async with running(tmp_path) as service:
        await service.door.change(opening())
        own = change(house, own_authorisation=pb.OwnAuthorisation(authorise=True))

        decision = await service.door.change(own)

        assert decision.effect == pb.EFFECT_ALLOW, decision
        assert (await service.door.check(reading())).reason_code == "AUTHORISED"


async def test_a_patient_is_shown_to_who_may_read(tmp_path):
    """GetPatient gives the state with the decisions that permit it, and decides as any other call."""
    async with running(tmp_path, clock=lambda: NOW) as service:
        await service.door.change(opening(samu=False))

        answer = await service.door.registry.GetPatient(seen(holder()))

        entries = service.entries()[2:]
    assert [e["id"] for e in entries] == [answer.decision.id, answer.listing.id]
    assert [e["action"] for e in entries] == ["dossier.read", "authorisation.list"]
    shown = answer.patient
    assert (shown.id, shown.dossier, shown.samu, shown.break_glass) == (ANASTA, "open", False, True)
    (authorised,) = shown.authorisations
    assert (authorised.grantee.id, authorised.state) == ("00B1038575", "valid")
    assert authorised.expires_at.ToDatetime() - authorised.granted_at.ToDatetime() == timedelta(365)


async def test_who_is_blocked_is_not_shown_to_everyone(tmp_path):
    """Who may read the dossier but not list professionals sees neither the authorised nor the blocked."""
    block = pb.SetBlock(grantee=whom())
    async with running(tmp_path) as service:
        await service.door.change(opening())
        await service.door.change(change(holder(), set_block=block))

        to_doctor = await service.door.registry.GetPatient(seen(doctor()))
        to_holder = await service.door.registry.GetPatient(seen(holder()))

    assert (to_doctor.decision.effect, to_doctor.listing.effect) == (
        pb.EFFECT_ALLOW,
        pb.EFFECT_DENY,
    )
    assert to_doctor.patient.dossier == "open"
    assert not to_doctor.patient.authorisations
    assert not to_doctor.patient.blocks
    assert [grantee.id for grantee in to_holder.patient.blocks] == ["899700301015"]
    assert len(to_holder.patient.authorisations) == 1


async def test_a_patient_is_not_shown_to_who_may_not(tmp_path):
    """A denial carries no patient at all, whether there is a dossier or not."""
    async with running(tmp_path) as service:
        await service.door.change(opening())

        denied = await service.door.registry.GetPatient(seen(stranger()))
        missing = await service.door.registry.GetPatient(seen(stranger(), patient(9)))

    assert not denied.HasField("patient")
    assert not missing.HasField("patient")
    assert (denied.decision.reason_code, missing.decision.reason_code) == (
        "NOT_AUTHORISED",
        "DOSSIER_MISSING",
    )


async def test_a_malformed_change_is_told_in_the_fields_of_its_message(tmp_path):
    """The fields that are named are those of ChangeRequest, and nothing is recorded."""
    nobody = change(doctor(), "12", set_block=pb.SetBlock(grantee=whom(id="")))
    none = pb.ChangeRequest(subject=doctor(), patient=ANASTA)
    async with running(tmp_path) as service:
        first = await failure(service.door.registry.Change(nobody))
        second = await failure(service.door.registry.Change(none))
        third = await failure(service.door.registry.GetPatient(seen(doctor(), "12")))

        assert len(service.entries()) == 1
    assert set(violations(first)) == {"patient", "change.target.id"}
    assert set(violations(second)) == {"change"}
    assert set(violations(third)) == {"patient"}


# What is wrong


def wrong(**fields: object) -> pb.CheckRequest:
    """A check that is right but for some fields, each named by its path."""
    request = reading()
    for path, value in fields.items():
        *parts, last = path.split("__")
        part = request
        for name in parts:
            part = getattr(part, name)
        if isinstance(value, list):
            del getattr(part, last)[:]
            getattr(part, last).extend(value)
        elif isinstance(value, dict):
            getattr(part, last).update(value)
        else:
            setattr(part, last, value)
    return request


FUTURE = reading()
FUTURE.context.declared_at.GetCurrentTime()
FUTURE.context.declared_at.seconds += 3_600

MALFORMED = [
    (wrong(action="document.reed"), "action", "unknown action: `document.reed`; did you mean"),
    (wrong(action=""), "action", "unknown action: ``"),
    (wrong(action="x" * 500_000), "action", "unknown action: `xxx"),
    (wrong(subject__kind="medic"), "subject.kind", "unknown value: `medic`; known: `auditor`"),
    (wrong(subject__kind=""), "subject.kind", "missing; one of"),
    (wrong(subject__kind="unknown"), "subject.kind", "unknown value: `unknown`"),
    (wrong(subject__id=""), "subject.id", "missing; give the identifier"),
    (wrong(subject__id="x" * 129), "subject.id", "129 characters; at most 128"),
    (wrong(subject__id="a\nb"), "subject.id", "blank or unprintable characters: `a\ufffdb`"),
    (wrong(subject__authentication="card"), "subject.authentication", "unknown value: `card`"),
    (wrong(subject__capacity="cares"), "subject.capacity", "unknown value: `cares`; did you mean"),
    (wrong(subject__name="x" * 501), "subject.name", "501 characters; at most 500"),
    (wrong(resource__patient=""), "resource.patient", "missing, `document.read` needs it"),
    (
        wrong(resource__patient="1113109067725142806652"),
        "resource.patient",
        "not an INS: `111\u202652`: key: `52`, where the digits before it give `51`",
    ),
    (
        wrong(resource__patient="3418935386100576927851"),
        "resource.patient",
        "not an INS: `341\u202651`: range: the first 20 digits are not below 2^64",
    ),
    (wrong(resource__patient="12"), "resource.patient", "not an INS: `12`: length:"),
    (
        wrong(resource__patient="\u0661" * 22),
        "resource.patient",
        "not an INS: `\u0661\u0661\u0661\u2026\u0661\u0661`: characters:",
    ),
    (wrong(resource__document__status=""), "resource.document.status", "missing; one of"),
    (wrong(resource__document__type=""), "resource.document.type", "missing"),
    (
        wrong(resource__document__visibility=["N", "MASQUE"]),
        "resource.document.visibility[1]",
        "unknown code: `MASQUE`; did you mean `MASQUE_PS`?",
    ),
    (
        wrong(resource__document__visibility=["N"] * 300_000),
        "resource.document.visibility",
        "300000 codes; at most 20",
    ),
    (
        wrong(resource__document__visibility=["?"] * 300_000),
        "resource.document.visibility",
        "300000 codes; at most 20",
    ),
    (
        wrong(resource__document__authors=["x"] * 51),
        "resource.document.authors",
        "51 authors; at most 50",
    ),
    (
        wrong(resource__target__id="1", resource__target__kind="robot"),
        "resource.target.kind",
        "unknown kind: `robot`",
    ),
    (wrong(context__mode="bris"), "context.mode", "unknown value: `bris`"),
    (wrong(context__closure="boredom"), "context.closure", "unknown value: `boredom`"),
    (wrong(context__reason__text="x" * 501), "context.reason.text", "501 characters; at most 500"),
    (FUTURE, "context.declared_at", "in the future: `"),
    (
        wrong(context__claims={"context.mod": "x"}),
        "claims[context.mod]",
        "unknown fact: `context.mod`",
    ),
    (
        wrong(context__claims={"subject.authorisation": "valid"}),
        "claims[subject.authorisation]",
        "unknown fact: `subject.authorisation`; it is computed, not claimed",
    ),
    (
        wrong(context__claims={f"claim{n}": "x" for n in range(20_000)}),
        "",
        "unknown fact: `claim",
    ),
]


async def test_what_is_malformed_is_refused_with_field_value_and_remedy(tmp_path):
    """Each is INVALID_ARGUMENT with the field that is wrong; nothing is recorded, the service stays up."""
    async with running(tmp_path) as service:
        for request, field, description in MALFORMED:
            began = time.process_time()
            error = await failure(service.door.authz.Check(request))

            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, field
            assert reason(error) == "INVALID_REQUEST"
            found = violations(error)
            described = found.get(field) or next(iter(found.values()))
            assert described.startswith(description), found
            assert len(found) == 1 or "visibility" in field or not field, found
            assert time.process_time() - began < 2, field
        assert len(service.entries()) == 1
        assert (await service.door.check(reading())).reason_code == "DOSSIER_MISSING"


async def test_a_number_is_never_repeated_in_full(tmp_path):
    """A wrong INS may be a real one with a slip: neither the text nor the details hold it."""
    number = "1113109067725142806652"
    async with running(tmp_path) as service:
        error = await failure(service.door.authz.Check(reading(whose=number)))

    assert number not in str(error.details())
    assert not any(number in text for text in violations(error).values())


async def test_everything_that_is_wrong_is_told_at_once(tmp_path):
    """A caller need not ask again to learn of the next mistake."""
    odd = wrong(action="document.reed", subject__kind="medic", resource__patient="12")
    async with running(tmp_path) as service:
        error = await failure(service.door.authz.Check(odd))

    assert set(violations(error)) == {"action", "subject.kind", "resource.patient"}


async def test_contradictory_claims_are_denied_on_record(tmp_path):
    """A centre-15 request without a regulator is well formed: the denial names the fields and the remedy."""
    async with running(tmp_path) as service:
        await service.door.change(opening())
        asked = wrong(context__mode="centre_15")

        decision = await service.door.check(asked)

        assert service.entries()[-1]["reason_code"] == "CENTRE_15_NOT_REGULATOR"
    assert decision.effect == pb.EFFECT_DENY
    assert "subject.regulator" in decision.told_en
    assert "context.mode" in decision.told_en
    assert "subject.regulator" in decision.told_fr


async def test_codes_that_are_not_listed_are_denied_on_record(tmp_path):
    """An unknown profession or type is for policy to deny, and the remark says what to give."""
    async with running(tmp_path) as service:
        await service.door.change(opening())

        profession = await service.door.check(reading(doctor(profession="1234")))
        kind = await service.door.check(
            reading(doctor(), what=note(type="99999-9", authors=["899700218896"]))
        )

        assert [e["effect"] for e in service.entries()[2:]] == ["deny", "deny"]
    assert profession.reason_code == "PROFESSION_UNLISTED"
    assert profession.remarks[0].endswith("`1234` is not listed; give a TRE_G15 code")
    assert kind.reason_code == "HABILITATION_UNLISTED"
    assert kind.remarks[0].endswith("is not a current type; give a code of JDV_J07")


async def test_a_service_may_only_do_what_it_is_entitled_to(tmp_path):
    """A service that calls what is not its own, or speaks for whom it may not, is denied on record."""
    async with running(tmp_path, services=("audit", "dossier", "nobody")) as service:
        by_audit = await service.doors["audit"].check(reading(doctor()))
        by_dossier = await service.doors["dossier"].policy.GetBundle(
            pb.GetBundleRequest(subject=officer())
        )
        unknown = await service.doors["nobody"].check(reading(doctor()))
        changed = await service.doors["audit"].change(opening())

        entries = service.entries()[1:]
        assert state(service).status == "none"
    found = [by_audit, by_dossier.decision, unknown, changed]
    assert [d.reason_code for d in found] == ["CALLER_REFUSED"] * 4
    assert not by_dossier.HasField("bundle")
    assert [e["caller"] for e in entries] == ["audit", "dossier", "nobody", "audit"]


async def test_bytes_that_are_no_message_are_refused(tmp_path):
    """Neither noise nor text that is no UTF-8 is a request: the procedure is named, and the remedy."""
    latin = pb.CheckRequest(action="xx").SerializeToString().replace(b"xx", b"\xe9\xff")
    path = "/authz.v1.AuthzService/Check"
    async with running(tmp_path) as service:
        for data in (b"\xff\xff\xff", b"\x0a\x05ab", latin, b"\x00"):
            call = service.door.channel.unary_unary(path)

            error = await failure(call(data))

            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, data
            assert violations(error) == {
                "message": "not a request of `authz.v1.AuthzService/Check`; "
                "encode it as authz.proto says, with text in UTF-8"
            }
        assert len(service.entries()) == 1


async def test_an_empty_message_is_malformed(tmp_path):
    """No bytes at all are a message that states nothing."""
    async with running(tmp_path) as service:
        error = await failure(service.door.channel.unary_unary("/authz.v1.AuthzService/Check")(b""))

    assert {"action", "subject.kind", "subject.id"} == set(violations(error))


async def test_a_message_too_large_is_refused(tmp_path):
    """Two megabytes never reach a handler, and the service stays up."""
    async with running(tmp_path) as service:
        error = await failure(service.door.authz.Check(wrong(subject__name="x" * (2 << 20))))

        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert len(service.entries()) == 1
        assert (await service.door.check(reading())).reason_code == "DOSSIER_MISSING"


async def test_an_unknown_procedure_is_unimplemented(tmp_path):
    """There is nothing to guess at."""
    async with running(tmp_path) as service:
        for path in ("/authz.v1.AuthzService/Guess", "/x/y"):
            error = await failure(service.door.channel.unary_unary(path)(b""))

            assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_an_unexpected_error_tells_the_caller_nothing(tmp_path, monkeypatch, capsys):
    """The caller reads `internal error`, the service log has the cause, and the next call is served."""
    async with running(tmp_path) as service:
        with monkeypatch.context() as patched:
            patched.setattr(procedures.wire, "_bytes", lambda *_: {}["secret"])
            error = await failure(service.door.authz.Check(reading()))

        after = await service.door.check(reading())

        failed = service.service.metrics.registry.get_sample_value(
            "dmp_calls_failed_total", {"rpc": "authz.v1.AuthzService/Check", "code": "INTERNAL"}
        )
    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "internal error")
    assert violations(error) == {}
    assert "KeyError" in capsys.readouterr().out
    assert after.reason_code == "DOSSIER_MISSING"
    assert failed == 1


async def test_one_that_can_not_be_recorded_is_an_internal_error(tmp_path, monkeypatch):
    """When an item breaks its batch, its caller is told so, and those who came with it are answered."""
    run = Batcher._decide

    def break_down(self, conn, query, *rest):
        if query.patient == patient(13):
            raise ZeroDivisionError("oops")
        return run(self, conn, query, *rest)

    async with running(tmp_path) as service:
        monkeypatch.setattr(Batcher, "_decide", break_down)
        calls = [service.door.authz.Check(reading(whose=patient(n))) for n in range(26)]

        outcome = await asyncio.gather(*calls, return_exceptions=True)

        assert await service.door.healthy()
    failed = [n for n, one in enumerate(outcome) if isinstance(one, Exception)]
    assert failed == [13]
    assert outcome[13].code() is grpc.StatusCode.INTERNAL


async def test_overload_is_told_with_the_time_to_come_back(tmp_path, monkeypatch):
    """Beyond the limit of waiting requests a call is RESOURCE_EXHAUSTED, and nothing is decided for it."""
    monkeypatch.setattr(waiting, "LIMIT", 0)
    async with running(tmp_path) as service:
        error = await failure(service.door.authz.Check(reading()))

        assert len(service.entries()) == 1
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason(error) == "OVERLOADED"


async def test_who_hangs_up_harms_nobody(tmp_path):
    """Calls that are cancelled or out of time end alone; the others are answered, the log is whole."""
    async with running(tmp_path) as service:
        stay = [service.door.authz.Check(reading(whose=patient(n))) for n in range(30)]
        leave = [service.door.authz.Check(reading(whose=patient(n))) for n in range(30)]
        late = [service.door.authz.Check(reading(), timeout=0.001) for n in range(30)]
        await asyncio.sleep(0.005)
        for call in leave:
            call.cancel()

        answers = await asyncio.gather(*stay)
        await asyncio.gather(*leave, *late, return_exceptions=True)

        entries = service.entries()[1:]
    assert {answer.decision.id for answer in answers} <= {entry["id"] for entry in entries}
    assert [entry["index"] for entry in entries] == list(range(1, len(entries) + 1))


async def test_calls_and_decisions_are_counted(tmp_path):
    """Metrics say how many were allowed, denied and refused; no answer is without record."""
    async with running(tmp_path) as service:
        await service.door.change(opening())
        await service.door.authz.CheckBatch(batch(reading(), reading(), reading(doctor())))
        await failure(service.door.authz.Check(reading(whose="12")))

        value = service.service.metrics.registry.get_sample_value
        counts = [value("dmp_decisions_total", {"effect": e}) for e in ("allow", "deny")]
        rpc = "authz.v1.AuthzService/Check"
        failed = value("dmp_calls_failed_total", {"rpc": rpc, "code": "INVALID_ARGUMENT"})
        unrecorded = value("dmp_answered_without_record_total")
        took = value("dmp_call_seconds_count", {"rpc": "authz.v1.AuthzService/CheckBatch"})
    assert (counts, failed, unrecorded, took) == ([2, 2], 1, 0, 1)


async def test_auditors_do_not_activate(tmp_path):
    """Who only watches over the system may read which bundle decides, no more."""
    async with running(tmp_path) as service:
        seen_by = await service.door.policy.GetBundle(pb.GetBundleRequest(subject=auditor()))
        denied = await service.door.policy.ActivateBundle(
            pb.ActivateBundleRequest(subject=auditor())
        )

    assert seen_by.bundle.digest == seen_by.decision.bundle
    assert denied.decision.reason_code == "OFFICERS_ONLY"
    assert not denied.HasField("bundle")


# Where it listens


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:0", "127.0.0.1:7443", "127.8.9.10:1", "[::1]:0", "localhost:7443", "unix:/run/x"],
)
def test_local_addresses_are_accepted(address):
    """Loopback in either version, by number or as localhost, and unix sockets."""
    assert local_only(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0:7443",
        "[::]:7443",
        ":::7443",
        "::1:7443",
        ":7443",
        "7443",
        "",
        "10.0.0.1:7443",
        "192.168.1.1:7443",
        "8.8.8.8:7443",
        "[2001:db8::1]:7443",
        "[::ffff:10.0.0.1]:7443",
        "example.org:7443",
        "localhost.example.org:7443",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:http",
        "127.0.0.1:\u0661",
        "0:7443",
        "0x7f000001:7443",
        "dns:127.0.0.1:7443",
        "ipv4:0.0.0.0:7443",
        "unix-abstract:x",
        "vsock:1:2",
    ],
)
def test_other_addresses_are_refused(address):
    """Whatever another machine could reach, or might mean something else to gRPC, names what is allowed."""
    with pytest.raises(ValueError, match="without TLS only loopback"):
        local_only(address)


async def test_a_structure_can_not_give_up_what_it_can_not_be(tmp_path):
    """A structure that withdraws as treating doctor is told so by field, and nothing is decided."""
    clinic = doctor(kind="structure", id="10B0193488", authentication="structure_certificate")
    async with running(tmp_path) as service:
        own = pb.OwnAuthorisation(authorise=False, treating_doctor=True)
        error = await failure(service.door.registry.Change(change(clinic, own_authorisation=own)))

        assert len(service.entries()) == 1
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert set(violations(error)) == {"change.treating_doctor"}
