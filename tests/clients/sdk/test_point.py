"""The SDK before the real decision point."""

import asyncio
from dataclasses import replace
from datetime import date

import pytest

from clients.sdk import (
    PLAIN,
    AheadError,
    AuthorisationState,
    Context,
    Denied,
    Document,
    DossierStatus,
    Effect,
    InvalidError,
    Permit,
    Query,
    Reason,
    Subject,
    Target,
    UnavailableError,
    aio,
    connect,
    oneself,
)
from clients.sdk import changes as sdk_changes
from tests.clients.sdk.samples import DOCTOR, EMERGENCY, INS, NOTE, STRANGER, deposit, reading
from tests.service import patient, running

HOLDER = Subject(kind="patient", id=INS, authentication="patient_code", capacity="self")
OFFICER = Subject(kind="compliance_officer", id="CONF-0001", authentication="individual_card")
OPENING = sdk_changes.OpenDossier(
    birth_date=date(1979, 3, 28), authorise=True, samu=True, break_glass=True
)
AGREED = Context(agreement=True)


@pytest.fixture
async def point(tmp_path):
    """A decision point."""
    async with running(tmp_path) as made:
        yield made


@pytest.fixture
async def client(point):
    """A client that carries out the duties of this file."""
    done = []
    duties = dict.fromkeys(["notify_holder", "notify_treating_doctor", "review"], done.append)
    async with aio.connect(point.service.addresses[0], PLAIN, timeout_s=5, duties=duties) as made:
        made.done = done
        await made.change(DOCTOR, INS, OPENING, context=AGREED)
        done.clear()
        yield made


async def test_permit_and_record(client, point):
    """A permit stands in the log under its decision's id, with what was asked."""
    permit = await client.require(reading())

    entry = {e["id"]: e for e in point.entries()}[permit.decision.id]
    assert (entry["action"], entry["effect"]) == ("document.read", "allow")
    assert permit.decision.effect is Effect.ALLOW
    assert permit.decision.reason_code == entry["reason_code"] == "AUTHOR"
    assert permit.decision.at.isoformat()[:16] == entry["at"][:16]


async def test_denial_is_told(client):
    """A denial has its reason and its sentence in both languages."""
    with pytest.raises(Denied) as caught:
        await client.require(reading(subject=STRANGER))

    assert caught.value.reason_code == "NOT_AUTHORISED"
    assert caught.value.decision.told.fr.startswith("Le patient n'a pas autorisé")
    assert caught.value.decision.told.en.startswith("The patient has not authorised")


async def test_emergency(client):
    """Break-glass is permitted to who shows the mode, and only once all have been told."""
    query = reading(subject=STRANGER, context=EMERGENCY)

    with pytest.raises(Denied, match="OBLIGATION_UNSUPPORTED: show_mode"):
        await client.require(query)
    with await client.require(query, supports={"show_mode"}) as permit:
        permit.fulfil("show_mode")

    names = ["notify_holder", "notify_treating_doctor", "review"]
    assert sorted(names * 2) == sorted(obligation.name for obligation in client.done)


async def test_batch(client):
    """A batch is answered by position."""
    queries = [reading(), reading(subject=STRANGER), deposit(), reading(subject=HOLDER)]

    answers = await client.require_each(queries)

    assert [True, False, True, True] == [isinstance(answer, Permit) for answer in answers]
    assert queries == [answer.query for answer in answers]


async def test_batch_of_many(client):
    """More than a thousand questions go in several calls, and are answered by position."""
    queries = [reading(), reading(subject=STRANGER)] * 600

    decisions = await client.check_all(queries)

    assert len({decision.id for decision in decisions}) == 1_200
    assert [Effect.ALLOW, Effect.DENY] * 600 == [decision.effect for decision in decisions]


