"""Pseudonyms: whatever stands in an entry, and in whatever form it is written, no patient can be told."""

import io
import re

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.office.export import FORMATS
from audit.office.handles import Handles
from audit.office.veil import veiled
from tests.audit.office.export.world import INS, NIR, OTHER, entry, seen, written
from tests.audit.office.world import KEY

HANDLES = Handles(KEY)
CORSICAN = "184072A01234588"
NUMBERS = (INS, OTHER, NIR, CORSICAN)
PLACES = {
    "patient": lambda n: {"patient": n},
    "patient as subject": lambda n: {"subject": {"kind": "patient", "id": n, "name": "Anne"}},
    "somebody else as subject": lambda n: {"subject": {"kind": "representative", "id": n}},
    "professional with such a number": lambda n: {"subject": {"kind": "professional", "id": n}},
    "name": lambda n: {"subject": {"kind": "professional", "id": "x", "name": f"for {n}"}},
    "structure": lambda n: {"patient": n, "subject": {"kind": "employee", "structure": n}},
    "document": lambda n: {"document": {"id": f"{n}.1", "type": n}},
    "author": lambda n: {"origin": {"authors": [n], "author_structure": "", "system": n}},
    "target": lambda n: {"target": {"kind": "person", "id": n}},
    "reason": lambda n: {"reason": {"code": "x", "text": f"see {n}, urgent"}},
    "reason with letters": lambda n: {"reason": {"code": "x", "text": f"INS{n}x"}},
    "facts": lambda n: {"facts": [1, n, [n, "a"]]},
    "change": lambda n: {"change": {"change": "X", "grantee": ["person", n], "who": [[n, "MTH"]]}},
    "remarks": lambda n: {"remarks": [f"error about {n}"]},
    "caller": lambda n: {"caller": n},
    "trace": lambda n: {"trace_id": n},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", NUMBERS)
def test_no_number_is_left(place, number):
    """Wherever a patient's number stands, a pseudonym stands in its place, in every form of file."""
    one = seen(entry(**PLACES[place](number)), hidden=True)
    assert not one.exact
    for name, write in FORMATS.items():
        data = written(write, one)
        if name == "parquet":
            data = repr(pq.read_table(io.BytesIO(data)).to_pylist()).encode()
        assert number.encode() not in data, name
        assert INS.encode() not in data, name
    assert number.encode() not in one.message().SerializeToString()


def spaced(number):
    """As it is written on cards."""
    return re.sub(r"(.)(..)(..)(..)(...)(...)(..)", r"\1 \2 \3 \4 \5 \6 \7", number)


def test_numbers_with_blanks_are_found_in_text():
    """In free text a number is found with the blanks of a card, too."""
    text = f"carte {spaced(NIR)} lue"
    made = veiled(entry(reason={"code": "x", "text": text}), HANDLES)
    assert f"carte {HANDLES.pseudonym(NIR)} lue" == made["reason"]["text"]


def test_one_patient_has_one_pseudonym():
    """The same patient is the same pseudonym wherever it stands, so that entries can be put together."""
    made = veiled(
        entry(subject={"kind": "patient", "id": INS, "name": "A"}, facts=[INS, [INS]]), HANDLES
    )
    name = HANDLES.pseudonym(INS)
    assert (name, name, [name, [name]]) == (made["patient"], made["subject"]["id"], made["facts"])
    assert "name" not in made["subject"]


def test_nothing_is_left_to_guess_by():
    """Without the salt nobody can tell by the published commitment whether a guess is right."""
    made = veiled(entry(), HANDLES)
    assert {"salt", "patient_prev"}.isdisjoint(made)


def test_what_names_no_patient_stays_exact():
    """An entry that names no patient is shown as it stands in the log, with its bytes."""
    one = seen(entry(patient="", facts=[1, "899700218896"]), hidden=True)
    assert one.exact
    assert one.message().bytes == one.stored.bytes


@pytest.mark.parametrize(
    "written_",
    [
        "{0[0]}-{0[1]}{0[2]}-{0[3]}{0[4]}-{rest}",
        "{0[0]}.{0[1]}{0[2]}.{0[3]}{0[4]}.{rest}",
        "{0[0]}  {0[1]}{0[2]}\t{0[3]}{0[4]}\u2009{rest}",
        "{0[0]}_{0[1]}{0[2]} / {0[3]}{0[4]}\u200b{rest}",
        "{wide}",
        "no. {stem} (key left out)",
    ],
)
@pytest.mark.parametrize("number", [NIR, CORSICAN])
def test_number_of_the_patient_however_it_is_spelled(number, written_):
    """In free text the number of the patient concerned goes in whatever way people write it."""
    wide = "".join(chr(ord(one) + 0xFEE0) for one in number)
    text = written_.format(number, rest=number[5:], wide=wide, stem=number[:-2])
    made = veiled(entry(patient=number, reason={"code": "x", "text": text}), HANDLES)
    left = made["reason"]["text"]
    assert HANDLES.pseudonym(number) in left
    assert not re.search(r"\d{4}", left.replace(HANDLES.pseudonym(number), ""))


def test_numbers_of_professionals_and_structures_stay():
    """Who accessed is what an audit is about: professionals and structures keep their numbers."""
    siret = "399999999999999"
    given = entry(
        subject={"kind": "employee", "id": f"5{siret[1:]}/17", "structure": siret},
        facts=[siret, "899700218896"],
    )
    made = veiled(given, HANDLES)
    assert given["subject"] == made["subject"]
    assert [siret, "899700218896"] == made["facts"]


@settings(max_examples=300, deadline=None)
@given(
    data=st.recursive(
        st.one_of(st.sampled_from(NUMBERS), st.text(max_size=8), st.integers(0, 9)),
        lambda inner: st.one_of(st.lists(inner, max_size=3)),
        max_leaves=6,
    ),
    glue=st.sampled_from(["", " ", ",", "/", "é", "\n", "'"]),
    number=st.sampled_from(NUMBERS),
)
def test_hostile_entries_tell_nothing(data, glue, number):
    """Whatever surrounds a number in free text, it is not left there."""
    text = f"a{glue}{number}{glue}b"
    made = veiled(entry(facts=[data], reason={"code": "", "text": text}), HANDLES)
    left = orjson.dumps(made).decode()
    assert number not in left
    assert INS not in left
