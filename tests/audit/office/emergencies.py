"""Entries of emergency accesses, reviews and reports, as the decision point writes them."""

import itertools
from datetime import UTC, datetime, timedelta

from audit.entry import rfc3339, uuid7
from audit.office.gained import Gained, micros, moment

BEGIN = datetime(2026, 11, 18, 10, 0, tzinfo=UTC)
DOCTOR, OTHER, AUDITOR = "00B1038575", "899700218896", "E00000000001"
ALICE, BOB = "1541187387477485562488", "0833910461279517589858"

_numbers = itertools.count(1)


def new_id(at=BEGIN):
    """An id like no other."""
    return uuid7(int(at.timestamp() * 1000), next(_numbers).to_bytes(10, "big"))


def access(hours=0.0, *, who=DOCTOR, patient=ALICE, **more):
    """A break-glass reading so many hours from the beginning."""
    at = BEGIN + timedelta(hours=hours)
    return {
        "kind": "decision",
        "id": new_id(at),
        "at": rfc3339(at),
        "caller": "dossier",
        "subject": {"kind": "professional", "id": who, "structure": "10B0152872"},
        "action": "document.read",
        "patient": patient,
        "mode": "bris_de_glace",
        "reason": {"code": "risque_vital", "text": "found unconscious"},
        "effect": "allow",
        "reason_code": "BREAK_GLASS",
        "rules": ["break-glass"],
        "obligations": ["show_mode", "notify_holder", "notify_treating_doctor", "review"],
        "bundle": "ab" * 32,
        **more,
    }


def review(of, hours=1.0, *, verdict="justified", who=AUDITOR, **more):
    """An auditor's review of the case that an access opened."""
    at = BEGIN + timedelta(hours=hours)
    return {
        "kind": "decision",
        "id": new_id(at),
        "at": rfc3339(at),
        "caller": "audit",
        "subject": {"kind": "auditor", "id": who},
        "action": "emergency.review",
        "patient": of["patient"],
        "target": {"kind": "professional", "id": of["subject"]["id"]},
        "about": of["id"],
        "reason": {"code": verdict, "text": "as the file of the ward says"},
        "effect": "allow",
        "reason_code": "AUDITOR",
        **more,
    }


def report(of, hours=0.1, *, obligation="notify_holder", how="email", **more):
    """That an obligation of an access was carried out."""
    at = BEGIN + timedelta(hours=hours)
    return {
        "kind": "decision",
        "id": new_id(at),
        "at": rfc3339(at),
        "caller": "dossier",
        "subject": {"kind": "service", "id": "dossier"},
        "action": "obligation.report",
        "patient": of["patient"],
        "about": of["id"],
        "reason": {"code": obligation, "text": how},
        "effect": "allow",
        "reason_code": "SERVICE",
        **more,
    }


def told(standing, hours=0.0, *, who=DOCTOR, **more):
    """That the audit service told the standing of a professional."""
    at = BEGIN + timedelta(hours=hours)
    return {
        "kind": "change",
        "id": new_id(at),
        "at": rfc3339(at),
        "caller": "audit",
        "subject": {"kind": "service", "id": "audit"},
        "action": "standing.set",
        "patient": "",
        "target": {"kind": "professional", "id": who},
        "change": {"change": "SetReviewStanding", "professional": who, "standing": standing},
        "effect": "allow",
        "reason_code": "SERVICE",
        **more,
    }


def gained(entry, *, log=1, place=0, policies=None):
    """An entry on its way into the index."""
    return Gained(f"log/{log}", log, place, micros(moment(entry["at"])), entry, policies)


def in_logs(entries, logs=None):
    """Entries as gained, each in its log (the first, if left out) at the next place."""
    places = {}
    found = []
    for number, entry in enumerate(entries):
        log = logs[number] if logs else 1
        place = places.get(log, 0)
        places[log] = place + 1
        found.append(gained(entry, log=log, place=place))
    return found
