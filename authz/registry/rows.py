"""How the state of a patient becomes rows, and rows a state."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    Table,
    bindparam,
    delete,
    insert,
    literal_column,
    null,
    select,
    union_all,
    update,
)

from authz.registry import tables
from authz.registry.state import (
    Authorisation,
    Block,
    Consents,
    DossierStatus,
    GranteeKind,
    PatientState,
    Representative,
    TreatingDoctor,
    unknown,
)

_CHUNK: Final = 500  # patients in one query: four times as many parameters, below any limit

_Entry = Authorisation | TreatingDoctor | Block | Representative

_LISTS: Final = (
    tables.authorisations,
    tables.treating_doctors,
    tables.blocks,
    tables.representatives,
)
"""Each has the name of a field of `PatientState`, and the fields of its entries as columns."""

_SOME: Final[BindParameter[str]] = bindparam("some", expanding=True)
_PATIENTS: Final = select(tables.patients).where(tables.patients.c.ins.in_(_SOME))


def _part(table: Table, who: str, what: str | None, since: str, until: str | None) -> Select[Any]:
    """The rows of one list, in the columns that all four lists share."""
    columns: list[ColumnElement[Any]] = [literal_column(f"'{table.name}'"), table.c.ins]
    columns += [null() if name is None else table.c[name] for name in (who, what, since, until)]
    return select(*columns).where(table.c.ins.in_(_SOME))


_ENTRIES: Final = union_all(
    _part(tables.authorisations, "grantee", "kind", "granted_at", "expires_at"),
    _part(tables.treating_doctors, "professional", None, "since", None),
    _part(tables.blocks, "grantee", "kind", "since", None),
    _part(tables.representatives, "representative", "relation", "since", None),
)
"""All four lists in one query: a patient that is not in memory costs two, not five."""


def load(conn: Connection, patients: Sequence[str]) -> Iterator[PatientState]:
    """Reads the states of `patients`; those without dossier come as `unknown`."""
    for start in range(0, len(patients), _CHUNK):
        yield from _load(conn, patients[start : start + _CHUNK])


def write(conn: Connection, old: PatientState, new: PatientState, revision: int) -> None:
    """Writes what differs between two states of a patient, nothing else."""
    columns, before = _columns(new), _columns(old)
    if old.status is DossierStatus.NONE:
        conn.execute(insert(tables.patients).values(**columns, revision=revision))
    else:
        changed = {name: value for name, value in columns.items() if value != before[name]}
        same = tables.patients.c.ins == old.patient
        conn.execute(update(tables.patients).where(same).values(**changed, revision=revision))
    for table in _LISTS:
        had, has = getattr(old, table.name), getattr(new, table.name)
        for entry in set(had).difference(has):
            row = _row(old.patient, entry)
            key = [column == row[column.name] for column in table.primary_key]
            conn.execute(delete(table).where(*key))
        added = [_row(new.patient, entry) for entry in has if entry not in had]
        if added:
            conn.execute(insert(table), added)


def _load(conn: Connection, patients: Sequence[str]) -> Iterator[PatientState]:
    some = {"some": patients}
    lists: dict[str, dict[str, list[_Entry]]] = {}
    for name, patient, who, what, since, until in conn.execute(_ENTRIES, some).all():
        entry = _entry(name, who, what, since, until)
        lists.setdefault(patient, {}).setdefault(name, []).append(entry)
    rows = {row.ins: row for row in conn.execute(_PATIENTS, some).all()}
    for patient in patients:
        row = rows.get(patient)
        if row is None:
            yield unknown(patient)
            continue
        entries: dict[str, Any] = lists.get(patient, {})
        yield PatientState(
            patient=patient,
            status=DossierStatus(row.status),
            birth_date=row.birth_date,
            opened_at=row.opened_at,
            closed_at=row.closed_at,
            closure_reason=row.closure_reason,
            closure_text=row.closure_text,
            consents=Consents(
                samu=row.consent_samu,
                break_glass=row.consent_break_glass,
                masked_in_emergency=row.consent_masked,
                feeding=row.consent_feeding,
            ),
            **entries,
        )


def _entry(name: str, who: str, what: str, since: datetime, until: datetime) -> _Entry:
    match name:
        case "authorisations":
            kind = GranteeKind(what)
            return Authorisation(grantee=who, kind=kind, granted_at=since, expires_at=until)
        case "treating_doctors":
            return TreatingDoctor(professional=who, since=since)
        case "blocks":
            return Block(grantee=who, kind=GranteeKind(what), since=since)
        case _:
            return Representative(representative=who, relation=what, since=since)


def _columns(state: PatientState) -> dict[str, object]:
    """The row of a patient, but for its revision."""
    return {
        "ins": state.patient,
        "status": state.status,
        "birth_date": state.birth_date,
        "opened_at": state.opened_at,
        "closed_at": state.closed_at,
        "closure_reason": state.closure_reason,
        "closure_text": state.closure_text,
        "consent_samu": state.consents.samu,
        "consent_break_glass": state.consents.break_glass,
        "consent_masked": state.consents.masked_in_emergency,
        "consent_feeding": state.consents.feeding,
    }


def _row(patient: str, entry: _Entry) -> dict[str, object]:
    return {"ins": patient, **{field.name: getattr(entry, field.name) for field in fields(entry)}}
