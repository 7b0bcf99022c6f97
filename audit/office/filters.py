"""What an auditor asks for: read from the message, held against an entry, and as it goes on record. Pure."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

import orjson

from audit.entry import Entry, rfc3339
from audit.office import wire
from audit.office.gained import EMERGENCIES, NORMAL
from audit.office.veil import INS
from audit.v1 import audit_pb2 as pb
from serving import idnat
from serving.errors import RequestError, Violation

KINDS: Final = ("decision", "filter", "change", "activation", "start", "purge")
EFFECTS: Final = ("allow", "deny")
MODES: Final = (NORMAL, *EMERGENCIES)
MOST_VALUES: Final = 50
"""Values of one field: each of them is a search of its own."""

_LONGEST: Final = 128
_RECORD: Final = 380
"""Characters: with what is asked besides, less than a reason may have."""

_FEW: Final = 2
_BUNDLE: Final = re.compile(r"[0-9a-f]{8,64}")
_SHOWN: Final = 40
_LISTS: Final = (
    *("subjects", "structures", "documents", "actions", "rules", "reason_codes", "modes"),
    *("callers", "kinds", "logs"),
)
_CLOSED: Final[Mapping[str, Sequence[str]]] = {"modes": MODES, "kinds": KINDS}
_NUMBERS: Final = ("subjects", "structures")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which entries are wanted. What is empty does not narrow; of several values any one will do.

    Attributes:
        patient: INS.
        subjects: idNat_PS of professionals, or what other subjects are called by.
        structures: idNat_Struct.
        documents: their ids.
        actions: such as `document.read`.
        effect: allow or deny.
        rules: uids, one of which decided.
        reason_codes: of the answer.
        modes: normal, bris_de_glace, centre_15.
        emergency: emergencies only.
        since: the first instant wanted.
        until: the first instant that is not wanted any more.
        bundle: digest of the policies, or its first digits.
        callers: services that asked.
        kinds: of entries.
        logs: origins.
    """

    patient: str = ""
    subjects: tuple[str, ...] = ()
    structures: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    effect: str = ""
    rules: tuple[str, ...] = ()
    reason_codes: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    emergency: bool = False
    since: datetime | None = None
    until: datetime | None = None
    bundle: str = ""
    callers: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """What is asked, without what is not: the same question is the same document."""
        found: dict[str, Any] = {}
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if isinstance(value, datetime):
                found[name] = rfc3339(value)
            elif value:
                found[name] = list(value) if isinstance(value, tuple) else value
        return found

    def canonical(self) -> bytes:
        """The document as JSON, its keys sorted."""
        return orjson.dumps(self.document(), option=orjson.OPT_SORT_KEYS)

    def asked(self) -> dict[str, Any]:
        """The document as it goes on record with the decision, which names the patient already.

        What is too long for a reason is cut to the first values of each list, with SHA-256 of the whole.
        """
        found = self.document()
        found.pop("patient", None)
        if len(orjson.dumps(found).decode()) <= _RECORD:
            return found
        digest = hashlib.sha256(self.canonical()).hexdigest()
        short = {name: _cut(value) for name, value in found.items()}
        if len(orjson.dumps(short).decode()) + len(digest) > _RECORD:
            short = {name: len(v) if isinstance(v, list) else v for name, v in found.items()}
        return {**short, "sha256": digest}

    def fits(self, entry: Entry, *, origin: str, at: datetime) -> bool:
        """Whether an entry is wanted.

        Args:
            entry: its fields.
            origin: its log.
            at: its instant.
        """
        subject, mode = entry.get("subject", {}), entry.get("mode", NORMAL)
        given = {
            "subjects": subject.get("id", ""),
            "structures": subject.get("structure", ""),
            "documents": entry.get("document", {}).get("id", ""),
            "actions": entry.get("action", ""),
            "reason_codes": entry.get("reason_code", ""),
            "modes": mode,
            "callers": entry.get("caller", ""),
            "kinds": entry.get("kind", ""),
            "logs": origin,
        }
        return (
            all(
                not getattr(self, name) or value in getattr(self, name)
                for name, value in given.items()
            )
            and self.patient in ("", entry.get("patient", ""))
            and self.effect in ("", entry.get("effect", ""))
            and (not self.rules or not set(self.rules).isdisjoint(entry.get("rules", ())))
            and (not self.emergency or mode in EMERGENCIES)
            and entry.get("bundle", "").startswith(self.bundle)
            and (self.since is None or self.since <= at)
            and (self.until is None or at < self.until)
        )


