"""What a witness remembers of logs, and cosigns: what `audit.witness` serves.

    FOLDER/key             the secret key
           SHA256(ORIGIN)/checkpoint   of a log, what was cosigned last
           register        the logs of which something was cosigned

What is cosigned is on disk before anyone is told. A witness that lost what it remembered could cosign a
second history, so it does not start; and its folder must never be restored from an older copy.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from audit.checkpoint import Checkpoint
from audit.cosigning import judge, place
from audit.durable import read, replace
from audit.errors import Error, EvidenceError
from audit.keys import KeyType, Signer, made
from audit.note import Note
from audit.trusted import Trust

_KEY: Final = "key"
_REGISTER: Final = "register"
_UNFINISHED: Final = "unfinished"
_LOCK: Final = "lock"
_RETIRE: Final = "retire this witness and its key, and found another"


class Witness:
    """What a witness remembers and signs. Safe under threads.

    Attributes:
        verifier: its key.
    """

    def __init__(self, folder: Path, signer: Signer, logs: Trust, now: Callable[[], int]) -> None:
        """Reads what it has cosigned before.

        Args:
            folder: from `founded`; nobody else's.
            signer: its key.
            logs: those that it serves.
            now: seconds since 1970.

        Raises:
            EvidenceError: what it remembered of a log is gone or damaged: it must not cosign again.
        """
        self.verifier: Final = signer.verifier
        self._folder = folder
        self._signer = signer
        self._logs = logs
        self._now = now
        self._lock = threading.Lock()
        self._seen = dict(filter(None, map(self._recall, {log.name for log in logs.logs})))
        # Behind the checkpoints, so that one which is registered was certainly there.
        self._registered = {*(read(folder / _REGISTER) or b"").decode().split("\n")} - {""}
        for log in logs.logs:
            if log.name in self._registered and log.name not in self._seen:
                what = f"what was cosigned of log `{log.name}` is gone"
                raise EvidenceError(f"folder `{folder}`: {what}: {_RETIRE}")

    def cosign(self, request: bytes) -> str:
        """Answers `add-checkpoint`: the line of its signature.

        Raises:
            RefusalError: it does not cosign.
            OSError: it can't remember, so it does not cosign.
        """
        with self._lock:
            found = judge(request, self._logs, self._seen)
            made = self._signer.cosign(found.note.text, self._now())
            known = [one for one in found.note.signatures if found.log.made(one)]
            note = Note(text=found.note.text, signatures=tuple(known)).signed_also([made])
            path = self._folder / place(found.checkpoint.origin)
            replace({path: bytes(note)}, self._folder / _UNFINISHED)
            self._register({*self._seen, found.checkpoint.origin})
            self._seen[found.checkpoint.origin] = found.checkpoint
        return f"{made}\n"

    def shown(self, path: str) -> bytes | None:
        """What it last cosigned, by the path below which it is shown; None if that is of no log."""
        known = {place(log.name) for log in self._logs.logs}
        return read(self._folder / path) if path in known else None

    def _register(self, origins: set[str]) -> None:
        """Remembers that these logs have been cosigned, apart from what."""
        if not origins <= self._registered:
            every = sorted(self._registered | origins)
            lines = "".join(f"{origin}\n" for origin in every).encode()
            replace({self._folder / _REGISTER: lines}, self._folder / _UNFINISHED)
            self._registered = {*every}

    def _recall(self, origin: str) -> tuple[str, Checkpoint] | None:
        path = self._folder / place(origin)
        data = read(path)
        if data is None:
            return None
        try:
            note = Note.parse(data)
            note.signers([self.verifier])
            found = Checkpoint.parse(note.text)
        except Error as exc:
            raise EvidenceError(f"`{path}` is damaged: {_RETIRE}") from exc
        if found.origin != origin:
            raise EvidenceError(f"`{path}` is of another log: {_RETIRE}")
        return origin, found


def founded(folder: Path, name: str, random: Callable[[int], bytes]) -> Signer:
    """The key of the witness in a folder, made when the folder is new or empty.

    Raises:
        EvidenceError: there is something in it, but no key, or that of another name.
        FormatError: the name or the key can't be one.
        OSError: it can't be read or written.
    """
    data = read(folder / _KEY)
    if data is None:
        if folder.is_dir() and any(
            path.name not in ("lock", "unfinished") for path in folder.iterdir()
        ):
            raise EvidenceError(f"folder `{folder}`: not empty, and holds no key of a witness")
        signer = made(name, KeyType.COSIGNATURE, random)
        secret = f"{signer.secret}\n".encode()
        replace({folder / _KEY: secret}, folder / _UNFINISHED, private=True)
        return signer
    signer = Signer.parse(data.decode(errors="replace").removesuffix("\n"))
    if signer.name != name or signer.type is not KeyType.COSIGNATURE:
        raise EvidenceError(f"folder `{folder}`: holds the key of `{signer.name}`, not of `{name}`")
    return signer