async def test_explained(client):
    """An explanation names the rules, the conditions, and what would have made it yes."""
    explained = await client.explain(reading(subject=STRANGER), language="en")

    assert [rule.uid for rule in explained.deciding] == ["not-authorised"]
    assert explained.deciding[0].effect is Effect.DENY
    assert explained.nearest.uid == "read-authorised"
    assert any(not condition.holds for condition in explained.nearest.conditions)
    assert explained.facts["subject.authorisation"] == "none"
    fix = explained.remedies[0].changes[0]
    assert (fix.fact, fix.before, fix.after) == ("subject.authorisation", "none", "valid")


async def test_explained_yes(client):
    """The explanation of a yes has no nearest rule and no remedies."""
    explained = await client.explain(reading())

    assert (explained.nearest, explained.remedies) == (None, ())


async def test_malformed(client):
    """What is malformed is told field by field."""
    with pytest.raises(InvalidError) as caught:
        await client.check(reading(action="document.reed", patient="12"))

    assert {"action", "resource.patient"} == {v.field for v in caught.value.violations}


CHANGES = [
    (DOCTOR, sdk_changes.SetTreatingDoctor(
        professional=sdk_changes.Grantee(id=DOCTOR.id, kind="professional", profession="10")
    )),
    (HOLDER, sdk_changes.SetConsents(break_glass=False)),
    (HOLDER, sdk_changes.GrantAuthorisation(
        grantee=sdk_changes.Grantee(id=STRANGER.id, kind="professional", profession="10")
    )),
    (HOLDER, sdk_changes.RevokeAuthorisation(
        grantee=sdk_changes.Grantee(id=STRANGER.id, kind="professional", profession="10")
    )),
    (HOLDER, sdk_changes.SetBlock(
        grantee=sdk_changes.Grantee(id=STRANGER.id, kind="professional")
    )),
    (HOLDER, sdk_changes.LiftBlock(
        grantee=sdk_changes.Grantee(id=STRANGER.id, kind="professional")
    )),
]  # fmt: skip


async def test_changes(client):
    """Changes of the registry are understood by the decision point, and count from then on."""
    everything = {"collect_fresh_consent", "confirm"}
    for who, change in CHANGES:
        permit = await client.change(who, INS, change, context=AGREED, supports=everything)
        permit.fulfil(*everything)

    with pytest.raises(Denied, match="BREAK_GLASS_OPPOSED"):
        await client.require(reading(subject=STRANGER, context=EMERGENCY), supports={"show_mode"})


async def test_services_on_their_own_behalf(tmp_path):
    """A service reports what it has carried out, and the audit service what reviews have left."""
    async with running(tmp_path, services=("dossier", "audit")) as point:
        dossier, audit = (aio.connect(a, PLAIN, timeout_s=5) for a in point.service.addresses)
        async with dossier, audit:
            opening = {"context": AGREED, "supports": {"notify_holder"}}
            opened = await dossier.change(DOCTOR, INS, OPENING, **opening)
            opened.fulfil("notify_holder")
            done = Context(reason=Reason(code="notify_holder", text="email"))
            earlier = await dossier.check(reading())
            report = Query(
                subject=oneself("dossier"),
                action="obligation.report",
                patient=INS,
                context=done,
                about=earlier.id,
            )

            reported = await dossier.require(report)
            told = await audit.set_review_standing("audit", STRANGER.id, "overdue", why="late")
            with pytest.raises(Denied, match="CALLER_REFUSED"):
                await dossier.set_review_standing("dossier", STRANGER.id, "none")
            with pytest.raises(InvalidError, match="about"):
                await dossier.require(replace(report, about="yesterday"))

        entries = {entry["id"]: entry for entry in point.entries()}
    assert entries[reported.decision.id]["about"] == earlier.id
    assert entries[told.decision.id]["target"] == {"id": STRANGER.id, "kind": "professional"}
    assert entries[told.decision.id]["change"]["standing"] == "overdue"
    for permit in (reported, told):
        permit.drop()


