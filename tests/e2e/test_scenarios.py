"""Every scenario of the policies, through every door, and once more from the log.

The registry is prepared over another connection, as another process would: so each case also shows that
the service follows the change feed.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import Connection, delete, insert, select, update

from audit.database import reader
from authz.bearer import AUDIENCE, METADATA
from authz.bundle import Bundle, build, read_folder
from authz.product import DMP, FILTERED, LIST_PATIENTS, WATCH
from authz.query import Context, Query, Subject
from authz.registry import changes, tables
from authz.registry.state import (
    DossierStatus,
    PatientState,
    ReviewStanding,
    Standings,
    unknown,
)
from authz.registry.store import Store
from authz.replay import DECIDED, Outcome, replay, restored
from authz.token import issue
from authz.v1 import authz_pb2 as pb
from authz.workbench.scenarios import Scenario, read_scenarios
from clients.pki import files
from storage.database import connect
from tests.reference import filter as reference
from tests.service import NOW, POLICIES, Door, entries, running

Metadata = tuple[tuple[str, str], ...]
Told = tuple[str, str, tuple[str, ...]]

CHANGES = {
    changes.OpenDossier: "open_dossier",
    changes.ReopenDossier: "reopen_dossier",
    changes.CloseDossier: "close_dossier",
    changes.SetConsents: "set_consents",
    changes.GrantAuthorisation: "grant_authorisation",
    changes.RenewAuthorisation: "renew_authorisation",
    changes.RevokeAuthorisation: "revoke_authorisation",
    changes.SetTreatingDoctor: "set_treating_doctor",
    changes.WithdrawTreatingDoctor: "withdraw_treating_doctor",
    changes.SetBlock: "set_block",
    changes.LiftBlock: "lift_block",
    changes.AddRepresentative: "add_representative",
    changes.RemoveRepresentative: "remove_representative",
    changes.SetReviewStanding: "set_review_standing",
}
LISTS = (tables.authorisations, tables.treating_doctors, tables.blocks, tables.representatives)


@dataclass
class Clock:
    """Stands still at the instant of the scenario."""

    at: datetime = NOW

    def __call__(self) -> datetime:
        return self.at


def scenarios(bundle: Bundle) -> tuple[Scenario, ...]:
    """All scenarios; a mistake in one is a failure."""
    files = {str(p.relative_to(POLICIES)): p.read_bytes() for p in POLICIES.rglob("*.yaml")}
    found, mistakes = read_scenarios(files, bundle.vocabulary)
    assert not mistakes
    return found


def seed(conn: Connection, state: PatientState, at: datetime) -> None:
    """Makes a state the patient's, whatever was before, and announces it in the change feed."""
    store = Store()
    revision = store.catch_up(conn).revision
    for table in (*LISTS, tables.patients):
        conn.execute(delete(table).where(table.c.ins == state.patient))
    if state.status is not DossierStatus.NONE:
        new = {"action": "seed", "decision_id": "seed", "at": at}
        store.save(conn, unknown(state.patient), state, **new)
        return
    row = {"revision": revision + 1, "ins": state.patient, "action": "seed"}
    conn.execute(update(tables.head).values(revision=revision + 1))
    conn.execute(insert(tables.changes).values(**row, decision_id="seed", at=at))


def seed_standings(conn: Connection, standings: Standings, at: datetime) -> None:
    """Makes these the standings, and no others, and announces it in the change feed."""
    store = Store()
    store.catch_up(conn)
    before, now = store.standings(conn), {"action": "seed", "decision_id": "seed", "at": at}
    for whom in before | standings:
        standing = standings.get(whom, ReviewStanding.NONE)
        store.set_standing(
            conn, changes.SetReviewStanding(professional=whom, standing=standing), **now
        )


def check_message(query: Query) -> pb.CheckRequest:
    """The message that says what the query says."""
    what, whom = query.document, query.target
    return pb.CheckRequest(
        subject=subject_message(query),
        action=query.action,
        resource=pb.Resource(
            patient=query.patient,
            document=what
            and pb.Document(
                id=what.id,
                type=what.type,
                authors=what.authors,
                author_structure=what.author_structure,
                visibility=what.visibility,
                status=what.status,
                system=what.system,
            ),
            target=whom and pb.Target(id=whom.id, kind=whom.kind, profession=whom.profession),
            about=query.about,
        ),
        context=context_message(query.context),
    )


def subject_message(query: Query) -> pb.Subject:
    """Who asks."""
    who = query.subject
    names = [field.name for field in pb.Subject.DESCRIPTOR.fields]
    return pb.Subject(**{name: getattr(who, name) for name in names})


