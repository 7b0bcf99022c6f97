"""Each decision as its entry in the log, and from the entry again as the decision."""

import asyncio
import functools
import itertools
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from audit.database import reader
from audit.entry import Entry
from authz.bundle import Bundle
from authz.decision import CHANGE_IMPOSSIBLE
from authz.registry.store import Store
from authz.replay import Outcome, Replayed, Why, replay, restored
from authz.v1 import authz_pb2 as pb
from tests.service import (
    ANASTA,
    NOW,
    Running,
    auditor,
    change,
    doctor,
    holder,
    note,
    officer,
    opening,
    patient,
    reading,
    running,
    stranger,
)

EFFECTS = {pb.EFFECT_ALLOW: "allow", pb.EFFECT_DENY: "deny"}


def of(service: Running, decision: pb.Decision) -> Entry:
    """The one entry of a decision."""
    (found,) = [entry for entry in service.entries() if entry["id"] == decision.id]
    return found


def bundle_of(service: Running, digest: str) -> Bundle:
    """A bundle, from nothing but what the database holds."""
    with reader(service.url).connect() as conn:
        content = Store().bundle(conn, digest)
    assert content is not None
    return known(content, digest)


known = functools.cache(restored)


def recorded(entry: Entry) -> tuple[str, str, list[str], list[str]]:
    """What an entry says was decided."""
    return entry["effect"], entry["reason_code"], entry["rules"], entry["obligations"]


def answered(decision: pb.Decision) -> tuple[str, str, list[str], list[str]]:
    """What the caller was told."""
    rules, obligations = list(decision.rules), list(decision.obligations)
    return EFFECTS[decision.effect], decision.reason_code, rules, obligations


async def test_a_decision_is_recorded_with_all_that_was_known(tmp_path):
    """The entry holds caller, subject, document with category and origin, facts, and the decision."""
    async with running(tmp_path, services=("dossier",), clock=lambda: NOW) as service:
        await service.door.change(opening())
        asked = reading(
            stranger(structure_name="Maison de santé"),
            what=note(authors=["00B1038575", "899700218896"], system="1.2.3"),
        )
        asked.context.mode = "bris_de_glace"
        asked.context.reason.code = "risque_vital"
        asked.context.reason.text = "Patiente inconsciente"
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        traceparent = ("traceparent", f"00-{trace}-00f067aa0ba902b7-01")

        decision = await service.door.check(asked, metadata=[traceparent])

        entry = of(service, decision)
        facts = bundle_of(service, decision.bundle).vocabulary
        vector = entry.pop("facts")
        decoded = facts.decode(tuple(tuple(f) if isinstance(f, list) else f for f in vector))
    assert entry.pop("salt")
    assert entry.pop("call") not in ("", decision.id)
    assert entry.pop("patient_prev")
    assert entry == {
        "v": 1,
        "index": 2,
        "id": decision.id,
        "kind": "decision",
        "at": "2026-05-04T10:00:00.000000Z",
        "trace_id": trace,
        "caller": "dossier",
        "subject": {
            "kind": "professional",
            "id": "899700301015",
            "name": "Dr AUTRE",
            "profession": "10",
            "structure": "10B0252419",
            "structure_name": "Maison de santé",
            "authentication": "individual_card",
        },
        "action": "document.read",
        "patient": ANASTA,
        "patient_seq": 2,
        "document": {"id": "doc-1", "type": "11488-4", "class": "10", "space": "3"},
        "origin": {
            "authors": ["00B1038575", "899700218896"],
            "author_structure": "10B0193488",
            "system": "1.2.3",
        },
        "mode": "bris_de_glace",
        "reason": {"code": "risque_vital", "text": "Patiente inconsciente"},
        "effect": "allow",
        "reason_code": "BREAK_GLASS",
        "rules": list(decision.rules),
        "obligations": list(decision.obligations),
        "bundle": decision.bundle,
        "revision": decision.revision,
    }
    assert decoded["action.name"] == "document.read"
    assert decoded["resource.authors"] == ("00B1038575", "899700218896")
    assert decoded["context.reason"] == "given"


