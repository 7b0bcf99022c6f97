"""Wrapping keys anew with another master key, portion by portion, while others make and destroy keys."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, Row, bindparam, select, update

from dossier import transaction
from dossier.errors import SealError
from dossier.keys import tables
from dossier.keys.masters import MasterKeys
from dossier.keys.sealing import Place, Purpose

_PORTION: Final = 200
"""So many keys are wrapped anew in one transaction."""

_keys: Final = tables.keys.c

_EXCHANGE: Final = (
    update(tables.keys)
    .where(_keys.patient == bindparam("whose"), _keys.wrapped == bindparam("old"))
    .values(master=bindparam("master"), wrapped=bindparam("wrapped"))
)


def place(patient: str, master: str) -> Place:
    """Where the key of a patient belongs that a master key has wrapped."""
    return Place(purpose=Purpose.KEY, patient=patient, of=master)


def older(newest: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The keys that other master keys wrap."""
    return _keys.master != newest, _keys.wrapped.is_not(None)


def portions(engine: Engine, masters: MasterKeys, newest: str) -> Iterator[tuple[int, int]]:
    """Goes once through all keys of older master keys, but for those that someone else is at right now.

    Yields:
        Of each portion: how many were wrapped anew, and how many can't be unwrapped.
    """
    after = ""
    while True:
        work = partial(_portion, masters, newest, after)
        after, well, ill = transaction.run(engine, work)
        if not after:
            break
        yield well, ill


def wipe(conn: Connection) -> None:
    """Lets SQLite overwrite what is removed; PostgreSQL does sooner or later, after it vacuums."""
    if conn.dialect.name == "sqlite":
        conn.exec_driver_sql("PRAGMA secure_delete=ON")


def _portion(
    masters: MasterKeys, newest: str, after: str, conn: Connection
) -> tuple[str, int, int]:
    """Wraps one portion anew; with the last patient in it, "" when there was none."""
    wipe(conn)
    some = select(tables.keys).where(*older(newest), _keys.patient > after)
    some = some.order_by(_keys.patient).limit(_PORTION).with_for_update(skip_locked=True)
    rows = conn.execute(some).all()
    anew = [one for row in rows if (one := _wrapped_anew(masters, row, newest))]
    if anew:
        conn.execute(_EXCHANGE, anew)
    return (rows[-1].patient if rows else ""), len(anew), len(rows) - len(anew)


def _wrapped_anew(masters: MasterKeys, row: Row[Any], newest: str) -> dict[str, object] | None:
    try:
        secret = masters.unwrap(row.master, row.wrapped, place(row.patient, row.master))
    except SealError:
        return None
    wrapped = masters.wrap(newest, secret, place(row.patient, newest))
    return {"whose": row.patient, "old": row.wrapped, "master": newest, "wrapped": wrapped}
