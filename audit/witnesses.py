"""Asks witnesses to cosign what a log has signed (C2SP tlog-witness), for a bounded time.

A witness that is missing, slow or wrong stops nothing: what it lacks is told. One alone stops the log,
and it must prove its word: it holds a checkpoint that this log has signed, of more entries than are
here, or of others. Then the evidence here is an older copy, or somebody else has the key.
"""

import http.client
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, Protocol
from urllib.parse import urlsplit

from audit.checkpoint import Checkpoint, Opened, opened
from audit.cosigning import SIZE, Submission, place
from audit.encoding import decimal
from audit.errors import Error, FormatError, ProofError, RefusedError
from audit.keys import Signature, Verifier
from audit.merkle import Nodes, prove_consistency, root
from audit.note import MAX_BYTES, Note, signature_lines
from audit.trusted import Witness
from serving.clock import boottime

PATIENCE_S: Final = 0.4
"""How long all witnesses together may take."""

_CALL_S: Final = 5.0  # until a call that nobody waits for any more is given up
_PAUSE_S: Final = 1.0  # before one that failed is asked again; doubled each time
_MAX_PAUSE_S: Final = 60.0
_MAX_SIZE: Final = 2**63 - 1
_OK, _MISSING, _CONFLICT = 200, 404, 409


class WitnessError(Error):
    """A witness did not cosign; the message says why."""


class Link(Protocol):
    """A way to a witness."""

    def call(self, method: str, path: str, body: bytes = b"") -> tuple[int, str, bytes]:
        """Asks, and gives status, content type and body of the answer.

        Raises:
            WitnessError: there is no answer.
        """

    def close(self) -> None:
        """Hangs up."""