async def test_same_change_again(client):
    """A change under an id of its own is made once, and answered again as it was."""
    grantee = sdk_changes.Grantee(id=STRANGER.id, kind="professional", profession="10")
    grant = sdk_changes.GrantAuthorisation(grantee=grantee)

    first = await client.change(HOLDER, INS, grant, context=AGREED, request_id="once")
    again = await client.change(HOLDER, INS, grant, context=AGREED, request_id="once")

    assert first.decision == again.decision


async def test_fields_reach_their_facts(client):
    """What is said of circumstances and target is judged as it was said."""
    context = Context(
        mode="normal", agreement=True, secret_connection=True, announced=True, reason=None
    )
    target = Target(id=STRANGER.id, kind="professional", profession="10")
    query = reading(action="authorisation.grant", document=None, target=target, context=context)

    facts = (await client.explain(query)).facts

    assert facts["context.agreement"] == "given"
    assert facts["context.secret_connection"] == "yes"
    assert facts["resource.target"] == STRANGER.id
    assert facts["resource.target_profession"] == "10"


async def test_reason_of_an_emergency(client):
    """A reason without words is no reason."""
    half = Context(mode="bris_de_glace", reason=Reason(code="risque_vital", text=""))

    with pytest.raises(Denied, match="BREAK_GLASS_REASON_MISSING"):
        await client.require(reading(subject=STRANGER, context=half))


async def test_synchronously(client, point):
    """The synchronous client gets the same answers."""

    def ask():
        with connect(point.service.addresses[0], PLAIN, timeout_s=5) as ours:
            return ours.check(reading()), ours.explain(reading(document=NOTE))

    decision, explained = await asyncio.to_thread(ask)

    assert decision.effect is explained.decision.effect is Effect.ALLOW
    assert decision.rules == (await client.check(reading())).rules


async def test_stopped(tmp_path):
    """A decision point that has stopped permits nothing."""
    async with running(tmp_path) as made:
        address = made.service.addresses[0]
        client = aio.connect(address, PLAIN, timeout_s=5)
        await client.check(reading())

    with pytest.raises(UnavailableError):
        await client.check(reading())
    await client.close()


async def test_patient(client):
    """What the registry knows of a patient is told as it was set."""
    record = await client.get_patient(DOCTOR, INS)

    assert (record.id, record.dossier) == (INS, DossierStatus.OPEN)
    assert (record.birth_date, record.closed_at) == (date(1979, 3, 28), None)
    assert (record.samu, record.break_glass, record.masked_in_emergency) == (True, True, False)
    assert record.decision.reason_code != ""
    assert record.opened_at.tzinfo is not None


async def test_patient_with_and_without_lists(client):
    """Who is authorised is told to the patient; to others as policy says, beside the rest."""
    await client.change(
        HOLDER,
        INS,
        sdk_changes.SetBlock(grantee=sdk_changes.Grantee(id=STRANGER.id, kind="professional")),
        context=AGREED,
    )

    holder = await client.get_patient(HOLDER, INS)
    doctor = await client.get_patient(DOCTOR, INS)

    (authorisation,) = holder.authorisations
    assert (authorisation.grantee.id, authorisation.state) == (DOCTOR.id, AuthorisationState.VALID)
    assert authorisation.granted_at < authorisation.expires_at
    assert [grantee.id for grantee in holder.blocks] == [STRANGER.id]
    assert isinstance(doctor.listing, Denied)
    assert (doctor.authorisations, doctor.blocks) == (None, None)


async def test_patient_denied(client):
    """The record of a patient is denied to a stranger."""
    with pytest.raises(Denied, match="NOT_AUTHORISED"):
        await client.get_patient(STRANGER, INS)


async def test_watched(client, point):
    """What happens is told with its decision, through both clients, and once."""
    change = sdk_changes.SetConsents(samu=False)
    async with client.watch() as events:
        before = [await anext(events), await anext(events)]
        permit = await client.change(HOLDER, INS, change, context=AGREED)
        event = await asyncio.wait_for(anext(events), 10)

    def listen():
        with connect(point.service.addresses[0], PLAIN) as ours:
            return list(ours.watch(1, follow=False))

    assert [event.action for event in before] == ["policy.activate", "dossier.create"]
    assert (event.revision, event.patient) == (3, INS)
    assert event.decision_id == permit.decision.id
    assert await asyncio.to_thread(listen) == [before[1], event]


