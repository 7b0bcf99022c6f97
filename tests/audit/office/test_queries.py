"""Questions at the auditor's desk: pages, counts, entries as they come, one entry; and what is denied."""

import asyncio
import shutil
from dataclasses import replace

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from audit.database import reader, snapshot
from audit.entry import canonical
from audit.office import counting, wire
from audit.office.errors import TooMuchError
from audit.office.replaying import Replayer, Tally
from audit.proof import Receipt
from audit.reader import Erased, find
from audit.v1 import audit_pb2 as pb
from tests.audit.office.served import running
from tests.service import (
    ANASTA,
    NOW,
    POLICIES,
    auditor,
    doctor,
    failure,
    reading,
    reason,
    stranger,
    violations,
)

OTHER = "1541187387477485562488"


async def filled(audit):
    """Two dossiers, three readings of the first one, one of which is denied."""
    await audit.open()
    await audit.open(whose=OTHER)
    allowed = [await audit.decide(reading(doctor())) for _ in range(2)]
    denied = await audit.decide(reading(stranger()))
    await audit.settled()
    return [*(one.id for one in allowed), denied.id]


def stamp(at):
    made = Timestamp()
    made.FromDatetime(at)
    return made


async def pages(call):
    return [page async for page in call]


async def query(audit, who=None, **asked):
    """All pages that one call answers with."""
    how = {
        name: asked.pop(name)
        for name in ("page_size", "cursor", "ascending", "pages")
        if name in asked
    }
    wanted = pb.Filter(**asked)
    request = pb.QueryRequest(subject=who or auditor(), filter=wanted, **how)
    return await pages(audit.stub.Query(request))


async def test_without_a_patient_they_are_shown_by_pseudonym(tmp_path, database):
    """A question without a patient shows patients by one pseudonym each, and nothing of their numbers."""
    async with running(tmp_path, database=database) as audit:
        ids = await filled(audit)
        (page,) = await query(audit, actions=["document.read"])
        assert page.look.pseudonymised
        assert ids[::-1] == [one.id for one in page.entries]
        assert ["deny", "allow", "allow"] == [one.effect for one in page.entries]
        (pseudonym,) = {one.patient for one in page.entries}
        assert pseudonym.startswith("~")
        everything = await query(audit, page_size=1000)
        for number in (ANASTA, OTHER):
            assert number.encode() not in b"".join(one.SerializeToString() for one in everything)


async def test_with_a_patient_all_is_shown_and_stands_in_the_trace(tmp_path):
    """A question about a patient shows its entries in clear, and is itself an entry about that patient."""
    async with running(tmp_path) as audit:
        ids = await filled(audit)
        (page,) = await query(audit, patient=ANASTA, actions=["document.read"])
        assert not page.look.pseudonymised
        assert {ANASTA} == {one.patient for one in page.entries}
        assert set(ids) == {one.id for one in page.entries}
        assert all(ANASTA.encode() in one.bytes for one in page.entries)
        await audit.settled()
        (trace,) = await query(audit, patient=ANASTA, actions=["log.identify"])
        assert page.look.decision_id in [one.id for one in trace.entries]
        assert '"actions":["document.read"]' in trace.entries[-1].reason.text
        assert ANASTA not in trace.entries[-1].reason.text


async def test_what_cannot_be_withheld_is_not_shown(tmp_path):
    """Where policy lets auditors look only without what was done in secret, nothing is shown at all."""
    folder = tmp_path / "policies"
    shutil.copytree(POLICIES, folder)
    rules = folder / "rules" / "90-traces-and-policies.yaml"
    text = rules.read_text("utf-8")
    known = "obligations: [pseudonymise_patients]"
    assert known in text
    rules.write_text(text.replace(known, f"{known[:-1]}, withhold_secret_entries]"), "utf-8")
    async with running(tmp_path, policies=folder) as audit:
        await filled(audit)
        for call in (query(audit), audit.stub.Count(pb.CountRequest(subject=auditor()))):
            assert (await failure(call)).code() is not grpc.StatusCode.OK


async def test_others_are_denied_and_it_is_on_record(tmp_path):
    """Who is no auditor sees nothing, and has asked."""
    async with running(tmp_path) as audit:
        await filled(audit)
        error = await failure(query(audit, doctor()))
        assert grpc.StatusCode.PERMISSION_DENIED == error.code()
        for call in (
            audit.stub.Count(pb.CountRequest(subject=doctor())),
            audit.stub.Show(pb.ShowRequest(subject=doctor(), id="dmp#0")),
            pages(audit.stub.Export(pb.ExportRequest(subject=doctor(), format="csv"))),
            pages(audit.stub.Replay(pb.ReplayRequest(subject=doctor()))),
            pages(audit.stub.Follow(pb.FollowRequest(subject=doctor()))),
        ):
            assert grpc.StatusCode.PERMISSION_DENIED == (await failure(call)).code()
        await audit.settled()
        (page,) = await query(audit, actions=["log.query"], effect="deny")
        assert 6 == len(page.entries)


