"""Whatever an answer holds, a terminal shows it as text: nothing in it steers the terminal or is markup."""

import io
from datetime import UTC, datetime

import pytest
from google.protobuf.message import Message
from rich.console import Console

from audit.v1 import audit_pb2 as pb
from clients.cli.audit import caseshow, entryshow
from clients.cli.show import Language

HOSTILE = "[red]a\x1b[2J\u202eb\x07[/red]"
VIEWS = {
    "show": (pb.ShowResponse, entryshow.sheet),
    "query": (pb.QueryResponse, entryshow.page),
    "count": (pb.CountResponse, entryshow.counted),
    "cases": (pb.ListCasesResponse, caseshow.queue),
    "case": (pb.ReadCaseResponse, caseshow.whole),
    "statistics": (pb.CountCasesResponse, caseshow.counts),
    "unusual": (pb.ListUnusualResponse, caseshow.signs),
}


def fill(message: Message) -> Message:
    """A message in which each text is hostile, to any depth."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None:
            if field.type == field.TYPE_STRING:
                given = [HOSTILE] if field.is_repeated else HOSTILE
                message.MergeFrom(type(message)(**{field.name: given}))
        elif field.message_type.full_name == "google.protobuf.Timestamp":
            getattr(message, field.name).FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
        elif field.is_repeated:
            fill(getattr(message, field.name).add())
        else:
            fill(getattr(message, field.name))
    return message


@pytest.mark.parametrize("erased", [True, False])
@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("name", VIEWS)
def test_answers_are_text(name, language, erased):
    """In no view does a text of the answer reach the terminal as it is."""
    kind, view = VIEWS[name]
    answer = fill(kind())
    for entry in [getattr(answer, "entry", None), *getattr(answer, "entries", ())]:
        if entry is not None and not erased:
            entry.erased = ""
    console = Console(file=io.StringIO(), width=240)
    for shown in view(answer, language):
        console.print(shown)
    told = console.file.getvalue()
    assert "[" in told
    assert not {"\x1b", "\u202e", "\x07"} & set(told)
