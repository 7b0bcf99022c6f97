"""The patients whose dossier a professional may consult, page by page (TD0.4).

Listed is who has an open dossier and a valid authorisation for the professional or for the structure they
act for, neither of them blocked. Where a treating doctor's rights last without one (parameter
mt.requires_valid), so is who names them as treating doctor. Of everyone listed `authz.facts` says the same.

A page costs the same however many patients there are: so many authorisations are looked at, in the order of
the INS, and the next page goes on from there. Where many have expired, a page is short.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    bindparam,
    func,
    or_,
    select,
    union_all,
)

from authz.query import Page
from authz.registry.state import DossierStatus, Entrusted, GranteeKind, Listed, Reach
from authz.registry.tables import authorisations, blocks, patients, treating_doctors

LOOKED_AT: Final = (200, 2_000)
"""Patients whose authorisations a small page looks at, and a large one; it holds half of them at most."""

_PROFESSIONAL: Final = bindparam("professional", type_=Text)
_STRUCTURE: Final = bindparam("structure", type_=Text)


def _first(kind: GranteeKind, who: ColumnElement[str], most: int) -> Select[Any]:
    """The first authorisations of one grantee: enough to find the first patients of two."""
    own = authorisations.c
    first = (
        select(own.ins, own.expires_at)
        .where(own.grantee == who, own.kind == kind, own.ins > bindparam("after"))
        .order_by(own.ins)
        .limit(most)
        .subquery()
    )
    return select(first)


def _list(most: int) -> Select[Any]:
    """The first `most` patients with an authorisation, each with what may speak against it."""
    granted = union_all(
        _first(GranteeKind.PROFESSIONAL, _PROFESSIONAL, most),
        _first(GranteeKind.STRUCTURE, _STRUCTURE, most),
    ).subquery()
    ends = func.max(granted.c.expires_at).label("expires_at")
    first = select(granted.c.ins, ends).group_by(granted.c.ins).order_by(granted.c.ins)
    known = first.limit(most).subquery()
    is_professional = and_(
        blocks.c.kind == GranteeKind.PROFESSIONAL, blocks.c.grantee == _PROFESSIONAL
    )
    # Who does not say for which structure they act may be of one that is blocked.
    is_structure = and_(
        blocks.c.kind == GranteeKind.STRUCTURE,
        or_(_STRUCTURE.is_(None), blocks.c.grantee == _STRUCTURE),
    )
    blocked = select(blocks.c.ins).where(
        blocks.c.ins == known.c.ins, or_(is_professional, is_structure)
    )
    treated = select(treating_doctors.c.ins).where(
        treating_doctors.c.ins == known.c.ins, treating_doctors.c.professional == _PROFESSIONAL
    )
    return (
        select(
            known.c.ins,
            known.c.expires_at,
            patients.c.birth_date,
            patients.c.status,
            blocked.exists().label("blocked"),
            treated.exists().label("treated"),
        )
        .join_from(known, patients, patients.c.ins == known.c.ins)
        .order_by(known.c.ins)
    )


# The number stands in the statement, so that PostgreSQL plans for so many, whoever asks.
_LISTS: Final = {most: _list(most) for most in LOOKED_AT}


def read(conn: Connection, reach: Reach, page: Page, *, at: datetime) -> Listed:
    """One page of the patients who are listed for somebody.

    Args:
        conn: a connection in the transaction of the decision.
        reach: what is about the one who asks.
        page: which part; of 1 to 1,000 patients.
        at: the instant at which authorisations must be valid.
    """
    asked = {
        "professional": reach.professional,
        "structure": reach.structure,
        "after": page.after,
    }
    most = next(most for most in _LISTS if page.size <= most // 2)
    rows = conn.execute(_LISTS[most], asked).all()
    found: list[Entrusted] = []
    for row in rows:
        treats = row.treated and reach.may_treat
        stands = at < row.expires_at or (treats and reach.treats_anyway)
        if row.status != DossierStatus.OPEN or row.blocked or not stands:
            continue
        if len(found) == page.size:
            return Listed(patients=tuple(found), next=found[-1].patient)
        found.append(
            Entrusted(
                patient=row.ins,
                birth_date=row.birth_date,
                treating_doctor=bool(treats),
                expires_at=row.expires_at,
            )
        )
    return Listed(patients=tuple(found), next=rows[-1].ins if len(rows) == most else "")
