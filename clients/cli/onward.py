"""What to try after the story of `dmp demo`: commands that can be copied."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

from clients.cli.cast import INS, PHARMACIST
from clients.cli.child import Service
from clients.cli.show import Said

CARD_FILE: Final = "card.yaml"


def commands(
    service: Service, record: Service, audit: Service, *, once: bool, kept: bool
) -> tuple[list[tuple[str, Said]], Said]:
    """What to try next, in words that can be copied; and where the services are by then."""
    dmp, folder = _program(), service.folder
    policies = (
        f"{dmp} policy test",
        Said("les règles devant leurs cas", "the rules on their cases"),
    )
    if not once:
        card = shlex.quote(str(folder / CARD_FILE))
        settings = {
            "export DMP_DOSSIER": record.address,
            "DMP_AUTHZ": service.address,
            "DMP_DATABASE": service.database,
            "DMP_DOSSIER_DATABASE": record.record,
            "DMP_AUDIT": audit.address,
            "DMP_EVIDENCE": str(service.evidence),
        }
        pharmacist = f"--id {PHARMACIST.subject.id} --profession 21 --patient {INS}"
        return [
            (
                " ".join(f"{name}={shlex.quote(value)}" for name, value in settings.items()),
                Said("dans un autre terminal, d'abord", "in another terminal, first"),
            ),
            (f"{dmp} dossier card {card}", Said("la carte", "the card")),
            (
                f"{dmp} dossier list {INS}",
                Said("les documents, pour Dr MEDECIN3857", "the documents, to Dr MEDECIN3857"),
            ),
            (
                f"{dmp} dossier pathway {INS} --as treating",
                Said("le parcours de soins", "the care pathway"),
            ),
            (
                f"{dmp} dossier trace {INS} --as patient",
                Said("qui est venu, pour Anasta", "who came, to Anasta"),
            ),
            (
                f"{dmp} check {pharmacist} --document-type 11502-2",
                Said(
                    "pourquoi non, et ce qui en ferait un oui",
                    "why not, and what would make it yes",
                ),
            ),
            (
                f"{dmp} audit query --effect deny",
                Said("les refus, pour l'auditrice", "what was refused, to the auditor"),
            ),
            (
                f"{dmp} audit accesses {INS} --as patient --format html -o accesses.html",
                Said("qui est venu, à garder", "who came, to keep"),
            ),
            (f"{dmp} log tail", Said("le journal, qui a suivi", "the log, which went along")),
            (f"{dmp} audit verify", Said("… et sa preuve", "... and its proof")),
            (
                f"{dmp} audit completeness",
                Said("un acte, une décision", "one act, one decision"),
            ),
            policies,
        ], Said(
            f"Les services répondent sur {record.address}, {service.address} et {audit.address},"
            " jusqu'à Ctrl-C.",
            f"The services go on answering at {record.address}, {service.address} and {audit.address},"
            " until Ctrl-C.",
        )
    log = f"{dmp} log tail --database {shlex.quote(service.database)}"
    return [
        *([(log, Said("le journal, gardé", "the log, which was kept"))] if kept else []),
        (
            f"{dmp} demo",
            Said(
                "la même histoire, et les services demeurent",
                "the story again, and the services stay",
            ),
        ),
        (f"{dmp} serve authz", Said("un point de décision à soi", "a decision point of your own")),
        (f"{dmp} serve dossier", Said("… un dossier", "... a record")),
        (f"{dmp} serve audit", Said("… et un audit", "... and an audit")),
        (
            f"{dmp} dossier find {INS}",
            Said("l'interroger, d'un autre terminal", "ask it, from another terminal"),
        ),
        policies,
    ], Said(
        "Les services de cette histoire sont arrêtés.", "The services of this story have stopped."
    )


def _program() -> str:
    """How `dmp` is called here."""
    beside = Path(sys.executable).with_name("dmp")
    if shutil.which("dmp") or not beside.is_file():
        return "dmp"
    try:
        return shlex.quote(str(beside.relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(beside))
