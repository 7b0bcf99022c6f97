"""What scenes are made of."""

from dataclasses import dataclass
from typing import Final

from authz.v1 import authz_pb2 as authz
from clients.cli.cast import Person
from clients.cli.show import Said
from clients.cli.stage import Deed

ALLOW: Final = "ALLOW"
DENY: Final = "DENY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that someone does, and what must become of it.

    Attributes:
        who: the one who asks.
        does: what, in words that follow the name.
        deed: it, done to the record.
        then: the effect that the story wants, ALLOW or DENY.
        because: the reason code that it wants.
        explained: what is asked of the decision point to learn why, too.
    """

    who: Person
    does: Said
    deed: Deed
    then: str
    because: str
    explained: authz.CheckRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Some lines on one subject.

    Attributes:
        title: of what it is.
        lead: what to look at.
        rows: what to know before, name beside value.
        lines: what happens.
        together: whether all lines are shown as a table.
    """

    title: Said
    lead: Said
    rows: tuple[tuple[Said, Said], ...] = ()
    lines: tuple[Line, ...] = ()
    together: bool = False


def allowed(who: Person, does: Said, deed: Deed, because: str) -> Line:
    """What is permitted."""
    return Line(who=who, does=does, deed=deed, then=ALLOW, because=because)


def denied(
    who: Person,
    does: Said,
    deed: Deed,
    because: str,
    *,
    explained: authz.CheckRequest | None = None,
) -> Line:
    """What is not."""
    return Line(who=who, does=does, deed=deed, then=DENY, because=because, explained=explained)


READS_THE_NOTE: Final = Said("lit le compte rendu", "reads the note")
READS_THE_REPORT: Final = Said("lit le bilan du laboratoire", "reads the laboratory report")
