"""Seals a log: follows its batches, publishes their commitments as tiles, and signs checkpoints.

Each step of it is safe against a kill at any instant, because of the order in which things get durable:

1. tiles and bundles of the new entries, which nobody may ask for yet;
2. the signed checkpoint, in `signed`, which nobody has seen yet;
3. the checkpoint, in public, with what witnesses say of it.

So whatever was seen is remembered, and whatever is remembered has its tiles. A new checkpoint is signed
when the tiles, read back from disk, prove that it grew out of the last one. Where the database no longer
holds what was sealed, nothing is signed any more.

The database is only read, and no clock is looked at but to count seconds.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from audit.checkpoint import Checkpoint, opened
from audit.comparison import Published, scrub
from audit.entry import GENESIS
from audit.errors import (
    FormatError,
    LogDamagedError,
    ProofError,
    RefusedError,
    SealingError,
    UnreachableError,
)
from audit.evidence import Evidence
from audit.following import Followed
from audit.keys import Signer, Verifier
from audit.note import Note, signed
from audit.tiles import Edge, partial_tiles
from audit.tree import Tree, outgrown
from audit.witnesses import Witnesses

POLL_S: Final = 0.3
"""How often to look for new entries, in seconds."""

_FIRST_ROUND_S: Final = 0.1  # of each step, until all that is sealed has been compared once
_LATER_ROUNDS_S: Final = 0.005  # of each step from then on
_EMPTY: Final = Edge()

_log = structlog.get_logger("audit.sealing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the sealing of a log stands.

    Attributes:
        origin: the log.
        size: how many entries the newest published checkpoint counts; None before the first.
        trouble: why nothing is sealed at present; "" if all is well.
        refused: whether that stays so until somebody sees to it.
        witnesses: by name why it did not cosign the newest checkpoint; "" if it did.
    """

    origin: str
    size: int | None = None
    trouble: str = ""
    refused: bool = False
    witnesses: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What is remembered between steps; always what is on disk.

    Attributes:
        last: the newest checkpoint that was signed; None before the first.
        link: the hash of the last batch that is sealed.
        edge: of the tree of `last`.
        round: how far the present round of comparing has come, and where it ends.
        patience_s: for how many seconds to compare in a step.
    """

    last: Checkpoint | None = None
    link: bytes = GENESIS
    edge: Edge = _EMPTY
    round: tuple[int, int] = (0, 0)
    patience_s: float = _FIRST_ROUND_S


class Sealer:
    """Seals one log. Belongs to one thread; `standing` may be asked for by any.

    It holds a lock on the folder of the log from the first step until `close`.
    """

    def __init__(
        self, engine: Engine, evidence: Evidence, *, witnesses: Witnesses | None = None
    ) -> None:
        """Prepares; reads nothing yet.

        Args:
            engine: on the database of the log, from `audit.database.reader`.
            evidence: the folder of the log.
            witnesses: who is asked to cosign.
        """
        self._engine = engine
        self._evidence = evidence
        self._witnesses = witnesses or Witnesses()
        self._tree = Tree(evidence)
        self._origin: Final = evidence.origin
        self._held = ExitStack()
        self._signer: Signer | None = None
        self._conn: Connection | None = None
        self._state: _State | None = None
        self._note: Note | None = None  # what is published
        self._refusal: RefusedError | None = None
        self.standing = Standing(origin=self._origin)

    def run(self, stop: threading.Event, *, poll_s: float = POLL_S) -> None:
        """Seals until `stop` is set. What goes wrong is told in `standing` and the service's own log.

        Raises:
            EvidenceError: the log has no key, or another process seals it.
            FormatError: its key can't be used.
        """
        try:
            while not stop.is_set():
                found = None
                with suppress(SealingError, RefusedError):  # told already
                    found = self.step()
                stop.wait(poll_s if found is None else 0)
        finally:
            self.close()

    def step(self) -> Checkpoint | None:
        """Seals what the log has gained since the last step.

        Returns:
            The new checkpoint, which is published; None when there is nothing new.

        Raises:
            SealingError: it can't be done now; nothing was signed in vain, and the next step tries again.
            RefusedError: it must not be done; so it is with every later step.
            EvidenceError: the log has no key, or another process seals it.
            FormatError: its key can't be used.
        """
        if self._refusal is not None:
            raise self._refusal
        try:
            signer = self._take()
        except OSError as exc:
            raise self._failed(exc) from exc
        try:
            with self._reading() as conn:
                state = self._state or self._resume(conn, signer)
                self._state = state = self._compare(conn, state)
                log = Followed(conn, self._evidence)
                leaves, link = log.gained(state.edge.size, state.link)
            # From here on no transaction is open: what follows may take a while.
            if leaves or state.last is None:
                return self._seal(state, leaves, link, signer)
            self._collect(signer.verifier)
        except RefusedError as exc:
            raise self._refused(exc) from exc
        except LogDamagedError as exc:
            raise self._refused(RefusedError(str(exc))) from exc
        except (OSError, SQLAlchemyError, UnreachableError, FormatError, ProofError) as exc:
            raise self._failed(exc) from exc
        self._tell("")
        return None

    def close(self) -> None:
        """Lets go of the database, of the witnesses and of the folder."""
        self._disconnect()
        self._witnesses.close()
        self._held.close()
        self._signer = self._state = None

    def _seal(
        self, state: _State, leaves: Sequence[bytes], link: bytes, signer: Signer
    ) -> Checkpoint:
        """Publishes the tree with more leaves."""
        edge, full = state.edge.grown(leaves)
        new = Checkpoint(origin=signer.name, size=edge.size, root=edge.root)
        self._evidence.put(full | edge.partial())
        self._tree.prove(state.last, new)
        note = signed(str(new), signer)
        self._evidence.keep_signed(note)
        self._state = replace(state, last=new, link=link, edge=edge)
        self._publish(note, signer.verifier)
        self._evidence.drop(outgrown(state.edge.size, new.size))
        return new

    def _take(self) -> Signer:
        """The key, once this process alone works on the folder."""
        if self._signer is None:
            signer = self._evidence.signer()
            self._held.enter_context(self._evidence.alone())
            self._signer = signer
        return self._signer

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """A transaction on a connection that is kept: a new one for each step would burden the server."""
        try:
            if self._conn is None:
                self._conn = self._engine.connect()
            with self._conn.begin():
                yield self._conn
        except DBAPIError:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.invalidate()
            conn.close()

    def _resume(self, conn: Connection, signer: Signer) -> _State:
        """What to go on from: the newest checkpoint that was signed, whose tiles and entries are there.

        Raises:
            RefusedError: what was signed contradicts itself, or a witness has seen more.
            LogDamagedError: the database does not hold what was sealed.
            FormatError: tiles are not there, and can't be made again.
        """
        notes = self._evidence.signed(), self._evidence.checkpoint()
        known = [self._own(note, signer) for note in notes if note is not None]
        if not known:
            return _State()
        last = max(known, key=lambda one: one.size)
        log = Followed(conn, self._evidence)
        edge = self._tree.edge(last)
        if edge is None:
            edge = self._tree.again(last, lambda: log.commitments(last.size))
            _log.warning("tiles_made_again", origin=self._origin, size=last.size)
        for other in known:
            self._tree.prove(other, last)
        link = log.link(last.size)
        self._witnesses.compare(last, signer.verifier, lambda: self._tree.nodes(last.size))
        self._note = Note.parse(next(note for note in notes[::-1] if note is not None))
        if len(known) == 1 or known[0] != known[1]:
            note = signed(str(last), signer)
            self._evidence.keep_signed(note)
            self._publish(note, signer.verifier)
        for tile in partial_tiles(last.size):
            self._evidence.tidy(tile)
        self.standing = replace(self.standing, size=last.size)
        return _State(last=last, link=link, edge=edge, round=(0, last.size))

    def _own(self, note: bytes, signer: Signer) -> Checkpoint:
        """A checkpoint that this log has signed."""
        try:
            return opened(note, [signer.verifier]).checkpoint
        except (FormatError, ProofError) as exc:
            what = f"what was signed last in `{self._evidence.folder}` is not of its key"
            raise RefusedError(f"log `{self._origin}`: {what}: {exc}") from exc

    def _compare(self, conn: Connection, state: _State) -> _State:
        """Compares some more of what is sealed with what the database holds, in rounds."""
        start, end = state.round
        patience = state.patience_s
        if start >= end:
            patience = _LATER_ROUNDS_S if end else patience
            start, end = 0, state.edge.size
        if end:
            start = scrub(conn, Published(self._evidence, end), start, patience)
        return replace(state, round=(start, end), patience_s=patience)

    def _publish(self, note: Note, log: Verifier) -> None:
        """Publishes what was signed, with what witnesses say of it within a bounded time."""
        self._note = None
        self._collect(log, note)
        if self._note is None:
            self._evidence.publish(note)
            self._note = note
        self.standing = replace(self.standing, size=Checkpoint.parse(note.text).size)
        self._tell("")

    def _collect(self, log: Verifier, note: Note | None = None) -> None:
        """Asks the witnesses that lack, and publishes what they say of the newest checkpoint."""
        before = note or self._note
        if before is None or not self._witnesses.lack(before):
            return
        size = Checkpoint.parse(before.text).size
        more = self._witnesses.collect(before, log, lambda: self._tree.nodes(size))
        if more:
            after = before.signed_also(more)
            self._evidence.publish(after)
            self._note = after

    def _failed(self, error: Exception) -> SealingError:
        # Memory may be ahead of the disk by now: what is on disk counts.
        self._state = None
        cause = " ".join(str(getattr(error, "orig", None) or error).split())
        self._tell(cause)
        return SealingError(f"log `{self._origin}` can't be sealed now: {cause}")

    def _refused(self, refusal: RefusedError) -> RefusedError:
        self._refusal = refusal
        self._tell(str(refusal), refused=True)
        return refusal

    def _tell(self, trouble: str, *, refused: bool = False) -> None:
        before = self.standing
        witnesses = self._witnesses.standing()
        self.standing = replace(before, trouble=trouble, refused=refused, witnesses=witnesses)
        if (trouble, witnesses) != (before.trouble, before.witnesses):
            tell = _log.error if trouble else _log.info
            told = {"size": before.size, "trouble": trouble, "refused": refused}
            tell("sealing", origin=self._origin, witnesses=dict(witnesses), **told)
