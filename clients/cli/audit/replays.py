"""`dmp audit replay`: whether what was decided comes out the same when it is decided again."""

from collections.abc import Iterator, Mapping
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from audit.v1 import audit_pb2 as pb
from clients.cli import show
from clients.cli.audit import entryshow
from clients.cli.audit.filtering import filtered
from clients.cli.audit.procedures import REPLAY
from clients.cli.audit.session import Session, command
from clients.cli.link import Error
from clients.cli.record.text import visible
from clients.cli.show import Language, Said

app = typer.Typer()

_SAME = Said("{} décisions donnent le même résultat", "{} decisions come out the same")
_DIFFERENT = Said("{} donnent un autre résultat", "{} come out otherwise")


@command(app)
@filtered
def replay(
    session: Session,
    *,
    wanted: pb.Filter,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="These; or else all of the filter."),
    ] = None,
) -> None:
    """Decide again what the log says was decided, from its facts and its policies.

    Examples:
      dmp audit replay 0198c5a0-7e1c-7d3a-9b57-3f5a1c9e2b44
      dmp audit replay --since 2d
      dmp audit replay --since 2026-11-01 --until 2026-12-01 --json

    Exit: 0 all the same, 1 one came out otherwise or the look is denied, 2 wrong usage, 3 no answer.
    """
    request = pb.ReplayRequest(subject=session.subject, filter=wanted, ids=ids or ())
    head = last = pb.ReplayResponse()
    different: list[pb.Replayed] = []
    for answer in session.stream(REPLAY, request):
        head = answer if answer.HasField("look") else head
        different += answer.different
        last = answer
    if not last.done:
        raise Error("the service ended before it was done: its log says why")
    if session.as_json:
        del last.different[:]
        last.different.extend(different)
        session.tell(show.as_data(last))
    else:
        session.print(*_told(last, different, session.language))
        session.print(*entryshow.footer(head.look, head.standing, session.language))
    if different:
        raise typer.Exit(1)


def _told(
    last: pb.ReplayResponse, different: list[pb.Replayed], language: Language
) -> Iterator[RenderableType]:
    yield Text(_SAME.text(language).format(last.same), style="green")
    yield from _others(last.not_replayed)
    if different:
        yield Text(_DIFFERENT.text(language).format(len(different)), style="bold red")
    for one in different:
        yield Text(f"  {one.id}  {visible(one.log)}#{one.index}", style="bold")
        for field in one.differences:
            yield Text(visible(f"    {field.field}: {field.recorded} -> {field.replayed}"))


def _others(why: Mapping[str, int]) -> Iterator[Text]:
    """Those that were not decided again, by why."""
    for reason, count in sorted(why.items()):
        yield Text(f"{count}  {reason}", style="dim")
