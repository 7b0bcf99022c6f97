"""The one body of a document: CDA markup, or a file in it that must be what it says it is.

The list of media types is that of the CI-SIS for documents that are not structured (XDS-SD and its French
companions). The content of sections is not looked into here: that is the work of schemas.
"""

import binascii
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from dossier.cda.header import STRUCTURED, Body
from dossier.cda.markup import Element
from dossier.cda.notes import Notes

_NONE: Final = Body(kind="", size=0)
_BLANKS: Final = b" \t\r\n"
_CONTROLS: Final = bytes(sorted(set(range(32)) - set(b"\t\n\f\r")))


def _begins(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(marks)


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return data.translate(None, _CONTROLS) == data


MEDIA_TYPES: Final[Mapping[str, Callable[[bytes], bool]]] = MappingProxyType(
    {
        "application/pdf": _begins(b"%PDF-"),
        "text/plain": _is_text,
        "text/rtf": _begins(b"{\\rtf"),
        "application/rtf": _begins(b"{\\rtf"),
        "image/jpeg": _begins(b"\xff\xd8\xff"),
        "image/png": _begins(b"\x89PNG\r\n\x1a\n"),
        "image/tiff": _begins(b"II*\x00", b"MM\x00*"),
    }
)
"""The media types that are taken, each with what tells a file of it by its bytes."""


def read_body(root: Element, notes: Notes) -> Body:
    """The body of the document; an empty one after noting what is wrong with it."""
    component = notes.one(root, "component", why="every document has one body")
    if component is None:
        return _NONE
    bodies = [
        child for child in component.children if child.name in {"structuredBody", "nonXMLBody"}
    ]
    if len(bodies) != 1:
        remedy = "put one structuredBody or one nonXMLBody here"
        notes.at(component, f"{len(bodies)} bodies, not one", remedy)
        return _NONE
    if bodies[0].name == "structuredBody":
        return Body(kind=STRUCTURED, size=bodies[0].extent)
    text = notes.one(bodies[0], "text", why="it holds the file")
    return _NONE if text is None else _read_file(text, notes)


def _read_file(text: Element, notes: Notes) -> Body:
    media_type = text.get("mediaType") or "text/plain"
    check = MEDIA_TYPES.get(media_type)
    before = len(notes)
    if check is None:
        notes.at(
            text, "a media type that is not taken", f"use {', '.join(MEDIA_TYPES)}", "@mediaType"
        )
    if text.get("compression"):
        notes.at(text, "compressed", "put the file in as it is", "@compression")
    if text.first("reference") is not None:
        notes.at(text, "refers to a file elsewhere", "put the file in: nothing is ever fetched")
    elif text.children:
        notes.at(text, "has elements in it", "put the file in, in base 64")
    data = _decode(text, media_type, notes)
    if check is None or data is None or len(notes) > before:
        return _NONE
    if not data.strip():
        notes.at(text, "is empty", "put the file in")
    elif not check(data):
        notes.at(text, f"the bytes in it are no {media_type}", "name the media type that it has")
    return Body(kind=media_type, size=len(data))


def _decode(text: Element, media_type: str, notes: Notes) -> bytes | None:
    """The file's bytes; None after noting that they can't be had."""
    representation = text.get("representation") or "TXT"
    content = text.text
    if representation == "TXT" and media_type.startswith("text/"):
        return content.encode()
    if representation != "B64":
        notes.at(text, "neither text nor base 64", "write `B64`", "@representation")
        return None
    try:
        return binascii.a2b_base64(content.encode().translate(None, _BLANKS), strict_mode=True)
    except binascii.Error:
        notes.at(text, "is not base 64", "encode the file by RFC 4648, with its padding")
        return None
