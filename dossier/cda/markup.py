"""XML of strangers, read so that it can do no harm.

One pass with Expat in fixed bounds of time and memory: the header becomes a tree, the structured body is
only counted through. What is dangerous is not switched off but not there: there is no loader that could
fetch anything, and a DOCTYPE, without which no entity can be declared, ends the reading where it begins.

Not lxml: its parsers share one dictionary of names, which keeps every element name that a thread ever
read (measured: 15 MB for each hostile file of 9 MB). Expat keeps nothing from one document to the next.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from dossier.errors import CdaError
from dossier.mistake import Mistake

NAMESPACE: Final = "urn:hl7-org:v3"
ROOT: Final = "/*"
"""The XPath of the document as a whole."""

MAX_BYTES: Final = 10_000_000
MAX_DEPTH: Final = 200
MAX_ELEMENTS: Final = 200_000
MAX_HEADER_ELEMENTS: Final = 20_000
MAX_ATTRIBUTES: Final = 300_000
"""So many `=` may stand in a document: attributes are counted before any memory is spent on them."""

MAX_NAME: Final = 300
"""So long may the name of an element be, with its namespace."""

MAX_PATH: Final = 8
"""So deep lies what is pointed at; deeper elements get no path of their own, which would cost memory."""

_BODY: Final = "structuredBody"
_OURS: Final = f"{NAMESPACE} "
_INCLUDE: Final = "http://www.w3.org/2001/XInclude "
_FOREIGN_MARKS: Final = (
    (b"\xff\xfe", "UTF-16 or UTF-32"),
    (b"\xfe\xff", "UTF-16"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"<\x00", "UTF-16 or UTF-32"),
    (b"\x00<", "UTF-16"),
    (b"\x4c\x6f\xa7\x94", "EBCDIC"),
)
_TEXT_CHUNK: Final = 1 << 16


@dataclass(slots=True, eq=False)
class Element:
    """An element of the header.

    * `name` is the local name in the namespace of HL7 v3; elements of others are `{namespace}name`.
    * `path` is an XPath that finds it, or what it is in, when it lies deep or is of another namespace; the
      prefix `cda` stands for that namespace.
    * `extent` counts the bytes from its beginning to its end tag; it is kept for a structured body only.
    """

    name: str
    path: str
    line: int
    attributes: dict[str, str]
    children: "list[Element]" = field(default_factory=list)
    chunks: list[str] = field(default_factory=list)
    extent: int = 0

    @property
    def text(self) -> str:
        """Its own text, without that of its children."""
        return "".join(self.chunks)

    def get(self, attribute: str) -> str:
        """The value of an attribute, "" when it has none."""
        return self.attributes.get(attribute, "")

    def all(self, *names: str) -> "Iterator[Element]":
        """The children at the end of a way of names, in the order of the document."""
        if not names:
            yield self
            return
        for child in self.children:
            if child.name == names[0]:
                yield from child.all(*names[1:])

    def first(self, *names: str) -> "Element | None":
        """The first of them."""
        return next(self.all(*names), None)


def parse(data: bytes, *, max_bytes: int = MAX_BYTES) -> Element:
    """Reads a document; its header alone becomes elements.

    Args:
        data: the bytes as they came.
        max_bytes: what is longer is not even looked at.

    Raises:
        CdaError: It is too large, not UTF-8, not well formed, or has what no document needs: a DOCTYPE, an
            XInclude, more depth, elements or attributes than the bounds of this module.
    """
    _check_bytes(data, max_bytes)
    reader = _Reader()
    parser = expat.ParserCreate("UTF-8", " ")
    try:
        reader.read(parser, data)
    except expat.ExpatError as exc:
        wrong = f"not well formed, line {exc.lineno}, column {exc.offset + 1}"
        raise _refusal(
            f"{wrong}: {expat.ErrorString(exc.code)}", "send the whole document as it was made"
        ) from None
    finally:
        reader.let_go(parser)
    if reader.root is None:
        raise _refusal("no element at all", "send a document")
    return reader.root


def _check_bytes(data: bytes, max_bytes: int) -> None:
    """Refuses by the bytes alone what would cost much to refuse later."""
    if len(data) > max_bytes:
        wrong = f"{len(data)} bytes, where at most {max_bytes} are taken"
        raise _refusal(wrong, "make it smaller: scans at a lower resolution")
    for mark, encoding in _FOREIGN_MARKS:
        if data.startswith(mark):
            raise _refusal(f"written in {encoding}", "write it in UTF-8, as the CI-SIS asks")
    if data.count(b"=") > MAX_ATTRIBUTES:
        raise _refusal(f"more than {MAX_ATTRIBUTES} attributes", "split it")


def _refusal(wrong: str, remedy: str, *, line: int = 0) -> CdaError:
    return CdaError([Mistake(xpath=ROOT, wrong=wrong, remedy=remedy, line=line)])


class _Reader:
    """What Expat reports becomes a tree; raises as soon as a bound is crossed."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._counts: list[dict[str, int]] = [{}]
        self._elements = 0
        self._below_body = 0
        self._room = MAX_DEPTH

    def read(self, parser: expat.XMLParserType, data: bytes) -> None:
        self._parser = parser
        parser.buffer_size = _TEXT_CHUNK
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype
        self._in_header()
        parser.Parse(data, True)  # noqa: FBT003 - Expat's own signature

    def let_go(self, parser: expat.XMLParserType) -> None:
        """Unties parser and reader, so that both go at once and not when garbage is collected."""
        parser.XmlDeclHandler = parser.StartDoctypeDeclHandler = None
        parser.StartElementHandler = parser.EndElementHandler = None
        parser.CharacterDataHandler = None
        del self._parser

    def _in_header(self) -> None:
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text

    def _in_body(self) -> None:
        self._parser.StartElementHandler = self._start_below
        self._parser.EndElementHandler = self._end_below
        self._parser.CharacterDataHandler = None

    def _declaration(self, version: str, encoding: str | None, _standalone: int) -> None:
        if version != "1.0":
            raise _refusal("not XML 1.0", 'write `version="1.0"`')
        if encoding is not None and encoding.upper() not in {"UTF-8", "US-ASCII"}:
            raise _refusal("declares another encoding than UTF-8", "write it in UTF-8")

    def _doctype(self, *_: object) -> None:
        line = self._parser.CurrentLineNumber
        raise _refusal("has a DOCTYPE", "leave it out: no CDA document needs one", line=line)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        self._refuse(name, len(self._open) + 1)
        if len(name) > MAX_NAME:
            raise _refusal("an element with an endless name", "leave it out")
        if self._elements > MAX_HEADER_ELEMENTS:
            raise _refusal(
                f"more than {MAX_HEADER_ELEMENTS} elements before the body", "shorten it"
            )
        element = self._element(name, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        self._counts.append({})
        if element.name == _BODY:
            element.extent = -self._parser.CurrentByteIndex
            self._room = MAX_DEPTH - len(self._open) + 1
            self._in_body()

    def _element(self, name: str, attributes: dict[str, str]) -> Element:
        space, _, local = name.rpartition(" ")
        ours = space == NAMESPACE
        counts = self._counts[-1]
        counts[name] = count = counts.get(name, 0) + 1
        if not self._open:
            path = f"/cda:{local}" if ours else ROOT
        elif ours and len(self._open) < MAX_PATH:
            path = f"{self._open[-1].path}/cda:{local}[{count}]"
        else:
            path = self._open[-1].path
        return Element(
            local if ours else f"{{{space}}}{local}",
            path,
            self._parser.CurrentLineNumber,
            attributes,
        )

    def _end(self, _name: str) -> None:
        self._open.pop()
        self._counts.pop()

    def _text(self, text: str) -> None:
        self._open[-1].chunks.append(text)

    def _start_below(self, name: str, _attributes: dict[str, str]) -> None:
        self._elements += 1
        self._below_body += 1
        # Nearly all elements come by here: the bounds are told apart only when one is crossed.
        if (
            self._below_body >= self._room
            or self._elements > MAX_ELEMENTS
            or name.startswith(_INCLUDE)
        ):
            self._refuse(name, len(self._open) + self._below_body)

    def _end_below(self, name: str) -> None:
        if self._below_body:
            self._below_body -= 1
            return
        self._open[-1].extent += self._parser.CurrentByteIndex
        self._in_header()
        self._end(name)

    def _refuse(self, name: str, depth: int) -> None:
        """Says which bound is crossed, if one is."""
        line = self._parser.CurrentLineNumber
        if depth > MAX_DEPTH:
            raise _refusal(f"nested deeper than {MAX_DEPTH} elements", "flatten it", line=line)
        if self._elements > MAX_ELEMENTS:
            raise _refusal(f"more than {MAX_ELEMENTS} elements", "split it", line=line)
        if name.startswith(_INCLUDE):
            remedy = "put its content in place: nothing is ever fetched"
            raise _refusal("asks to include another file", remedy, line=line)
