"""One question for a whole list: which documents may it be, asked over real sockets."""

import asyncio
from random import Random

import pytest
from sqlalchemy import select

from audit.database import reader
from authz.bundle import Bundle, restore
from authz.procedures import FILTER_WEIGHT, measure
from authz.product import CHECK, DMP, FILTER
from authz.registry import tables
from authz.v1 import authz_pb2 as pb
from authz.wire import condition as written
from tests.reference import filter as reference
from tests.service import (
    ANASTA,
    NOW,
    Running,
    bundle_of,
    change,
    doctor,
    failure,
    holder,
    note,
    opening,
    reading,
    running,
    stranger,
    violations,
)

EMERGENCY = pb.Context(
    mode="bris_de_glace", reason=pb.Reason(code="risque_vital", text="Malaise sur la voie publique")
)
NURSE = stranger(id="899700302013", profession="60", structure="")
CODES = ("N", "R", "V", "MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX")


def filtering(
    who: pb.Subject | None = None, whose: str = ANASTA, action: str = "document.read", **context
) -> pb.FilterRequest:
    """Which of this patient's documents may this one read?"""
    where = context.get("context", pb.Context(mode="normal"))
    return pb.FilterRequest(subject=who or doctor(), action=action, patient=whose, context=where)


def any_label(rng: Random, who: pb.Subject) -> pb.Document:
    """A label that is well formed, by whomever."""
    types = [*sorted(bundle_of().types), "00000-0"]
    people = [who.id, "899700301015", ANASTA]
    return note(
        type=rng.choice(types),
        authors=rng.sample(people, rng.randint(0, 2)),
        author_structure=rng.choice(["", who.structure, "10B0252419"]),
        visibility=rng.choice([["N"], rng.sample(CODES, rng.randint(0, 3))]),
        status=rng.choice(["approved", "approved", "deprecated", "archived", "deleted"]),
    )


async def opened(service: Running) -> None:
    """A dossier whose doctor is authorised, in which a nurse is too."""
    assert (await service.door.change(opening())).effect == pb.EFFECT_ALLOW
    grant = pb.GrantAuthorisation(grantee=pb.Grantee(id=NURSE.id, kind="professional"))
    done = await service.door.change(change(holder(), grant_authorisation=grant))
    assert done.effect == pb.EFFECT_ALLOW


def replayed(service: Running, entry: dict[str, object]) -> tuple[Bundle, tuple[object, ...]]:
    """The bundle and the facts of an entry, from nothing but what is stored."""
    with reader(service.url).connect() as conn:
        wanted = tables.bundles.c.digest == entry["bundle"]
        content = conn.scalar(select(tables.bundles.c.content).where(wanted))
    facts = tuple(tuple(f) if isinstance(f, list) else f for f in entry["facts"])
    return restore(content, DMP), facts


@pytest.mark.parametrize(
    ("who", "context"),
    [
        (doctor(), None),
        (NURSE, None),
        (stranger(), None),
        (stranger(), EMERGENCY),
        (holder(), None),
        (stranger(authentication="password"), None),
    ],
    ids=["authorised", "nurse", "stranger", "break-glass", "holder", "password"],
)
async def test_a_list_is_what_checks_would_allow(tmp_path, who, context):
    """The condition shows the very documents that a Check of each allows, with the same obligations."""
    rng = Random(who.id)
    context = context or pb.Context(mode="normal")
    documents = [any_label(rng, who) for _ in range(150)]
    checks = [reading(who, what=document) for document in documents]
    for one in checks:
        one.context.CopyFrom(context)
    async with running(tmp_path, clock=lambda: NOW) as service:
        await opened(service)

        answer = await service.door.authz.Filter(filtering(who, context=context))
        batch = await service.door.authz.CheckBatch(pb.CheckBatchRequest(checks=checks))

    shown = 0
    for document, decision in zip(documents, batch.decisions, strict=True):
        label = reference.label_of(document)
        allowed = decision.effect == pb.EFFECT_ALLOW
        assert reference.shown(answer.condition, label) == allowed
        if allowed:
            shown += 1
            assert reference.due(answer.condition, label) == set(decision.obligations)
            assert set(answer.decision.obligations) <= set(decision.obligations)
    assert (answer.decision.effect == pb.EFFECT_ALLOW) == bool(shown)
    assert shown < len(documents)
    assert answer.decision.revision == batch.decisions[0].revision


async def test_a_list_is_one_entry_from_which_it_comes_out_again(tmp_path):
    """One entry of kind `filter` is written, and with the stored bundle gives the same condition."""
    async with running(tmp_path, clock=lambda: NOW) as service:
        await opened(service)
        before = len(service.entries())

        answer = await service.door.authz.Filter(filtering(NURSE, action="document.list"))

        (entry,) = service.entries()[before:]
        bundle, facts = replayed(service, entry)
    assert entry["kind"] == "filter"
    assert entry["id"] == answer.decision.id
    assert (entry["action"], entry["patient"]) == ("document.list", ANASTA)
    assert "document" not in entry
    judgement = bundle.judge(facts)
    assert written(judgement.condition) == answer.condition
    assert entry["rules"] == list(judgement.verdict.rules) == ["read-authorised"]
    known = bundle.vocabulary.decode(facts)
    assert (known["resource.masked"], known["resource.status"]) == ("yes", "deleted")


