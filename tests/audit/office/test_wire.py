"""Entries as messages: whole to whom may know the patient, and without a trace of a patient's number else."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from audit.entry import canonical
from audit.office import wire
from audit.office.asking import PSEUDONYMISE, Look
from audit.office.handles import Handles
from audit.office.office import Standing
from audit.office.shown import shown
from audit.reader import Erased, Stored
from audit.v1 import audit_pb2 as pb
from clients.sdk.asking import How
from serving.errors import RequestError
from tests.audit.office.world import KEY
from tests.audit.world import draft
from tests.service import NOW, auditor

INS_C = "0833910461279517589858"
INS_NIR = "279035121518989"
HANDLES = Handles(KEY)
SHOWN = HANDLES.pseudonym(INS_C)


def stored(**fields):
    """An entry about a patient, as it stands in the log."""
    given = draft(INS_C, **{"at": "2026-11-18T10:26:40.000001Z", "index": 7, **fields})
    return Stored("authz-1", 7, canonical(given))


def shown_as(one, *, hidden=False):
    """An entry as it goes to a reader."""
    return shown(one, HANDLES, hidden=hidden).message()


def test_entry_is_shown_whole():
    """Who may know the patient sees every field, and the exact bytes."""
    one = stored(about="0198c5a0-7e1c-7d3a-9b57-3f5a1c9e2b44", reason={"code": "x", "text": INS_C})
    made = shown_as(one)
    assert (made.patient, made.bytes) == (INS_C, one.bytes)
    assert (made.subject.id, made.subject.name) == ("899700218896", "Hélène MEDECIN3857")
    assert (made.document.type, made.document_class, made.document_space) == (
        "11502-2",
        "11",
        "biology",
    )
    assert made.at.ToJsonString() == "2026-11-18T10:26:40.000001Z"
    assert (made.reason.text, made.about[-2:]) == (INS_C, "44")


PERSONS = {
    "the patient": {"subject": {"kind": "patient", "id": INS_C, "name": "Jeanne TEST"}},
    "a representative": {"subject": {"kind": "representative", "id": INS_C, "name": "Jeanne TEST"}},
    "a kind of tomorrow": {"subject": {"kind": "curator", "id": INS_C, "name": "Jeanne TEST"}},
    "an author": {"origin": {"authors": [INS_C, "899700218896"]}},
    "a reason": {"reason": {"code": "autre", "text": f"vu {INS_C}, fils de {INS_NIR}; TEST?"}},
    "a question": {"reason": {"code": "query", "text": f'{{"patient":"{INS_C}"}}'}},
    "a document": {"document": {"id": f"1.2.250.{INS_C}", "type": "11502-2"}},
}


@pytest.mark.parametrize("where", PERSONS)
def test_no_number_of_a_patient_is_left(where):
    """Wherever a patient's number can stand, the pseudonym stands in its place; the bytes are withheld."""
    made = shown_as(stored(**PERSONS[where]), hidden=True)
    text = str(made)
    assert INS_C not in text
    assert INS_NIR not in text
    assert "Jeanne" not in text
    assert (made.patient, made.bytes) == (SHOWN, b"")
    assert made.id
    if where != "a reason":
        assert text.count(SHOWN) == 2


def test_professional_is_no_patient():
    """Numbers of professionals and structures stay, the longest too."""
    who = {"kind": "professional", "id": "899700218896", "structure": "312345678901234"}
    made = shown_as(stored(subject=who), hidden=True)
    assert (made.subject.id, made.subject.structure) == ("899700218896", "312345678901234")


def test_erased_entry_says_so():
    """Of an erased entry its place and instant are left, and where its erasure is told."""
    one = Stored("authz-1", 7, b"", Erased(bytes(32), "2026-11-18T10:26:40.000000Z", 3))
    made = shown_as(one, hidden=True)
    assert (made.index, made.id, made.erased) == (7, "", "entry 3 of log `retention`")
    assert made.at.ToJsonString() == "2026-11-18T10:26:40Z"


def test_look_and_standing():
    """What is told beside each answer."""
    look = Look(decision="d", reason_code="AUDITOR", obligations=(PSEUDONYMISE,))
    assert wire.look(look).pseudonymised
    told = wire.standing(Standing(behind=3, complete_until=NOW, sealed=9))
    assert (told.behind, told.sealed) == (3, 9)
    assert told.complete_until.ToDatetime() == NOW.replace(tzinfo=None)
    assert not wire.standing(Standing()).HasField("complete_until")


def test_somebody_must_look():
    """A request that names nobody is refused; a patient's view may state circumstances."""
    with pytest.raises(RequestError, match="subject: missing"):
        wire.asker(pb.CountRequest(), How())
    assert wire.asker(pb.CountRequest(subject=auditor()), How()).context.mode == "normal"
    request = pb.ListAccessesRequest(subject=auditor())
    request.context.secret_connection = True
    assert wire.asker(request, How()).context.secret_connection


def test_all_that_is_wrong_is_told():
    """A period the wrong way round, an instant that is none, and a page that is too large."""
    wrong = []
    given = pb.Filter(until=Timestamp(seconds=1), **{"from": Timestamp(seconds=2)})
    wire.period(given, wrong)
    wire.period(pb.Filter(until=Timestamp(seconds=1 << 60)), wrong)
    assert wire.page_size(0, default=50, most=100, wrong=wrong) == 50
    wire.page_size(101, default=50, most=100, wrong=wrong)
    assert [field for field, _, _ in wrong] == ["until", "until", "page_size"]
