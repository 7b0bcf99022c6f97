"""The form of a request: everything that is malformed is told at once, with field, value and remedy."""

from dataclasses import fields
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz import ins
from authz.facts import COMPUTED
from authz.model import Kind, Vocabulary
from authz.query import (
    CLOCK_SKEW,
    CONFIDENTIALITY,
    MAX_AUTHORS,
    MAX_CODES,
    MAX_ID,
    MAX_TEXT,
    MAX_VIOLATIONS,
    Document,
    Page,
    Query,
    Subject,
    Target,
    check,
)
from serving.errors import RequestError
from tests.authz.samples import CLINIC, DOCTOR, DOCUMENT, NOW, PARENT, PATIENT, READ, TARGET, query
from tests.authz.worlds import fact_document, our_bundle, vocabulary_of

NIR = "1850578006084"
NUMBERS = (PATIENT, PARENT, NIR + ins.nir_key(NIR), "185052A006084" + ins.nir_key("185052A006084"))
WRITTEN = "resource.document"
AIMED = {"action": "block.set", "target": TARGET}
STRUCTURE = {"subject__kind": "structure", "subject__structure": CLINIC}
EMPLOYEE = {"subject__kind": "employee", "subject__structure": CLINIC}
ABOUT = "019dfd5b-2800-7000-8000-0000000c0d00"
BIDI, SURROGATE, ZERO_WIDTH = "\u202e", "\ud800", "\u200b"


def vocabulary() -> Vocabulary:
    """The project's facts, actions and services."""
    return our_bundle().vocabulary


def violations(asked: Query, known: Vocabulary | None = None) -> list[tuple[str, str, str]]:
    """What is wrong with a request."""
    try:
        check(asked, known or vocabulary(), COMPUTED, NOW)
    except RequestError as exc:
        return list(exc.violations)
    return []


def test_sound():
    """A request with everything that its action needs has nothing wrong with it."""
    with_target = query(action="block.set", target=TARGET)
    from_patient = query(subject=Subject(kind="patient", id=PATIENT, authentication="patient_code"))

    from_structure = query(**STRUCTURE, subject__id=CLINIC)
    from_employee = query(**EMPLOYEE, subject__id=f"3{CLINIC[1:]}/cpe-1")

    asked = (READ, with_target, from_patient, from_structure, from_employee)
    found = [violations(one) for one in asked]

    assert found == [[]] * len(asked)


