"""Bytes and numbers as text, each in the one form that signatures allow. Pure."""

from base64 import b64decode, b64encode

from audit.errors import FormatError


def base64(data: bytes) -> str:
    """The standard encoding (RFC 4648, section 4)."""
    return b64encode(data).decode()


def unbase64(text: str, what: str) -> bytes:
    """Reads the standard encoding, in its one canonical form.

    Args:
        text: the encoded bytes.
        what: names them in the message.

    Raises:
        FormatError: it is not that.
    """
    try:
        data = b64decode(text, validate=True)
    except ValueError as exc:  # not ASCII, or not of the alphabet, or a wrong length
        raise FormatError(f"{what}: no base64") from exc
    if base64(data) != text:
        raise FormatError(f"{what}: no canonical base64")
    return data


def decimal(text: str, what: str, most: int) -> int:
    """Reads a number in its one canonical form.

    Raises:
        FormatError: it has other characters than digits, a leading zero, or is more than `most`.
    """
    plain = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    if not plain or (text != "0" and text.startswith("0")) or int(text) > most:
        raise FormatError(f"{what}: no number from 0 to {most} without leading zeros")
    return int(text)
