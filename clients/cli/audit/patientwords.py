"""The words of the patient's view in French and English: acts, categories, professions, reviews."""

from collections.abc import Mapping
from typing import Final

from audit.v1 import audit_pb2 as pb
from clients.cli.cast import same
from clients.cli.record import words as record
from clients.cli.record.text import visible
from clients.cli.show import Said

ACTIONS: Final[Mapping[str, Said]] = {
    **record.ACTIONS,
    "log.query": Said("interroge le journal", "queries the log"),
    "log.identify": Said("regarde le journal à votre nom", "looks into the log about you"),
    "emergency.review": Said("examine un accès d'urgence", "reviews an emergency access"),
    "obligation.report": Said("vous a fait prévenir", "had you told"),
}

CATEGORIES: Final[Mapping[str, Said]] = {
    "document": Said("un document", "a document"),
    "list_of_documents": Said("la liste des documents", "the list of documents"),
    "administrative": Said("les données administratives", "administrative data"),
    "existence": Said("l'existence du dossier", "whether there is a record"),
    "dossier": Said("le dossier", "the record itself"),
    "rights": Said("les droits d'accès", "access rights"),
    "trace": Said("les traces d'accès", "the trace of accesses"),
    "review": Said("un accès d'urgence", "an emergency access"),
    "notice": Said("une notification", "a notice"),
    "other": Said("autre", "other"),
}
"""Of data (EHDS annex II 3.2 c)."""

KINDS: Final[Mapping[str, Said]] = {
    "professional": Said("Professionnel de santé", "Health professional"),
    "employee": Said("Employé", "Employee"),
    "structure": Said("Structure", "Structure"),
    "patient": Said("Patient", "Patient"),
    "representative": Said("Représentant légal", "Legal representative"),
    "auditor": Said("Auditeur", "Auditor"),
    "compliance_officer": Said("Responsable de la conformité", "Compliance officer"),
    "service": Said("Service numérique", "Digital service"),
}
"""What somebody is, where no name was given."""

PROFESSIONS: Final[Mapping[str, Said]] = {
    "10": Said("médecin", "physician"),
    "21": Said("pharmacien", "pharmacist"),
    "31": Said("assistant dentaire", "dental assistant"),
    "35": Said("aide-soignant", "nursing auxiliary"),
    "36": Said("ambulancier", "ambulance driver"),
    "38": Said("préparateur en pharmacie hospitalière", "hospital pharmacy technician"),
    "39": Said("préparateur en pharmacie", "pharmacy technician"),
    "40": Said("chirurgien-dentiste", "dentist"),
    "41": Said("assistant de service social", "social worker"),
    "50": Said("sage-femme", "midwife"),
    "60": Said("infirmier", "nurse"),
    "69": Said("infirmier psychiatrique", "psychiatric nurse"),
    "70": Said("masseur-kinésithérapeute", "physiotherapist"),
    "80": Said("pédicure-podologue", "podiatrist"),
    "86": Said("technicien de laboratoire", "laboratory technician"),
    "91": Said("orthophoniste", "speech therapist"),
    "92": Said("orthoptiste", "orthoptist"),
    "94": Said("ergothérapeute", "occupational therapist"),
    "95": Said("diététicien", "dietitian"),
    "96": Said("psychomotricien", "psychomotor therapist"),
    "98": Said("manipulateur en électroradiologie", "radiographer"),
}
"""By TRE_G15; of others the number is told."""

EFFECTS: Final[Mapping[str, Said]] = {
    "allow": Said("Permis", "Allowed"),
    "deny": Said("Refusé", "Refused"),
}
REVIEWS: Final[Mapping[str, Said]] = {
    "open": Said("sera examiné par un auditeur", "an auditor will review it"),
    "justified": Said("examiné : justifié", "reviewed: justified"),
    "misuse": Said("examiné : abusif", "reviewed: misuse"),
}
REASONS: Final[Mapping[str, Said]] = {
    "risque_vital": Said("risque vital", "danger to life"),
    "conscience_alteree": Said("conscience altérée", "altered consciousness"),
    "urgence_medicale": Said("urgence médicale", "medical emergency"),
    "autre": Said("autre raison", "another reason"),
    "notify_holder": Said("accès d'urgence", "emergency access"),
    "notify_treating_doctor": Said("médecin traitant prévenu", "treating doctor told"),
    "justified": Said("justifié", "justified"),
    "misuse": Said("abusif", "misuse"),
}
WITHHELD: Final = Said("document non nommé", "document not named")


def person(of: pb.Access) -> Said:
    """Who it was: the name; without one, what the person is."""
    if of.who.name:
        return same(visible(of.who.name))
    if of.who.kind == "structure" and of.who.structure_name:
        return same(visible(of.who.structure_name))
    kind = record.word(KINDS, of.who.kind)
    if of.who.kind not in ("patient", "representative", "service") and of.who.id:
        return Said(f"{kind.fr} {visible(of.who.id)}", f"{kind.en} {visible(of.who.id)}")
    if of.who.kind == "service":
        return Said(f"{kind.fr} « {of.who.id} »", f"{kind.en} “{of.who.id}”")
    return kind


def profession(of: pb.Access) -> Said:
    """The profession; "" where there is none."""
    return record.word(PROFESSIONS, of.who.profession) if of.who.profession else same("")


def structure(of: pb.Access) -> str:
    """The organisation, by name if it was stated."""
    return visible(of.who.structure_name or of.who.structure)


def data(of: pb.Access) -> Said:
    """The category of the data, and for a document its space and type."""
    said = record.word(CATEGORIES, of.category)
    if of.category != "document":
        return said
    if not of.document:
        return WITHHELD
    space = record.word(record.SPACES, of.space) if of.space else same("")
    parts = [space, same(visible(of.type))] if of.space or of.type else [said]
    return Said(
        " · ".join(filter(None, (one.fr for one in parts))),
        " · ".join(filter(None, (one.en for one in parts))),
    )


def mode(of: pb.Access) -> Said:
    """The emergency mode; "" in normal access."""
    return record.word(record.MODES, of.mode) if of.mode not in ("", "normal") else same("")


def reason(of: pb.Access) -> Said:
    """The reason that was given; "" for none. Codes of looks into traces are the procedures of services."""
    if not of.reason.code and not of.reason.text:
        return same("")
    if of.reason.code not in REASONS and not of.reason.text:
        return same("")
    code, text = record.word(REASONS, visible(of.reason.code)), visible(of.reason.text)
    return Said(" : ".join(filter(None, (code.fr, text))), ": ".join(filter(None, (code.en, text))))


def further(of: pb.Access) -> Said:
    """What the service asked besides; "" for nothing."""
    checks = sum(one.action == of.action and one.effect == "deny" for one in of.further)
    fr, en = [], []
    for one in of.further:
        if one.action == of.action and one.effect == "deny":
            continue
        act, effect = record.word(ACTIONS, one.action), record.word(EFFECTS, one.effect)
        fr.append(f"{act.fr} ({effect.fr.lower()})")
        en.append(f"{act.en} ({effect.en.lower()})")
    if checks:
        fr.insert(0, f"{checks} vérification(s) par le service, sans accès")
        en.insert(0, f"{checks} check(s) by the service, no access")
    return Said(", ".join(fr), ", ".join(en))
