"""Where the story of `dmp demo` is played: the services, and what has come of it so far."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from authz.v1 import authz_pb2 as authz
from clients.cli.audit.link import Audit
from clients.cli.cast import INS, NORMAL, Person
from clients.cli.link import RefusedError
from clients.cli.record.link import Record
from clients.cli.show import Language
from clients.sdk.procedures import Procedure
from clients.sdk.retry import Request, Response

Show = Callable[[Language], RenderableType]
"""Something to look at, in one language or the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of a deed.

    Attributes:
        decision: its id, in the log.
        refused: what the person was told, if it was a refusal.
        shown: what the person got to see.
    """

    decision: str
    refused: RefusedError | None = None
    shown: Show | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The record, the audit, where files go, and the documents by their names in the story."""

    record: Record
    audit: Audit
    folder: Path
    ids: dict[str, str] = field(default_factory=dict)

    def play(self, deed: "Deed") -> Played:
        """Does it; a refusal is an outcome, too.

        Raises:
            Error: there is no answer, or a request is malformed.
        """
        try:
            return deed(self)
        except RefusedError as exc:
            if not exc.decision_id:
                raise
            return Played(decision=exc.decision_id, refused=exc)

    def ask(self, procedure: Procedure[Request, Response], request: Request) -> Response:
        """One call to the record."""
        return self.record.ask(procedure, request)


Deed = Callable[[Stage], Played]


def about(who: Person, context: authz.Context = NORMAL) -> dict[str, Any]:
    """What nearly all requests begin with: who asks, how, about Anasta."""
    return {"subject": who.subject, "context": context, "patient": INS}
