"""Documents as lines that people read."""

import pytest

from clients.cli.record.text import content, visible
from dossier.errors import CdaError
from dossier.samples.documents import File, document, pdf

PART = """<section><title>Bilan</title><text><table><thead><tr><th>A</th><th>B</th></tr></thead>
<tbody><tr><td>1</td><td>2</td></tr></tbody></table><list><item>un</item><item>deux</item></list>
avant<br/>après <content styleCode="Bold">gras</content></text>
<entry><observation><text>caché</text></observation></entry></section>"""


def test_paragraphs_are_lines():
    """Titles and paragraphs of a structured body become lines, in their order."""
    found = content(document(unique_id="1.2.3^1", body="un\ndeux"))

    assert found.lines == ((True, "Contenu"), (False, "un"), (False, "deux"))
    assert (found.kind, found.file) == ("structured", b"")


def test_tables_lists_and_breaks():
    """Rows and items are lines of their own; what machines read in entries is left out."""
    whole = document(unique_id="1.2.3^1", body="x").decode()
    start, end = whole.index("<section>"), whole.index("</section>") + len("</section>")

    found = content((whole[:start] + PART + whole[end:]).encode())

    told = [line for _, line in found.lines]
    assert told == ["Bilan", "A │ B", "1 │ 2", "• un", "• deux", "avant", "après gras"]


def test_text_in_a_file():
    """A body of plain text is shown line by line, and can be taken out as it is."""
    data = "Glycémie : 0,95 g/L\nCRP : 4".encode()

    found = content(document(unique_id="1.2.3^1", body=File(media_type="text/plain", content=data)))

    assert [line for _, line in found.lines] == ["Glycémie : 0,95 g/L", "CRP : 4"]
    assert found.file == data


def test_other_files_have_no_lines():
    """A PDF is not shown, and taken out byte for byte."""
    data = pdf("Ordonnance")

    found = content(
        document(unique_id="1.2.3^1", body=File(media_type="application/pdf", content=data))
    )

    assert (found.lines, found.file) == ((), data)


def test_nothing_steers_the_terminal():
    """Escape sequences and characters that turn the direction are made visible."""
    assert (
        visible("a\x1b[31mb\u202ec") == "a\N{REPLACEMENT CHARACTER}[31mb\N{REPLACEMENT CHARACTER}c"
    )


def test_what_is_no_document():
    """What is no document is refused, as the record would."""
    with pytest.raises(CdaError):
        content(b"<!DOCTYPE x><x/>")
