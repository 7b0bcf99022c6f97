"""What several commands of the audit say alike: heads of tables, and how a list ends."""

from collections.abc import Iterator
from typing import Final

from rich.text import Text

from audit.v1 import audit_pb2 as pb
from clients.cli.show import Language, Said

WHEN: Final = Said("quand (Paris)", "when (Paris)")
WHO: Final = Said("qui", "who")
WHAT: Final = Said("quoi", "what")
ACT: Final = Said("acte", "act")
PATIENT: Final = Said("patient", "patient")
REASON: Final = Said("motif", "reason")

_MORE: Final = Said("il y en a d'autres : --all", "there are more: --all")
_LATE: Final = Said(
    "{} entrées très récentes manquent encore", "{} very recent entries are yet to come"
)


def ending(cursor: str, standing: pb.Standing, language: Language) -> Iterator[Text]:
    """That there is more, and how much is not in it yet."""
    if cursor:
        yield Text(_MORE.text(language), style="dim")
    yield from late(standing, language)


def late(standing: pb.Standing, language: Language) -> Iterator[Text]:
    """How much is not in it yet."""
    if standing.behind:
        yield Text(_LATE.text(language).format(standing.behind), style="yellow")