@pytest.mark.parametrize("action", ["document.list", "document.read"])
async def test_an_emergency_list_is_an_access(tmp_path, action):
    """A list under break-glass owes what an access under break-glass owes, whatever is then shown."""
    async with running(tmp_path, clock=lambda: NOW) as service:
        await opened(service)

        asked = filtering(stranger(), action=action, context=EMERGENCY)
        answer = await service.door.authz.Filter(asked)
        one = reading(stranger())
        one.action = action
        one.context.CopyFrom(EMERGENCY)
        check = await service.door.check(one)

        entry = service.entries()[-2]
    assert list(answer.decision.obligations) == list(check.obligations)
    assert set(check.obligations) == {
        *("show_mode", "notify_holder", "notify_treating_doctor", "review")
    }
    assert (entry["mode"], entry["reason"]["code"]) == ("bris_de_glace", "risque_vital")
    assert entry["obligations"] == list(check.obligations)


async def test_a_denial_has_no_condition(tmp_path):
    """Where no document can be shown there is no condition, and the reason is that of all documents."""
    async with running(tmp_path, services=("operator", "audit")) as service:
        missing = await service.door.authz.Filter(filtering())
        await opened(service)
        insurer = await service.door.authz.Filter(filtering(doctor(capacity="insurance")))
        refused = await service.doors["audit"].authz.Filter(filtering())

    for answer, why in (
        (missing, "DOSSIER_MISSING"),
        (insurer, "CATEGORY_EXCLUDED"),
        (refused, "CALLER_REFUSED"),
    ):
        assert (answer.decision.effect, answer.decision.reason_code) == (pb.EFFECT_DENY, why)
        assert answer.decision.told_fr
        assert not answer.HasField("condition")


async def test_who_is_not_authorised_learns_why(tmp_path):
    """Who may see nothing but their own documents is told so, and why the others are not shown."""
    async with running(tmp_path, clock=lambda: NOW) as service:
        await opened(service)

        answer = await service.door.authz.Filter(filtering(stranger(), action="document.list"))

    own = pb.Test(field="authors", values=[stranger().id])
    (clause,) = answer.condition.allow
    assert (answer.decision.reason_code, list(clause.tests)) == ("AUTHOR", [own])
    label = reference.label_of(note())
    assert reference.why_not(answer.condition, label) == "NOT_AUTHORISED"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (
            filtering(action="document.deposit"),
            {
                "action": "`document.deposit` is not asked with the document left open; "
                "one of document.list, document.read"
            },
        ),
        (
            filtering(action=""),
            {
                "action": "`` is not asked with the document left open; "
                "one of document.list, document.read"
            },
        ),
        (
            filtering(whose=""),
            {"patient": "missing, `document.read` needs it; give the patient's INS"},
        ),
        (filtering(doctor(id="")), {"subject.id": "missing; give the identifier"}),
    ],
    ids=["action", "none", "patient", "subject"],
)
async def test_malformed(tmp_path, asked, expected):
    """What is malformed is refused by field, and nothing is decided."""
    async with running(tmp_path) as service:
        error = await failure(service.door.authz.Filter(asked))

        entries = service.entries()
    assert violations(error) == expected
    assert len(entries) == 1


def test_an_emergency_goes_first():
    """A list in an emergency is urgent, one in normal access is not; either counts for several checks."""
    urgent = filtering(context=EMERGENCY).SerializeToString()

    assert measure(FILTER, urgent) == (FILTER_WEIGHT, True)
    assert measure(FILTER, filtering().SerializeToString()) == (FILTER_WEIGHT, False)
    assert measure(CHECK, reading().SerializeToString()) == (1, False)


async def test_a_list_sees_what_was_changed_before(tmp_path):
    """A condition asked for after a change was answered rests on it."""
    async with running(tmp_path, clock=lambda: NOW) as service:
        await opened(service)
        before = await service.door.authz.Filter(filtering())
        block = pb.SetBlock(grantee=pb.Grantee(id=doctor().id, kind="professional"))
        await service.door.change(change(holder(), set_block=block))

        after = await service.door.authz.Filter(filtering())

    assert (before.decision.reason_code, after.decision.reason_code) == ("AUTHORISED", "BLOCKED")
    assert after.decision.revision > before.decision.revision


async def test_many_lists_at_once(tmp_path):
    """Many lists and checks at once are each answered with their own."""
    async with running(tmp_path, clock=lambda: NOW) as service:
        await opened(service)

        lists = [
            service.door.authz.Filter(filtering(who)) for who in (doctor(), NURSE, holder()) * 20
        ]
        checks = [service.door.check(reading(doctor())) for _ in range(60)]
        answers, decisions = await asyncio.gather(asyncio.gather(*lists), asyncio.gather(*checks))

    assert [a.decision.reason_code for a in answers] == ["AUTHORISED", "AUTHORISED", "HOLDER"] * 20
    assert len({a.decision.id for a in answers} | {d.id for d in decisions}) == 120
