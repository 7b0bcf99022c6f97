"""The table of document types, and what became of the codes of 2012."""

import csv

import pytest

from dossier.errors import TypesError
from dossier.types import LOINC, SUCCESSORS, DocumentTypes
from tests.dossier.cda.samples import TYPES
from tests.shared import shared_data

HEADER = "code,system,class,space,label_fr,deposit,note\n"


def test_the_table_of_the_policies():
    """The types of the policies are read, each in its class and space."""
    found = TYPES.today("11502-2")

    assert 114 == len(list(TYPES))
    assert found is not None
    assert ("10", "5", "CR d'examens biologiques") == (
        found.class_code,
        found.space,
        found.label_fr,
    )


def test_old_codes_lead_to_codes_of_today():
    """Each successor is a code of today, and no code that ended is one."""
    today = {one.code for one in TYPES}

    assert set(SUCCESSORS.values()) <= today
    assert set() == set(SUCCESSORS) & today
    assert TYPES.find("11493-4", LOINC) == TYPES.find("34112-3", LOINC)


def test_every_old_code_is_accounted_for():
    """Of the published codes of 2012, all but one are of today or have a successor."""
    with shared_data("terminology", "type_codes_2012.csv").open(encoding="utf-8") as file:
        codes = [row["code"] for row in csv.DictReader(file)]

    assert ["INSCR_RCP"] == [code for code in codes if TYPES.today(code) is None]


@pytest.mark.parametrize(
    ("code", "system"),
    [
        ("18842-5", LOINC),
        ("INSCR_RCP", "1.2.250.1.213.1.1.4.12"),
        ("11488-4", "1.2.250.1.213.1.1.4.12"),
        ("11493-4", "1.2.250.1.213.1.1.4.12"),
        ("SYNTH", LOINC),
        ("", ""),
        ("11488-4", ""),
    ],
)
def test_unknown_codes(code, system):
    """A code that is unknown, or of another system, is no type."""
    assert TYPES.find(code, system) is None


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("CERT_DELC", "did you mean `CERT_DECL`?"),
        ("cert_decl", ""),
        ("18842-5", ""),
        ("34842-6", ""),
        ("", ""),
        ("X" * 500, ""),
    ],
)
def test_hints(code, hint):
    """A misspelt local code has a hint; a number has none, as near numbers mean things far apart."""
    assert hint == TYPES.hint(code)


def test_a_broken_table_is_refused():
    """Every mistake of a table is told, with its line."""
    text = HEADER + "11488-4,2.16.840.1.113883.6.1,10,9,CR,yes,\nSYNTH,1.2,11,1,Synthèse,maybe,\n"

    with pytest.raises(TypesError) as refused:
        DocumentTypes.read(text, path="types.csv")

    assert "types.csv:2:" in str(refused.value)
    assert "types.csv:3:" in str(refused.value)
