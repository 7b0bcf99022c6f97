"""What each change does to a patient's state.

`apply` says what *can* happen, whoever asks; whether it *may* is policy, and decided before.
"""

from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import TypeVar, assert_never

from authz.errors import ChangeError
from authz.registry.changes import (
    AddRepresentative,
    CloseDossier,
    GrantAuthorisation,
    LiftBlock,
    OpenDossier,
    PatientChange,
    RemoveRepresentative,
    RenewAuthorisation,
    ReopenDossier,
    RevokeAuthorisation,
    SetBlock,
    SetConsents,
    SetTreatingDoctor,
    WithdrawTreatingDoctor,
)
from authz.registry.guards import (
    require_born,
    require_code,
    require_identifier,
    require_not_blocked,
    require_openable,
    require_representative,
    require_text,
    require_valid,
)
from authz.registry.state import (
    Authorisation,
    Block,
    Consents,
    DossierStatus,
    Grantee,
    GranteeKind,
    PatientState,
    Representative,
    TreatingDoctor,
)
from serving.duration import Duration

_Entry = TypeVar("_Entry", Authorisation, Block)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The policy parameters that changes depend on: how long an authorisation lasts, by kind."""

    authorisation: Duration
    structure_authorisation: Duration


def apply(  # noqa: C901, PLR0911, PLR0912 - one case a change, and mypy sees that none is missing
    state: PatientState, change: PatientChange, *, at: datetime, terms: Terms
) -> PatientState:
    """The state after the change.

    Args:
        state: what is true before.
        change: what is asked for.
        at: the instant of the change, with a time zone.
        terms: how long authorisations last.

    Raises:
        ChangeError: the change makes no sense in this state, so nothing of it happens.
    """
    if isinstance(change, OpenDossier | ReopenDossier):
        return _open(state, change, at, terms)
    if state.status is not DossierStatus.OPEN:
        remedy = "open it first"
        raise ChangeError(field="dossier", value=state.status, problem="is not open", remedy=remedy)
    match change:
        case CloseDossier():
            return _close(state, change, at)
        case SetConsents():
            return _set_consents(state, change)
        case GrantAuthorisation():
            state = _grant(state, change.whom, at, terms)
            return _name_doctor(state, change.whom, at) if change.treating_doctor else state
        case RenewAuthorisation():
            return _renew(state, change.whom, at, terms)
        case RevokeAuthorisation():
            return _revoke(state, change.whom)
        case SetTreatingDoctor():
            return _name_doctor(state, _person(change.professional), at)
        case WithdrawTreatingDoctor():
            return _withdraw_doctor(state, change.professional)
        case SetBlock():
            return _block(state, change, at)
        case LiftBlock():
            return replace(state, blocks=_others(state.blocks, change.whom))
        case AddRepresentative():
            return _add_representative(state, change, at)
        case RemoveRepresentative():
            kept = [r for r in state.representatives if r.representative != change.representative]
            return replace(state, representatives=tuple(kept))
        case _:
            assert_never(change)


def _open(
    state: PatientState, change: OpenDossier | ReopenDossier, at: datetime, terms: Terms
) -> PatientState:
    require_openable(state, change)
    require_born(change.birth_date, at)
    if state.birth_date and change.birth_date not in (None, state.birth_date):
        raise ChangeError(
            field="birth_date",
            problem="is not the one on record",
            remedy="leave it out, or have the identity corrected first",
        )
    if state.closure_reason == "DECES":
        raise ChangeError(
            field="dossier",
            problem="was closed after a death",
            remedy="its heirs are dealt with outside the system",
        )
    answers = Consents(
        samu=change.samu,
        break_glass=change.break_glass,
        masked_in_emergency=change.masked_in_emergency,
        feeding=isinstance(change, OpenDossier) or state.consents.feeding,
    )
    state = PatientState(
        patient=state.patient,
        status=DossierStatus.OPEN,
        birth_date=change.birth_date or state.birth_date,
        opened_at=state.opened_at or at,
        consents=_coherent(answers, asked=change.masked_in_emergency),
        blocks=state.blocks,
        representatives=state.representatives,
    )
    for entry in change.representatives:
        state = _add_representative(state, entry, at)
    if change.authorise is not None:
        state = _grant(state, change.authorise, at, terms)
    if not change.treating_doctor:
        return state
    if change.authorise is None:
        raise ChangeError(
            field="treating_doctor",
            value="yes",
            problem="needs an authorisation",
            remedy="say whom to authorise",
        )
    return _name_doctor(state, change.authorise, at)


def _close(state: PatientState, change: CloseDossier, at: datetime) -> PatientState:
    require_code("reason", change.reason, example="FERMETURE_DEMANDE_PATIENT")
    require_text("text", change.text)
    return replace(
        state,
        status=DossierStatus.CLOSED,
        closed_at=at,
        closure_reason=change.reason,
        closure_text=change.text,
    )


def _set_consents(state: PatientState, change: SetConsents) -> PatientState:
    answers = {field.name: getattr(change, field.name) for field in fields(change)}
    given = {name: answer for name, answer in answers.items() if answer is not None}
    if not given:
        raise ChangeError(
            field="consents",
            problem="name no change",
            remedy=f"give at least one of {', '.join(answers)}",
        )
    asked = change.masked_in_emergency is True
    return replace(state, consents=_coherent(replace(state.consents, **given), asked=asked))


def _coherent(consents: Consents, *, asked: bool) -> Consents:
    """Masked documents open only in an emergency access that is itself permitted."""
    if consents.samu or consents.break_glass or not consents.masked_in_emergency:
        return consents
    if asked:
        raise ChangeError(
            field="masked_in_emergency",
            value="yes",
            problem="needs an emergency access that is permitted",
            remedy="permit samu or break_glass too",
        )
    return replace(consents, masked_in_emergency=False)


def _grant(state: PatientState, whom: Grantee, at: datetime, terms: Terms) -> PatientState:
    require_identifier("grantee", whom.identifier)
    require_not_blocked(state, whom)
    granted = Authorisation(
        grantee=whom.identifier,
        kind=whom.kind,
        granted_at=at,
        expires_at=_term(whom, terms).after(at),
    )
    others = _others(state.authorisations, whom)
    return replace(state, authorisations=(*others, granted))


def _renew(state: PatientState, whom: Grantee, at: datetime, terms: Terms) -> PatientState:
    """Only what still runs can be renewed: an expired one needs the patient's consent again."""
    require_valid(state, whom, at)
    renewed = [
        replace(entry, expires_at=_term(whom, terms).after(at)) if whom.matches(entry) else entry
        for entry in state.authorisations
    ]
    return replace(state, authorisations=tuple(renewed))


