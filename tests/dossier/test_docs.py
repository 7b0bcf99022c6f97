"""What docs/documents.md says is so."""

import contextlib
import io
import re

from dossier.cda import MEDIA_TYPES, markup
from dossier.cda.body import MEDIA_TYPES as TAKEN
from dossier.types import SUCCESSORS
from dossier.vitale import read_card
from tests.shared import ROOT

PAGE = (ROOT / "docs/documents.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The blocks of a language on the page."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


def test_the_example_prints_what_the_page_shows(monkeypatch):
    """The example runs as it stands and prints what stands below it."""
    monkeypatch.chdir(ROOT)
    (example,) = blocks("python")
    shown = blocks("")[0]

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(example, "docs/documents.md", "exec"), {})

    assert shown == printed.getvalue()


def test_the_bounds_are_those_of_the_code():
    """Each bound, media type and count that the page names is that of the code."""
    bounds = (
        markup.MAX_BYTES,
        markup.MAX_DEPTH,
        markup.MAX_ELEMENTS,
        markup.MAX_HEADER_ELEMENTS,
        markup.MAX_ATTRIBUTES,
    )

    assert [] == [bound for bound in bounds if f"{bound:,}" not in PAGE]
    assert [] == [kind for kind in TAKEN if f"`{kind}`" not in PAGE]
    assert TAKEN is MEDIA_TYPES
    assert 13 == len(SUCCESSORS)
    assert "Thirteen LOINC codes" in PAGE


def test_the_card_of_the_page_is_one():
    """The virtual card on the page can be read."""
    (example,) = blocks("yaml")

    (person,) = read_card(example.encode(), name="card.yaml").persons

    assert "1113109067725142806651" == person.ins_c
