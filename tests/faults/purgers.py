"""Purges that are killed at any statement that they give to the database.

Run as a program, it forks one for each line of orders that it reads, as `tests.faults.sealers` does.
"""

import os
import signal
from itertools import count
from pathlib import Path
from unittest.mock import patch

from sqlalchemy import event

from audit import purging
from audit.scouring import scour
from storage import statements
from storage.database import connect
from tests.audit import aged
from tests.faults.sealers import main


def erase(orders: dict) -> int:
    """One purge, of batches one by one; is killed at the statement named, commits being some."""
    done = count(1)

    def strike(*_):
        if next(done) == orders.get("at"):
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(url):
        engine = connect(url)
        for name in ("before_cursor_execute", "commit"):
            event.listen(engine, name, strike)
        return engine

    def handed_over(conn, sql, values, execute=statements._execute):
        strike()
        return execute(conn, sql, values)

    with (
        patch.object(purging, "_AT_ONCE", 1),
        patch.object(statements, "_execute", handed_over),
        patch.object(aged, "connect", watched),
    ):
        made = aged.purge(orders["url"])
        strike()
        if made is not None and orders.get("scour"):
            engine = watched(orders["url"])
            scour(engine, made)
            engine.dispose()
    if "count" in orders:
        Path(orders["count"]).write_text(str(next(done) - 1))
    return 0


if __name__ == "__main__":
    main(erase)
