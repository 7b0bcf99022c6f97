"""Erases entries whose time is over: their bytes and salts go, their commitments stay.

In this order, so that a kill at any instant leaves a log that verifies:

1. what is to go is verified, and held against what was sealed of it: nothing that was altered is erased;
2. an entry of kind `purge` is durable in the log of retention;
3. the batches are erased, the oldest first, some in each transaction;
4. what the database still has of them in its files is overwritten.

Whoever is killed after 2 is finished by the next purge. The newest batch stays: its writer goes on from it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Engine, inspect, select, text

from audit.comparison import Published, first_difference
from audit.entry import GENESIS, batch_hash, rfc3339, uuid7
from audit.erased import Purges
from audit.errors import Damage, LogDamagedError, RetentionError
from audit.log import Log, Random
from audit.reader import Batch, batches, kept_from, newest_batches, origins
from audit.retention import FLOOR, RETENTION, Period, Purge, draft
from audit.tables import log_batches
from audit.verify import check
from storage.statements import run

Progress = Callable[[int, int], None]
"""Told how many entries are done, of how many."""

_AT_ONCE: Final = 32  # batches of a transaction: whoever writes the log waits for it
_PAUSE_S: Final = 0.005  # between two, so that they come in
_ERASE: Final = (
    "UPDATE log_batches SET entries = :digests, erased = :purge"
    " WHERE origin = :origin AND first_index = :first AND at = :at AND erased IS NULL"
)
# Hits nothing, and is refused all the same to who may not erase.
_MAY: Final = "UPDATE log_batches SET erased = erased WHERE origin = '' AND first_index = -1"
_BUNDLE: Final = text(
    "SELECT content FROM bundles JOIN head ON head.bundle = bundles.digest WHERE head.id = 1"
)
_PARAMETERS: Final = "parameters.yaml"
_PARAMETER: Final = "trace.retention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be erased.

    Attributes:
        log: of which log.
        first: the first entry.
        end: the index behind the last; that of the first if nothing is.
        before: all of them were recorded before this instant.
        retention: how long entries are kept; "" if only an instant was named.
        begun: a purge that had been logged and was not finished; its entries are the first of these.
    """

    log: str
    first: int
    end: int
    before: str
    retention: str
    begun: Purge | None

    @property
    def entries(self) -> int:
        """How many entries go."""
        return self.end - self.first


def bound(
    conn: Connection, log: str, now: datetime, *, keep: Period | None, before: datetime | None
) -> tuple[datetime, str]:
    """The instant before which entries go, and the retention that it comes from, "" if an instant was named.

    The present is taken to be the instant of the newest batch, if our clock is ahead of that: a clock that
    jumped would erase what must be kept.

    Args:
        conn: on the database of the log.
        log: which one.
        now: by our clock.
        keep: how long entries are kept; as the active policies say if neither is given.
        before: an instant instead.

    Raises:
        RetentionError: there is no such log, entries must be kept longer, or it is not known how long.
    """
    if log == RETENTION:
        raise RetentionError(f"log `{RETENTION}` says what was erased: nothing in it ever is")
    if log not in origins(conn):
        raise RetentionError(f"no log `{log}`: there are {', '.join(origins(conn)) or 'none'}")
    newest = [next(newest_batches(conn, one), None) for one in origins(conn)]
    last = max((datetime.fromisoformat(one.at) for one in newest if one is not None), default=now)
    present, policy = min(now, last), _policy(conn)
    if before is None and keep is None and policy is None:
        raise RetentionError("no policies are active here that say how long: give --keep")
    kept = None if before is not None else keep or policy
    wanted = before if kept is None else kept.before(present)
    for least, whose in ((FLOOR, "the law (EHDS art. 9)"), (policy, f"policy `{_PARAMETER}`")):
        if wanted is not None and least is not None and wanted > least.before(present):
            until = f"{least.before(present):%Y-%m-%d}"
            what = f"{whose} keeps entries for {least.text}: nothing after {until} may be erased"
            raise RetentionError(f"log `{log}`: {what}")
    return wanted or present, kept.text if kept is not None else ""


def plan(
    conn: Connection,
    log: str,
    *,
    before: datetime,
    retention: str,
    published: Published | None,
    progress: Progress = lambda _, __: None,
) -> Plan:
    """Finds and verifies what is to be erased.

    Args:
        conn: on one state of the database.
        log: which log.
        before: from `bound`.
        retention: the same.
        published: what was sealed of the log; None if it is not sealed.
        progress: told how far it has come.

    Raises:
        LogDamagedError: what is to go is not what was recorded, or sealed.
    """
    instant, first = rfc3339(before), kept_from(conn, log)
    newest = next(newest_batches(conn, log))
    limit = newest.first_index if published is None else min(newest.first_index, published.size)
    last = Purges(conn).last(log)
    begun = last if last is not None and first < last.end else None
    end, link = first, None if first else GENESIS
    for batch in batches(conn, log, start=max(first - 1, 0)):
        if batch.end <= first:
            link = batch.hash
        elif batch.at < instant and batch.end <= limit:
            try:
                check(batch, first_index=end, previous=batch.previous if link is None else link)
            except LogDamagedError as exc:
                precisely = published and first_difference(conn, published, end)
                raise precisely or exc from exc
            _as_sealed(conn, batch, published)
            end, link = batch.end, batch.hash
            progress(end, limit)
        else:
            break
    end = max(end, begun.end if begun is not None else 0)
    return Plan(log=log, first=first, end=end, before=instant, retention=retention, begun=begun)


