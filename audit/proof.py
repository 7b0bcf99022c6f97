"""Proofs that need nothing beside them: `.tlog-proof` files (C2SP tlog-proof), and our receipts. Pure.

A receipt proves to a patient or a judge that an entry stands in the log. It is a tlog-proof whose extra
data are the exact bytes of the entry, a newline, and the keys of log and witnesses, a line each. What
proves is the entry: its SHA-256 is the data of the leaf. The keys only tell which ones to look for;
whether they are the log's must be known from elsewhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from audit.checkpoint import Checkpoint, Opened
from audit.encoding import base64, decimal, unbase64
from audit.entry import commitment
from audit.errors import FormatError
from audit.keys import KeyType, Verifier
from audit.merkle import HASH_BYTES, MAX_PROOF, leaf_hash, verify_inclusion
from audit.note import Note
from audit.trusted import Trust, Witness

HEAD: Final = "c2sp.org/tlog-proof@v1"
MAX_PROOF_BYTES: Final = 1 << 24
"""Of a whole file: the entry may be long."""

_MAX_INDEX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """That something stands in a log.

    Attributes:
        index: the place of the entry.
        hashes: the audit path to the root, the sibling of the leaf first.
        checkpoint: of a tree that holds it; not verified yet.
        extra: whatever else the application wants to tell; proves nothing.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: Note
    extra: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> "Proof":
        """Reads a file.

        Raises:
            FormatError: it is no such proof.
        """
        if len(data) > MAX_PROOF_BYTES:
            raise FormatError(f"proof: {len(data)} bytes, {MAX_PROOF_BYTES} at most")
        head, blank, note = data.partition(b"\n\n")
        try:
            lines = head.decode().split("\n")
        except UnicodeDecodeError as exc:
            raise FormatError("proof: it is no text") from exc
        if not blank or lines.pop(0) != HEAD:
            raise FormatError(f"proof: it does not begin with `{HEAD}`: is it a receipt?")
        extra = b""
        if lines and lines[0].startswith("extra "):
            extra = unbase64(lines.pop(0).removeprefix("extra "), "proof: extra")
        if not lines or not lines[0].startswith("index "):
            raise FormatError("proof: no line `index`")
        index = decimal(lines.pop(0).removeprefix("index "), "proof: index", _MAX_INDEX)
        hashes = hash_lines(lines)
        return cls(index=index, hashes=hashes, checkpoint=Note.parse(note), extra=extra)

    def __bytes__(self) -> bytes:
        """The file."""
        extra = [f"extra {base64(self.extra)}"] if self.extra else []
        lines = [HEAD, *extra, f"index {self.index}", *map(base64, self.hashes)]
        return "".join(f"{line}\n" for line in [*lines, ""]).encode() + bytes(self.checkpoint)

    def verify(self, data: bytes, trust: Trust) -> Opened:
        """Verifies that `data` is the data of that leaf, in a tree that can be believed.

        Raises:
            FormatError: what it holds is no checkpoint.
            ProofError: it does not prove that.
        """
        found = trust.opened(bytes(self.checkpoint))
        tree = found.checkpoint
        verify_inclusion(leaf_hash(data), self.index, tree.size, self.hashes, tree.root)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """That an entry stands in our log.

    Attributes:
        entry: its exact bytes.
        keys: of the log and of witnesses.
        proof: where it stands.
    """

    entry: bytes
    keys: tuple[Verifier, ...]
    proof: Proof

    @classmethod
    def parse(cls, data: bytes) -> "Receipt":
        """Reads a receipt.

        Raises:
            FormatError: it is none.
        """
        proof = Proof.parse(data)
        entry, *lines = proof.extra.split(b"\n")
        if not entry or not lines or lines.pop():
            raise FormatError("receipt: the extra data are no entry with keys, each on a line")
        try:
            keys = tuple(Verifier.parse(line.decode()) for line in lines)
        except UnicodeDecodeError as exc:
            raise FormatError("receipt: a key is no text") from exc
        return cls(entry=entry, keys=keys, proof=proof)

    @property
    def checkpoint(self) -> Checkpoint:
        """What the checkpoint says, not verified.

        Raises:
            FormatError: it is none.
        """
        return Checkpoint.parse(self.proof.checkpoint.text)

    @property
    def own_trust(self) -> Trust:
        """Whom to believe if the receipt is right about its keys."""
        cosigners = [key for key in self.keys if key.type is KeyType.COSIGNATURE]
        return Trust(
            logs=tuple(key for key in self.keys if key.type is KeyType.ED25519),
            witnesses=tuple(Witness(name=key.name, key=key) for key in cosigners),
        )

    def __bytes__(self) -> bytes:
        """The file."""
        return bytes(self.proof)

    def verify(self, trust: Trust) -> Opened:
        """Verifies that the entry stands in a log that can be believed.

        Raises:
            FormatError: what it holds is no checkpoint.
            ProofError: it does not prove that.
        """
        return self.proof.verify(commitment(self.entry), trust)


def receipt(
    entry: bytes, index: int, hashes: Iterable[bytes], checkpoint: Note, keys: Iterable[Verifier]
) -> Receipt:
    """Makes a receipt; does not verify it.

    Raises:
        FormatError: the entry can't be one: it holds a newline.
    """
    if not entry or b"\n" in entry:
        raise FormatError("receipt: an entry is one line")
    every = tuple(keys)
    extra = b"".join([entry, b"\n", *(f"{key}\n".encode() for key in every)])
    proof = Proof(index=index, hashes=tuple(hashes), checkpoint=checkpoint, extra=extra)
    return Receipt(entry=entry, keys=every, proof=proof)


def hash_lines(lines: Iterable[str]) -> tuple[bytes, ...]:
    """Reads hashes, one a line.

    Raises:
        FormatError: one is none, or there are too many.
    """
    found = tuple(unbase64(line, "proof: a hash") for line in lines)
    if len(found) > MAX_PROOF or any(len(one) != HASH_BYTES for one in found):
        raise FormatError(f"proof: at most {MAX_PROOF} hashes of {HASH_BYTES} bytes expected")
    return found
