"""XML made to do harm is refused, and costs next to nothing."""

import gc
import json
import re
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dossier.cda import markup
from dossier.errors import CdaError
from tests.dossier.cda import bombs
from tests.dossier.cda.samples import GOOD, mistakes, read
from tests.shared import ROOT

PREFIXED = re.sub(rb"<(/?)(?=[A-Za-z])", rb"<\1c:", GOOD).replace(b" xmlns=", b" xmlns:c=")
HEADER = [name.encode() for name in ("recordTarget", "id", "code", "author", "component", "title")]
SECONDS = 20
MEGABYTES = 150


@pytest.fixture(scope="module")
def costs():
    """What each of the harmful files cost when it was read, by name."""
    done = subprocess.run(
        [sys.executable, "-m", bombs.__name__],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=110,
    )
    return {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}


def test_harm_is_refused_quickly(costs):
    """No harmful file takes long, or much more memory than its own size, or makes a long answer."""
    slow = {name for name, cost in costs.items() if cost["seconds"] > SECONDS}
    fat = {name for name, cost in costs.items() if cost["grown_mb"] > MEGABYTES}
    wordy = {name for name, cost in costs.items() if cost["told"] > 100_000}

    assert (set(), set(), set()) == (slow, fat, wordy)
    assert len(costs) > 25


def test_harm_is_named(costs):
    """Every harmful file is refused but one, whose body only has many names."""
    read_all_the_same = [name for name, cost in costs.items() if not cost["wrong"]]

    assert ["many names"] == read_all_the_same
    for name in ("billion laughs", "quadratic blow-up", "external entity", "parameter entity"):
        assert ["has a DOCTYPE"] == costs[name]["wrong"]
    assert ["100000000 bytes, where at most 10000000 are taken"] == costs["too large"]["wrong"]


def test_nothing_is_fetched(costs):
    """Reading opens no file and no connection, whatever a file asks for."""
    assert {name: [] for name in costs} == {name: cost["opened"] for name, cost in costs.items()}


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (b"", "no element found"),
        (b" ", "no element found"),
        (b"%PDF-1.4", "not well formed"),
        (GOOD[:-30], "not well formed"),
        (GOOD[: len(GOOD) // 2], "not well formed"),
        (GOOD + GOOD, "not well formed"),
        (GOOD.replace(b"</title>", b"\0</title>"), "not well formed"),
        (GOOD.replace(b"</title>", b"&#0;</title>"), "not well formed"),
        (GOOD.replace(b"</title>", b"\xff</title>"), "not well formed"),
        (GOOD.replace(b"</title>", b"\xed\xa0\x80</title>"), "not well formed"),
        (GOOD.replace(b"</title>", b"&eacute;</title>"), "not well formed"),
        (GOOD.replace(b"</title>", b"<x:y/></title>"), "not well formed"),
        (GOOD.replace(b'value="1"', b'value="1" value="2"'), "not well formed"),
        (GOOD.decode().encode("utf-16"), "written in UTF-16"),
        (GOOD.decode().encode("utf-16-le"), "written in UTF-16"),
        (GOOD.decode().encode("utf-16-be"), "written in UTF-16"),
        (GOOD.decode().encode("utf-32"), "written in UTF-16 or UTF-32"),
        (GOOD.decode().encode("utf-32-be"), "not well formed"),
        (GOOD.decode().encode("cp500"), "written in EBCDIC"),
        (GOOD.replace(b"UTF-8", b"ISO-8859-1"), "declares another encoding than UTF-8"),
        (GOOD.replace(b"UTF-8", b"UTF-7"), "declares another encoding than UTF-8"),
        (GOOD.replace(b"UTF-8", b"UTF-16"), "declares another encoding than UTF-8"),
        (GOOD.replace(b"1.0", b"1.1", 1), "not"),
        (b"<!DOCTYPE html>" + GOOD[GOOD.index(b"<Clin") :], "has a DOCTYPE"),
        (
            GOOD.replace(
                b"<title>", b'<title><i:include xmlns:i="http://www.w3.org/2001/XInclude"/>'
            ),
            "asks to include another file",
        ),
        (
            GOOD.replace(
                b"<section>", b'<section><i:include xmlns:i="http://www.w3.org/2001/XInclude"/>'
            ),
            "asks to include another file",
        ),
    ],
)
def test_what_is_no_safe_xml(data, wrong):
    """What is not well formed, not UTF-8 or asks for more than itself has this one mistake."""
    (mistake,) = mistakes(data)

    assert wrong in mistake.wrong
    assert "/*" == mistake.xpath


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + GOOD,
        GOOD[GOOD.index(b"<Clin") :],
        GOOD.replace(b"UTF-8", b"utf-8"),
        GOOD.replace(b"<title>", b"<?xml-stylesheet href='x.xsl' type='text/xsl'?><title>"),
        GOOD.replace(b"<title>", b"<!-- <!DOCTYPE x> --><title>"),
        GOOD.replace(b"<ClinicalDocument", b"<?oxygen SCHSchema='../x.sch'?>\n<ClinicalDocument"),
        GOOD.replace(
            b"<realmCode",
            b"<realmCode xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'"
            b" xsi:schemaLocation='urn:hl7-org:v3 ../CDA.xsd'",
        ),
        GOOD.replace(b"\n", b"\r\n"),
        PREFIXED,
        GOOD + b"\n<!-- end -->\n",
    ],
)
def test_what_stays_allowed(data):
    """A byte order mark, instructions, comments, schema locations and prefixes do no harm."""
    assert read(GOOD).unique_id == read(data).unique_id