def context_message(context: Context) -> pb.Context:
    """The circumstances."""
    message = pb.Context(
        mode=context.mode,
        secret_connection=context.secret_connection,
        agreement=context.agreement,
        announced=context.announced,
        closure=context.closure,
    )
    if context.reason_code or context.reason_text:
        message.reason.code, message.reason.text = context.reason_code, context.reason_text
    if context.declared_at:
        stamp = Timestamp()
        stamp.FromDatetime(context.declared_at)
        message.declared_at.CopyFrom(stamp)
    return message


def change_message(query: Query) -> pb.ChangeRequest:
    """The message that asks for the change of the query."""
    message = pb.ChangeRequest(
        subject=subject_message(query),
        patient=query.patient,
        context=context_message(query.context),
    )
    change = query.change
    part = getattr(message, CHANGES[type(change)])
    part.SetInParent()
    match change:
        case changes.OpenDossier() | changes.ReopenDossier():
            part.CopyFrom(answers_message(change))
        case changes.AddRepresentative():
            part.representative.id = change.representative
            part.representative.relation = change.relation
        case changes.SetTreatingDoctor() | changes.WithdrawTreatingDoctor():
            part.professional.CopyFrom(grantee_message(query))
        case (
            changes.CloseDossier()
            | changes.SetConsents()
            | changes.RemoveRepresentative()
            | changes.SetReviewStanding()
        ):
            copy_flat(change, part)
        case _:
            part.grantee.CopyFrom(grantee_message(query))
            copy_flat(change, part)
    return message


def grantee_message(query: Query) -> pb.Grantee:
    """Whom the act aims at."""
    whom = query.target
    return pb.Grantee(id=whom.id, kind=whom.kind, profession=whom.profession)


def copy_flat(change: changes.Change, part: Message) -> None:
    """Copies what has the same name and is no message."""
    for field in part.DESCRIPTOR.fields:
        value = getattr(change, field.name)
        if field.message_type is None and value is not None:
            setattr(part, field.name, value)


def answers_message(answers: changes.OpenDossier | changes.ReopenDossier) -> pb.OpenDossier:
    """The answers of the consent screen."""
    return pb.OpenDossier(
        birth_date=answers.birth_date.isoformat() if answers.birth_date else "",
        authorise=answers.authorise is not None,
        treating_doctor=answers.treating_doctor,
        samu=answers.samu,
        break_glass=answers.break_glass,
        masked_in_emergency=answers.masked_in_emergency,
        representatives=[
            pb.Representative(id=r.representative, relation=r.relation)
            for r in answers.representatives
        ],
    )


def token_of(query: Query, signers: Mapping[str, Ed25519PrivateKey], at: datetime) -> Metadata:
    """The token that the caller carries, for whom the voucher says."""
    voucher = query.voucher
    if voucher is None:
        return ()
    others = {name: name != "regulator" and "other" for name in voucher.contradicted}
    whom, key = replace(query.subject, **others), signers[voucher.issuer]
    token = issue(whom, key=key, issuer=voucher.issuer, audience=AUDIENCE, at=at, id=voucher.id)
    return ((METADATA, token),)


async def through_all_doors(
    door: Door, query: Query, token: Metadata
) -> list[tuple[str, pb.Decision]]:
    """The decisions on one query, by the door that it went through."""
    if query.rpc == WATCH:
        return await through_watch(door, query)
    if query.rpc == LIST_PATIENTS:
        listed = await door.registry.ListPatients(
            pb.ListPatientsRequest(
                subject=subject_message(query), context=context_message(query.context)
            ),
            metadata=token,
        )
        return [("ListPatients", listed.decision)]
    if query.change is not None:
        changed = await door.registry.Change(change_message(query), metadata=token)
        return [("Change", changed.decision)]
    asked = check_message(query)
    check, batch, explained = await asyncio.gather(
        door.authz.Check(asked, metadata=token),
        door.authz.CheckBatch(pb.CheckBatchRequest(checks=[asked] * 2), metadata=token),
        door.authz.Explain(pb.ExplainRequest(check=asked), metadata=token),
    )
    decisions = [check.decision, *batch.decisions, explained.decision]
    return list(zip(("Check", "CheckBatch", "CheckBatch", "Explain"), decisions, strict=True))


async def through_watch(door: Door, query: Query) -> list[tuple[str, pb.Decision]]:
    """The decision that begins a stream; none if the query is of another than the caller itself.

    No message says who watches.
    """
    oneself = Subject(kind="service", id=query.caller, authentication="service_channel")
    if query.subject != oneself:
        return []
    stream = door.registry.Watch(pb.WatchRequest())
    decision = (await stream.read()).decision
    stream.cancel()
    return [("Watch", decision)]


