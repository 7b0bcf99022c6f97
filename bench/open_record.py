"""`python -m bench.open_record`: the dossier without its question: everything is permitted, nobody is asked.

What the decision costs is the difference to the real one. It takes the arguments of `python -m dossier`.
"""

import sys
from collections.abc import Sequence
from unittest.mock import patch

from audit.entry import uuid7s
from clients.sdk import Context, Decision, Effect, Permit, Query, Subject, Told
from clients.sdk.changes import Change
from clients.sdk.condition import Clause, Condition
from clients.sdk.filterpermit import FilterPermit
from dossier import __main__ as program
from dossier import service
from serving.clock import utc_now


class Open:
    """Says yes to everything, at once."""

    def __init__(self, *_: object) -> None:
        self._number = 0

    async def require(self, query: Query, **_: object) -> Permit:
        """A permit."""
        return Permit(query, self._yes())

    async def require_each(self, queries: Sequence[Query], **_: object) -> tuple[Permit, ...]:
        """A permit for each."""
        return tuple(Permit(query, self._yes()) for query in queries)

    async def require_filter(
        self, subject: Subject, action: str, patient: str, *, context: Context, **_: object
    ) -> FilterPermit:
        """A permit to list everything."""
        query = Query(subject=subject, action=action, patient=patient, context=context)
        return FilterPermit(Permit(query, self._yes()), Condition(allow=(Clause(),)))

    async def change(
        self, subject: Subject, patient: str, change: Change, *, context: Context, **_: object
    ) -> Permit:
        """A permit for a change that nobody makes."""
        query = Query(subject=subject, action=change.action, patient=patient, context=context)
        return Permit(query, self._yes())

    async def close(self) -> None:
        """Nothing is open."""

    def _yes(self) -> Decision:
        self._number += 1
        ms = int(utc_now().timestamp() * 1000)
        (id_,) = uuid7s(ms, self._number.to_bytes(10, "big"))
        return Decision(
            id=id_,
            effect=Effect.ALLOW,
            reason_code="OPEN",
            told=Told(fr="", en=""),
            rules=(),
            obligations=(),
            remarks=(),
            bundle="",
            revision=0,
            at=utc_now(),
        )


def main() -> int:
    """Serves as the dossier does, but for the question."""
    with patch.object(service, "reach", Open):
        return program.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