def _revoke(state: PatientState, whom: Grantee) -> PatientState:
    state = replace(state, authorisations=_others(state.authorisations, whom))
    if whom.kind is GranteeKind.PROFESSIONAL:
        return _withdraw_doctor(state, whom.identifier)
    return state


def _name_doctor(state: PatientState, whom: Grantee, at: datetime) -> PatientState:
    if whom.kind is not GranteeKind.PROFESSIONAL:
        raise ChangeError(
            field="treating_doctor",
            value=whom.kind,
            problem="must be a person",
            remedy="name a doctor",
        )
    require_not_blocked(state, whom)
    require_valid(state, whom, at)
    if state.is_treating_doctor(whom.identifier):
        return state
    doctor = TreatingDoctor(professional=whom.identifier, since=at)
    return replace(state, treating_doctors=(*state.treating_doctors, doctor))


def _withdraw_doctor(state: PatientState, professional: str) -> PatientState:
    kept = [doctor for doctor in state.treating_doctors if doctor.professional != professional]
    return replace(state, treating_doctors=tuple(kept))


def _block(state: PatientState, change: SetBlock, at: datetime) -> PatientState:
    whom = change.whom
    require_identifier("grantee", whom.identifier)
    person = whom.kind is GranteeKind.PROFESSIONAL
    doctor = person and state.is_treating_doctor(whom.identifier)
    if doctor and not change.withdraw_treating_doctor:
        raise ChangeError(
            field="grantee",
            value=whom.identifier,
            problem="is a treating doctor",
            remedy="withdraw that status in the same step",
        )
    if any(whom.matches(block) for block in state.blocks):
        return state
    block = Block(grantee=whom.identifier, kind=whom.kind, since=at)
    return replace(_revoke(state, whom), blocks=(*state.blocks, block))


def _add_representative(
    state: PatientState, change: AddRepresentative, at: datetime
) -> PatientState:
    require_representative(state, change.representative)
    require_code("relation", change.relation, example="FTH")
    same = (change.representative, change.relation)
    if any((r.representative, r.relation) == same for r in state.representatives):
        return state
    others = [r for r in state.representatives if r.representative != change.representative]
    added = Representative(representative=change.representative, relation=change.relation, since=at)
    return replace(state, representatives=(*others, added))


def _person(professional: str) -> Grantee:
    return Grantee(identifier=professional, kind=GranteeKind.PROFESSIONAL)


def _term(whom: Grantee, terms: Terms) -> Duration:
    person = whom.kind is GranteeKind.PROFESSIONAL
    return terms.authorisation if person else terms.structure_authorisation


def _others(entries: tuple[_Entry, ...], whom: Grantee) -> tuple[_Entry, ...]:
    return tuple(entry for entry in entries if not whom.matches(entry))