async def test_pages_are_streamed_and_go_on(tmp_path):
    """As many pages as asked for come in one stream; the last cursor leads to the rest."""
    async with running(tmp_path) as audit:
        await filled(audit)
        asked = {"kinds": ["decision", "change"], "callers": ["dossier"], "ascending": True}
        (whole,) = await query(audit, page_size=1000, **asked)
        two = await query(audit, page_size=1, pages=2, **asked)
        rest = await query(audit, page_size=1, pages=99, cursor=two[-1].cursor, **asked)
        found = [one.id for page in (*two, *rest) for one in page.entries]
        assert [one.id for one in whole.entries] == found
        assert (2, "") == (len(two), rest[-1].cursor)


async def test_page_holds_no_more_than_a_message_takes(tmp_path, monkeypatch):
    """A page is cut where a message would be too large, and nothing is lost by it."""
    async with running(tmp_path) as audit:
        await filled(audit)
        (whole,) = await query(audit, callers=["dossier"])
        monkeypatch.setattr(wire, "MOST_BYTES", 700)
        cut = await query(audit, callers=["dossier"], pages=99)
        assert len(cut) > 1
        assert [one.id for one in whole.entries] == [o.id for page in cut for o in page.entries]


async def test_cursor_of_another_question_is_refused(tmp_path):
    """A cursor goes on with the question that gave it, in the same order, and with no other."""
    async with running(tmp_path) as audit:
        await filled(audit)
        (page,) = await query(audit, page_size=1)
        for other in (
            {"effect": "deny"},
            {"ascending": True},
            {"cursor": "x"},
            {"cursor": page.cursor[:-4]},
        ):
            error = await failure(query(audit, **{"cursor": page.cursor, **other}))
            assert grpc.StatusCode.INVALID_ARGUMENT == error.code()
            assert {"cursor"} == set(violations(error))


BAD = {
    "patient": ({"patient": "123"}, "filter.patient"),
    "patient with blanks": ({"patient": "1 541187387477485562488"}, "filter.patient"),
    "patient with a wrong key": ({"patient": "1541187387477485562489"}, "filter.patient"),
    "subject": ({"subjects": [" x"]}, "filter.subjects[0]"),
    "subject in small letters": ({"subjects": ["00b1038575"]}, "filter.subjects[0]"),
    "patient as subject": ({"subjects": [OTHER]}, "filter.subjects[0]"),
    "structure": ({"structures": ["x", "a\nb"]}, "filter.structures[1]"),
    "document": ({"documents": [""]}, "filter.documents[0]"),
    "too long": ({"documents": ["x" * 129]}, "filter.documents[0]"),
    "action": ({"actions": ["a\0b"]}, "filter.actions[0]"),
    "too many": ({"actions": [f"a{n}" for n in range(51)]}, "filter.actions"),
    "effect": ({"effect": "maybe"}, "filter.effect"),
    "rule": ({"rules": ["\u202e"]}, "filter.rules[0]"),
    "reason code": ({"reason_codes": [" "]}, "filter.reason_codes[0]"),
    "mode": ({"modes": ["urgent"]}, "filter.modes[0]"),
    "mode that is no emergency": ({"modes": ["normal"], "emergency": True}, "filter.modes"),
    "period": ({"from": stamp(NOW), "until": stamp(NOW)}, "filter.until"),
    "instant": ({"until": Timestamp(seconds=2**40)}, "filter.until"),
    "bundle": ({"bundle": "abc"}, "filter.bundle"),
    "bundle in capitals": ({"bundle": "ABCDEF0123"}, "filter.bundle"),
    "caller": ({"callers": [""]}, "filter.callers[0]"),
    "kind": ({"kinds": ["thought"]}, "filter.kinds[0]"),
    "log": ({"logs": [""]}, "filter.logs[0]"),
    "page size": ({"page_size": 1001}, "page_size"),
    "pages": ({"pages": -1}, "pages"),
    "cursor": ({"cursor": "é"}, "cursor"),
}


