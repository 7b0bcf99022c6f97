"""The words of reviews in French and English: modes, states, obligations, steps, signs."""

from collections.abc import Mapping
from typing import Final

from audit.v1 import audit_pb2 as pb
from clients.cli.audit import heads
from clients.cli.audit.patientwords import ACTIONS
from clients.cli.record import words as record
from clients.cli.record.text import visible
from clients.cli.show import Said

WAITING: Final = Said(
    "accès d'urgence à examiner : {}, dont en retard : {}",
    "emergency cases to review: {}, overdue: {}",
)
NONE: Final = Said("aucun", "none")
NOTHING_UNUSUAL: Final = Said("rien d'inhabituel", "nothing unusual")
DUE: Final = Said("échéance", "due")
STEP: Final = Said("étape", "step")
FOUND: Final = Said("constat", "finding")
SEEN: Final = Said("accès", "accesses")
STEPS: Final = Said("suites", "steps")
ACCESSES: Final = Said("accès : {}, le premier {}", "accesses: {}, the first {}")
VERDICT: Final = Said("avis", "verdict")
CLOSED: Final = Said("affaire close : {}", "case closed: {}")
RECORDED: Final = Said(
    "avis enregistré ({}), mais l'index est en retard : relire l'affaire dans un instant",
    "verdict on record ({}), but the index is late: look at the case again in a moment",
)
SHARE: Final = Said(
    "part : accès d'urgence parmi tous les accès permis de la période",
    "share: emergency accesses among all accesses that were allowed in the period",
)
COUNTS: Final = (
    heads.WHO,
    Said("affaires", "cases"),
    SEEN,
    Said("patients", "patients"),
    Said("ouvertes", "open"),
    Said("en retard", "overdue"),
    Said("justifiées", "justified"),
    Said("abus", "misuse"),
    Said("part", "share"),
)

_STATES: Final[Mapping[str, Said]] = {
    "open": Said("à examiner", "waits"),
    "overdue": Said("en retard", "overdue"),
    "justified": Said("justifié", "justified"),
    "misuse": Said("abus", "misuse"),
}
_STEPS: Final[Mapping[str, Said]] = {
    "opened": Said("ouverte par un accès", "opened by an access"),
    "access": Said("autre accès", "another access"),
    "carried_out": Said("prévenu", "told"),
    "justified": Said("jugé justifié", "found justified"),
    "misuse": Said("jugé abusif", "found to be a misuse"),
    "refused": Said("examen refusé ou sans effet", "review refused, or without effect"),
}
_DUTIES: Final[Mapping[str, Said]] = {
    "notify_holder": Said("titulaire", "holder"),
    "notify_treating_doctor": Said("médecin traitant", "treating doctor"),
}
_HOW: Final[Mapping[str, Said]] = {
    "email": Said("par courriel", "by e-mail"),
    "sms": Said("par SMS", "by SMS"),
    "inbox": Said("dans le portail", "in the portal"),
}
_SIGNS: Final[Mapping[str, Said]] = {
    "no_relation": Said("sans relation de soins connue", "no known relation in care"),
    "many_patients": Said("beaucoup de patients", "many patients"),
    "same_name": Said("même nom de famille", "same family name"),
    "night": Said("la nuit", "at night"),
}


def state(code: str) -> Said:
    """Of a case, or a verdict."""
    return record.word(_STATES, code)


def told_state(of: pb.Case) -> Said:
    """Of a case, overdue ones as such."""
    return state("overdue" if of.overdue else of.state)


def mode(code: str) -> Said:
    """Of access."""
    return record.word(record.MODES, code)


def action(code: str) -> Said:
    """What was done."""
    return record.word(ACTIONS, code)


def step(code: str) -> Said:
    """What was done with a case."""
    return record.word(_STEPS, code)


def sign(code: str) -> Said:
    """What makes an access unusual."""
    return record.word(_SIGNS, code)


def duty(of: pb.Obligation) -> Said:
    """Whether somebody was told, and how."""
    who = record.word(_DUTIES, of.name)
    if of.state != "carried_out" and of.how:
        return Said(f"✗ {who.fr} : pas de chaque accès", f"✗ {who.en}: not of each access")
    if of.state != "carried_out":
        return Said(f"✗ {who.fr} : pas encore prévenu", f"✗ {who.en}: not told yet")
    how = record.word(_HOW, visible(of.how))
    return Said(f"✓ {who.fr} prévenu {how.fr}", f"✓ {who.en} told {how.en}")