async def test_what_was_not_stated_is_left_out(tmp_path):
    """An entry never holds an empty field for what nobody said, but that no patient is meant."""
    async with running(tmp_path) as service:
        answer = await service.door.policy.GetBundle(pb.GetBundleRequest(subject=auditor()))

        entry = of(service, answer.decision)
    assert entry["patient"] == ""
    assert entry["subject"] == {
        "kind": "auditor",
        "id": "AUD-0001",
        "authentication": "individual_card",
    }
    absent = {"patient_seq", "patient_prev", "document", "origin", "mode", "reason", "trace_id"}
    assert not absent & entry.keys()
    assert not {"change", "remarks"} & entry.keys()


async def test_a_denial_is_recorded_like_a_permission(tmp_path):
    """Both entries have the same fields; only what was decided differs."""
    async with running(tmp_path) as service:
        await service.door.change(opening())

        allowed = await service.door.check(reading(doctor()))
        denied = await service.door.check(reading(stranger()))

        yes, no = of(service, allowed), of(service, denied)
    assert (yes["effect"], no["effect"]) == ("allow", "deny")
    assert yes.keys() == no.keys()


async def test_every_answer_is_on_record_word_for_word(tmp_path):
    """For many requests at once, each answer is the entry with its id, and no entry is without answer."""
    documents = [note(), note(visibility=["N", "MASQUE_PS"]), note(type="99999-9"), note(id="x")]
    people = [doctor(), stranger(), stranger(profession="21"), doctor(authentication="password")]
    people += [holder(), holder(patient(5)), auditor(), stranger(profession="1234")]
    modes = ["normal", "bris_de_glace", "centre_15", ""]
    async with running(tmp_path) as service:
        await service.door.change(opening())
        asked = []
        for who, what, mode in itertools.product(people, documents, modes):
            request = reading(who, what=what)
            request.context.mode = mode
            asked.append(request)

        decisions = await asyncio.gather(*map(service.door.check, asked))

        kept = {entry["id"]: entry for entry in service.entries()[2:]}
        bundle = bundle_of(service, decisions[0].bundle)
    assert kept.keys() == {decision.id for decision in decisions}
    assert {e["effect"] for e in kept.values()} == {"allow", "deny"}
    for request, decision in zip(asked, decisions, strict=True):
        entry = kept[decision.id]
        assert recorded(entry) == answered(decision)
        assert replay(entry, bundle).outcome is Outcome.SAME
        assert (entry["bundle"], entry["revision"]) == (decision.bundle, decision.revision)
        assert entry.get("remarks", []) == list(decision.remarks)
        assert (entry["subject"]["id"], entry.get("mode", "")) == (
            request.subject.id,
            request.context.mode,
        )


async def test_any_entry_can_be_decided_again(tmp_path):
    """From the entry's facts and the stored bundle alone comes the same decision, whatever was called."""
    async with running(tmp_path) as service:
        asked = pb.ExplainRequest(check=reading())
        whom = pb.Grantee(id="899700301015", kind="professional", profession="10")
        own = pb.OwnAuthorisation(authorise=True)
        await service.door.change(opening(agreement=False))
        await service.door.change(opening())
        await service.door.change(change(holder(), set_block=pb.SetBlock(grantee=whom)))
        await service.door.change(change(stranger(), own_authorisation=own))
        await service.door.authz.Explain(asked)
        await service.door.authz.CheckBatch(pb.CheckBatchRequest(checks=[reading(), reading()]))
        await service.door.policy.ActivateBundle(pb.ActivateBundleRequest(subject=officer()))
        seen = pb.GetPatientRequest(
            subject=doctor(), patient=ANASTA, context=pb.Context(mode="normal")
        )
        await service.door.registry.GetPatient(seen)

        found = [entry for entry in service.entries() if entry["kind"] in ("decision", "change")]
        again = [replay(entry, bundle_of(service, entry["bundle"])) for entry in found]
    assert len(found) == 10
    assert [one.outcome for one in again] == [Outcome.SAME] * 10


