"""What a log asks a witness, and what a witness answers (C2SP tlog-witness). Pure.

The log sends its new checkpoint and a proof that it grew out of the last one that this witness has
cosigned. The witness remembers that one alone, and never cosigns another history.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from audit.checkpoint import Checkpoint, Opened
from audit.encoding import base64, decimal
from audit.errors import Error, FormatError, ProofError
from audit.merkle import EMPTY_ROOT, verify_consistency
from audit.note import MAX_BYTES, Note
from audit.proof import hash_lines
from audit.trusted import Trust

MAX_HASHES: Final = 63
MAX_REQUEST: Final = MAX_BYTES + (MAX_HASHES + 2) * 64
TEXT: Final = "text/plain; charset=utf-8"
SIZE: Final = "text/x.tlog.size"

_MALFORMED, _UNSIGNED, _UNKNOWN, _CONFLICT, _UNPROVED = 400, 403, 404, 409, 422
_MAX_SIZE: Final = 2**63 - 1


class RefusalError(Error):
    """A witness does not cosign.

    Attributes:
        status: of HTTP.
        body: the answer.
        content_type: of the answer.
    """

    def __init__(self, status: int, body: str, content_type: str = TEXT) -> None:
        super().__init__(body.rstrip("\n"))
        self.status = status
        self.body = body
        self.content_type = content_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A request to cosign.

    Attributes:
        old: the size that the proof begins at.
        proof: of consistency.
        note: the new checkpoint, not verified yet.
    """

    old: int
    proof: tuple[bytes, ...]
    note: Note

    @classmethod
    def parse(cls, data: bytes) -> "Submission":
        """Reads a request.

        Raises:
            FormatError: it is none.
        """
        head, blank, note = data.partition(b"\n\n")
        try:
            first, *lines = head.decode().split("\n")
        except UnicodeDecodeError as exc:
            raise FormatError("request: it is no text") from exc
        if not blank or not first.startswith("old ") or len(lines) > MAX_HASHES:
            what = f"`old SIZE`, at most {MAX_HASHES} hashes, an empty line, and a checkpoint"
            raise FormatError(f"request: {what} expected")
        old = decimal(first.removeprefix("old "), "request: old", _MAX_SIZE)
        return cls(old=old, proof=hash_lines(lines), note=Note.parse(note))

    def __bytes__(self) -> bytes:
        """The body of the request."""
        lines = [f"old {self.old}", *map(base64, self.proof), ""]
        return "".join(f"{line}\n" for line in lines).encode() + bytes(self.note)


def judge(data: bytes, known: Trust, seen: dict[str, Checkpoint]) -> Opened:
    """Whether a witness may cosign what a request asks for.

    Args:
        data: the body of the request.
        known: the logs that it serves.
        seen: by origin the checkpoint that it cosigned last.

    Returns:
        The checkpoint, with signatures of known keys alone; kept durably before anyone is answered.

    Raises:
        RefusalError: it may not; with the answer.
    """
    try:
        asked = Submission.parse(data)
        new = Checkpoint.parse(asked.note.text)
    except FormatError as exc:
        raise RefusalError(_MALFORMED, f"{exc}\n") from exc
    if all(log.name != new.origin for log in known.logs):
        raise RefusalError(_UNKNOWN, "this log is not known here\n")
    try:
        opened = known.opened(bytes(asked.note))
    except ProofError as exc:
        raise RefusalError(_UNSIGNED, f"{exc}\n") from exc
    if asked.old > new.size:
        raise RefusalError(_MALFORMED, f"old {asked.old} is more than {new.size}\n")
    last = seen.get(new.origin, Checkpoint(origin=new.origin, size=0, root=EMPTY_ROOT))
    if asked.old != last.size:
        raise RefusalError(_CONFLICT, f"{last.size}\n", SIZE)
    try:
        _prove(last, new, asked)
    except ProofError as exc:
        raise RefusalError(_UNPROVED, f"{exc}\n") from exc
    return opened


def place(origin: str) -> str:
    """The path below which a witness shows what it last cosigned of a log."""
    return f"{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint"


def _prove(last: Checkpoint, new: Checkpoint, asked: Submission) -> None:
    if last.size:
        verify_consistency(last.size, new.size, last.root, new.root, asked.proof)
    elif asked.proof or (not new.size and new.root != EMPTY_ROOT):
        raise ProofError("proof: from size 0 there is none, and size 0 has one root")
