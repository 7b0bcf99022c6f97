"""The patient's view as a file for spreadsheets: a line each, and no cell that one of them would compute."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Final

from audit.office.export.delimited import safe
from audit.v1 import audit_pb2 as pb
from clients.cli.audit import patientwords as words
from serving.days import FRANCE

COLUMNS: Final = (
    *("at", "at_france", "effect", "person_kind", "person", "person_id", "profession"),
    *("organisation", "organisation_id", "action", "category", "space", "type", "document"),
    *("origin", "mode", "reason", "why_fr", "why_en", "reason_code", "service", "review"),
    *("by_audit", "asked_besides", "about", "decision"),
)

_MARK: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"
"""By which spreadsheets know UTF-8."""


def write(accesses: Iterable[pb.Access]) -> str:
    """All of it, in UTF-8 with a mark, as RFC 4180 has it."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\r\n")
    lines.writerow(COLUMNS)
    for one in accesses:
        lines.writerow(map(safe, _cells(one)))
    return _MARK + text.getvalue()


def _cells(of: pb.Access) -> Iterator[str]:
    at = of.at.ToDatetime(tzinfo=UTC)
    yield at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    yield f"{at.astimezone(FRANCE):%Y-%m-%d %H:%M:%S}"
    yield of.effect
    yield of.who.kind
    yield of.who.name
    yield of.who.id
    yield of.who.profession
    yield of.who.structure_name
    yield of.who.structure
    yield of.action
    yield of.category
    yield of.space
    yield of.type
    yield of.document
    yield of.origin
    yield of.mode
    yield ": ".join(filter(None, (of.reason.code, of.reason.text)))
    yield of.fr
    yield of.en
    yield of.reason_code
    yield of.service
    yield of.review
    yield "yes" if of.audit else "no"
    yield words.further(of).en
    yield of.about
    yield of.decision_id
