"""What all desks of the office have in common: where they read, whom they ask, and how far the index is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from audit.office.asking import Asking
from audit.office.handles import Handles
from audit.office.policies import Shelf


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far what is shown follows the log.

    Attributes:
        behind: entries that are stored and not in the index; they are the latest.
        complete_until: everything decided up to here is in the index; None before anything is.
        sealed: entries under a signed checkpoint, of all logs.
    """

    behind: int = 0
    complete_until: datetime | None = None
    sealed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What a desk works with.

    Attributes:
        index: the index, to be read only.
        log: the database of the log, to be read only; each use is a transaction of its own.
        evidence: folder of keys, tiles and checkpoints.
        handles: the numbers of persons in the index, and their pseudonyms.
        asking: the decision point.
        clock: the instant.
        standing: how far the index is.
        shelf: policies in words.
    """

    index: Engine
    log: Engine
    evidence: Path
    handles: Handles
    asking: Asking
    clock: Callable[[], datetime]
    standing: Callable[[], Standing]
    shelf: Shelf = field(default_factory=Shelf)
