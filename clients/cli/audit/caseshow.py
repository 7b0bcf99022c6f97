"""How cases and unusual accesses look at a terminal. What comes from outside is text here, never markup."""

from collections.abc import Iterable

from rich.console import RenderableType
from rich.text import Text

from audit.v1 import audit_pb2 as pb
from clients.cli.audit import casewords as words
from clients.cli.audit import heads
from clients.cli.record import look
from clients.cli.record.text import visible
from clients.cli.show import Language


def queue(answer: pb.ListCasesResponse, language: Language) -> Iterable[RenderableType]:
    """The cases that wait, each with who, whose, why, and who was told."""
    yield Text(words.WAITING.text(language).format(answer.open, answer.overdue))
    if not answer.cases:
        yield Text(words.NONE.text(language))
        return
    columns = (words.DUE, heads.WHO, heads.WHAT)
    table = look.table(*(one.text(language) for one in columns), whole=(0,))
    for one in answer.cases:
        style = "bold red" if one.overdue else ""
        due = Text(look.minute(one.due_at), style=style)
        due.append(f"\n{words.told_state(one).text(language)}", style=style or "dim")
        table.add_row(due, _who(one), _what(one, language))
    yield table
    yield from heads.ending(answer.cursor, answer.standing, language)


def _who(one: pb.Case) -> Text:
    of = one.professional
    said = Text(visible(of.name or of.id), style="bold")
    for more in (of.id if of.name else "", of.structure_name or of.structure):
        if more:
            said.append(f"\n{visible(more)}", style="dim not bold")
    return said


def _what(one: pb.Case, language: Language) -> Text:
    said = Text(f" {words.mode(one.mode).text(language)} ", style="bold white on red")
    said.append(
        f"  {words.ACCESSES.text(language).format(one.accesses, look.minute(one.opened_at))}",
        style="not bold default on default",
    )
    plain = "not bold default on default"
    said.append(f"\n{heads.PATIENT.text(language)} {visible(one.patient)}", style=plain)
    if one.reason.code or one.reason.text:
        reason = visible(f"{one.reason.code}: {one.reason.text}")
        said.append(f"\n{heads.REASON.text(language)} {reason}", style=plain)
    for duty in one.obligations:
        said.append(f"\n{words.duty(duty).text(language)}", style=plain)
    if one.closed.decision_id:
        verdict = (
            f"{words.VERDICT.text(language)} {visible(one.closed.why)} ({visible(one.closed.who)})"
        )
        said.append(f"\n{verdict}", style=plain)
    said.append(f"\n{visible(one.id)}", style="dim not bold default on default")
    return said


def whole(answer: pb.ReadCaseResponse, language: Language) -> Iterable[RenderableType]:
    """One case, its accesses, and what was done with it."""
    one = answer.case
    columns = (words.DUE, heads.WHO, heads.WHAT)
    table = look.table(*(head.text(language) for head in columns), whole=(0,))
    due = Text(look.minute(one.due_at), style="bold red" if one.overdue else "")
    due.append(f"\n{words.told_state(one).text(language)}")
    table.add_row(due, _who(one), _what(one, language))
    yield table
    seen = look.table(*(head.text(language) for head in (heads.WHEN, heads.ACT)), whole=(0,))
    for access in answer.accesses:
        what = Text(words.action(access.action).text(language))
        if access.document.id:
            what.append(f"\n{visible(access.document.type)} {visible(access.document.id)}", "dim")
        seen.add_row(look.minute(access.at), what)
    yield Text(f"\n{words.SEEN.text(language)}", style="bold")
    yield seen
    done = look.table(*(head.text(language) for head in (heads.WHEN, words.STEP)), whole=(0,))
    for step in answer.steps:
        what = Text(words.step(step.what).text(language), style="bold")
        what.append(f"  {visible(step.who)}", style="not bold dim")
        if step.why:
            what.append(f"\n{visible(step.why)}", style="not bold")
        done.add_row(look.minute(step.at), what)
    yield Text(f"\n{words.STEPS.text(language)}", style="bold")
    yield done
    yield from heads.ending("", answer.standing, language)


def counts(answer: pb.CountCasesResponse, language: Language) -> Iterable[RenderableType]:
    """Cases by structure or professional."""
    if not answer.counts:
        yield Text(words.NONE.text(language))
        return
    table = look.table(*(one.text(language) for one in words.COUNTS))
    for column in table.columns[1:]:
        column.justify = "right"
    for one in answer.counts:
        who = Text(visible(one.name or one.id or "—"))
        if one.name and one.id:
            who.append(f"\n{visible(one.id)}", style="dim")
        numbers = (
            *(one.cases, one.accesses, one.patients, one.open, one.overdue),
            *(one.justified, one.misuse),
        )
        table.add_row(who, *map(str, numbers), f"{one.share / 10:.1f} %")
    yield table
    yield Text(words.SHARE.text(language), style="dim")
    yield from heads.ending("", answer.standing, language)


def signs(answer: pb.ListUnusualResponse, language: Language) -> Iterable[RenderableType]:
    """Unusual accesses, each with its limit."""
    if not answer.found:
        yield Text(words.NOTHING_UNUSUAL.text(language))
    else:
        columns = (heads.WHEN, heads.WHO, words.FOUND)
        table = look.table(*(one.text(language) for one in columns), whole=(0,))
        for one in answer.found:
            of = one.professional
            who = Text(visible(of.name or of.id), style="bold")
            who.append(f"\n{visible(of.structure_name or of.structure)}", style="not bold dim")
            what = Text(words.sign(one.sign).text(language), style="bold yellow")
            said = one.fr if language is Language.FR else one.en
            what.append(f"\n{visible(said)}", style="not bold default")
            if one.patient:
                patient = f"{heads.PATIENT.text(language)} {visible(one.patient)}"
                what.append(f"\n{patient}", style="not bold default")
            if one.decision_ids:
                more = f" +{one.accesses - 1}" if one.accesses > 1 else ""
                what.append(f"\n{visible(one.decision_ids[0])}{more}", style="not bold dim default")
            table.add_row(look.minute(getattr(one, "from")), who, what)
        yield table
    yield from heads.ending(answer.cursor, answer.standing, language)
