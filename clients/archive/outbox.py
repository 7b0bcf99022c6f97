"""The obligations that the archive carries out by leaving a notice: one JSON object a line, in a file.

Whoever delivers them reads the file; here it is enough that a notice is on disk before anyone sees an image.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Final

from clients.sdk import Obligation
from clients.sdk.aio import Duty

NOTICES: Final = ("notify_holder", "notify_treating_doctor", "review")


class Outbox:
    """The file of notices."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def duties(self) -> dict[str, Duty]:
        """What the client needs to carry out obligations here."""
        return dict.fromkeys(NOTICES, self.leave)

    async def leave(self, obligation: Obligation) -> None:
        """Leaves the notice that an obligation asks for.

        Raises:
            OSError: it can't be written; then nobody gets the permit.
        """
        await asyncio.to_thread(self._write, obligation)

    def _write(self, obligation: Obligation) -> None:
        query, decision = obligation.query, obligation.decision
        notice = {
            "obligation": obligation.name,
            "decision": decision.id,
            "at": decision.at.isoformat(),
            "patient": query.patient,
            "action": query.action,
            "document": query.document.id if query.document else "",
            "mode": query.context.mode,
            "reason_code": decision.reason_code,
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(notice, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
