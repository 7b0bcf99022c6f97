"""Which entries are no acts: what a service asks besides, to find out what somebody may be told. Pure.

When a document is refused, the dossier asks two more things under the same trace: whether the same is said
of documents that there are none of, and which documents the person would find in a list (`dossier.gate`).
Each is on record. To show them as attempts of that person would be wrong; to drop them would let whoever
chooses the trace hide a list behind a refusal. So they are told in the line of the refusal.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from audit.entry import Entry
from audit.office.gained import NORMAL
from audit.office.policies import SECRET, Policies
from audit.office.view import DENY, LIST

NEAR_US: Final = 10_000_000
"""How far what is asked besides may be from what it is about, in microseconds: no call takes as long."""

_NOWHERE: Final = "unknown"
"""Id and type of a document that nobody has."""

_KEPT: Final = ("id", "action", "effect")
"""What is told of something that was asked besides."""

Key = tuple[int, int, int]
"""Instant, number of the log, and index there: the order in which entries are shown."""

Call = tuple[object, ...]
"""What all entries of one call have in common."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noted:
    """What matters here of an entry that is a refusal, or may have been asked besides of one."""

    key: Key
    call: Call
    entry: Entry
    is_refusal: bool
    is_list: bool


class Besides:
    """What somebody asked about one patient: which of it was asked besides of what.

    Entries are read once, in slots of time, and each call is gone through once: what a page costs grows with
    the entries around its lines and no faster, so that nobody hides anything behind a flood of them.
    """

    def __init__(self, read: Callable[[str, int, int], Iterable[Seen]]) -> None:
        """Reads nothing yet.

        Args:
            read: the entries of a person about the patient, from an instant to before another, in order.
        """
        self._read = read
        self._slots: dict[tuple[str, int], Sequence[_Noted]] = {}
        self._owners: dict[tuple[str, int], dict[Key, Key]] = {}
        self._asked: dict[tuple[str, int], dict[Key, list[Entry]]] = {}

    def has_owner(self, one: Seen) -> bool:
        """Whether an entry was asked besides: of the last refusal before it of the same call."""
        if not may_be_besides(one.entry):
            return False
        return one.key in self._owned(_person(one), _slot(one.key))

    def of(self, refusal: Seen) -> list[Entry]:
        """What was asked besides of a refusal: of each entry id, action and effect."""
        if not may_have_besides(refusal.entry):
            return []
        person, slot = _person(refusal), _slot(refusal.key)
        near = (self._by_owner(person, one) for one in (slot - 1, slot, slot + 1))
        return [entry for found in near for entry in found.get(refusal.key, ())]

    def _by_owner(self, person: str, slot: int) -> dict[Key, list[Entry]]:
        if (person, slot) not in self._asked:
            owned, found = self._owned(person, slot), dict[Key, list[Entry]]()
            for one in self._noted(person, slot):
                if one.key in owned:
                    found.setdefault(owned[one.key], []).append(one.entry)
            self._asked[person, slot] = found
        return self._asked[person, slot]

    def _owned(self, person: str, slot: int) -> dict[Key, Key]:
        """Of the entries in a slot that were asked besides: the refusals that they belong to."""
        if (person, slot) not in self._owners:
            refusals: dict[Call, dict[int, list[Key]]] = {}
            for one in (n for s in (slot - 1, slot, slot + 1) for n in self._noted(person, s)):
                if one.is_refusal:
                    for call in (one.call, (*one.call, one.entry.get("action"))):
                        refusals.setdefault(call, {}).setdefault(one.key[1], []).append(one.key)
            self._owners[person, slot] = {
                one.key: owner
                for one in self._noted(person, slot)
                if not one.is_refusal and (owner := _owner(one, refusals)) is not None
            }
        return self._owners[person, slot]

    def _noted(self, person: str, slot: int) -> Sequence[_Noted]:
        if (person, slot) not in self._slots:
            seen = self._read(person, slot * NEAR_US, (slot + 1) * NEAR_US)
            self._slots[person, slot] = list(_notes(seen))
        return self._slots[person, slot]


def _owner(one: _Noted, refusals: Mapping[Call, Mapping[int, Sequence[Key]]]) -> Key | None:
    """The refusal that something was asked besides of; a probe asks for what was refused."""
    call = one.call if one.is_list else (*one.call, one.entry.get("action"))
    before: list[Key] = []
    after: list[Key] = []
    for log, keys in refusals.get(call, {}).items():
        at = bisect_left(keys, one.key)
        before += keys[at - 1 : at] if at else ()
        if log != one.key[1]:  # another replica's clock may be a little ahead
            after += keys[at : at + 1]
    found = max(before, default=None)
    if found is not None and _is_near(found, one.key):
        return found
    found = min(after, default=None)
    return found if found is not None and _is_near(found, one.key) else None


def _notes(seen: Iterable[Seen]) -> Iterator[_Noted]:
    for one in seen:
        is_refusal = may_have_besides(one.entry)
        if is_refusal or may_be_besides(one.entry):
            yield _Noted(
                key=one.key,
                call=_call(one),
                entry=cast("Entry", {name: one.entry.get(name, "") for name in _KEPT}),
                is_refusal=is_refusal,
                is_list=_is_list(one.entry),
            )


def _call(one: Seen) -> Call:
    entry = one.entry
    named = (entry.get(name) for name in ("trace_id", "caller", "patient"))
    subject = sorted(entry.get("subject", {}).items())
    return (*named, tuple(subject), entry.get("mode", NORMAL), _secret(one))


def _person(one: Seen) -> str:
    return one.entry.get("subject", {}).get("id", "")


def _slot(key: Key) -> int:
    return key[0] // NEAR_US


def _is_list(entry: Entry) -> bool:
    return (
        entry.get("kind") == "filter"
        and entry.get("action") == LIST
        and entry.get("mode", NORMAL) == NORMAL
    )


def _is_near(one: Key, other: Key) -> bool:
    return abs(one[0] - other[0]) <= NEAR_US


def _secret(one: Seen) -> object:
    return None if one.policies is None else one.policies.fact(one.entry, SECRET[0])
