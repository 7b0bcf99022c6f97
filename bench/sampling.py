"""Where a thread spends its time: its stack is looked at many times a second, while it works."""

import signal
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

INTERVAL_S: Final = 0.0007
"""Not a divisor of what anything else here takes."""

REST: Final = "the rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of work: known by a file, a function, or both, anywhere on the stack."""

    name: str
    file: str = ""
    function: str = ""

    def holds(self, frame: FrameType) -> bool:
        """Whether the frame is of this piece."""
        code = frame.f_code
        return self.file in code.co_filename and self.function in ("", code.co_name)


@contextmanager
def sampled(pieces: Sequence[Piece]) -> Iterator[Mapping[str, float]]:
    """Seconds by the name of the piece, for what the main thread does meanwhile.

    The first piece that is on the stack counts. A call that Python can't interrupt, such as a commit, is
    seen once, when it is over, and counts for all of its time.
    """
    seconds: defaultdict[str, float] = defaultdict(float)
    last = time.perf_counter()

    def look(_: int, frame: FrameType | None) -> None:
        nonlocal last
        now = time.perf_counter()
        seconds[_piece(pieces, frame)] += now - last
        last = now

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, INTERVAL_S, INTERVAL_S)
    try:
        yield seconds
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _piece(pieces: Sequence[Piece], innermost: FrameType | None) -> str:
    stack = []
    frame = innermost
    while frame is not None:
        stack.append(frame)
        frame = frame.f_back
    found = (piece.name for piece in pieces if any(map(piece.holds, stack)))
    return next(found, REST)
