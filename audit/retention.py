"""How long a log is kept, and what is said of entries that were erased. Pure.

Before anything is erased, an entry of kind `purge` is durable in a log of its own, `retention`: the log
whose entries go belongs to a service that may be running, and has one writer. That log is sealed like any
other, and nothing in it is ever erased.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from audit.entry import Entry
from audit.errors import Damage, LogDamagedError, RetentionError

RETENTION: Final = "retention"
"""The log that says what was erased from the others."""

KIND: Final = "purge"

_SHAPE: Final = re.compile(r"P(?!\Z)(?:(\d{1,4})Y)?(?:(\d{1,5})M)?(?:(\d{1,6})D)?", re.ASCII)
_EXAMPLES: Final = "write one like `P10Y`, `P42M` or `P3Y6M`"


@dataclass(frozen=True, slots=True)
class Period:
    """How long entries are kept: calendar months, then days."""

    months: int
    days: int
    text: str

    @classmethod
    def parse(cls, text: str) -> "Period":
        """Reads an ISO 8601 duration of years, months and days.

        Raises:
            RetentionError: it is none.
        """
        found = _SHAPE.fullmatch(text)
        if found is None:
            raise RetentionError(f"retention `{text}` is no duration in days or more: {_EXAMPLES}")
        years, months, days = (int(part or 0) for part in found.groups())
        return cls(12 * years + months, days, text)

    def before(self, instant: datetime) -> datetime:
        """The instant one period earlier; a day that its month lacks becomes the month's first next one.

        Raises:
            RetentionError: the calendar does not reach back so far.
        """
        years, month = divmod(instant.year * 12 + instant.month - 1 - self.months, 12)
        try:
            first = instant.replace(year=years, month=month + 1, day=1)
            return first + timedelta(days=instant.day - 1 - self.days)
        except (ValueError, OverflowError) as exc:
            raise RetentionError(f"retention `{self.text}`: no calendar begins so early") from exc


FLOOR: Final = Period.parse("P3Y")
"""Nothing is erased sooner, whatever the policies say (EHDS art. 9)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """That entries were to be erased: what an entry of kind `purge` says.

    Attributes:
        index: the place of that entry in the log of retention.
        at: its instant.
        log: whose entries.
        first: the first of them.
        end: the index behind the last.
        before: they were all recorded before this instant.
        retention: how long entries of that log are kept, in ISO 8601.
        by: who ran the command.
    """

    index: int
    at: str
    log: str
    first: int
    end: int
    before: str
    retention: str
    by: str

    def __str__(self) -> str:
        """The fate of its entries, in words."""
        kept = f"under retention {self.retention}" if self.retention else f"as before {self.before}"
        return f"erased on {self.at[:10]} {kept}"

    @classmethod
    def told(cls, index: int, entry: Entry) -> "Purge":
        """Reads the entry.

        Raises:
            LogDamagedError: it is no purge.
        """
        said: Mapping[str, Any] = entry.get("change", {})
        try:
            found = cls(
                index=index,
                at=entry["at"],
                log=said["log"],
                first=said["first"],
                end=said["end"],
                before=said["before"],
                retention=said["retention"],
                by=entry.get("subject", {}).get("name", ""),
            )
        except (KeyError, TypeError, AttributeError) as exc:
            what = f"it tells of no purge: {exc}"
            raise LogDamagedError(RETENTION, index, Damage.ALTERED, what) from exc
        texts = found.at, found.log, found.before, found.retention, found.by
        numbers = found.first, found.end
        kinds = {*map(type, texts)}, {*map(type, numbers)}
        if entry.get("kind") != KIND or kinds != ({str}, {int}):
            raise LogDamagedError(RETENTION, index, Damage.ALTERED, "it tells of no purge")
        return found


def draft(
    decision: str, *, log: str, first: int, end: int, before: str, retention: str, by: str
) -> dict[str, object]:
    """The entry of a purge, for `Log.append`; `decision` is its id, the rest as in `Purge`."""
    return {
        "id": decision,
        "kind": KIND,
        "caller": "dmp audit purge",
        "subject": {"kind": "operator", "name": by},
        "action": "log.purge",
        "patient": "",
        "change": {
            "log": log,
            "first": first,
            "end": end,
            "before": before,
            "retention": retention,
        },
    }
