"""Logius Authorization Decision Log 1.0: what it demands, one by one."""

import re

import orjson
import pytest

from audit.office.export import adl
from audit.office.handles import Handles
from tests.audit.office.export.world import AT, INS, OTHER, entry, erased, seen, written
from tests.audit.office.world import KEY

CALL = "019a9600-0000-7abc-9def-0123456789ab"


def record(*entries, hidden=False):
    return adl.record([seen(one, hidden=hidden) for one in entries or (entry(call=CALL),)])


def records(*entries):
    return [orjson.loads(line) for line in written(adl.write, *entries).splitlines()]


def test_one_call_is_one_record():
    """The decisions of one call are one record; those of another call another one, each exactly once."""
    one = [seen(entry(n, call=CALL)) for n in range(3)]
    two = seen(entry(3))
    found = records(*one, two)
    assert [adl.EVALUATIONS, adl.EVALUATION] == [each["event_name"] for each in found]
    assert [e["id"] for e in (s.entry for s in one)] == [
        each["context"]["id"] for each in found[0]["body"]["adl.core.response"]["evaluations"]
    ]
    assert 3 == len(found[0]["body"]["adl.core.request"]["evaluations"])


def test_mandatory_fields_have_their_form():
    """Trace and span are lower-case hexadecimal, the instant is in milliseconds, nothing is missing."""
    made = record()
    assert re.fullmatch("[0-9a-f]{32}", made["trace_id"])
    assert re.fullmatch("[0-9a-f]{16}", made["span_id"])
    assert 1794997600123 == made["timestamp"]
    assert {"trace_id", "span_id", "event_name", "timestamp", "status"} <= set(made)


def test_trace_is_kept_as_it_came():
    """The trace of the caller stands there unchanged; without one, a new one began with the call."""
    assert "4bf92f3577b34da6a3ce929d0e0e4736" == record()["trace_id"]
    without = record(entry(call=CALL, trace_id=None))
    assert CALL.replace("-", "") == without["trace_id"]


def test_numbers_of_spans_say_nothing_of_persons():
    """The span is of the random digits of the call: the same for whomever it is about."""
    assert "9def0123456789ab" == record()["span_id"]
    assert record()["span_id"] == record(entry(call=CALL, patient=OTHER))["span_id"]


def test_written_twice_it_is_the_same():
    """A record is made of the log alone, so that ingesting it again adds nothing."""
    given = entry(call=CALL)
    assert record(given) == record(given)


@pytest.mark.parametrize("effect", ["allow", "deny"])
def test_denial_is_no_error(effect):
    """A denial was decided like an allow: its status is not `Error`."""
    made = record(entry(effect=effect))
    assert ("Ok", effect == "allow") == (
        made["status"],
        made["body"]["adl.core.response"]["decision"],
    )


def test_failure_is_an_error():
    """Where no decision could be made, and so it was denied, the status is `Error`."""
    made = record(entry(effect="deny", reason_code="DECISION_ERROR", rules=[]))
    assert "Error" == made["status"]


def test_each_key_stands_in_one_place():
    """What is in the body is not referred to in the attributes, and these hold references alone."""
    for made in (record(), record(entry(kind="filter"))):
        core = {name for name in made["attributes"] if name.startswith("adl.core.")}
        assert core.isdisjoint(made["body"])
        assert {"adl.core.request", "adl.core.response", "adl.core.policies"} <= core | set(
            made["body"]
        )
        assert "adl.core.information" in made["body"]


def test_policies_are_referred_to_by_their_digest():
    """The digest of the policies is enough to find them in the log's database."""
    assert {"dmp.policies": "ab" * 32} == record()["attributes"]["adl.core.policies"]


def test_search_refers_to_its_answer():
    """Which documents a filter allowed is no list of them in the log: it is referred to."""
    made = record(entry(kind="filter"))
    assert adl.SEARCH_RESOURCE == made["event_name"]
    assert {"dmp.decision", "dmp.registry"} == set(made["attributes"]["adl.core.response"])


def test_patient_is_named_by_pseudonym():
    """The person whom data are about is named by a pseudonym, so that one's own records can be found."""
    assert Handles(KEY).pseudonym(INS) == record()["attributes"]["dpl.core.data_subject_id"]
    several = record(entry(call=CALL), entry(1, call=CALL, patient=OTHER))
    assert "dpl.core.data_subject_id" not in several["attributes"]


def test_producer_is_told():
    """Of several logs together each record still says where it comes from."""
    assert "dmp.test/1" == record()["resource"]["service.instance.id"]


def test_what_the_ehds_asks_for_is_there():
    """Organisation, person, category of data, instant and origin are in the request (EHDS annex II 3.2)."""
    asked = record()["body"]["adl.core.request"]
    assert "10B0152872" == asked["subject"]["properties"]["structure"]
    assert "899700218896" == asked["subject"]["id"]
    assert "11502-2" == asked["resource"]["properties"]["type"]
    assert AT.startswith("2026-11-18T10:26:40.123")
    assert "10B0152872" == asked["resource"]["properties"]["origin"]["author_structure"]


def test_what_is_about_nobody_says_about_what():
    """A question about no patient is about what its action speaks of."""
    made = record(entry(patient="", document=None, action="log.query"))
    assert {"type": "log", "id": ""} == made["body"]["adl.core.request"]["resource"]


def test_file_holds_decisions_alone():
    """Starts, activations and erased entries are no records."""
    start = entry(kind="start", effect=None, subject=None, patient="")
    assert 1 == len(records(seen(start), erased(), seen()))
