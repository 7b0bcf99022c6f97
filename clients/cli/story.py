"""The story of `dmp demo`: its scenes in their order, and what must be done, in words.

It follows the slides of 2011, in which Dr MEDECIN3857 opens the dossier of Anasta PASQUIER.
"""

from collections.abc import Mapping
from typing import Final

from clients.cli.scenes.closing import CLOSED
from clients.cli.scenes.creation import CREATION, DEPOSITS, NUMBER
from clients.cli.scenes.emergency import BREAK_GLASS, SAMU
from clients.cli.scenes.hiding import ANNOUNCEMENT, MASKED, MASKING, REPLACEMENT
from clients.cli.scenes.lines import Scene
from clients.cli.scenes.reading import MATRIX, NEVER, UNKNOWN
from clients.cli.scenes.review import REVIEW
from clients.cli.scenes.rights import BLOCK, DOCTOR_S_DESK, TRACE, WITHDRAWAL
from clients.cli.show import Said

SCENES: Final[tuple[Scene, ...]] = (
    NUMBER,
    CREATION,
    DEPOSITS,
    MATRIX,
    UNKNOWN,
    SAMU,
    BREAK_GLASS,
    MASKING,
    MASKED,
    ANNOUNCEMENT,
    REPLACEMENT,
    BLOCK,
    WITHDRAWAL,
    NEVER,
    DOCTOR_S_DESK,
    REVIEW,
    TRACE,
    CLOSED,
)

OBLIGATIONS: Final[Mapping[str, Said]] = {
    "confirm": Said("demander confirmation", "ask for confirmation"),
    "mark_obsolete": Said("version remplacée, à marquer", "an older version, to be marked"),
    "notify_holder": Said("prévenir la patiente", "tell the patient"),
    "notify_treating_doctor": Said("prévenir le médecin traitant", "tell the treating doctor"),
    "pseudonymise_patients": Said("patients par pseudonyme", "patients by pseudonym"),
    "review": Said("examen par une seconde personne", "review by a second person"),
    "show_mode": Said("mode affiché à l'écran", "mode shown on screen"),
    "warn_hidden_from_patient": Said(
        "avertir : la patiente ne le voit pas", "warn: the patient can't see it"
    ),
}
"""What whoever was answered must do, in words."""
