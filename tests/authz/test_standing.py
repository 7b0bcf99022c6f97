"""What reviews leave professionals with, from the audit service to the next break-glass."""

from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from authz.registry.changes import SetReviewStanding
from authz.registry.state import ReviewStanding
from authz.registry.store import Store
from authz.v1 import authz_pb2 as pb
from storage.database import connect
from tests.service import (
    NOW,
    Door,
    copied,
    doctor,
    failure,
    opening,
    reading,
    running,
    stranger,
    violations,
)

STRANGER = "899700301015"
NONE, OVERDUE, MISUSE = "none", "overdue", "misuse"


def told(
    standing: str, professional: str = STRANGER, *, service: str = "audit", **request: str
) -> pb.ChangeRequest:
    """The audit service tells what reviews have left a professional with."""
    change = pb.SetReviewStanding(professional=professional, standing=standing, why="réexamen")
    return pb.ChangeRequest(
        subject=pb.Subject(kind="service", id=service, authentication="service_channel"),
        set_review_standing=change,
        **request,
    )


def emergency() -> pb.CheckRequest:
    """Break-glass by a doctor whom the patient does not know."""
    asked = reading(stranger())
    asked.context.mode = "bris_de_glace"
    asked.context.reason.code, asked.context.reason.text = "risque_vital", "Patiente inconsciente"
    return asked


def strict(folder: Path, refused_after: str) -> Path:
    """Our policies, which refuse break-glass after such a review."""
    policies = copied(folder)
    path = policies / "parameters.yaml"
    text = path.read_text(encoding="utf-8")
    before, name, after = text.partition("  - name: emergency.refused_after\n")
    assert name
    path.write_text(
        before + name + after.replace("value: none\n", f"value: {refused_after}\n", 1),
        encoding="utf-8",
    )
    return policies


@asynccontextmanager
async def refusing(folder: Path, refused_after: str = "misuse_or_overdue", **settings: str):
    """A service under such policies, with an open dossier."""
    policies = folder / "policies"
    if not policies.exists():
        strict(folder, refused_after)
    doors = ("dossier", "audit")
    async with running(
        folder, services=doors, policies=policies, clock=lambda: NOW, **settings
    ) as service:
        await service.doors["dossier"].change(opening())
        yield service


async def reason_of(door: Door, request: pb.CheckRequest | None = None) -> str:
    """The reason code of an emergency."""
    return (await door.check(request or emergency())).reason_code


@pytest.mark.parametrize(
    ("refused_after", "expected"),
    [
        ("none", {NONE: "BREAK_GLASS", OVERDUE: "BREAK_GLASS", MISUSE: "BREAK_GLASS"}),
        ("misuse", {NONE: "BREAK_GLASS", OVERDUE: "BREAK_GLASS", MISUSE: "REVIEW_MISUSE"}),
        (
            "misuse_or_overdue",
            {NONE: "BREAK_GLASS", OVERDUE: "REVIEW_OUTSTANDING", MISUSE: "REVIEW_MISUSE"},
        ),
    ],
)
async def test_the_next_break_glass_sees_what_was_told(tmp_path, refused_after, expected):
    """Break-glass is refused after what the parameter names, from the answer on, until it is taken back."""
    async with refusing(tmp_path, refused_after) as service:
        dossier, audit = service.doors["dossier"], service.doors["audit"]
        found = {}
        for standing in (NONE, OVERDUE, MISUSE, NONE):
            decision = await audit.change(told(standing))
            assert (decision.effect, decision.reason_code) == (pb.EFFECT_ALLOW, "SERVICE")

            found.setdefault(standing, set()).add(await reason_of(dossier))

        others = [await reason_of(dossier, reading(doctor())), await reason_of(audit, emergency())]
    assert found == {standing: {reason} for standing, reason in expected.items()}
    assert others == ["AUTHOR", "CALLER_REFUSED"]


async def test_the_centre_15_and_normal_access_are_not_refused(tmp_path):
    """Whatever reviews have found, a regulator reads, and so does who is authorised."""
    regulator = stranger(structure_kind="SAMU_SMUR", regulator=True)
    asked = reading(regulator)
    asked.context.mode = "centre_15"
    async with refusing(tmp_path) as service:
        dossier, audit = service.doors["dossier"], service.doors["audit"]
        await audit.change(told(MISUSE))
        await audit.change(told(MISUSE, doctor().id))

        found = [await reason_of(dossier, one) for one in (asked, reading(doctor()), emergency())]
    assert found == ["CENTRE_15", "AUTHOR", "REVIEW_MISUSE"]


