"""The end of a dossier, which need not be one."""

from typing import Final

from clients.cli.cast import AGREED, ANASTA, CLOSING, DOCTOR, LABORATORY
from clients.cli.deeds import closes, deposits, lists, reads, reopens, traces
from clients.cli.scenes.creation import ANSWERS
from clients.cli.scenes.lines import Scene, allowed, denied
from clients.cli.show import Said

CLOSED: Final = Scene(
    title=Said("Le dossier est fermé, puis réactivé", "The dossier is closed, then opened again"),
    lead=Said(
        "Fermé, il ne se lit ni ne s'alimente ; Anasta voit toujours qui y est venu. Rien n'est perdu.",
        "Once closed it is neither read nor fed; Anasta still sees who was there. Nothing is lost.",
    ),
    lines=(
        allowed(
            DOCTOR,
            Said("ferme le dossier, à la demande d'Anasta", "closes the dossier, as Anasta asked"),
            closes(DOCTOR, CLOSING),
            "CLOSED_AT_REQUEST",
        ),
        denied(
            DOCTOR,
            Said("liste les documents", "lists the documents"),
            lists(DOCTOR),
            "DOSSIER_CLOSED",
        ),
        denied(
            LABORATORY,
            Said("dépose un bilan", "deposits a report"),
            deposits(LABORATORY, "report"),
            "DOSSIER_CLOSED",
        ),
        allowed(
            ANASTA,
            Said("lit la trace des accès", "reads the trace of accesses"),
            traces(ANASTA, shown=False),
            "HOLDER",
        ),
        allowed(
            DOCTOR,
            Said("le réactive, avec son accord", "opens it again, as she agrees"),
            reopens(DOCTOR, ANSWERS, AGREED),
            "CREATED_WITH_CONSENT",
        ),
        allowed(
            DOCTOR,
            Said("relit son compte rendu", "reads his note again"),
            reads(DOCTOR, "corrected", shown=True),
            "AUTHOR",
        ),
    ),
)
