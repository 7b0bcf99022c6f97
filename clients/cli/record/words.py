"""The words of the record in French and English: states, spaces, marks, deeds, notices, remedies."""

from collections.abc import Mapping
from typing import Final

from clients.cli.cast import same
from clients.cli.record.text import visible
from clients.cli.show import Said

STATES: Final[Mapping[str, Said]] = {
    "none": Said("DMP non créé", "no DMP yet"),
    "open": Said("DMP actif", "DMP open"),
    "closed": Said("DMP fermé", "DMP closed"),
    "destroyed": Said("DMP détruit", "DMP destroyed"),
}
"""Of a dossier, as the screen of the card says it."""

AUTHORISATIONS: Final[Mapping[str, Said]] = {
    "none": Said("aucune", "none"),
    "valid": Said("valide", "valid"),
    "expired": Said("expirée", "expired"),
    "forbidden": Said("bloqué par le patient", "blocked by the patient"),
}

SPACES: Final[Mapping[str, Said]] = {
    "1": Said("Synthèse", "Summary"),
    "2": Said("Traitements et soins", "Treatments and care"),
    "3": Said("Comptes rendus", "Reports"),
    "4": Said("Imagerie médicale", "Imaging"),
    "5": Said("Analyses de laboratoire", "Laboratory"),
    "6": Said("Prévention", "Prevention"),
    "7": Said("Certificats, déclarations", "Certificates"),
    "8": Said("Espace personnel", "Personal space"),
}
"""The eight of them."""

MASKED: Final = Said("masqué", "masked")
HIDDEN_FROM_PATIENT: Final = Said("caché au patient", "hidden from patient")
HIDDEN_FROM_REPRESENTATIVES: Final = Said("caché aux représentants", "hidden from representatives")
BY_PATIENT: Final = Said("déposé par le patient", "deposited by the patient")
STATUSES: Final[Mapping[str, Said]] = {
    "approved": Said("en vigueur", "current"),
    "deprecated": Said("remplacé", "replaced"),
    "archived": Said("archivé", "archived"),
}

BANNERS: Final[Mapping[str, Said]] = {
    "show_mode": Said("accès d'urgence", "emergency access"),
    "warn_hidden_from_patient": Said(
        "Le patient ne voit pas encore ce document : ne pas l'annoncer par mégarde.",
        "The patient can't see this document yet: take care not to tell by accident.",
    ),
    "warn_hidden_from_representatives": Said(
        "Ce document est caché aux représentants légaux.",
        "This document is hidden from the legal representatives.",
    ),
    "mark_obsolete": Said("Version remplacée : il y en a une plus récente.", "An older version."),
    "confirm": Said("à confirmer", "to be confirmed"),
    "collect_fresh_consent": Said(
        "Le consentement oral est à redemander : l'ancienne autorisation ne revient pas.",
        "Ask for consent again: the old authorisation does not come back.",
    ),
}
"""What must be shown beside an answer."""

MODES: Final[Mapping[str, Said]] = {
    "bris_de_glace": Said("BRIS DE GLACE", "BREAK-GLASS"),
    "centre_15": Said("CENTRE 15", "CENTRE 15"),
}
EMERGENCY: Final = Said(
    "accès d'urgence, consigné : patient et médecin traitant prévenus",
    "emergency access, on record: patient and treating doctor are told",
)
SECRET: Final = Said(
    "CONNEXION SECRÈTE : les représentants légaux ne verront pas cet accès",
    "SECRET CONNECTION: the legal representatives will not see this access",
)