async def through_filter(door: Door, query: Query, token: Metadata) -> tuple[pb.Decision, Told]:
    """The decision with the document left open, and what it comes to for the document of the query."""
    asked = check_message(query)
    answer = await door.authz.Filter(
        pb.FilterRequest(
            subject=asked.subject,
            action=query.action,
            patient=query.patient,
            context=asked.context,
        ),
        metadata=token,
    )
    if answer.decision.effect == pb.EFFECT_DENY:
        return answer.decision, told(answer.decision)
    label = reference.label_of(asked.resource.document)
    if not reference.shown(answer.condition, label):
        why = reference.why_not(answer.condition, label) or "NO_RULE_ALLOWS"
        return answer.decision, ("deny", why, ())
    due = tuple(sorted(reference.due(answer.condition, label)))
    return answer.decision, ("allow", "", due)


def wanted(scenario: Scenario) -> Told:
    """What the scenario asks for."""
    return scenario.effect.value, scenario.reason, scenario.obligations


def told(decision: pb.Decision) -> Told:
    """What was answered."""
    effect = pb.Effect.Name(decision.effect).removeprefix("EFFECT_").lower()
    return effect, decision.reason_code, tuple(sorted(decision.obligations))


def replays(url: str) -> Iterator[tuple[str, Outcome]]:
    """What becomes of each decision of the log, by its id, when it is decided again from what is stored."""
    with reader(url).connect() as conn:
        stored = conn.execute(select(tables.bundles.c.digest, tables.bundles.c.content))
        found = {digest: restored(content, digest) for digest, content in stored}
    for entry in entries(url):
        if entry["kind"] in DECIDED:
            yield entry["id"], replay(entry, found[entry["bundle"]]).outcome


def recorded(url: str) -> Iterator[tuple[str, Told]]:
    """What the log says was decided, by the id of the decision."""
    for entry in entries(url):
        if entry["kind"] in DECIDED:
            told = entry["effect"], entry["reason_code"], tuple(sorted(entry["obligations"]))
            yield entry["id"], told


async def test_every_scenario_through_every_door(tmp_path):
    """Every procedure answers what the scenario says, and so does the log."""
    bundle = build(read_folder(POLICIES), DMP)
    found = scenarios(bundle)
    services = tuple(dict.fromkeys(scenario.query.caller for scenario in found))
    clock = Clock()
    wrong: list[str] = []
    lists = 0
    answers: dict[str, tuple[Scenario, Told]] = {}
    signers = {name: Ed25519PrivateKey.generate() for name in services}
    keys = tmp_path / "signers"
    keys.mkdir()
    for name, key in signers.items():
        (keys / f"{name}.pem").write_bytes(files.public_pem(key))
    async with running(tmp_path, services=services, clock=clock, token_keys=keys) as service:
        other = connect(service.url)
        with other.connect() as conn:
            for scenario in found:
                clock.at = scenario.at
                with conn.begin():
                    seed(conn, scenario.state, scenario.at)
                with conn.begin():
                    seed_standings(conn, scenario.standings, scenario.at)
                door = service.doors[scenario.query.caller]
                token = token_of(scenario.query, signers, scenario.at)
                for name, decision in await through_all_doors(door, scenario.query, token):
                    answers[decision.id] = scenario, told(decision)
                    if told(decision) != wanted(scenario):
                        wrong.append(f"{scenario.place}: {name}: {told(decision)}: {scenario.it}")
                if scenario.query.action in FILTERED:
                    decision, answer = await through_filter(door, scenario.query, token)
                    answers[decision.id] = scenario, told(decision)
                    lists += 1
                    expected = wanted(scenario)
                    if answer != (
                        expected if answer[0] == "deny" else (expected[0], "", expected[2])
                    ):
                        wrong.append(f"{scenario.place}: Filter: {answer}: {scenario.it}")
        other.dispose()

        kept, again = dict(recorded(service.url)), dict(replays(service.url))

    assert len(found) >= 150
    assert lists >= 100
    assert wrong == []
    assert kept == {place: answer for place, (_, answer) in answers.items()}
    assert again == dict.fromkeys(answers, Outcome.SAME)


async def test_a_change_of_another_process_is_seen_at_once(tmp_path):
    """What another process has committed decides the very next request, for better and for worse."""
    bundle = build(read_folder(POLICIES), DMP)
    given = next(
        s
        for s in scenarios(bundle)
        if s.reason == "AUTHORISED" and s.query.action == "document.read" and not s.obligations
    )
    closed = replace(given.state, status=DossierStatus.CLOSED, closed_at=given.at)
    told_then = []
    async with running(tmp_path, services=(given.query.caller,), clock=lambda: given.at) as service:
        other = connect(service.url)
        for state in (given.state, closed) * 20:
            with other.begin() as conn:
                seed(conn, state, given.at)

            decision = await service.door.check(check_message(given.query))

            told_then.append(decision.reason_code)
        other.dispose()
    assert told_then == ["AUTHORISED", "DOSSIER_CLOSED"] * 20
