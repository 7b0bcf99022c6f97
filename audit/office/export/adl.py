"""Logius Authorization Decision Log 1.0: a record a call, a line each (NDJSON).

The decisions of one call are written together, so in the log they stand one behind the other; here they are
one record. Policies are referred to by their digest, and what a search found by what it is computed from; the
rest stands in the body.
Source: Logius, Authorization Decision Log, sections Generation and Interface.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

import orjson

from audit.entry import Entry
from audit.office.gained import NORMAL
from audit.office.shown import Shown

EVALUATION: Final = "adl.access_evaluation"
EVALUATIONS: Final = "adl.access_evaluations"
SEARCH_RESOURCE: Final = "adl.search_resource"

_FAILED: Final = "DECISION_ERROR"
_POLICIES: Final = "dmp.policies"
_REGISTRY: Final = "dmp.registry"

Record = dict[str, Any]


def write(entries: Iterable[Shown]) -> Iterator[bytes]:
    """Pieces of the file. What is no decision (a start, an activation), or is erased, is no record."""
    decisions = (one for one in entries if one.entry.get("effect"))
    for _, call in groupby(decisions, key=lambda one: (one.stored.origin, one.entry.get("call"))):
        yield orjson.dumps(record(list(call))) + b"\n"


def record(call: Sequence[Shown]) -> Record:
    """The decisions of one call as one record."""
    first = call[0]
    entries = [one.entry for one in call]
    digits = _digits(first.entry)
    attributes: Record = {"adl.core.policies": {_POLICIES: first.entry.get("bundle", "")}}
    event = _event(entries)
    body: Record = {"adl.core.request": _request(entries)}
    if (
        event == SEARCH_RESOURCE
    ):  # which resources these were is no list in the log, but a condition
        again = {
            "dmp.decision": first.entry.get("id", ""),
            _REGISTRY: first.entry.get("revision", 0),
        }
        attributes["adl.core.response"] = again
    else:
        body["adl.core.response"] = _response(entries)
    body["adl.core.information"] = {_REGISTRY: list(map(_information, entries))}
    persons = {one.pseudonym for one in call if one.pseudonym}
    if len(persons) == 1:
        attributes["dpl.core.data_subject_id"] = persons.pop()
    return {
        # An absent trace was begun with the call, whose id is random.
        "trace_id": first.entry.get("trace_id") or digits,
        "span_id": digits[16:],
        "event_name": event,
        "timestamp": int(first.at.timestamp()) * 1000 + first.at.microsecond // 1000,
        "status": "Error" if any(map(_has_failed, entries)) else "Ok",
        "attributes": attributes,
        "resource": {"service.name": "dmp-authz", "service.instance.id": first.stored.origin},
        "body": body,
    }


def _digits(entry: Entry) -> str:
    """The 32 digits of the call's id: the second half is random but for two bits, and never all zeros."""
    return (entry.get("call") or entry["id"]).replace("-", "")


def _event(entries: Sequence[Entry]) -> str:
    if len(entries) > 1:
        return EVALUATIONS
    return SEARCH_RESOURCE if entries[0].get("kind") == "filter" else EVALUATION


def _information(entry: Entry) -> Record:
    """What the registry and the caller told, as the vector of facts."""
    return {"revision": entry.get("revision", 0), "facts": list(entry.get("facts", ()))}


def _has_failed(entry: Entry) -> bool:
    """Whether the decision could not be made; a denial is an outcome like any other."""
    return entry.get("reason_code") == _FAILED


def _request(entries: Sequence[Entry]) -> Record:
    """As AuthZEN has it: one evaluation, or several."""
    if len(entries) == 1:
        return _asked(entries[0])
    return {"evaluations": [_asked(entry) for entry in entries]}


def _response(entries: Sequence[Entry]) -> Record:
    if len(entries) == 1:
        return _answered(entries[0])
    return {"evaluations": [_answered(entry) for entry in entries]}


def _asked(entry: Entry) -> Record:
    subject, document = entry.get("subject", {}), entry.get("document", {})
    context: Record = {"mode": entry.get("mode", NORMAL), "caller": entry.get("caller", "")}
    if "reason" in entry:
        context["reason"] = dict(entry["reason"])
    if "about" in entry:
        context["about"] = entry["about"]
    patient = entry.get("patient", "")
    about = "patient" if patient else entry.get("action", "").partition(".")[0]
    resource: Record = {"type": about, "id": patient}
    if "document" in entry:
        properties = {
            "patient": patient,
            **{name: value for name, value in document.items() if name != "id"},
            "origin": dict(entry.get("origin", {})),
        }
        resource = {"type": "document", "id": document.get("id", ""), "properties": properties}
    if "target" in entry:
        resource.setdefault("properties", {})["target"] = dict(entry["target"])
    return {
        "subject": {
            "type": subject.get("kind", ""),
            "id": subject.get("id", ""),
            "properties": _but(subject, "kind", "id"),
        },
        "action": {"name": entry.get("action", "")},
        "resource": resource,
        "context": context,
    }


def _answered(entry: Entry) -> Record:
    return {
        "decision": entry.get("effect") == "allow",
        "context": {
            "id": entry.get("id", ""),
            "reason_code": entry.get("reason_code", ""),
            "rules": list(entry.get("rules", ())),
            "obligations": list(entry.get("obligations", ())),
        },
    }


def _but(values: Mapping[str, Any], *names: str) -> Record:
    return {name: value for name, value in values.items() if name not in names}
