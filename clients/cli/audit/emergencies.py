"""`dmp audit cases`, `case`, `close`, `statistics`, `unusual`: emergency accesses, reviewed at a terminal."""

from enum import StrEnum
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from audit.v1 import audit_pb2 as pb
from clients.cli import show
from clients.cli.audit import caseshow, moments
from clients.cli.audit import casewords as words
from clients.cli.audit.procedures import (
    CLOSE_CASE,
    COUNT_CASES,
    LIST_CASES,
    LIST_UNUSUAL,
    READ_CASE,
)
from clients.cli.audit.session import Session, command
from clients.cli.show import Said
from clients.sdk.procedures import Procedure
from clients.sdk.retry import Request, Response

app = typer.Typer()

_PAGE: Final = 50
_AT_ONCE: Final = 200


class State(StrEnum):
    """Of cases."""

    OPEN = "open"
    OVERDUE = "overdue"
    JUSTIFIED = "justified"
    MISUSE = "misuse"


class Verdict(StrEnum):
    """Of a review."""

    JUSTIFIED = "justified"
    MISUSE = "misuse"


class By(StrEnum):
    """Whose cases are counted."""

    STRUCTURE = "structure"
    PROFESSIONAL = "professional"


class Sign(StrEnum):
    """What makes an access unusual."""

    NO_RELATION = "no_relation"
    MANY_PATIENTS = "many_patients"
    SAME_NAME = "same_name"
    NIGHT = "night"


Id = Annotated[
    str, typer.Argument(metavar="ID", help="Of the case, as `dmp audit cases` shows it.")
]
Since = Annotated[
    str,
    typer.Option(
        "--since", metavar="TIME", help="2d, 12h, a day in France, or 2026-05-04T10:00:00Z."
    ),
]
Until = Annotated[str, typer.Option("--until", metavar="TIME", help="Before it; as --since.")]
Everything = Annotated[bool, typer.Option("--all", help="All of them, not the first page.")]


@command(app)
def cases(
    session: Session,
    *,
    state: Annotated[State, typer.Option("--state", help="In which state.")] = State.OPEN,
    overdue: Annotated[bool, typer.Option("--overdue", help="As --state overdue.")] = False,
    professional: Annotated[
        str, typer.Option("--professional", metavar="NUMBER", help="Of one professional only.")
    ] = "",
    structure: Annotated[
        str, typer.Option("--structure", metavar="NUMBER", help="Of one structure only.")
    ] = "",
    patient: Annotated[
        str,
        typer.Option(
            "--patient", metavar="INS", help="Of one patient; stands in the patient's trace."
        ),
    ] = "",
    since: Since = "",
    until: Until = "",
    everything: Everything = False,
) -> None:
    """List the emergency accesses that wait for review, the most urgent first.

    Patients are shown by pseudonym, unless one is named. That you look is on record.

    Examples:
      dmp audit cases
      dmp audit cases --overdue --json
      dmp audit cases --state misuse --since 2026-01-01

    Exit: 0 shown, 1 denied, 2 wrong usage, 3 no answer.
    """
    request = pb.ListCasesRequest(
        subject=session.subject,
        state=(State.OVERDUE if overdue else state).value,
        professional=professional,
        structure=structure,
        patient=patient,
        page_size=_AT_ONCE if everything else _PAGE,
    )
    moments.fill(request, since, until)
    answer = _listed(session, LIST_CASES, request, everything=everything)
    session.show(answer, *caseshow.queue(answer, session.language))


@command(app)
def case(session: Session, *, id_: Id) -> None:
    """Show one case: who, whose record, why, what was seen, who was told, what was done with it.

    It names the patient, and that you look stands in the patient's own trace.

    Example:
      dmp audit case 0197a3c4-8c5e-7d2a-9b6f-3e1d2c4b5a69

    Exit: 0 shown, 1 denied or no such case, 2 wrong usage, 3 no answer.
    """
    answer = session.ask(READ_CASE, pb.ReadCaseRequest(subject=session.subject, id=id_))
    session.show(answer, *caseshow.whole(answer, session.language))


@command(app)
def close(
    session: Session,
    *,
    id_: Id,
    verdict: Annotated[Verdict, typer.Argument(help="What came of it.")],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="On what grounds.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Close a case as justified or as misuse, for good. Nobody closes their own.

    Examples:
      dmp audit close 0197a3c4-8c5e-7d2a-9b6f-3e1d2c4b5a69 justified --why "as the ward's file says"
      dmp audit close 0197a3c4-8c5e-7d2a-9b6f-3e1d2c4b5a69 misuse --why "no emergency" --yes

    Exit: 0 closed, 1 denied or it can't be closed, 2 wrong usage, 3 no answer.
    """
    question = Said(
        f"clore définitivement comme « {words.state(verdict.value).fr} » ?",
        f"close it for good as `{verdict.value}`?",
    )
    session.confirm(question, yes=yes)
    answer = session.ask(
        CLOSE_CASE,
        pb.CloseCaseRequest(subject=session.subject, id=id_, verdict=verdict.value, why=why),
    )
    said = words.CLOSED if answer.case.state != "open" else words.RECORDED
    text = Text(session.say(said).format(words.state(verdict.value).text(session.language)))
    decision = Text(f"{session.say(show.DECISION)} {answer.look.decision_id}", style="dim")
    session.show(answer, text, decision)


@command(app)
def statistics(
    session: Session,
    *,
    by: Annotated[By, typer.Option("--by", help="Of whom.")] = By.STRUCTURE,
    since: Since = "",
    until: Until = "",
) -> None:
    """Count emergency accesses and their reviews, by structure or professional.

    Examples:
      dmp audit statistics
      dmp audit statistics --by professional --since 2026-01-01

    Exit: 0 shown, 1 denied, 2 wrong usage, 3 no answer.
    """
    request = pb.CountCasesRequest(subject=session.subject, by=by.value)
    moments.fill(request, since, until)
    answer = session.ask(COUNT_CASES, request)
    session.show(answer, *caseshow.counts(answer, session.language))


@command(app)
def unusual(
    session: Session,
    *,
    sign: Annotated[
        list[Sign] | None, typer.Option("--sign", help="Only this; may be repeated.")
    ] = None,
    since: Since = "",
    until: Until = "",
    everything: Everything = False,
) -> None:
    """Show accesses that deserve a look, each with what was seen and the limit that it passes.

    At most 31 days at once; the last ones if left out. They are signs, not verdicts.

    Examples:
      dmp audit unusual
      dmp audit unusual --sign night --since 2026-05-01 --until 2026-06-01

    Exit: 0 shown, 1 denied, 2 wrong usage, 3 no answer.
    """
    request = pb.ListUnusualRequest(
        subject=session.subject,
        signs=[one.value for one in sign or ()],
        page_size=_AT_ONCE if everything else _PAGE,
    )
    moments.fill(request, since, until)
    answer = _listed(session, LIST_UNUSUAL, request, everything=everything)
    session.show(answer, *caseshow.signs(answer, session.language))


def _listed(
    session: Session,
    procedure: Procedure[Request, Response],
    request: Request,
    *,
    everything: bool,
) -> Response:
    """The first page, with everything all of them in one; each has a cursor and repeated rows."""
    whole: Any = session.ask(procedure, request)
    going_on: Any = request
    while everything and whole.cursor:
        going_on.cursor = whole.cursor
        page: Any = session.ask(procedure, request)
        whole.MergeFrom(page)
        whole.cursor = page.cursor
    found: Response = whole
    return found