async def test_what_another_process_was_told_is_seen_at_once(tmp_path):
    """A standing that is committed anywhere decides the very next request here, for better and for worse."""
    found = []
    async with refusing(tmp_path) as service:
        other, store = connect(service.url), Store()
        made = {"action": "standing.set", "decision_id": "other", "at": NOW}
        for standing in (ReviewStanding.MISUSE, ReviewStanding.NONE) * 10:
            with other.begin() as conn:
                store.catch_up(conn, changes=True)
                change = SetReviewStanding(professional=STRANGER, standing=standing)
                store.set_standing(conn, change, **made)

            found.append(await reason_of(service.doors["dossier"]))
        other.dispose()
    assert found == ["REVIEW_MISUSE", "BREAK_GLASS"] * 10


async def test_a_standing_survives_a_restart(tmp_path):
    """It is kept in the registry, not in the memory of a process."""
    async with refusing(tmp_path) as service:
        await service.doors["audit"].change(told(OVERDUE))
    async with refusing(tmp_path) as service:
        found = await reason_of(service.doors["dossier"])
    assert found == "REVIEW_OUTSTANDING"


async def test_a_standing_and_the_check_of_one_batch(tmp_path):
    """A batch in which a standing is told decides what comes after it by the new one."""
    async with refusing(tmp_path) as service:
        dossier, audit = service.doors["dossier"], service.doors["audit"]
        for standing, expected in ((MISUSE, "REVIEW_MISUSE"), (NONE, "BREAK_GLASS")) * 5:
            changed = await audit.registry.Change(told(standing))
            decision = await dossier.check(emergency())

            assert decision.reason_code == expected
            assert decision.revision >= changed.revision > 0


async def test_the_entry_says_of_whom_and_why(tmp_path):
    """It stands in the log with its target, of no patient, and the feed has it without one."""
    async with refusing(tmp_path) as service:
        audit = service.doors["audit"]
        first = await audit.registry.Change(told(MISUSE, request_id="1"))
        again = await audit.registry.Change(told(MISUSE, request_id="1"))
        same = await audit.registry.Change(told(MISUSE))
        stream = service.doors["dossier"].registry.Watch(pb.WatchRequest(), timeout=30)
        events = (await stream.read()).events or (await stream.read()).events
        stream.cancel()

        (entry, other) = [e for e in service.entries() if e.get("action") == "standing.set"]
    assert entry["kind"] == "change"
    assert entry["patient"] == ""
    assert "patient_seq" not in entry
    assert entry["target"] == {"id": STRANGER, "kind": "professional"}
    assert entry["change"] == {
        "change": "SetReviewStanding",
        "professional": STRANGER,
        "standing": "misuse",
        "why": "réexamen",
    }
    assert again.decision.id == first.decision.id == entry["id"]
    assert (other["id"], other["effect"]) == (same.decision.id, "allow")
    last = list(events)[-1]
    assert (last.action, last.patient, last.revision) == ("standing.set", "", same.revision)
    assert same.revision == first.revision + 1


@pytest.mark.parametrize("service", ["dossier", "operator"])
async def test_no_other_service_tells_it(tmp_path, service):
    """Neither the dossier service nor an operator's terminal may, in its own name or another's."""
    async with running(tmp_path, services=(service,), clock=lambda: NOW) as point:
        for name in (service, "audit"):
            answer = await point.door.registry.Change(told(MISUSE, service=name))

            assert answer.decision.reason_code == "CALLER_REFUSED"
            assert answer.revision == 0


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (told("guilty"), "change.standing"),
        (told(""), "change.standing"),
        (told(MISUSE, ""), "change.target.id"),
        (told(MISUSE, "a b\n"), "change.target.id"),
    ],
    ids=["guilty", "no standing", "nobody", "no identifier"],
)
async def test_what_can_not_be_read_is_malformed(tmp_path, request_, field):
    """An unknown standing or nobody's is refused with the field, and nothing is on record."""
    async with running(tmp_path, services=("audit",), clock=lambda: NOW) as point:
        before = len(point.entries())

        error = await failure(point.door.registry.Change(request_))

        assert field in violations(error)
        assert len(point.entries()) == before


async def test_words_that_can_not_be_shown_change_nothing(tmp_path):
    """A reason with control characters is permitted and impossible: nothing is changed."""
    asked = told(MISUSE)
    asked.set_review_standing.why = "a\x1bb"
    async with refusing(tmp_path) as service:
        answer = await service.doors["audit"].registry.Change(asked)

        found = await reason_of(service.doors["dossier"])
    assert (answer.decision.reason_code, answer.revision) == ("CHANGE_IMPOSSIBLE", 0)
    assert found == "BREAK_GLASS"