async def test_bad_input_is_told_field_by_field(tmp_path):
    """What can't be asked is refused with the field and a remedy, and is not on record."""
    async with running(tmp_path) as audit:
        before = audit.stored()
        for name, (asked, field) in BAD.items():
            error = await failure(query(audit, **asked))
            assert grpc.StatusCode.INVALID_ARGUMENT == error.code(), name
            assert {field} == set(violations(error)), name
            assert OTHER not in str(error), name
        several = await failure(query(audit, effect="x", kinds=["y"], bundle="z", page_size=-1))
        assert {"filter.effect", "filter.kinds[0]", "filter.bundle", "page_size"} == set(
            violations(several)
        )
        for call, field in (
            (audit.stub.Count(pb.CountRequest(subject=auditor(), facets=["day", "x"])), "facets"),
            (audit.stub.Show(pb.ShowRequest(subject=auditor(), id="x")), "id"),
            (audit.stub.Show(pb.ShowRequest(subject=auditor(), id="#1")), "id"),
            (audit.stub.Show(pb.ShowRequest(subject=auditor(), id="a#b")), "id"),
            (
                audit.stub.Show(pb.ShowRequest(subject=auditor(), id="a#1", language="de")),
                "language",
            ),
            (pages(audit.stub.Export(pb.ExportRequest(subject=auditor(), format="pdf"))), "format"),
            (pages(audit.stub.Replay(pb.ReplayRequest(subject=auditor(), ids=["x"]))), "ids[0]"),
            (pages(audit.stub.Query(pb.QueryRequest())), "subject"),
        ):
            assert {field} == set(violations(await failure(call))), field
        assert before == audit.stored()


async def test_count_by_facets(tmp_path, database):
    """Entries are counted in all and by value; who is a patient is counted by pseudonym."""
    async with running(tmp_path, database=database) as audit:
        await filled(audit)
        wanted = pb.Filter(callers=["dossier"])
        facets = ["effect", "action", "subject", "structure", "day", "rule"]
        request = pb.CountRequest(subject=auditor(), filter=wanted, facets=facets)
        answer = await audit.stub.Count(request)
        found = {one.name: {v.value: v.count for v in one.values} for one in answer.facets}
        assert 5 == answer.total
        assert {"allow": 4, "deny": 1} == found["effect"]
        assert 3 == found["action"]["document.read"]
        assert {doctor().id: 4, stranger().id: 1} == found["subject"]
        assert {NOW.date().isoformat(): 5} == found["day"]


async def test_question_that_takes_too_long(tmp_path, monkeypatch):
    """A question that takes too long is given up, with a remedy; nobody tries it again by himself."""

    def endless(*_):
        raise TooMuchError(8)

    async with running(tmp_path) as audit:
        monkeypatch.setattr(counting, "count", endless)
        error = await failure(audit.stub.Count(pb.CountRequest(subject=auditor())))
        assert (grpc.StatusCode.FAILED_PRECONDITION, "TOO_MUCH") == (error.code(), reason(error))
        assert "narrow the question" in error.details()


async def test_follow_tells_what_comes(tmp_path):
    """Entries come as they are decided, those alone that are wanted, once each."""
    async with running(tmp_path) as audit:
        await filled(audit)
        wanted = pb.Filter(actions=["document.read"], effect="allow")
        call = audit.stub.Follow(pb.FollowRequest(subject=auditor(), filter=wanted))
        first = await call.read()
        assert (0, True) == (len(first.entries), first.look.pseudonymised)
        told = []
        for _ in range(2):
            decision = await audit.decide(reading(doctor()))
            await audit.decide(reading(stranger()))
            page = await asyncio.wait_for(call.read(), 20)
            told += [one.id for one in page.entries]
            assert decision.id == told[-1]
        assert 2 == len(told)
        call.cancel()


async def test_follow_fits_into_messages(tmp_path, monkeypatch):
    """Much that comes at once is told in several messages, none of them larger than clients take."""
    monkeypatch.setattr(wire, "MOST_BYTES", 3_000)
    async with running(tmp_path) as audit:
        await audit.open()
        await audit.settled()
        call = audit.stub.Follow(pb.FollowRequest(subject=auditor()))
        assert not (await call.read()).entries
        ids = {
            one.id for one in await asyncio.gather(*[audit.decide(reading()) for _ in range(20)])
        }
        while ids:
            page = await call.read()
            assert sum(one.ByteSize() for one in page.entries) <= 3_000
            ids -= {one.id for one in page.entries}
        call.cancel()


async def test_follow_ends_when_the_service_is_stopped(tmp_path):
    """Somebody who follows keeps the service from nothing: it ends, and the stream with it."""
    async with running(tmp_path) as audit:
        call = audit.stub.Follow(pb.FollowRequest(subject=auditor()))
        await call.read()
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 10