async def test_a_change_is_recorded_with_its_words(tmp_path):
    """The entry of a change says what was asked for, allowed or not, and the revision that was seen."""
    async with running(tmp_path) as service:
        answer = await service.door.registry.Change(opening(treating_doctor=True))
        denied = await service.door.registry.Change(opening())

        entry, other = of(service, answer.decision), of(service, denied.decision)
    assert entry["kind"] == "change"
    assert entry["change"] == {
        "change": "OpenDossier",
        "birth_date": "1979-03-28",
        "samu": "yes",
        "break_glass": "yes",
        "masked_in_emergency": "no",
        "authorise": ["professional", "00B1038575"],
        "treating_doctor": "yes",
    }
    assert (entry["effect"], entry["revision"], answer.revision) == ("allow", 1, 2)
    assert (other["kind"], other["effect"], other["revision"], denied.revision) == (
        "change",
        "deny",
        2,
        0,
    )


async def test_what_is_permitted_but_impossible_says_why(tmp_path):
    """Policy allows such a change, the registry can't; the entry has the reason code and the remark."""
    async with running(tmp_path) as service:
        await service.door.change(opening())
        asked = change(holder(), set_consents=pb.SetConsents())

        decision = await service.door.change(asked)

        entry = of(service, decision)
        again = replay(entry, bundle_of(service, entry["bundle"]))
    assert recorded(entry) == ("deny", CHANGE_IMPOSSIBLE, [], [])
    assert again == Replayed(outcome=Outcome.OVERRIDDEN, why=Why.CHANGE_IMPOSSIBLE)
    assert "consents name no change: give at least one of" in entry["remarks"][-1]


async def test_claims_that_can_not_be_used_are_remarked(tmp_path):
    """A code outside the lists is on record with field, value and remedy, and counts as unknown."""
    async with running(tmp_path) as service:
        asked = reading(stranger(profession="1234"), what=note(type="99999-9"))

        decision = await service.door.check(asked)

        entry = of(service, decision)
    assert entry["remarks"] == list(decision.remarks)
    assert any(r.startswith("subject.profession: `1234` is not listed;") for r in decision.remarks)
    assert any(r.startswith("resource.document.type: `99999-9`") for r in decision.remarks)
    assert entry["document"] == {"id": "doc-1", "type": "99999-9"}


async def test_one_call_groups_its_decisions(tmp_path):
    """The decisions of a batch share one `call`; those of other calls have another."""
    async with running(tmp_path) as service:
        batch = pb.CheckBatchRequest(checks=[reading()] * 3)
        await asyncio.gather(service.door.authz.CheckBatch(batch), service.door.check(reading()))
        await service.door.authz.CheckBatch(batch)

        calls = [entry["call"] for entry in service.entries()[1:]]
    assert sorted(calls.count(call) for call in set(calls)) == [1, 3, 3]


async def test_the_instant_is_that_of_the_decision(tmp_path):
    """Answer, entry and id carry the instant of the service's clock, not that of the caller."""
    async with running(tmp_path, clock=lambda: NOW) as service:
        asked = reading()
        asked.context.declared_at.FromDatetime(datetime(2020, 1, 1, tzinfo=UTC))

        decision = await service.door.check(asked)

        entry = of(service, decision)
    expected = Timestamp()
    expected.FromDatetime(NOW)
    assert decision.at == expected
    assert entry["at"] == "2026-05-04T10:00:00.000000Z"
    assert int(decision.id.replace("-", "")[:12], 16) == int(NOW.timestamp() * 1000)


async def test_the_start_is_on_record(tmp_path):
    """Each start of the service is an entry that names the bundle it begins with."""
    for _ in range(2):
        async with running(tmp_path) as service:
            starts = [entry for entry in service.entries() if entry["kind"] == "start"]
            digest = service.service.loop.bundle.digest
    assert [entry["change"]["after"] for entry in starts] == [digest, digest]
    assert [entry["revision"] for entry in starts] == [1, 1]


async def test_no_trace_id_is_made_up(tmp_path):
    """Only a `traceparent` of the standard is kept; anything else leaves the entry without."""
    zeros = f"00-{'0' * 32}-00f067aa0ba902b7-01"
    odd = ["", "00", "x" * 32, "00-" + "z" * 32 + "-00f067aa0ba902b7-01", zeros, "00-" + "٣" * 5]
    async with running(tmp_path) as service:
        for value in odd[:-1]:
            await service.door.check(reading(), metadata=[("traceparent", value)])

        found = service.entries()[1:]
    assert len(found) == len(odd) - 1
    assert not any("trace_id" in entry for entry in found)
