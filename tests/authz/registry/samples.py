"""Values that several tests of the registry start from."""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, Engine

from authz.registry.apply import Terms, apply
from authz.registry.changes import (
    AddRepresentative,
    Change,
    CloseDossier,
    GrantAuthorisation,
    OpenDossier,
    SetBlock,
    SetConsents,
)
from authz.registry.state import Grantee, GranteeKind, PatientState, unknown
from authz.registry.store import Store
from serving.duration import parse

NOW = datetime(2026, 11, 22, 9, 30, 0, 125_000, tzinfo=UTC)
DAY = timedelta(days=1)
TERMS = Terms(authorisation=parse("P1Y"), structure_authorisation=parse("P6M"))

PATIENT = "1234567890123456789012"
CHILD = "2234567890123456789012"
DOCTOR = "899700038571"
NURSE = "899700000600"
HOSPITAL = "1750712184"

PERSON, STRUCTURE = GranteeKind.PROFESSIONAL, GranteeKind.STRUCTURE
BIRTH = date(1960, 5, 4)


def person(identifier: str = DOCTOR) -> Grantee:
    return Grantee(identifier=identifier, kind=PERSON)


def structure(identifier: str = HOSPITAL) -> Grantee:
    return Grantee(identifier=identifier, kind=STRUCTURE)


def after(state: PatientState, *changes: Change, at: datetime = NOW) -> PatientState:
    """The state after several changes at one instant."""
    for change in changes:
        state = apply(state, change, at=at, terms=TERMS)
    return state


def opened(*changes: Change, patient: str = PATIENT, at: datetime = NOW) -> PatientState:
    """An open dossier with the deck's answers, but nobody authorised, after further changes."""
    created = OpenDossier(birth_date=BIRTH, samu=True, break_glass=True)
    return after(unknown(patient), created, *changes, at=at)


FULL = opened(
    SetConsents(masked_in_emergency=True, samu=False),
    GrantAuthorisation(grantee=DOCTOR, kind=PERSON, treating_doctor=True),
    GrantAuthorisation(grantee=HOSPITAL, kind=STRUCTURE),
    SetBlock(grantee=NURSE, kind=PERSON),
    AddRepresentative(representative=CHILD, relation="FTH"),
    CloseDossier(reason="DECES", text="signalé par la famille"),
)
"""A state that uses every table."""


def save(store: Store, conn: Connection, old: PatientState, new: PatientState) -> int:
    return store.save(
        conn, old, new, action="dossier:create", decision_id=f"of {new.patient}", at=NOW
    )


def put(store: Store, engine: Engine, *states: PatientState, changes: bool = False) -> int:
    """Saves states in one committed batch."""
    revision = 0
    with engine.begin() as conn:
        store.catch_up(conn, changes=changes)
        for state in states:
            revision = save(store, conn, store.get(conn, state.patient), state)
    store.adopt(states, revision)
    return revision


def read(store: Store, engine: Engine, patient: str = PATIENT) -> PatientState:
    """Reads as a batch does."""
    with engine.begin() as conn:
        store.catch_up(conn)
        return store.get(conn, patient)