async def test_show_by_pseudonym_and_in_clear(tmp_path):
    """An entry is shown with facts, rules and how it comes out again; in clear for who asks, on record."""
    async with running(tmp_path) as audit:
        _, id_, denied = await filled(audit)
        hidden = await audit.stub.Show(pb.ShowRequest(subject=auditor(), id=id_))
        assert hidden.look.pseudonymised
        assert ANASTA.encode() not in hidden.SerializeToString()
        assert (b"", b"") == (hidden.receipt, hidden.entry.bytes)
        facts = {one.name: one for one in hidden.facts}
        assert hidden.entry.patient == facts["resource.patient"].value
        assert "normal" == facts["context.mode"].value
        assert facts["context.mode"].fr != facts["context.mode"].en
        assert list(hidden.entry.rules) == [one.uid for one in hidden.rules]
        assert all(one.fr and one.en and one.source for one in hidden.rules)
        assert "same" == hidden.replayed.outcome
        clear = await audit.stub.Show(pb.ShowRequest(subject=auditor(), id=id_, identify=True))
        assert (ANASTA, False) == (clear.entry.patient, clear.look.pseudonymised)
        receipt = Receipt.parse(clear.receipt)
        assert clear.entry.bytes == receipt.entry
        by_place = f"{clear.entry.log}#{clear.entry.index}"
        again = await audit.stub.Show(pb.ShowRequest(subject=auditor(), id=by_place))
        assert id_ == again.entry.id
        refused = await audit.stub.Show(pb.ShowRequest(subject=auditor(), id=denied))
        assert "deny" == refused.entry.effect
        await audit.settled()
        (trace,) = await query(audit, patient=ANASTA, actions=["log.identify"])
        assert clear.look.decision_id in [one.id for one in trace.entries]


async def test_show_of_nothing(tmp_path):
    """What is not in the log is not found, and whoever may not look does not learn that."""
    async with running(tmp_path) as audit:
        await filled(audit)
        nowhere = "0198c5a0-7e1c-7d3a-9b57-3f5a1c9e2b44"
        for id_ in (nowhere, "no such log#0", "authz#99999"):
            for identify in (False, True):
                request = pb.ShowRequest(subject=auditor(), id=id_, identify=identify)
                error = await failure(audit.stub.Show(request))
                assert (grpc.StatusCode.NOT_FOUND, "UNKNOWN") == (error.code(), reason(error))
        error = await failure(audit.stub.Show(pb.ShowRequest(subject=doctor(), id=nowhere)))
        assert grpc.StatusCode.PERMISSION_DENIED == error.code()


async def test_replay_of_all_and_of_some(tmp_path):
    """Whatever was decided comes out the same when it is decided again; what is no decision is told apart."""
    async with running(tmp_path) as audit:
        ids = await filled(audit)
        told = await pages(audit.stub.Replay(pb.ReplayRequest(subject=auditor())))
        assert told[0].HasField("look")
        assert (True, 0) == (told[-1].done, sum(len(one.different) for one in told))
        assert told[-1].same >= 5
        assert {"no decision"} == set(told[-1].not_replayed)
        some = await pages(audit.stub.Replay(pb.ReplayRequest(subject=auditor(), ids=ids)))
        assert (3, True) == (some[-1].same, some[-1].done)
        both = pb.ReplayRequest(subject=auditor(), ids=ids, filter=pb.Filter(effect="deny"))
        error = await failure(pages(audit.stub.Replay(both)))
        assert {"filter"} == set(violations(error))


async def test_difference_is_told_once(tmp_path):
    """An entry that says something else than its facts and policies comes out otherwise, and is told."""
    async with running(tmp_path) as audit:
        (id_, *_) = await filled(audit)
        engine = reader(audit.settings.database)
        with snapshot(engine) as conn:
            stored = find(conn, id_)
        altered = replace(stored, bytes=canonical({**stored.entry, "effect": "deny"}))

        found = Replayer(engine).replayed(altered)

        assert ("different", id_) == (found.outcome, found.id)
        assert [("effect", "deny", "allow")] == [
            (one.field, one.recorded, one.replayed) for one in found.differences
        ]
        tally = Tally()
        tally.add(found)
        assert [1, 0] == [len(tally.told().different), len(tally.told(done=True).different)]


async def test_without_its_policies_nothing_is_decided_again(tmp_path):
    """Where the policies are not kept, or the entry is gone, it is said why there is no outcome."""
    async with running(tmp_path) as audit:
        (id_, *_) = await filled(audit)
        engine = reader(audit.settings.database)
        with snapshot(engine) as conn:
            stored = find(conn, id_)
        unknown = replace(stored, bytes=canonical({**stored.entry, "bundle": "00" * 32}))
        gone = replace(stored, bytes=b"", erased=Erased(bytes(32), stored.entry["at"], 0))

        found = [Replayer(engine).replayed(one) for one in (unknown, gone)]

        assert [("not_replayed", "unknown bundle"), ("not_replayed", "erased")] == [
            (one.outcome, one.why) for one in found
        ]