def purge(
    engine: Engine,
    wanted: Plan,
    *,
    by: str,
    now: datetime,
    random: Random,
    progress: Progress = lambda _, __: None,
) -> Purge | None:
    """Logs what is to be erased, then erases it; `audit.scouring` takes it from the files.

    Args:
        engine: of the owner of the tables, from `storage.database.connect`.
        wanted: from `plan`.
        by: who runs it.
        now: the instant.
        random: `os.urandom`.
        progress: told how far it has come.

    Returns:
        The last purge that was carried out; None if there was nothing to do.

    Raises:
        LogDamagedError: a log is damaged; or a batch has changed since it was verified.
        FencedError: another purge has begun meanwhile.
        DBAPIError: the database can't be written.
    """
    first, end, last = wanted.first, wanted.end, wanted.begun
    with engine.begin() as conn:
        run(conn, _MAY)  # before anything is said to be erased
    if last is not None:
        _erase(engine, wanted.log, first, last, progress)
        first = last.end
    if first < end:
        last = _record(engine, wanted, first, by=by, now=now, random=random)
        _erase(engine, wanted.log, first, last, progress)
    return last


def _policy(conn: Connection) -> Period | None:
    """What the active policies say; None where there are none."""
    content = conn.execute(_BUNDLE).scalar() if inspect(conn).has_table("bundles") else None
    if content is None:
        return None
    try:
        parameters = orjson.loads(content)["documents"][_PARAMETERS]["parameters"]
        (value,) = (one["value"] for one in parameters if one["name"] == _PARAMETER)
    except (ValueError, KeyError, TypeError) as exc:
        what = f"the active policies do not say how long traces are kept (`{_PARAMETER}`)"
        raise RetentionError(what) from exc
    return Period.parse(str(value))


def _as_sealed(conn: Connection, batch: Batch, published: Published | None) -> None:
    if published is None:
        return
    if b"".join(batch.digests()) != published.commitments(batch.first_index, batch.end):
        what = "its batch is not what was sealed"
        found = LogDamagedError(batch.origin, batch.first_index, Damage.ALTERED, what)
        raise first_difference(conn, published, batch.first_index) or found


def _record(
    engine: Engine, wanted: Plan, first: int, *, by: str, now: datetime, random: Random
) -> Purge:
    """Makes durable what is about to be erased."""
    log = Log(RETENTION)
    with engine.begin() as conn:
        Purges(conn).known()  # nothing else may stand in that log
    with engine.begin() as conn:
        log.open(conn, random=random)
    values: dict[str, Any] = {"log": wanted.log, "first": first, "end": wanted.end, "by": by}
    values |= {"before": wanted.before, "retention": wanted.retention}
    at = rfc3339(now)
    told = draft(uuid7(int(now.timestamp() * 1000), random(10)), **values)
    with engine.begin() as conn:
        (recorded,) = log.append(conn, [told], at=at, random=random)
    log.committed()
    return Purge(index=recorded.index, at=at, **values)


def _erase(engine: Engine, log: str, first: int, purge: Purge, progress: Progress) -> None:
    with engine.connect() as conn:
        if engine.dialect.name == "sqlite":
            _overwrite(conn)
        index = first
        while index < purge.end:
            with conn.begin():
                index = _erase_some(conn, log, index, purge)
            progress(index - first, purge.end - first)
            time.sleep(_PAUSE_S)


def _erase_some(conn: Connection, log: str, index: int, purge: Purge) -> int:
    """Erases some batches from an index on; where to go on."""
    c = log_batches.c
    query = select(log_batches).where(c.origin == log, c.first_index >= index)
    query = query.where(c.first_index < purge.end).order_by(c.first_index).limit(_AT_ONCE)
    found = [Batch(*row) for row in conn.execute(query)]
    values = []
    for batch in found:
        digests = batch.digests()
        if batch_hash(batch.previous, batch.first_index, digests) != batch.hash:
            what = "its batch has changed since it was verified"
            raise LogDamagedError(log, batch.first_index, Damage.ALTERED, what)
        if batch.erased is None:
            row = {"origin": log, "first": batch.first_index, "at": batch.at}
            values.append(row | {"digests": b"".join(digests), "purge": purge.index})
    if values:
        run(conn, _ERASE, values)
    return found[-1].end if found else purge.end


def _overwrite(conn: Connection) -> None:
    """Lets SQLite overwrite what it deletes with zeros, on this connection."""
    raw: Any = conn.connection.driver_connection
    if raw.execute("PRAGMA secure_delete = ON").fetchone() != (1,):
        raise RetentionError("this SQLite can't overwrite what it deletes")