@pytest.mark.parametrize(
    ("changes", "field", "value", "remedy"),
    [
        ({"action": "document.raed"}, "action", "`document.raed`", "did you mean `document.read`?"),
        ({"action": "unknown"}, "action", "`unknown`", ""),
        ({"action": ""}, "action", "``", "name an action"),
        ({"patient": ""}, "resource.patient", "missing, `document.read` needs it", "give the patient's INS"),
        ({"document": None}, "resource.document", "missing, `document.read` needs it", "label"),
        ({"action": "obligation.report"}, "resource.about", "missing, `obligation.report` needs", "the id"),
        ({"about": "1"}, "resource.about", "not the id of a decision: `1`", "in small letters"),
        ({"about": ABOUT[:-1]}, "resource.about", "not the id of a decision: `019…d0`", "give all of it"),
        ({"about": ABOUT.upper()}, "resource.about", "`019…00`", "in small letters"),
        ({"about": ABOUT.replace("-7", "-4", 1)}, "resource.about", "not the id of a decision", "as in the"),
        ({"about": ABOUT + "\n"}, "resource.about", "not the id of a decision", "give all of it"),
        ({"about": PATIENT}, "resource.about", "not the id of a decision: `111…", "give all of it"),
        ({"action": "block.set"}, "resource.target", "missing, `block.set` needs it", "give the prof"),
        ({"patient": PATIENT[:-1]}, "resource.patient", "`111…65`: length: 21 characters", "never corrected"),
        ({"patient": PATIENT[:-1] + "9"}, "resource.patient", "`111…59`: key: `59`", "never corrected"),
        ({"patient": "9" * 22}, "resource.patient", "`999…99`: range:", "never corrected"),
        ({"patient": PATIENT[:-1] + "٣"}, "resource.patient", "`111…5٣`: characters:", "never corrected"),
        ({"subject__id": "00b1038575"}, "subject.id", "letters: `00b1038575`", "in capitals"),
        ({"subject__structure": "10b0252419"}, "subject.structure", "small letters", "in capitals"),
        ({"document__author_structure": "10b0252419"}, f"{WRITTEN}.author_structure", "small", "in cap"),
        ({"document__authors": (DOCTOR, "00b1038575")}, f"{WRITTEN}.authors[1]", "small", "in capitals"),
        (AIMED | {"target__id": "10b0252419"}, "resource.target.id", "small letters", "in capitals"),
        (STRUCTURE | {"subject__id": "10B0193488"}, "subject.structure", "`structure`, but", "card or"),
        (EMPLOYEE | {"subject__id": "30B0193488/CPE1"}, "subject.structure", "`employee`, but", "card or"),
        ({"subject__kind": ""}, "subject.kind", "missing", "`professional`"),
        ({"subject__kind": "profesional"}, "subject.kind", "`profesional`", "did you mean `professional`?"),
        ({"subject__kind": "unknown"}, "subject.kind", "`unknown`", "known: `auditor`"),
        ({"subject__id": ""}, "subject.id", "missing", "give the identifier"),
        ({"subject__id": "  "}, "subject.id", "missing", "give the identifier"),
        ({"subject__id": " x"}, "subject.id", "` x`", "give it as issued"),
        ({"subject__id": "x\n"}, "subject.id", "`x\ufffd`", "give it as issued"),
        ({"subject__id": "x" + BIDI}, "subject.id", "`x\ufffd`", "give it as issued"),
        ({"subject__id": "x" + SURROGATE}, "subject.id", "`x\ufffd`", "give it as issued"),
        ({"subject__id": "x" + ZERO_WIDTH}, "subject.id", "unprintable", "give it as issued"),
        ({"subject__id": "x" * (MAX_ID + 1)}, "subject.id", "129 characters", "at most 128"),
        ({"subject__id": "x" * 1_000_000}, "subject.id", "1000000 characters", "at most 128"),
        ({"subject__kind": "patient", "subject__id": "x"}, "subject.id", "`x`: length: 1 char", "corrected"),
        ({"subject__profession": "1\x000"}, "subject.profession", "`1\ufffd0`", "give it as issued"),
        ({"subject__structure": "x" * 200}, "subject.structure", "200 characters", "at most 128"),
        ({"subject__structure_kind": "x\x7f"}, "subject.structure_kind", "`x\ufffd`", "give it as issued"),
        ({"subject__authentication": "card"}, "subject.authentication", "`card`", "`individual_card`"),
        ({"subject__authentication": "unknown"}, "subject.authentication", "`unknown`", "`individual_card`"),
        ({"subject__capacity": "cure"}, "subject.capacity", "`cure`", "did you mean `care`?"),
        ({"subject__name": "x" * (MAX_TEXT + 1)}, "subject.name", "501 characters", "at most 500"),
        ({"subject__name": "Dr\x1b[31m"}, "subject.name", "unprintable", "plain text"),
        ({"subject__structure_name": BIDI}, "subject.structure_name", "unprintable", "plain text"),
        ({"document__id": ""}, "resource.document.id", "missing", "give the identifier"),
        ({"document__type": ""}, "resource.document.type", "missing", "give the identifier"),
        ({"document__type": "a\tb"}, "resource.document.type", "`a\ufffdb`", "give it as issued"),
        ({"document__author_structure": "x "}, "resource.document.author_structure", "`x `", "as issued"),
        ({"document__system": "\u2028"}, "resource.document.system", "unprintable", "give it as issued"),
        ({"document__status": ""}, "resource.document.status", "missing", "`approved`"),
        ({"document__status": "aproved"}, "resource.document.status", "`aproved`", "mean `approved`?"),
        ({"document__authors": ("x", "")}, "resource.document.authors[1]", "missing", "give the identifier"),
        ({"document__authors": ("x\r",)}, "resource.document.authors[0]", "`x\ufffd`", "give it as issued"),
        ({"document__visibility": ("N", "MASQUE")}, "resource.document.visibility[1]", "`MASQUE`", "_PS`?"),
        ({"target": TARGET, "target__id": ""}, "resource.target.id", "missing", "give the identifier"),
        ({"target": TARGET, "target__kind": "persn"}, "resource.target.kind", "`persn`", "`person`?"),
        ({"target": TARGET, "target__kind": ""}, "resource.target.kind", "``", "`structure`"),
        ({"target": TARGET, "target__profession": "\x9f"}, "resource.target.profession", "`\ufffd`", ""),
        ({"context__mode": "urgence"}, "context.mode", "`urgence`", "`bris_de_glace`"),
        ({"context__mode": "unknown"}, "context.mode", "`unknown`", "`bris_de_glace`"),
        ({"context__closure": "missing"}, "context.closure", "`missing`", "`death`"),
        ({"context__reason_code": "x" * 129}, "context.reason.code", "129 characters", "at most 128"),
        ({"context__reason_text": "x" * 501}, "context.reason.text", "501 characters", "at most 500"),
        ({"context__reason_text": "vital\u2069"}, "context.reason.text", "unprintable", "plain text"),
        (
            {"context__declared_at": NOW + timedelta(hours=1)},
            "context.declared_at",
            "`2026-05-04T11:00:00+00:00`",
            "give the instant",
        ),
        ({"claims": {"context.wether": "rain"}}, "claims[context.wether]", "`context.wether`", "declare"),
        ({"claims": {"resource.masked": "no"}}, "claims[resource.masked]", "`resource.masked`", "computed"),
        ({"claims": {"action.name": "x"}}, "claims[action.name]", "`action.name`", "computed, not claimed"),
    ],
)  # fmt: skip
def test_violations(changes, field, value, remedy):
    """Each violation names the field, the value in backticks where it may be shown, and the remedy."""
    found = violations(query(**changes))

    named = [(wrong, cure) for at, wrong, cure in found if at == field]
    assert named, found
    assert any(value in wrong and remedy in cure for wrong, cure in named), named


