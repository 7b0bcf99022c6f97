"""Afterwards: a second person reviews the emergency, and the patient sees what came of it."""

from typing import Final

from clients.cli.cast import ANASTA, AUDITOR, STRANGER
from clients.cli.scenes.lines import Scene, allowed, denied
from clients.cli.scrutiny import accesses, cases, closes_case
from clients.cli.show import Said

_WHY: Final = "Inconsciente aux urgences, confirmé par le service"

REVIEW: Final = Scene(
    title=Said("L'examen des urgences", "The emergencies are reviewed"),
    lead=Said(
        "Chaque accès d'urgence attend une seconde personne ; la patiente voit la suite donnée.",
        "Each emergency access waits for a second person; the patient sees what came of it.",
    ),
    lines=(
        allowed(
            AUDITOR,
            Said("regarde les accès à examiner", "looks at what waits for review"),
            cases(AUDITOR),
            "AUDITOR",
        ),
        denied(
            STRANGER,
            Said("voudrait clore son propre accès", "would like to close his own access"),
            closes_case(STRANGER, "justified", _WHY),
            "CALLER_REFUSED",
        ),
        allowed(
            AUDITOR,
            Said(f"le clôt, justifié : « {_WHY} »", f"closes it as justified: “{_WHY}”"),
            closes_case(AUDITOR, "justified", _WHY),
            "AUDITOR",
        ),
        allowed(
            ANASTA,
            Said("regarde qui est venu en urgence", "looks at who came in an emergency"),
            accesses(ANASTA),
            "HOLDER",
        ),
    ),
)
