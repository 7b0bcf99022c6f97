"""What a scenario gives: the state of its patient, in the words of a lawyer."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from authz.registry.state import (
    NO_CONSENT,
    Authorisation,
    Block,
    Consents,
    DossierStatus,
    Grantee,
    GranteeKind,
    PatientState,
    Representative,
    ReviewStanding,
    Standings,
    TreatingDoctor,
    unknown,
)
from authz.source import Mistakes, Node
from authz.workbench.cast import PATIENT, CastReader
from serving.duration import Duration

LISTS: Final = ("authorised", "expired", "blocked", "treating_doctors", "representatives")
REVIEWED: Final = ("overdue", "misuse")
"""What reviews have left professionals with, as `authz.registry.state.ReviewStanding` names it."""
GIVEN: Final = ("patient", *PATIENT, *LISTS, *REVIEWED)

_YEAR: Final = Duration(years=1)
_OPENED: Final = timedelta(days=3 * 365)
_SINCE: Final = timedelta(days=30)
_LONG_SINCE: Final = timedelta(days=395)


class StateReader:
    """Reads `given`, and the patients of the cast; mistakes are collected, not raised."""

    def __init__(self, cast: CastReader, mistakes: Mistakes) -> None:
        self._cast = cast
        self._mistakes = mistakes

    def check(self) -> None:
        """Reads the patients of the cast once, for their mistakes."""
        for name, node in self._cast.cast.patients.items():
            self._state(node, {}, f"patient {name}")

    def read(self, given: Node, where: str) -> PatientState | None:
        """The state of the patient that is named, or of the first one of the cast."""
        if not self._mistakes.keys(given, where, required=(), optional=GIVEN):
            return None
        patient = next(iter(self._cast.cast.patients.values()), None)
        if "patient" in given.items:
            patient = self._cast.named(given.items["patient"], where, "patients")
        elif patient is None:
            self._mistakes.at(given, where, "no patient: the cast has none")
        return self._state(patient, given.items, where) if patient else None

    def standings(self, given: Node, where: str) -> Standings:
        """What reviews have left the professionals with that are named for it."""
        found: dict[str, ReviewStanding] = {}
        for key in (key for key in REVIEWED if key in given.items):
            for whom in self._cast.grantees(given.items[key], where):
                if whom.kind is not GranteeKind.PROFESSIONAL or whom.identifier in found:
                    message = f"`{key}`: name professionals, and each of them once"
                    self._mistakes.at(given.items[key], where, message)
                found[whom.identifier] = ReviewStanding(key)
        return found

    def _state(self, patient: Node, given: Mapping[str, Node], where: str) -> PatientState | None:
        """The patient's own entry, what is `given` laid over it.

        Its dates count from the cast's instant: a scenario with a later `at` finds them older.
        """
        at = self._cast.cast.at
        if not self._mistakes.keys(patient, where, required=("ins",), optional=PATIENT):
            return None
        items = {**patient.items, **given}
        ins = self._mistakes.text(items["ins"], where, "ins")
        status = DossierStatus.OPEN
        if "dossier" in items:
            word = self._mistakes.one_of(items["dossier"], where, "dossier", list(DossierStatus))
            status = DossierStatus(word or "open")
        consents = self._consents(patient.items.get("consents"), given.get("consents"), where)
        born = self._cast.day(items.get("born"), where, "born")
        if status is DossierStatus.NONE:
            for key in (key for key in (*LISTS, "consents") if key in given):
                message = f"`{key}` of a patient without dossier: nothing is recorded"
                self._mistakes.at(given[key], where, message)
            return unknown(ins)
        over = status in (DossierStatus.CLOSED, DossierStatus.DESTROYED)
        state = PatientState(
            patient=ins,
            status=status,
            birth_date=born,
            opened_at=at - _OPENED,
            closed_at=at - _SINCE if over else None,
            closure_reason="FERMETURE_DEMANDE_PATIENT" if over else "",
            consents=NO_CONSENT if status is DossierStatus.DESTROYED else consents,
        )
        return self._relations(state, given, where, at)

    def _consents(self, own: Node | None, given: Node | None, where: str) -> Consents:
        names = ("samu", "break_glass", "masked_in_emergency", "feeding")
        answers: dict[str, bool] = {}
        for node in (own, given):
            if node is None or not self._mistakes.keys(node, where, required=(), optional=names):
                continue
            for name in names:
                answer = self._cast.answer(node.items.get(name), where, name)
                if answer is not None:
                    answers[name] = answer
        consents = Consents(**answers)
        if consents.masked_in_emergency and not (consents.samu or consents.break_glass):
            node = given or own
            if node is not None:
                message = (
                    "`masked_in_emergency` can't be permitted when samu and break_glass are opposed"
                )
                self._mistakes.at(node, where, message, "oppose it too")
        return consents

    def _relations(
        self, state: PatientState, given: Mapping[str, Node], where: str, at: datetime
    ) -> PatientState:
        """Whom the patient has authorised, blocked, named as doctor or has as representative."""
        lists = {key: self._cast.grantees(given.get(key), where) for key in LISTS}
        valid, expired, blocked = (lists[key] for key in ("authorised", "expired", "blocked"))
        doctors = lists["treating_doctors"]
        valid = list(dict.fromkeys([*valid, *(d for d in doctors if d not in expired)]))
        for one in blocked:
            if one in valid or one in expired:
                message = f"`{one.identifier}` can't be blocked and authorised at once"
                self._mistakes.at(given["blocked"], where, message, "a block ends both")
        if set(lists["authorised"]) & set(expired):
            self._mistakes.at(given["expired"], where, "someone is both authorised and expired")
        dated = [*((g, at - _SINCE) for g in valid), *((g, at - _LONG_SINCE) for g in expired)]
        return replace(
            state,
            authorisations=tuple(_authorisation(grantee, since) for grantee, since in dated),
            treating_doctors=tuple(
                TreatingDoctor(professional=d.identifier, since=at - _SINCE) for d in doctors
            ),
            blocks=tuple(
                Block(grantee=b.identifier, kind=b.kind, since=at - _SINCE) for b in blocked
            ),
            representatives=tuple(
                Representative(representative=r.identifier, relation="RESPRSN", since=at - _SINCE)
                for r in lists["representatives"]
            ),
        )


def _authorisation(grantee: Grantee, since: datetime) -> Authorisation:
    return Authorisation(
        grantee=grantee.identifier,
        kind=grantee.kind,
        granted_at=since,
        expires_at=_YEAR.after(since),
    )
