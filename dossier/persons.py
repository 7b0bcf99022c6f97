"""What is kept of patients: rows of administrative data, accounts and wishes, as values and back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Connection, bindparam, select

from dossier import accounts, names, tables, wishes
from dossier.accounts import Account
from dossier.dialects import insert_once, put
from dossier.model import Administrative, Guardian
from dossier.wishes import Wishes

_PERSON: Final = select(tables.dossiers).where(tables.dossiers.c.patient == bindparam("whose"))
_WISHES: Final = select(tables.settings).where(tables.settings.c.patient == bindparam("whose"))
_ACCOUNT: Final = select(tables.accounts.c.patient).where(
    tables.accounts.c.patient == bindparam("whose")
)


def keep(
    conn: Connection,
    patient: str,
    person: Administrative,
    guardians: Sequence[Guardian],
    *,
    at: datetime,
) -> None:
    """Writes the administrative data of a patient, in place of those there were."""
    row = {
        "patient": patient,
        "family_name": person.family_name,
        "usage_name": person.usage_name,
        "given_names": person.given_names,
        "birth_date": person.birth_date,
        "sex": person.sex,
        "birth_place": person.birth_place,
        "contact": wishes.pack(person.contact),
        "guardians": orjson.dumps([*guardians]).decode(),
        "family_key": names.key(person.family_name),
        "usage_key": names.key(person.usage_name),
        "given_key": names.key(person.given_names),
        "created_at": at,
        "updated_at": at,
    }
    put(conn, tables.dossiers, row, fixed=("created_at",))


def find(conn: Connection, patient: str) -> tuple[Administrative | None, tuple[Guardian, ...]]:
    """The administrative data of a patient; None where there are none."""
    row = conn.execute(_PERSON, {"whose": patient}).one_or_none()
    if row is None:
        return None, ()
    person = Administrative(
        family_name=row.family_name,
        given_names=row.given_names,
        usage_name=row.usage_name,
        birth_date=row.birth_date,
        sex=row.sex,
        birth_place=row.birth_place,
        contact=wishes.unpack(row.contact),
    )
    return person, tuple(map(_guardian, orjson.loads(row.guardians)))


def add_account(
    conn: Connection, patient: str, account: Account, *, password: str, at: datetime
) -> Account | None:
    """Gives a patient an account, with another login where somebody has this one; None if there is one.

    Args:
        conn: the transaction.
        patient: INS.
        account: what the holder is told.
        password: its hash, as it is stored.
        at: the instant.
    """
    if conn.execute(_ACCOUNT, {"whose": patient}).first() is not None:
        return None
    row = {"patient": patient, "password": password, "temporary": True, "created_at": at}
    while not insert_once(conn, tables.accounts, {**row, "login": account.login}):
        account = replace(account, login=accounts.new().login)
    return account


def find_wishes(conn: Connection, patient: str) -> Wishes:
    """Which notices a holder wants; all of them, if nothing was ever chosen."""
    row: Any = conn.execute(_WISHES, {"whose": patient}).one_or_none()
    if row is None:
        return Wishes()
    return Wishes(
        first_access=row.first_access,
        new_document=row.new_document,
        by_email=row.by_email,
        by_sms=row.by_sms,
    )


def keep_wishes(conn: Connection, patient: str, wanted: Wishes) -> None:
    """Writes which notices a holder wants."""
    row = {
        "patient": patient,
        "first_access": wanted.first_access,
        "new_document": wanted.new_document,
        "by_email": wanted.by_email,
        "by_sms": wanted.by_sms,
    }
    put(conn, tables.settings, row)


def _guardian(stored: dict[str, Any]) -> Guardian:
    return Guardian(**{**stored, "contact": wishes.unpack(stored["contact"])})
