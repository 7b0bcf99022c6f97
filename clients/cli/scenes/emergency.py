"""Emergencies: the centre 15, break-glass, and who is told of them."""

from typing import Final

from clients.cli.cast import ANASTA, CENTRE_15, EMERGENCY, REASONED, REGULATOR, STRANGER
from clients.cli.deeds import deposits, lists, notices, reads
from clients.cli.scenes.lines import READS_THE_NOTE, Scene, allowed, denied
from clients.cli.show import Said

SAMU: Final = Scene(
    title=Said("Le SAMU", "The SAMU"),
    lead=Said(
        "Sur un appel, le centre 15 consulte ; il n'écrit pas. La patiente en est prévenue.",
        "On a call, the centre 15 reads; it does not write. The patient is told of it.",
    ),
    lines=(
        allowed(REGULATOR, READS_THE_NOTE, reads(REGULATOR, "note", CENTRE_15), "CENTRE_15"),
        denied(
            REGULATOR,
            Said("dépose un document", "deposits a document"),
            deposits(REGULATOR, "call", context=CENTRE_15),
            "CENTRE_15_READS_ONLY",
        ),
    ),
)

BREAK_GLASS: Final = Scene(
    title=Said("Le bris de glace", "Break-glass"),
    lead=Said(
        "En urgence vitale, même un inconnu lit, s'il dit pourquoi ; chaque accès sera examiné.",
        "When life is at risk even a stranger reads, if he says why; each access is reviewed.",
    ),
    lines=(
        denied(
            STRANGER,
            Said("ouvre le dossier en urgence, sans motif", "opens it, no reason given"),
            lists(STRANGER, EMERGENCY),
            "BREAK_GLASS_REASON_MISSING",
        ),
        allowed(
            STRANGER,
            Said(
                "l'ouvre en urgence : « Patiente inconsciente aux urgences »",
                "opens it in an emergency: “Patiente inconsciente aux urgences”",
            ),
            lists(STRANGER, REASONED),
            "BREAK_GLASS",
        ),
        allowed(STRANGER, READS_THE_NOTE, reads(STRANGER, "note", REASONED), "BREAK_GLASS"),
        allowed(
            ANASTA,
            Said("regarde ce dont elle a été prévenue", "looks at what she was told"),
            notices(ANASTA),
            "HOLDER",
        ),
    ),
)