class Http:
    """A witness met over HTTP, on a connection that is kept."""

    def __init__(self, url: str) -> None:
        """Connects when it is first called.

        Raises:
            FormatError: the url can't be used.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise FormatError(f"witness: `{url}`: give its url as `https://witness.example/prefix`")
        kind = http.client.HTTPSConnection
        made = kind if parts.scheme == "https" else http.client.HTTPConnection
        try:
            self._conn = made(parts.hostname, parts.port, timeout=_CALL_S)
        except ValueError as exc:
            raise FormatError(f"witness: `{url}`: its port is no number") from exc
        self._prefix = parts.path.rstrip("/")

    def call(self, method: str, path: str, body: bytes = b"") -> tuple[int, str, bytes]:
        """As `Link.call`; a connection that the witness has closed meanwhile is made again."""
        for kept in (self._conn.sock is not None, False):
            try:
                self._conn.request(method, f"{self._prefix}/{path}", body or None)
                answer = self._conn.getresponse()
                data = answer.read(MAX_BYTES + 1)
                if len(data) > MAX_BYTES:
                    self._conn.close()
                    raise WitnessError("its answer is too long")
                if not answer.isclosed():
                    raise http.client.IncompleteRead(data)
                return answer.status, answer.headers.get_content_type(), data
            except (OSError, http.client.HTTPException) as exc:
                self._conn.close()
                if not kept:
                    raise WitnessError(f"no answer: {type(exc).__name__}: {exc}") from exc
        raise WitnessError("no answer")

    def close(self) -> None:
        """Hangs up, on a call in another thread as well; a later call connects again."""
        sock = self._conn.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._conn.close()


class Cosigner:
    """One witness, as the log sees it. Used by one thread at a time."""

    def __init__(self, witness: Witness, link: Link | None = None) -> None:
        """Asks nothing yet.

        Args:
            witness: its key and url.
            link: another way to it than by its url.

        Raises:
            FormatError: the url can't be used.
        """
        self.name: Final = witness.name
        self.key: Final = witness.key
        self._link = link or Http(witness.url)
        self._size = 0  # of the checkpoint that it cosigned last, as far as is known

    def cosign(self, note: Note, new: Checkpoint, log: Verifier, nodes: Nodes) -> Signature:
        """Asks for a cosignature on a checkpoint.

        Raises:
            WitnessError: there is none.
            RefusedError: the witness proves that this log has signed more, or something else.
            Error: the proof for it can't be made.
        """
        status, kind, body = self._submit(note, new, nodes)
        if status == _CONFLICT and kind == SIZE:
            before, self._size = self._size, _size(body)
            if before != self._size <= new.size:
                status, kind, body = self._submit(note, new, nodes)
        if status == _OK:
            self._size = new.size
            return self._own(note, body)
        self.compare(new, log, nodes)
        raise WitnessError(f"it answers {status}: {_shown(body)}")

    def close(self) -> None:
        """Hangs up."""
        self._link.close()

    def _submit(self, note: Note, new: Checkpoint, nodes: Nodes) -> tuple[int, str, bytes]:
        old = self._size
        proof = prove_consistency(nodes, old, new.size) if 0 < old < new.size else ()
        asked = Submission(old=old, proof=proof, note=note)
        return self._link.call("POST", "add-checkpoint", bytes(asked))

    def compare(self, here: Checkpoint, log: Verifier, nodes: Nodes) -> None:
        """Holds what it has cosigned against the checkpoint and the tiles that are here.

        Raises:
            WitnessError: it does not say what it has cosigned, or can't prove it.
            RefusedError: the log has signed more than is here, or something else.
        """
        status, _, body = self._link.call("GET", place(here.origin))
        if status == _MISSING:
            self._size = 0
            return
        if status != _OK:
            raise WitnessError(f"it answers {status}: {_shown(body)}")
        seen = self._seen(body, log).checkpoint
        where = f"log `{log.name}`: witness `{self.name}` holds a signed checkpoint"
        if seen.size > here.size:
            what = f"of {seen.size} entries, here are {here.size}: what is here is an older copy"
            raise RefusedError(f"{where} {what}")
        if seen.root != root(nodes, seen.size):
            what = f"of {seen.size} entries that are not those here: two histories were signed"
            raise RefusedError(f"{where} {what}")
        self._size = seen.size

    def _seen(self, body: bytes, log: Verifier) -> Opened:
        try:
            return opened(body, [log])
        except (FormatError, ProofError) as exc:
            raise WitnessError(f"it shows no checkpoint of this log: {exc}") from exc

    def _own(self, note: Note, body: bytes) -> Signature:
        try:
            found = [one for one in signature_lines(body) if self.key.made(one)]
        except FormatError as exc:
            raise WitnessError(f"its answer is no signature: {exc}") from exc
        if not found or not self.key.accepts(note.text, found[0]):
            raise WitnessError("its cosignature is not of its key")
        return found[0]


class _Ask:
    """What is known of asking one witness, over time."""

    def __init__(self, cosigner: Cosigner) -> None:
        self.cosigner = cosigner
        self._trouble = "it was not asked yet"
        self._thread: threading.Thread | None = None
        self.signed: tuple[str, Signature] | None = None
        self.refusal: RefusedError | None = None
        self._pause_s = _PAUSE_S
        self._not_before = self._began = 0.0

    def has_signed(self, note: Note) -> bool:
        """Whether its newest cosignature is on this note."""
        return self.signed is not None and self.signed[0] == note.text

    def start(
        self, ask: Callable[[Cosigner], tuple[str, Signature] | None]
    ) -> threading.Thread | None:
        """Begins to ask, unless it is too early, or it is still asked from before."""
        now = boottime()
        if self._thread is not None and self._thread.is_alive():
            if now > self._began + _CALL_S:
                self.cosigner.close()
            return None
        if now < self._not_before:
            return None
        self._began = now
        self._thread = threading.Thread(target=self._ask, args=(ask,), daemon=True)
        self._thread.start()
        return self._thread

    @property
    def trouble(self) -> str:
        """Why it has not cosigned, "" if it has."""
        busy = self._thread is not None and self._thread.is_alive()
        return "it does not answer in time" if busy else self._trouble

    def _ask(self, ask: Callable[[Cosigner], tuple[str, Signature] | None]) -> None:
        try:
            self.signed = ask(self.cosigner) or self.signed
        except RefusedError as exc:
            self.refusal = exc
        except Exception as exc:  # noqa: BLE001 - whatever a witness does, the log goes on
            self._trouble = str(exc) if isinstance(exc, Error) else type(exc).__name__
            self._not_before = boottime() + self._pause_s
            self._pause_s = min(2 * self._pause_s, _MAX_PAUSE_S)
        else:
            self._trouble, self._pause_s = "", _PAUSE_S


class Witnesses:
    """All witnesses of one log."""

    def __init__(
        self, cosigners: Iterable[Cosigner] = (), *, patience_s: float = PATIENCE_S
    ) -> None:
        """Asks nothing yet.

        Args:
            cosigners: the witnesses; none are needed.
            patience_s: how long all of them together may take.
        """
        self._asks = [_Ask(one) for one in cosigners]
        self._patience_s = patience_s

    def lack(self, note: Note) -> bool:
        """Whether a witness has not cosigned this note."""
        return any(not ask.has_signed(note) for ask in self._asks)

    def collect(
        self, note: Note, log: Verifier, nodes: Callable[[], Nodes]
    ) -> tuple[Signature, ...]:
        """New cosignatures on a checkpoint, of the witnesses that lack and answer in time.

        Args:
            note: a checkpoint, signed by the log.
            log: the key of the log.
            nodes: gives the tiles of that checkpoint, in any thread.

        Raises:
            RefusedError: a witness proves that this log has signed more, or something else.
        """
        new = Checkpoint.parse(note.text)
        lacking = [ask for ask in self._asks if not ask.has_signed(note)]
        self._all(lacking, lambda one: (note.text, one.cosign(note, new, log, nodes())))
        # One that answered too late has signed an earlier checkpoint.
        found = [ask.signed for ask in lacking if ask.has_signed(note)]
        return tuple(one[1] for one in found if one is not None)

    def compare(self, here: Checkpoint, log: Verifier, nodes: Callable[[], Nodes]) -> None:
        """Holds what each has cosigned against what is here, of those that answer in time.

        Raises:
            RefusedError: a witness proves that this log has signed more, or something else.
        """

        def ask(one: Cosigner) -> None:
            one.compare(here, log, nodes())

        self._all(self._asks, ask)

    def standing(self) -> tuple[tuple[str, str], ...]:
        """By name what keeps each from cosigning, "" for nothing."""
        return tuple((ask.cosigner.name, ask.trouble) for ask in self._asks)

    def close(self) -> None:
        """Hangs up."""
        for ask in self._asks:
            ask.cosigner.close()

    def _all(
        self, asks: Iterable[_Ask], what: Callable[[Cosigner], tuple[str, Signature] | None]
    ) -> None:
        until = boottime() + self._patience_s
        for thread in [ask.start(what) for ask in asks]:
            if thread is not None:
                thread.join(max(until - boottime(), 0))
        for ask in self._asks:
            if ask.refusal is not None:
                raise ask.refusal


def _size(body: bytes) -> int:
    try:
        return decimal(body.decode().removesuffix("\n"), "size", _MAX_SIZE)
    except (UnicodeDecodeError, FormatError) as exc:
        raise WitnessError("it answers 409 without a size") from exc


def _shown(body: bytes) -> str:
    """The beginning of an answer, on one line."""
    text = body[:200].decode(errors="replace")
    return "".join(char if char.isprintable() else " " for char in text).strip()