ACTIONS: Final[Mapping[str, Said]] = {
    "dossier.find": Said("cherche le dossier", "looks for the dossier"),
    "dossier.create": Said("crée le dossier", "creates the dossier"),
    "dossier.reopen": Said("réactive le dossier", "reopens the dossier"),
    "dossier.close": Said("ferme le dossier", "closes the dossier"),
    "dossier.read": Said("consulte les données administratives", "reads administrative data"),
    "dossier.update": Said("modifie les données administratives", "changes administrative data"),
    "consent.update": Said("change les consentements", "changes consents"),
    "authorisation.list": Said("liste les autorisations", "lists authorisations"),
    "authorisation.grant": Said("autorise", "grants access"),
    "authorisation.renew": Said("renouvelle une autorisation", "renews an authorisation"),
    "authorisation.revoke": Said("retire une autorisation", "revokes an authorisation"),
    "treating_doctor.set": Said("désigne un médecin traitant", "names a treating doctor"),
    "treating_doctor.withdraw": Said("retire un médecin traitant", "withdraws a treating doctor"),
    "block.set": Said("bloque", "blocks"),
    "block.lift": Said("débloque", "lifts a block"),
    "representative.add": Said("ajoute un représentant", "adds a representative"),
    "representative.remove": Said("retire un représentant", "removes a representative"),
    "document.list": Said("liste les documents", "lists documents"),
    "document.read": Said("lit un document", "reads a document"),
    "document.deposit": Said("dépose un document", "deposits a document"),
    "document.replace": Said("remplace un document", "replaces a document"),
    "document.delete": Said("supprime un document", "deletes a document"),
    "document.mask": Said("masque un document", "masks a document"),
    "document.unmask": Said("démasque un document", "unmasks a document"),
    "document.hide_from_patient": Said("cache un document au patient", "hides from the patient"),
    "document.show_to_patient": Said("montre un document au patient", "shows to the patient"),
    "document.show_to_representatives": Said(
        "montre un document aux représentants", "shows to the representatives"
    ),
    "document.archive": Said("archive un document", "archives a document"),
    "document.unarchive": Said("désarchive un document", "takes a document out of the archive"),
    "document.locate": Said("retrouve son document", "finds a document of their own"),
    "trace.read": Said("lit la trace", "reads the trace"),
    "patient.list": Said("liste ses patients", "lists patients"),
}
"""What the trace tells that someone did."""

NOTICES: Final[Mapping[str, Said]] = {
    "created": Said("dossier créé", "dossier created"),
    "first_access": Said("premier accès", "first access"),
    "new_document": Said("nouveau document", "new document"),
    "emergency_access": Said("accès d'urgence", "emergency access"),
    "access": Said("accès", "access"),
    "changed": Said("changement", "change"),
    "refused": Said("tentative refusée", "refused attempt"),
}
CHANNELS: Final[Mapping[str, Said]] = {
    "email": Said("courriel", "e-mail"),
    "sms": same("SMS"),
    "inbox": Said("boîte du portail", "portal inbox"),
}

REMEDIES: Final[Mapping[str, Said]] = {
    "NOT_AUTHORISED": Said(
        "avec son accord : dmp dossier rights own INS --agreement",
        "with the patient's agreement: dmp dossier rights own INS --agreement",
    ),
    "AUTHORISATION_EXPIRED": Said(
        "avec son accord : dmp dossier rights own INS --agreement",
        "with the patient's agreement: dmp dossier rights own INS --agreement",
    ),
    "CONSENT_MISSING": Said(
        "si la personne l'a demandé : --agreement", "if the person asked for it: --agreement"
    ),
    "NOT_YET_ANNOUNCED": Said(
        "après la consultation d'annonce : --announced", "after the announcement: --announced"
    ),
    "BREAK_GLASS_REASON_MISSING": Said(
        "--reason risque_vital (ou conscience_alteree, urgence_medicale, autre) et --why TEXTE",
        "--reason risque_vital (or conscience_alteree, urgence_medicale, autre) and --why TEXT",
    ),
    "USE_NORMAL_MODE": Said("sans --mode", "without --mode"),
    "DOSSIER_MISSING": Said(
        "le créer : dmp dossier create --card FICHIER --person N",
        "create it: dmp dossier create --card FILE --person N",
    ),
    "DOSSIER_CLOSED": Said(
        "le réactiver : dmp dossier reopen INS", "reopen it: dmp dossier reopen INS"
    ),
    "BLOCK_NEEDS_WITHDRAWAL": Said("--withdraw-treating-doctor", "--withdraw-treating-doctor"),
    "DOCUMENT_UNAVAILABLE": Said("dmp dossier list INS", "dmp dossier list INS"),
}
"""What may be done about a refusal, by its reason code."""

UNKNOWN: Final = "?"


def word(of: Mapping[str, Said], key: str) -> Said:
    """The words for a code; the code itself when there are none."""
    return of.get(key) or same(visible(key))
