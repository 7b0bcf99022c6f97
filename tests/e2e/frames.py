"""HTTP/2 by hand: what a client of gRPC would never send."""

import struct
from collections.abc import Iterable, Mapping
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
END_STREAM, END_HEADERS = 0x1, 0x4
CANCEL: Final = (8).to_bytes(4)
INITIAL_WINDOW_SIZE: Final = 4
CHECK: Final = "/authz.v1.AuthzService/Check"


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """One frame (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3) + struct.pack(">BBI", kind, flags, stream) + payload


def hello(settings: Mapping[int, int] | None = None) -> bytes:
    """How a connection begins."""
    pairs = (struct.pack(">HI", *pair) for pair in (settings or {}).items())
    return PREFACE + frame(SETTINGS, b"".join(pairs))


def fields(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Header fields as literals that nobody shall remember (RFC 7541, 6.2.2)."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in pairs)


def call(stream: int, more: Iterable[tuple[str, str]] = (), *, flags: int = END_HEADERS) -> bytes:
    """The beginning of a Check; the deadline is a second."""
    usual = {
        ":method": "POST",
        ":scheme": "http",
        ":path": CHECK,
        ":authority": "authz",
        "te": "trailers",
        "content-type": "application/grpc",
        "grpc-timeout": "1S",
    }
    return frame(HEADERS, fields([*usual.items(), *more]), flags=flags, stream=stream)


def message(stream: int, data: bytes, *, packed: bool = False) -> bytes:
    """A message of gRPC in frames of data, and the end of the stream."""
    whole = bytes([packed]) + len(data).to_bytes(4) + data
    parts = [whole[at : at + 16_384] for at in range(0, len(whole), 16_384)]
    return b"".join(frame(DATA, part, stream=stream) for part in parts) + frame(
        DATA, flags=END_STREAM, stream=stream
    )


def _text(text: str) -> bytes:
    """A string without Huffman's code (RFC 7541, 5.2)."""
    data, size, prefix = text.encode(), len(text.encode()), 127
    if size < prefix:
        return bytes([size]) + data
    size -= prefix
    digits = [prefix]
    while size >= 128:
        digits.append(size % 128 + 128)
        size //= 128
    return bytes([*digits, size]) + data