def test_all_at_once():
    """Everything that is wrong is told at once, in the order of the fields."""
    asked = query(
        action="documentread", patient="1", subject__id="", document__status="", context__mode="x"
    )

    found = [field for field, _, _ in violations(asked)]

    assert found == [
        "action",
        "subject.id",
        "resource.patient",
        "resource.document.status",
        "context.mode",
    ]


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"document__authors": ("x",) * 10_000}, "10000 authors"),
        ({"document__authors": ("\x00",) * 10_000}, "10000 authors"),
        ({"document__authors": ("x",) * (MAX_AUTHORS + 1)}, "51 authors"),
        ({"document__visibility": ("X",) * 10_000}, "10000 codes"),
        ({"document__visibility": ("N",) * (MAX_CODES + 1)}, "21 codes"),
        ({"claims": {f"context.x{n}": "y" * 10_000 for n in range(10_000)}}, "unknown fact"),
    ],
)
def test_many(changes, first):
    """A request that is wrong in thousands of places is told the first of them, in few words."""
    found = violations(query(**changes))

    assert 1 <= len(found) <= MAX_VIOLATIONS
    assert first in found[0][1]
    assert len(str(RequestError(found))) < 10_000


def test_as_many_as_may_be():
    """As many authors, codes and characters as are permitted are no violation."""
    asked = query(
        document__authors=("x" * MAX_ID,) * MAX_AUTHORS,
        document__visibility=(CONFIDENTIALITY * 4)[:MAX_CODES],
        context__reason_text="é" * MAX_TEXT,
        subject__name="Dr\u00a0Ève « L'Œuvre »\n\tligne",
        context__declared_at=NOW + CLOCK_SKEW,
    )

    assert violations(asked) == []


STRINGS = [
    *(f"subject__{f.name}" for f in fields(Subject) if f.type is str),
    *(f"document__{f.name}" for f in fields(Document) if f.type is str),
    *(f"target__{f.name}" for f in fields(Target) if f.type is str),
    *(f"context__{name}" for name in ("mode", "closure", "reason_code", "reason_text")),
    *("patient", "action"),
]


@pytest.mark.parametrize("name", STRINGS)
@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_are_never_repeated(name, number):
    """A patient number is never printed in full, in whatever field it stands, however spoilt."""
    base = query(target=TARGET)
    spoilt = (
        number,
        number + " ",
        number + ZERO_WIDTH,
        number[:-1] + "9",
        BIDI + number,
        number + "\n",
    )

    for value in spoilt:
        for kind in ("professional", "patient", "representative"):
            asked = query(base, subject__kind=kind)
            told = violations(query(asked, **{name: value}))
            assert all(number not in "".join(parts) for parts in told)
            assert all(number[:-1] not in "".join(parts) for parts in told)


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_in_lists_are_never_repeated(number):
    """Nor is it printed when it stands among authors, codes or claims."""
    spoilt = number + BIDI
    asked = query(
        document__authors=(spoilt,),
        document__visibility=(number,),
        claims={number: number, "context.colour": number, "context.whose": spoilt},
    )
    known = vocabulary_like(
        fact_document("context.colour", Kind.CHOICE, ("red", "blue")),
        fact_document("context.whose", Kind.IDENTIFIER),
    )

    found = violations(asked, known)

    assert len(found) == 5
    assert number not in str(found)