async def test_watched_beyond_the_head(client):
    """Who knows more than the registry is told so."""
    with pytest.raises(AheadError, match="revision `9` is ahead"):
        await anext(client.watch(9))


async def test_policies(client):
    """The policies that decide are told, and activated again, to who may."""
    bundle = await client.get_bundle(OFFICER)
    again = await client.activate_bundle(OFFICER)

    assert bundle.digest == again.digest == bundle.decision.bundle
    assert bundle.rules > 100
    assert again.refused == ()
    with pytest.raises(Denied):
        await client.get_bundle(DOCTOR)


LABELS = [
    Document(id=f"{kind}-{author}-{code}-{status}", type=kind, authors=(author,),
             visibility=("N", code), status=status)
    for kind in ("11488-4", "IMG-KOS", "REMB")
    for author in (DOCTOR.id, STRANGER.id)
    for code in ("N", "MASQUE_PS", "INVISIBLE_PATIENT")
    for status in ("approved", "deprecated", "archived", "deleted")
]  # fmt: skip
SUPPORTED = ("show_mode", "mark_obsolete", "warn_hidden_from_patient")


@pytest.mark.parametrize("action", ["document.list", "document.read"])
@pytest.mark.parametrize(
    ("who", "context"),
    [(DOCTOR, Context()), (HOLDER, Context()), (STRANGER, EMERGENCY)],
    ids=["doctor", "holder", "emergency"],
)
async def test_list_is_what_checks_would_allow(client, who, context, action):
    """Whatever one decision admits to a list is what a check of each document allows, on the same terms."""
    queries = [
        reading(subject=who, context=context, action=action, document=label) for label in LABELS
    ]
    permits = await client.require_each(queries, supports=SUPPORTED)
    expected = {
        permit.query.document.id: set(permit.decision.obligations)
        for permit in permits
        if isinstance(permit, Permit)
    }

    permit = await client.require_filter(who, action, INS, context=context, supports=SUPPORTED)
    admitted = permit.admit(LABELS)

    got = {
        label.id: set(admission.obligations)
        for label, admission in zip(LABELS, admitted, strict=True)
        if admission
    }
    assert expected == got
    assert 0 < len(expected) < len(LABELS)
    for one in (permit, *permits):
        if isinstance(one, Permit):
            one.drop()


async def test_list_of_a_stranger(client):
    """A list of a dossier on which nobody has authorised them holds a stranger's own documents at most."""
    own = Document(id="own", type="11488-4", authors=(STRANGER.id,), status="approved")

    permit = await client.require_filter(STRANGER, "document.list", INS)

    note, mine = permit.admit([NOTE, own])
    assert note is None
    assert mine is not None


async def test_list_denied(client):
    """A list is denied to whom the patient has blocked."""
    grantee = sdk_changes.Grantee(id=STRANGER.id, kind="professional")
    await client.change(HOLDER, INS, sdk_changes.SetBlock(grantee=grantee), context=AGREED)

    with pytest.raises(Denied, match="BLOCKED"):
        await client.require_filter(STRANGER, "document.list", INS)


async def test_patients(client):
    """A doctor's patients are listed page by page, by number."""
    numbers = [patient(number) for number in range(3)]
    for number in numbers:
        await client.change(DOCTOR, number, OPENING, context=AGREED)

    everyone = [one async for one in client.all_patients(DOCTOR, page_size=2)]
    nobody = await client.list_patients(STRANGER)

    assert sorted([*numbers, INS]) == [one.patient for one in everyone]
    assert {one.birth_date for one in everyone} == {date(1979, 3, 28)}
    assert nobody.patients == ()
