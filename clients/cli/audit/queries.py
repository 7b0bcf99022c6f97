"""`dmp audit query`, `tail` and `show`: the log as an auditor asks it."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from audit.v1 import audit_pb2 as pb
from clients.cli import show as shown
from clients.cli.audit import entryshow
from clients.cli.audit.exports import FILES, Format, Output, opened, save
from clients.cli.audit.filtering import filtered
from clients.cli.audit.following import followed
from clients.cli.audit.procedures import COUNT, QUERY, SHOW
from clients.cli.audit.session import Session, command
from clients.cli.link import Error

app = typer.Typer()

AT_ONCE: Final = 500


@command(app)
@filtered
def query(
    session: Session,
    *,
    wanted: pb.Filter,
    limit: Annotated[
        int, typer.Option("-n", "--limit", min=0, help="So many at most; 0 for all.")
    ] = 50,
    oldest: Annotated[
        bool, typer.Option("--oldest-first", help="Else the latest come first.")
    ] = False,
    cursor: Annotated[str, typer.Option("--cursor", help="Where the last page ended.")] = "",
    count: Annotated[
        list[str] | None,
        typer.Option(
            "--count",
            metavar="FACET",
            help="How many, by: effect, action, mode, reason_code, rule, caller, kind, log, structure, "
            "subject, day (UTC); `all` for the number alone; may be repeated.",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="As tail -f: oldest first, until Ctrl-C.")
    ] = False,
    form: Annotated[
        Format, typer.Option("--format", help="Other than table and json: all of it, as a file.")
    ] = Format.TABLE,
    output: Output = None,
) -> None:
    """Ask the log who was permitted what, and why.

    Patients are shown by pseudonym, unless one is named: that look then stands in that patient's own trace.

    Examples:
      dmp audit query --since 2d --effect deny
      dmp audit query --who 00B1038575 --action document.read --limit 0 --json
      dmp audit query --emergency --since 2026-11-01 --count structure --count day
      dmp audit query --patient 1541187387477485562488 --format csv -o accesses.csv

    Exit: 0 shown, 1 denied, 2 wrong usage, 3 no answer.
    """
    form = Format.JSON if session.as_json and form is Format.TABLE else form
    _check(form, output, counted=bool(count), follow=follow)
    if count:
        _count(session, wanted, count)
    elif form in FILES:
        save(session, wanted, form, output)
    elif follow:
        _follow(session, wanted, form=form, last=min(limit, AT_ONCE))
    else:
        _pages(session, wanted, limit, cursor, oldest=oldest, form=form)


@command(app)
@filtered
def tail(
    session: Session,
    *,
    wanted: pb.Filter,
    n: Annotated[int, typer.Option("-n", min=0, max=1000, help="How many entries.")] = 20,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Print the last entries, oldest first, and with -f those that come.

    Examples:
      dmp audit tail
      dmp audit tail -f --emergency
      dmp audit tail -f --effect deny --json | jq -r .reason_code

    Exit: 0 done, 1 denied, 2 wrong usage, 3 no answer.
    """
    form = Format.JSON if session.as_json else Format.TABLE
    if follow:
        _follow(session, wanted, form=form, last=n)
        return
    request = pb.QueryRequest(subject=session.subject, filter=wanted, page_size=max(1, n))
    for answer in session.stream(QUERY, request):
        _print(session, list(reversed(answer.entries[:n])), form=form, header=True)


@command(app, "show")
def show_entry(
    session: Session,
    *,
    wanted: Annotated[
        str, typer.Argument(metavar="ID", help="Of the decision, or its place as LOG#INDEX.")
    ],
    identify: Annotated[
        bool,
        typer.Option("--identify", help="In clear; on record in the patient's own trace."),
    ] = False,
    receipt: Annotated[
        Path | None,
        typer.Option("--receipt", metavar="FILE", help="The proof, where nothing is withheld."),
    ] = None,
) -> None:
    """Show one entry: what was asked, what was true, which rules decided, and whether it comes out again.

    Examples:
      dmp audit show 0198c5a0-7e1c-7d3a-9b57-3f5a1c9e2b44
      dmp audit show authz-1#41 --identify --receipt 41.tlog-proof

    Exit: 0 shown, 1 denied or not there, 2 wrong usage, 3 no answer.
    """
    request = pb.ShowRequest(
        subject=session.subject, id=wanted, language=session.language.value, identify=identify
    )
    answer = session.ask(SHOW, request)
    if receipt is not None:
        if not answer.receipt:
            cure = "wait until it is sealed" if identify or answer.entry.bytes else "add --identify"
            raise Error(f"--receipt: there is none of what is shown: {cure}")
        with opened(receipt) as file:
            file.write(answer.receipt)
    session.show(answer, *entryshow.sheet(answer, session.language))


def _check(form: Format, output: Path | None, *, counted: bool, follow: bool) -> None:
    if output is not None and (form not in FILES or counted):
        raise Error(f"-o: give --format, one of {', '.join(FILES)}")
    if form is Format.PARQUET and output is None:
        raise Error("--format parquet: it is no text: name a file with -o")
    if follow and (form in FILES or counted):
        raise Error("--follow goes with the formats table and json alone")


def _count(session: Session, wanted: pb.Filter, facets: list[str]) -> None:
    asked = [one for one in facets if one != "all"]
    request = pb.CountRequest(subject=session.subject, filter=wanted, facets=asked)
    answer = session.ask(COUNT, request)
    session.show(answer, *entryshow.counted(answer, session.language))


def _pages(
    session: Session, wanted: pb.Filter, limit: int, cursor: str, *, oldest: bool, form: Format
) -> None:
    size = min(limit or AT_ONCE, AT_ONCE)
    request = pb.QueryRequest(
        subject=session.subject,
        filter=wanted,
        page_size=size,
        cursor=cursor,
        ascending=oldest,
        pages=-(-limit // size) if limit else 10_000,
    )
    left = limit or sys.maxsize
    for answer in session.stream(QUERY, request):
        if len(answer.entries) > left:  # and so its cursor would leave some out
            del answer.entries[left:]
            answer.ClearField("cursor")
        left -= len(answer.entries)
        if form is Format.JSON:
            session.tell(shown.as_data(answer))
        else:
            session.print(*entryshow.page(answer, session.language))


def _follow(session: Session, wanted: pb.Filter, *, form: Format, last: int) -> None:
    header = True
    for entries in followed(session, wanted, last=last):
        _print(session, entries, form=form, header=header)
        header = False


def _print(session: Session, entries: list[pb.Entry], *, form: Format, header: bool) -> None:
    if form is Format.JSON:
        for one in entries:
            session.tell(shown.as_data(one))
    elif header or entries:
        session.print(entryshow.table(entries, session.language, header=header))
