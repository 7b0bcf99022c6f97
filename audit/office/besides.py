"""Which entries are no acts: what a service asks besides, to find out what somebody may be told. Pure.

When a document is refused, the dossier asks two more things under the same trace: whether the same is said
of documents that there are none of, and which documents the person would find in a list (`dossier.gate`).
Each is on record. To show them as attempts of that person would be wrong; to drop them would let whoever
chooses the trace hide a list behind a refusal. So they are told in the line of the refusal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from audit.entry import Entry
from audit.office.gained import NORMAL
from audit.office.policies import SECRET, Policies
from audit.office.view import DENY, LIST

NEAR_US: Final = 10_000_000
"""How far what is asked besides may be from what it is about, in microseconds: no call takes as long."""

_NOWHERE: Final = "unknown"
"""Id and type of a document that nobody has."""

Key = tuple[int, int, int]
"""Instant, number of the log, and index there: the order in which entries are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An entry with what is needed to judge it."""

    key: Key
    entry: Entry
    policies: Policies | None


def may_be_besides(entry: Entry) -> bool:
    """Whether an entry can be something that was asked besides."""
    return bool(entry.get("trace_id")) and (is_probe(entry) or _is_list(entry))


def may_have_besides(entry: Entry) -> bool:
    """Whether an entry is a refusal after which more may be asked."""
    refused = entry.get("effect") == DENY and "document" in entry
    return bool(entry.get("trace_id")) and refused and not is_probe(entry)


def is_probe(entry: Entry) -> bool:
    """Whether it was asked of a document that nobody has, and refused."""
    document = entry.get("document", {})
    named = (document.get("id"), document.get("type"))
    return named == (_NOWHERE, _NOWHERE) and entry.get("effect") == DENY


def owner(one: Seen, around: Sequence[Seen]) -> Seen | None:
    """The refusal that something was asked besides of: the last one before it of the same call.

    Args:
        one: what may have been asked besides.
        around: all entries of the same person about the same patient within `NEAR_US`, in their order.
    """
    if not may_be_besides(one.entry):
        return None
    owners = [seen for seen in around if _belongs(one, seen)]
    before = [seen for seen in owners if seen.key < one.key]
    # Another replica's clock may be a little ahead.
    after = [seen for seen in owners if seen.key > one.key and seen.key[1] != one.key[1]]
    return before[-1] if before else next(iter(after), None)


def besides(of: Seen, around: Sequence[Seen]) -> Iterator[Seen]:
    """What was asked besides of a refusal.

    Args:
        of: the refusal.
        around: as for `owner`, within twice `NEAR_US`.
    """
    for one in around:
        found = owner(one, [seen for seen in around if _is_near(one, seen)])
        if found is not None and found.key == of.key:
            yield one


def _belongs(one: Seen, refusal: Seen) -> bool:
    mine, other = one.entry, refusal.entry
    same = all(mine.get(name) == other.get(name) for name in ("trace_id", "caller", "patient"))
    return (
        same
        and may_have_besides(other)
        and _is_near(one, refusal)
        and mine.get("subject", {}) == other.get("subject", {})
        and mine.get("mode", NORMAL) == other.get("mode", NORMAL)
        and _secret(one) == _secret(refusal)
        and (_is_list(mine) or mine.get("action") == other.get("action"))
    )


def _is_list(entry: Entry) -> bool:
    return (
        entry.get("kind") == "filter"
        and entry.get("action") == LIST
        and entry.get("mode", NORMAL) == NORMAL
    )


def _is_near(one: Seen, other: Seen) -> bool:
    return abs(one.key[0] - other.key[0]) <= NEAR_US


def _secret(one: Seen) -> object:
    return None if one.policies is None else one.policies.fact(one.entry, SECRET[0])