def vocabulary_like(*more: dict[str, object]) -> Vocabulary:
    """The project's vocabulary with facts that it does not have."""
    ours, new = vocabulary(), vocabulary_of(*more)
    return Vocabulary(
        facts=(*ours.facts, *new.facts[1:]),
        actions=ours.actions,
        obligations=ours.obligations,
        services=ours.services,
    )


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("context.colour", "red", ""),
        ("context.colour", "pink", "unknown value: `pink`"),
        ("context.whose", "x", ""),
        ("context.whose", "", ""),
        ("context.whose", "x\n", "blank or unprintable characters: `x\ufffd`"),
        ("context.colours", "red", "unknown value: `red`"),
        ("context.those", "x", "unknown value: `x`"),
        ("context.color", "red", "unknown fact: `context.color`"),
    ],
)
def test_claims(name, value, wrong):
    """A caller may claim choices and identifiers that nothing computes, and nothing else."""
    known = vocabulary_like(
        fact_document("context.colour", Kind.CHOICE, ("red", "blue")),
        fact_document("context.whose", Kind.IDENTIFIER),
        fact_document("context.colours", Kind.CHOICES, ("red", "blue")),
        fact_document("context.those", Kind.IDENTIFIERS),
    )

    found = violations(query(claims={name: value}), known)

    assert [what for _, what, _ in found] == ([wrong] if wrong else [])
    assert all(cure for _, _, cure in found)


TEXT = st.one_of(
    st.text(max_size=20), st.sampled_from(["", " ", "\ud800", "\x00", "x" * 300, *NUMBERS])
)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)


@settings(max_examples=150, deadline=None)
@given(
    st.builds(
        Query,
        caller=TEXT,
        rpc=TEXT,
        subject=st.builds(
            Subject, **{f.name: TEXT for f in fields(Subject) if f.name != "regulator"}
        ),
        action=st.one_of(TEXT, st.sampled_from(["document.read", "block.set"])),
        patient=TEXT,
        document=st.builds(
            Document,
            **{f.name: TEXT for f in fields(Document)} | {"authors": TEXTS, "visibility": TEXTS},
        ),
        target=st.builds(Target, id=TEXT, kind=TEXT, profession=TEXT),
        claims=st.dictionaries(TEXT, TEXT, max_size=3),
    )
)
def test_any_text(asked):
    """Whatever the texts of a request, it is sound or refused, and what is told can be printed."""
    found = violations(asked)

    assert len(found) <= MAX_VIOLATIONS
    for field, wrong, cure in found:
        assert all((field, wrong, cure))
        assert f"{field}{wrong}{cure}".encode()
        assert len(wrong) < 300


def test_document_label_is_optional():
    """What an action does not need may be left out, and is checked when it is there."""
    asked = query(action="dossier.read", document=None)
    spoilt = query(asked, document=DOCUMENT, document__id="")

    assert violations(asked) == []
    assert [field for field, _, _ in violations(spoilt)] == ["resource.document.id"]


@pytest.mark.parametrize(
    ("kind", "identifier"),
    [("professional", READ.subject.structure), ("structure", READ.subject.id)],
)
def test_target_is_of_the_kind_that_it_says(kind, identifier):
    """One's own structure can't be named as a person, nor oneself as a structure."""
    asked = query(target=Target(id=identifier, kind=kind))

    assert [field for field, _, _ in violations(asked)] == ["resource.target.kind"]


def test_a_document_may_be_left_open():
    """Who asks which documents it may be names none."""
    assert violations(query(document=None, any_document=True)) == []
    assert [field for field, _, _ in violations(query(document=None))] == ["resource.document"]


@pytest.mark.parametrize(
    ("after", "size", "expected"),
    [
        ("", 1, []),
        (PATIENT, 1_000, []),
        ("", 0, ["page_size"]),
        ("", 1_001, ["page_size"]),
        ("12", -1, ["page_size", "after"]),
    ],
)
def test_page(after, size, expected):
    """A page has a size that is not too large, and begins after an INS or at the beginning."""
    asked = query(
        action="patient.list", document=None, patient="", page=Page(after=after, size=size)
    )

    assert [field for field, _, _ in violations(asked)] == expected
