"""Checkpoints: what a log says of itself, in three lines that it signs (C2SP tlog-checkpoint). Pure.

ORIGIN
NUMBER OF ENTRIES
BASE64(root of their tree)
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from audit.encoding import base64, decimal, unbase64
from audit.errors import FormatError, ProofError
from audit.keys import Verifier
from audit.merkle import HASH_BYTES
from audit.note import Note

MAX_SIZE: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A tree, and of which log.

    Attributes:
        origin: the unique name of the log, also that of its key.
        size: the number of entries.
        root: the hash of their tree.
        extensions: further lines, whose meaning is the log's own; we write none.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Reads the text of a note.

        Raises:
            FormatError: it is no checkpoint.
        """
        origin, *lines = text.removesuffix("\n").split("\n")
        if not text.endswith("\n") or len(lines) < 2 or not all([origin, *lines]):  # noqa: PLR2004 - size and root
            raise FormatError("checkpoint: origin, size and root expected, each on a line")
        size = decimal(lines[0], "checkpoint: size", MAX_SIZE)
        root = unbase64(lines[1], "checkpoint: root")
        if len(root) != HASH_BYTES:
            raise FormatError(f"checkpoint: root: {HASH_BYTES} bytes expected: {len(root)}")
        return cls(origin=origin, size=size, root=root, extensions=tuple(lines[2:]))

    def __str__(self) -> str:
        """The text that is signed."""
        lines = [self.origin, str(self.size), base64(self.root), *self.extensions]
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A checkpoint whose signatures were verified.

    Attributes:
        note: as it was read.
        checkpoint: what it says.
        log: the key that signed it.
        witnesses: those of the known witnesses that cosigned it.
    """

    note: Note
    checkpoint: Checkpoint
    log: Verifier
    witnesses: tuple[Verifier, ...]


def opened(data: bytes, logs: Iterable[Verifier], witnesses: Iterable[Verifier] = ()) -> Opened:
    """Reads a checkpoint and verifies who signed it.

    Args:
        data: a signed note.
        logs: keys of logs; one of those whose name is the origin must have signed it.
        witnesses: their keys; each may have cosigned it.

    Raises:
        FormatError: it is no signed checkpoint.
        ProofError: it is of a log that is not known, or a signature is missing or wrong.
    """
    note = Note.parse(data)
    checkpoint = Checkpoint.parse(note.text)
    keys = [one for one in logs if one.name == checkpoint.origin]
    if not keys:
        raise ProofError(f"checkpoint: of log `{checkpoint.origin}`, whose key is not known here")
    signers = note.signers([*keys, *witnesses])
    log = next((one for one in signers if one in keys), None)
    if log is None:
        raise ProofError(f"checkpoint: not signed by the key of log `{checkpoint.origin}`")
    others = tuple(one for one in signers if one not in keys)
    return Opened(note=note, checkpoint=checkpoint, log=log, witnesses=others)