def nested(depth: int) -> bytes:
    """The good document with elements in its body, the innermost so deep below the top."""
    above = 4  # ClinicalDocument, component, structuredBody, component
    inner = b"<a>" * (depth - above) + b"</a>" * (depth - above)
    return GOOD.replace(b"<section>", inner + b"<section>")


def test_depth():
    """Two hundred elements deep is read, one more is not."""
    assert () == mistakes(nested(markup.MAX_DEPTH))
    assert ["nested deeper than 200 elements"] == [m.wrong for m in mistakes(nested(201))]


def test_size_is_the_operators_choice():
    """A document as large as is taken is read; a byte more is not."""
    assert markup.parse(GOOD, max_bytes=len(GOOD)).name == "ClinicalDocument"
    with pytest.raises(CdaError, match="bytes, where at most"):
        markup.parse(GOOD, max_bytes=len(GOOD) - 1)


def test_parser_keeps_nothing():
    """What an element cost is given back at once, without waiting for the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            read(GOOD)
            mistakes(b"<!DOCTYPE x><x/>")
        left = gc.collect()
    finally:
        gc.enable()

    assert 0 == left


@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
@example(b"<ClinicalDocument xmlns='urn:hl7-org:v3'/>")
def test_any_bytes_are_read_or_refused(data):
    """Any bytes at all give a header or a refusal with mistakes, and never another exception."""
    assert mistakes(data)


PIECES = [
    b"",
    b"<",
    b">",
    b"/",
    b'"',
    b"&",
    b"<id/>",
    b"<x>",
    b"<code code='11488-4'/>",
    b"\0",
    b"nullFlavor='UNK' ",
    b"999999999999999999999",
    b"+",
    b"-1",
    b"]]>",
    b"<!--",
    b"\xc3",
    *HEADER,
]
changes = st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 60), st.sampled_from(PIECES))


@given(st.lists(changes, min_size=1, max_size=4))
@settings(max_examples=300)
def test_mutations_are_read_or_refused(spoilt):
    """However a good document is spoilt, it gives a header or a refusal."""
    data = GOOD
    for at, length, piece in spoilt:
        data = data[:at] + piece + data[at + length :]

    assert mistakes(data) or read(data).unique_id


ELEMENTS = [
    piece
    for piece in GOOD.decode().replace("<", "\n<").split("\n")
    if piece.startswith("<") and not piece.startswith(("<?", "</", "<Clin"))
]


@given(st.lists(st.sampled_from(ELEMENTS), min_size=1, max_size=6), st.data())
@settings(max_examples=200)
def test_missing_and_doubled_elements(pieces, data):
    """Leaving out or doubling elements, attributes or values gives a header or a refusal."""
    text = GOOD.decode()
    for piece in pieces:
        how = data.draw(st.sampled_from(["", piece * 2, piece.split("=")[0], piece.upper()]))
        text = text.replace(piece, how, 1)

    found = mistakes(text.encode())

    assert found or read(text.encode()).patient_ids
    assert all(one.xpath and one.wrong and one.remedy for one in found)
