"""A small office: a log with entries, and the index beside it."""

from audit.database import reader, snapshot
from audit.office.handles import Handles
from audit.office.index import Index

KEY = bytes(range(32))


def index_of(engine, *derivations):
    """An index with a fixed key, so that two can be compared."""
    return Index(engine, Handles(KEY), derivations)


def follow(index, url):
    """Takes in all that the log of `url` holds; how many entries that were."""
    total = 0
    while True:
        with snapshot(reader(url)) as log:
            taken = index.step(log)
        if not taken.entries:
            return total
        total += taken.entries


def rows(engine, *tables):
    """All rows of these tables, as sets of tuples."""
    with engine.connect() as conn:
        return {t.name: sorted(map(tuple, conn.execute(t.select())), key=repr) for t in tables}
