"""Makes the receipt of an entry: the entry and its proof, out of what is published."""

from audit.entry import commitment
from audit.errors import ErasedError, EvidenceError, ProofError
from audit.evidence import Evidence
from audit.merkle import prove_inclusion
from audit.proof import Receipt, receipt
from audit.reader import Stored
from audit.tiles import TiledNodes
from audit.trusted import Trust


def receipt_of(stored: Stored, evidence: Evidence, trust: Trust | None = None) -> Receipt:
    """The receipt of an entry; it is verified before anyone gets it.

    Args:
        stored: the entry.
        evidence: of its log.
        trust: whose cosignatures to tell of; nobody's if left out.

    Raises:
        ErasedError: there is nothing left to prove: its commitment alone stands in the log.
        EvidenceError: the log has no key, or does not count this entry yet.
        FormatError: what is published is damaged.
        ProofError: the entry is not the one that was sealed, or the checkpoint can't be believed.
    """
    if stored.erased is not None:
        raise ErasedError(stored.origin, stored.index, stored.erased.purge)
    note = evidence.checkpoint()
    if note is None:
        raise EvidenceError(f"log `{evidence.origin}`: nothing is published: is it sealed?")
    believed = trust or Trust(logs=(evidence.verifier(),))
    opened = believed.opened(note)
    size = opened.checkpoint.size
    if stored.index >= size:
        what = f"{size} entries are sealed so far: try again in a second"
        raise EvidenceError(f"entry {stored.index} of log `{stored.origin}`: {what}")
    nodes = TiledNodes(size=size, fetch=evidence.tile)
    hashes = prove_inclusion(nodes, stored.index, size)
    made = receipt(stored.bytes, stored.index, hashes, opened.note, [opened.log, *opened.witnesses])
    try:
        made.proof.verify(commitment(stored.bytes), believed)
    except ProofError as exc:
        what = "it is not what was sealed: run `dmp audit verify`"
        raise ProofError(f"entry {stored.index} of log `{stored.origin}`: {what}: {exc}") from exc
    return made
