"""Values: what has no truth value, and what goes over the wire and back."""

import dataclasses
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz import wire as theirs
from authz.v1 import authz_pb2 as pb
from clients.sdk import (
    Context,
    Document,
    Effect,
    FailedError,
    InvalidError,
    Query,
    Reason,
    Subject,
    Target,
    wire,
)
from clients.sdk import changes as sdk_changes
from clients.sdk.testing import Pdp, allow
from tests.clients.sdk.samples import DOCTOR, INS, reading

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
INSTANTS = st.datetimes(
    datetime.fromisoformat("1970-01-01"),
    datetime.fromisoformat("2100-01-01"),
    timezones=st.just(UTC),
)
SUBJECTS = st.builds(
    Subject,
    **{f.name: st.booleans() if f.type is bool else TEXT for f in dataclasses.fields(Subject)},
)
DOCUMENTS = st.builds(
    Document,
    id=TEXT,
    type=TEXT,
    authors=TEXTS,
    author_structure=TEXT,
    visibility=TEXTS,
    status=TEXT,
    system=TEXT,
)
CONTEXTS = st.builds(
    Context,
    mode=TEXT,
    reason=st.none() | st.builds(Reason, code=TEXT, text=TEXT),
    declared_at=st.none() | INSTANTS,
    secret_connection=st.booleans(),
    agreement=st.booleans(),
    announced=st.booleans(),
    closure=TEXT,
    claims=st.dictionaries(TEXT, TEXT, max_size=3),
)
QUERIES = st.builds(
    Query,
    subject=SUBJECTS,
    action=TEXT,
    patient=TEXT,
    document=st.none() | DOCUMENTS,
    target=st.none() | st.builds(Target, id=TEXT, kind=TEXT, profession=TEXT),
    context=CONTEXTS,
)


def test_decision_has_no_truth_value():
    """A decision can't be taken for a yes by `if`."""
    decision = Pdp(allow()).client().check(reading())

    with pytest.raises(TypeError, match="no truth value"):
        bool(decision)


@pytest.mark.parametrize("effect", Effect)
def test_effect_has_no_truth_value(effect):
    """An effect can't be taken for a yes by `if`, not even the one that denies."""
    with pytest.raises(TypeError, match="no truth value"):
        bool(effect)


@given(QUERIES)
def test_query_survives_the_wire(query):
    """What is asked arrives as it was asked."""
    sent = wire.check_request(query).SerializeToString()

    assert query == wire.query(pb.CheckRequest.FromString(sent))


@given(QUERIES)
def test_query_is_what_the_decision_point_reads(query):
    """The decision point reads in a message what the SDK was asked to write."""
    read = theirs.query(wire.check_request(query), caller="dossier", rpc="rpc", trace_id="")

    assert dataclasses.asdict(query.subject) == dataclasses.asdict(read.subject)
    assert (query.action, query.patient) == (read.action, read.patient)
    assert (query.document is None) == (read.document is None)
    assert query.context.declared_at == read.context.declared_at
    assert dict(query.context.claims) == dict(read.claims)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"patient": 5}, "resource.patient"),
        ({"action": "a\ud800"}, "action"),
        ({"subject": Subject(kind="professional", id=7)}, "subject.id"),
        ({"document": Document(id="d", type="t", authors="abc")}, "resource.document.authors"),
        ({"document": Document(id="d", type="t", authors=(1,))}, "resource.document.authors[0]"),
        (
            {"context": Context(declared_at=datetime.fromisoformat("2026-01-01"))},
            "context.declared_at",
        ),
    ],
)
def test_what_cannot_be_sent(changes, field):
    """What no message can hold is refused as malformed, with its field."""
    with pytest.raises(InvalidError) as caught:
        wire.check_request(reading(**changes))

    assert [field] == [v.field for v in caught.value.violations]


@pytest.mark.parametrize(
    "answer",
    [
        pb.Decision(),
        pb.Decision(id="1"),
        pb.Decision(effect=pb.EFFECT_ALLOW),
        pb.Decision(id="1", effect=77),
    ],
    ids=["nothing", "no effect", "no id", "another effect"],
)
def test_no_decision_in_the_answer(answer):
    """An answer without an id or a known effect is a failure, not a permit."""
    with pytest.raises(FailedError):
        wire.decision(answer)


def test_batch_of_another_length():
    """An answer that has not as many decisions as were asked for is a failure."""
    one = pb.Decision(id="1", effect=pb.EFFECT_ALLOW)

    with pytest.raises(FailedError, match="1 answers to 2 questions"):
        wire.decisions(pb.CheckBatchResponse(decisions=[one]), 2)


KINDS = [
    kind
    for kind in vars(sdk_changes).values()
    if isinstance(kind, type)
    and issubclass(kind, sdk_changes.Change)
    and kind is not sdk_changes.Change
]


def test_every_change_has_its_value():
    """Each change of the contract is a value, and no value is without a change."""
    expected = {f.name for f in pb.ChangeRequest.DESCRIPTOR.oneofs_by_name["change"].fields}

    assert expected == {kind.field for kind in KINDS}


def test_change_on_the_wire():
    """A change is written into its field, with what is None left out."""
    opened = sdk_changes.OpenDossier(
        birth_date=date(1979, 3, 28),
        samu=True,
        representatives=(sdk_changes.Representative(id="r", relation="MTH"),),
    )
    consents = sdk_changes.SetConsents(samu=False)

    first = wire.change_request(DOCTOR, INS, opened, Context(agreement=True))
    second = wire.change_request(DOCTOR, INS, consents, Context())

    assert first.WhichOneof("change") == "open_dossier"
    assert (first.open_dossier.birth_date, first.open_dossier.samu) == ("1979-03-28", True)
    assert first.open_dossier.representatives[0].relation == "MTH"
    assert second.set_consents.HasField("samu")
    assert not second.set_consents.HasField("feeding")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.field)
def test_change_has_the_fields_of_its_message(kind):
    """A change has the fields that its message has."""
    message = pb.ChangeRequest.DESCRIPTOR.fields_by_name[kind.field].message_type

    assert {f.name for f in message.fields} == {f.name for f in dataclasses.fields(kind)}
