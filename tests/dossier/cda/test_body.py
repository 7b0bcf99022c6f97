"""The body of a document is one, and is what it says it is."""

import base64

import pytest

from dossier.cda import MEDIA_TYPES, STRUCTURED, Body
from dossier.samples.documents import File, document, pdf
from tests.dossier.cda.samples import GOOD, find, mistakes, read, spoil

FILES = {
    "application/pdf": pdf("Compte rendu"),
    "text/plain": b"Tout va bien.\n",
    "text/rtf": rb"{\rtf1 Tout va bien.}",
    "application/rtf": rb"{\rtf1 Tout va bien.}",
    "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "image/png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "image/tiff": b"II*\x00\x08\x00\x00\x00",
}
TEXT = "/cda:ClinicalDocument/cda:component[1]/cda:nonXMLBody[1]/cda:text[1]"
SCAN = document(unique_id="1.2.3", body=File(media_type="application/pdf", content=pdf("é")))


def with_text(attributes: str, content: str) -> bytes:
    """A document whose file element is written by hand."""
    start, end = SCAN.index(b"<text"), SCAN.index(b"</text>")
    return SCAN[:start] + f"<text {attributes}>{content}".encode() + SCAN[end:]


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_files_that_are_taken(media_type):
    """A file of each media type on the list is taken, and its size is that of the file."""
    content = FILES[media_type]

    body = read(document(unique_id="1.2.3", body=File(media_type=media_type, content=content))).body

    assert Body(kind=media_type, size=len(content)) == body


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_files_that_are_something_else(media_type):
    """A file that is not of its media type is refused: a PDF is a PDF."""
    other = File(media_type=media_type, content=b"MZ\x90\x00\x03")

    (mistake,) = mistakes(document(unique_id="1.2.3", body=other))

    assert (TEXT, f"the bytes in it are no {media_type}") == (mistake.xpath, mistake.wrong)


def test_text_may_stand_as_it_is():
    """A text needs no base 64; without a media type it is plain text."""
    plain = read(with_text("", "Tout va bien &amp; mieux.")).body
    rtf = read(with_text('mediaType="text/rtf"', r"{\rtf1 Bien}")).body

    assert Body(kind="text/plain", size=21) == plain
    assert Body(kind="text/rtf", size=12) == rtf


def test_structured_body():
    """A structured body counts the bytes of its markup."""
    body = read(GOOD).body
    start, end = GOOD.index(b"<structuredBody>"), GOOD.index(b"</structuredBody>")

    assert Body(kind=STRUCTURED, size=end - start) == body


def test_base_64_in_lines():
    """Base 64 may be broken into lines."""
    content = base64.encodebytes(pdf("ligne " * 50)).decode()

    body = read(with_text('mediaType="application/pdf" representation="B64"', content)).body

    assert "application/pdf" == body.kind


@pytest.mark.parametrize(
    ("attributes", "content", "wrong", "attribute"),
    [
        ('mediaType="application/pdf" representation="B64"', "JVBERi0xLjQ", "is not base 64", ""),
        ('mediaType="application/pdf" representation="B64"', "JVBE*i0=", "is not base 64", ""),
        ('mediaType="application/pdf" representation="B64"', "JVBERé==", "is not base 64", ""),
        ('mediaType="application/pdf" representation="B64"', " \n", "is empty", ""),
        ('mediaType="text/plain"', " \n", "is empty", ""),
        (
            'mediaType="text/html" representation="B64"',
            "PGI+",
            "media type that is not taken",
            "@mediaType",
        ),
        ('mediaType="application/pdf"', "%PDF-1.4", "neither text nor base 64", ""),
        (
            'mediaType="application/pdf" representation="TXT"',
            "%PDF-1.4",
            "neither text nor base 64",
            "@representation",
        ),
        (
            'mediaType="text/plain" representation="B64" compression="DF"',
            "QQ==",
            "compressed",
            "@compression",
        ),
        ('mediaType="text/plain"', '<reference value="x.txt"/>', "refers to a file elsewhere", ""),
        ('mediaType="text/plain"', "a<br/>b", "has elements in it", ""),
        (
            'mediaType="text/plain" representation="B64"',
            "gICA",
            "the bytes in it are no text/plain",
            "",
        ),
        (
            'mediaType="text/plain" representation="B64"',
            "AAAA",
            "the bytes in it are no text/plain",
            "",
        ),
    ],
)
def test_files_that_are_refused(attributes, content, wrong, attribute):
    """What is no base 64, empty, compressed, elsewhere or of another type is refused, at its place."""
    data = with_text(attributes, content)

    found = mistakes(data)

    place = f"{TEXT}/{attribute}" if attribute else TEXT
    assert [place] == [one.xpath for one in found if wrong in one.wrong]
    assert 1 == len(find(data, place))


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("<structuredBody>", "<nonXMLBody/><structuredBody>", "2 bodies, not one"),
        ("structuredBody", "section", "not well formed"),
        ("<component><structuredBody>", "<component><x/></component><!--", "not well formed"),
    ],
)
def test_one_body(old, new, wrong):
    """A document has one body."""
    found = mistakes(spoil(old, new))

    assert wrong in found[0].wrong


def test_a_component_without_body():
    """A component with neither kind of body is refused."""
    start = GOOD.index(b"<structuredBody>")
    end = GOOD.index(b"</structuredBody>") + len(b"</structuredBody>")

    (mistake,) = mistakes(GOOD[:start] + GOOD[end:])

    assert "0 bodies, not one" == mistake.wrong


def test_a_file_without_text():
    """A nonXMLBody without its text is refused."""
    start, end = SCAN.index(b"<text"), SCAN.index(b"</text>") + len(b"</text>")

    (mistake,) = mistakes(SCAN[:start] + SCAN[end:])

    assert "has no text" == mistake.wrong
