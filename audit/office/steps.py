"""Entries that are a step of a case, or may be: accesses in an emergency, reviews, reports. Pure."""

import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final
from uuid import UUID

from audit.entry import Entry
from audit.office.gained import EMERGENCIES, Gained, instant, micros
from audit.office.handles import Handles
from serving import duration
from serving.errors import DurationError

CONSULTING: Final = ("document.list", "document.read", "dossier.read")
FEEDING: Final = ("document.deposit", "document.replace")
ACTIONS: Final = frozenset((*CONSULTING, *FEEDING))
"""What opens a case when it is done in an emergency (CSP L.1111-17 I)."""

REVIEW: Final = "emergency.review"
REPORT: Final = "obligation.report"
STANDING: Final = "standing.set"

OBLIGATIONS: Final = {"notify_holder": 1, "notify_treating_doctor": 2}
"""The obligations of an emergency access whose carrying out is followed (CSP R.1111-48), each a bit."""

WINDOW: Final = ("emergency.case_window", "PT24H")
REVIEW_WITHIN: Final = ("emergency.review_within", "P7D")
MISUSE_LASTS: Final = ("emergency.misuse_lasts", "P1Y")
"""Parameters, and what they are where the policies are not kept, or don't have them."""


class State(IntEnum):
    """Of a case; also the verdict of a review, where `OPEN` is none."""

    OPEN = 0
    JUSTIFIED = 1
    MISUSE = 2


VERDICTS: Final = {"justified": State.JUSTIFIED, "misuse": State.MISUSE}


class Standing(IntEnum):
    """What reviews have left a professional with."""

    NONE = 0
    OVERDUE = 1
    MISUSE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """An allowed access in an emergency.

    Attributes:
        at: its instant, microseconds since 1970, as all instants here.
        log: the number of its log in the index.
        place: there.
        id: of the decision, 16 bytes.
        professional: whose access, as all persons here a handle.
        structure: for which it was.
        patient: to whose dossier.
        mode: place in `EMERGENCIES`, from 1.
        until: accesses before this instant belong to the case that this one opens.
        due: when that case must have been reviewed.
        owes: bits of `OBLIGATIONS`.
    """

    at: int
    log: int
    place: int
    id: bytes
    professional: int
    structure: int
    patient: int
    mode: int
    until: int
    due: int
    owes: int

    @property
    def group(self) -> tuple[int, int, int]:
        """What accesses of one case have in common."""
        return self.professional, self.patient, self.log


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A decision on a review: `about` a case, of an access of `professional` to `patient`, by `who`.

    Attributes:
        verdict: `OPEN` where it was denied, or said neither.
        until: how long a misuse stands against the professional.
    """

    at: int
    log: int
    place: int
    id: bytes
    about: bytes
    professional: int
    patient: int
    who: int
    verdict: State
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """That obligations (bits of `OBLIGATIONS`) of the decision `about` were carried out, for `patient`."""

    at: int
    log: int
    place: int
    id: bytes
    about: bytes
    patient: int
    done: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """That the decision point was told a professional's standing."""

    at: int
    log: int
    place: int
    id: bytes
    professional: int
    standing: Standing


Step = Access | Review | Report | Told


def read(one: Gained, handles: Handles) -> Step | None:
    """The step that an entry is, if any."""
    entry = one.entry
    action = entry.get("action", "")
    if action in ACTIONS:
        return _access(one, handles) if one.emergency else None
    if action == REVIEW:
        return _review(one, handles)
    if action == REPORT:
        return _report(one, handles)
    return _told(one, handles) if action == STANDING else None


def _access(one: Gained, handles: Handles) -> Access | None:
    entry = one.entry
    subject, patient = entry.get("subject", {}), entry.get("patient", "")
    if entry.get("effect") != "allow" or not (subject.get("id") and patient):
        return None
    owes = sum(OBLIGATIONS.get(name, 0) for name in set(entry.get("obligations", ())))
    return Access(
        at=one.at,
        log=one.log,
        place=one.index,
        id=one.id,
        professional=handles.person(subject["id"]),
        structure=handles.structure(subject.get("structure", "")),
        patient=handles.person(patient),
        mode=EMERGENCIES.index(entry["mode"]) + 1,
        until=_after(one, WINDOW),
        due=_after(one, REVIEW_WITHIN),
        owes=owes,
    )


def _review(one: Gained, handles: Handles) -> Review | None:
    entry = one.entry
    about = _about(entry)
    if about is None:
        return None
    allowed = entry.get("effect") == "allow"
    code = entry.get("reason", {}).get("code", "")
    return Review(
        at=one.at,
        log=one.log,
        place=one.index,
        id=one.id,
        about=about,
        professional=handles.person(entry.get("target", {}).get("id", "")),
        patient=handles.person(entry.get("patient", "")),
        who=_reviewer(entry, handles),
        verdict=VERDICTS.get(code, State.OPEN) if allowed else State.OPEN,
        until=_after(one, MISUSE_LASTS),
    )


def _reviewer(entry: Entry, handles: Handles) -> int:
    """Who reviewed; 0 where the id only looks like another one, as its own would to a reader."""
    id_ = entry.get("subject", {}).get("id", "")
    return handles.person(id_) if id_ == unicodedata.normalize("NFKC", id_) else 0


def _report(one: Gained, handles: Handles) -> Report | None:
    entry = one.entry
    about = _about(entry)
    done = OBLIGATIONS.get(entry.get("reason", {}).get("code", ""), 0)
    if about is None or not done or entry.get("effect") != "allow":
        return None
    return Report(
        at=one.at,
        log=one.log,
        place=one.index,
        id=one.id,
        about=about,
        patient=handles.person(entry.get("patient", "")),
        done=done,
    )


def _told(one: Gained, handles: Handles) -> Told | None:
    entry = one.entry
    name = str(entry.get("change", {}).get("standing", "")).upper()
    professional = entry.get("target", {}).get("id", "")
    if entry.get("effect") != "allow" or name not in Standing.__members__ or not professional:
        return None
    return Told(
        at=one.at,
        log=one.log,
        place=one.index,
        id=one.id,
        professional=handles.person(professional),
        standing=Standing[name],
    )


def _about(entry: Entry) -> bytes | None:
    try:
        return UUID(entry["about"]).bytes
    except (KeyError, ValueError):
        return None


def _after(one: Gained, parameter: tuple[str, str]) -> int:
    name, default = parameter
    value = one.policies.parameter(name) if one.policies else None
    return micros(later(instant(one.at), value, default))


def later(at: datetime, value: object, default: str) -> datetime:
    """The instant one duration later; the default, where the value is none or leads out of the calendar."""
    for text in (str(value), default):
        with suppress(DurationError, ValueError, OverflowError):
            return duration.parse(text).after(at)
    return at
