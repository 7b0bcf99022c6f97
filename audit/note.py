"""Signed notes (C2SP signed-note). Pure.

A note is a text that ends in a newline, an empty line, and a line for each signature:

    — NAME BASE64(key id, signature)
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from audit.encoding import unbase64
from audit.errors import FormatError, ProofError
from audit.keys import ID_BYTES, MARK, Signature, Signer, Verifier, check_name

MAX_BYTES: Final = 1 << 18
"""Of a note: sixteen signatures that a quantum computer can't forge fit in well."""

MAX_SIGNATURES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text and its signatures, none of them verified: see `signers`.

    Attributes:
        text: ends in a newline; it means nothing before a signature was verified.
        signatures: at least one.
    """

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, data: bytes) -> "Note":
        """Reads a note.

        Raises:
            FormatError: it is none.
        """
        if len(data) > MAX_BYTES:
            raise FormatError(f"note: {len(data)} bytes, {MAX_BYTES} at most")
        try:
            text = data.decode()
        except UnicodeDecodeError as exc:
            raise FormatError("note: it is no UTF-8") from exc
        if any(char < " " and char != "\n" for char in text):
            raise FormatError("note: it holds a control character")
        text, blank, lines = text.rpartition("\n\n")
        if not blank or not lines.endswith("\n"):
            raise FormatError("note: no signatures behind an empty line")
        found = tuple(map(_signature, lines[:-1].split("\n")))
        if len(found) > MAX_SIGNATURES:
            raise FormatError(f"note: {len(found)} signatures, {MAX_SIGNATURES} at most")
        return cls(text=text + "\n", signatures=found)

    def __bytes__(self) -> bytes:
        """The note as it is published."""
        return "".join([self.text, "\n", *(f"{one}\n" for one in self.signatures)]).encode()

    def signed_also(self, more: Iterable[Signature]) -> "Note":
        """The same with more signatures, each in place of an earlier one of the same key."""
        every = {(one.name, one.key_id): one for one in [*self.signatures, *more]}
        return Note(text=self.text, signatures=tuple(every.values()))

    def signers(self, known: Iterable[Verifier]) -> tuple[Verifier, ...]:
        """The known keys that signed this note; signatures of unknown keys are ignored.

        Raises:
            ProofError: a signature says it is a known key's and is not, or no known key signed.
        """
        found = []
        for verifier in dict.fromkeys(known):
            made = [one for one in self.signatures if verifier.made(one)]
            if not all(verifier.accepts(self.text, one) for one in made):
                raise ProofError(f"note: the signature of `{verifier.name}` is not of its key")
            if made:
                found.append(verifier)
        if not found:
            names = ", ".join(sorted({one.name for one in self.signatures}))
            raise ProofError(f"note: no known key has signed it; signed by `{names}`")
        return tuple(found)


def signed(text: str, *signers: Signer) -> Note:
    """A note on a text, signed by these keys of logs.

    Raises:
        FormatError: the text can't be that of a note.
    """
    note = Note(text=text, signatures=tuple(signer.sign(text) for signer in signers))
    if Note.parse(bytes(note)) != note:
        raise FormatError("note: the text must end in one newline and hold no control characters")
    return note


def signature_lines(data: bytes) -> tuple[Signature, ...]:
    """The signatures of lines alone, as a witness answers.

    Raises:
        FormatError: they are none.
    """
    return Note.parse(b"-\n\n" + data).signatures


def _signature(line: str) -> Signature:
    name, space, encoded = line.removeprefix(MARK).partition(" ")
    if not line.startswith(MARK) or not space:
        raise FormatError("note: a line behind the text is no signature")
    check_name(name)
    data = unbase64(encoded, f"signature of `{name}`")
    if len(data) <= ID_BYTES:
        raise FormatError(f"signature of `{name}`: it is too short")
    return Signature(name=name, key_id=data[:ID_BYTES], data=data[ID_BYTES:])