def read(message: pb.Filter) -> Filter:
    """What a message asks for.

    An id that stood in a log once must be found for ever, so its form is judged only where it can be none.

    Raises:
        RequestError: all that is wrong with it, each field below `filter`.
    """
    wrong = list(_wrong(message))
    since, until = wire.period(message, wrong)
    if wrong:
        raise RequestError(wrong).below("filter")
    return Filter(
        patient=message.patient,
        effect=message.effect,
        emergency=message.emergency,
        since=since,
        until=until,
        bundle=message.bundle,
        **{name: tuple(sorted(set(getattr(message, name)))) for name in _LISTS},
    )


def _wrong(message: pb.Filter) -> Iterator[Violation]:
    if message.patient and not INS.fullmatch(message.patient):
        wrong = f"not an INS: {len(message.patient)} characters or other signs than digits"
        yield "patient", wrong, "give 22 digits (INS-C) or 15 characters (INS-NIR), without spaces"
    for name in _LISTS:
        values = getattr(message, name)
        if len(values) > MOST_VALUES:
            yield name, f"`{len(values)}` values", f"at most {MOST_VALUES}: ask several times"
        for place, value in enumerate(values[:MOST_VALUES]):
            yield from _value(message, name, f"{name}[{place}]", value)
    if message.effect and message.effect not in EFFECTS:
        yield "effect", f"unknown: `{hint(message.effect)}`", f"one of {', '.join(EFFECTS)}"
    if message.emergency and message.modes and NORMAL in message.modes:
        yield "modes", "`normal`, but emergencies only are wanted", "leave out one of both"
    if message.bundle and not _BUNDLE.fullmatch(message.bundle):
        cure = "give 8 to 64 digits of it, 0-9 and a-f, from its first one on"
        yield "bundle", f"not the beginning of a digest: `{hint(message.bundle)}`", cure


def _value(message: pb.Filter, name: str, where: str, value: str) -> Iterator[Violation]:
    known = _CLOSED.get(name)
    if known is not None:
        if value not in known:
            yield where, f"unknown: `{hint(value)}`", f"one of {', '.join(known)}"
    elif not value:
        yield where, "empty", "leave it out"
    elif len(value) > _LONGEST:
        yield where, f"{len(value)} characters", f"at most {_LONGEST}"
    elif not value.isprintable() or value != value.strip():
        yield where, "blank or unprintable characters", "give it as it stands in the log"
    elif name in _NUMBERS and idnat.as_issued(value) != value:
        yield where, "small letters in a number", "write it in capitals, as issued"
    elif name == "subjects" and value != message.patient and INS.fullmatch(value):
        cure = "name this patient in `patient`, too: the look stands in the patient's own trace"
        yield where, "a patient's number", cure


def _cut(value: object) -> object:
    """A list by its first values, and how many more there are."""
    if not isinstance(value, list) or len(value) <= _FEW:
        return value
    return [*value[:_FEW], f"+{len(value) - _FEW}"]


def hint(value: str) -> str:
    """A value as it may stand in a message: short, printable, and never a whole number of a patient."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value[:_SHOWN])
    return re.sub(r"[0-9]{10,}", "\N{HORIZONTAL ELLIPSIS}", clean)
