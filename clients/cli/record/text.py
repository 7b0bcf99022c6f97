"""A clinical document as lines that people read: its narrative, or the text or file that it carries.

What stands in the document is text here, never markup or control characters of a terminal. The document has
passed the checks of the record, which refuses what is hostile; it is read here with the same care.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from dossier.cda.header import STRUCTURED
from dossier.cda.markup import parse

_HL7: Final = "urn:hl7-org:v3 "
_LINES: Final = ("paragraph", "item", "tr", "caption", "br", "title")
_CELLS: Final = ("td", "th")
_UNSEEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_BLANKS: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a document carries.

    Attributes:
        kind: `structured`, or the media type of its file.
        lines: what people read, as (is a title, text); none when the file is no text.
        file: the bytes of the file; empty for a structured body.
    """

    kind: str
    lines: tuple[tuple[bool, str], ...] = ()
    file: bytes = b""


def content(document: bytes) -> Content:
    """What a document carries.

    Raises:
        CdaError: it is no document.
    """
    root = parse(document)
    text = root.first("component", "nonXMLBody", "text")
    if text is None:
        return Content(kind=STRUCTURED, lines=tuple(_narrative(document)))
    kind = text.get("mediaType") or "text/plain"
    file = _bytes(text.text, text.get("representation"))
    lines: tuple[tuple[bool, str], ...] = ()
    if kind == "text/plain":
        shown = file.decode("utf-8", "replace").splitlines()
        lines = tuple((False, visible(line)) for line in shown)
    return Content(kind=kind, lines=lines, file=file)


def visible(text: str) -> str:
    """A text without what would steer a terminal."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)


def _bytes(text: str, representation: str) -> bytes:
    if representation != "B64":
        return text.encode()
    try:
        return binascii.a2b_base64(text)
    except binascii.Error:
        return b""


def _narrative(document: bytes) -> Iterator[tuple[bool, str]]:
    """The lines of the sections of a structured body."""
    reader = _Reader()
    parser = expat.ParserCreate("UTF-8", " ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(document, True)
    except expat.ExpatError:
        return
    yield from reader.lines


@dataclass(slots=True)
class _Reader:
    """Collects titles and texts of sections while Expat goes through."""

    lines: list[tuple[bool, str]] = field(default_factory=list)
    _way: list[str] = field(default_factory=list)
    _pending: list[str] = field(default_factory=list)

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        local = name.removeprefix(_HL7)
        if local in _LINES:
            self._flush()
        elif local in _CELLS and self._pending:
            self._pending.append(" \N{BOX DRAWINGS LIGHT VERTICAL} ")
        self._way.append(local)
        if local == "item":
            self._pending.append("• ")

    def end(self, name: str) -> None:
        local = name.removeprefix(_HL7)
        if local in (*_LINES, "text"):
            self._flush(title=local == "title")
        self._way.pop()

    def text(self, data: str) -> None:
        if "entry" in self._way:  # for machines; people read the narrative
            return
        if "section" in self._way and ("text" in self._way or self._way[-1] == "title"):
            self._pending.append(data)

    def _flush(self, *, title: bool = False) -> None:
        line = _BLANKS.sub(" ", "".join(self._pending)).strip()
        self._pending.clear()
        if line and line != "•":
            self.lines.append((title, visible(line)))
