"""`dmp dossier patients`, `trace`, `notices` and `settings`: who came, and who is told of it."""

from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from clients.cli import show
from clients.cli.link import Error
from clients.cli.record import look, words
from clients.cli.record.arguments import Cursor, PageSize, Patient
from clients.cli.record.procedures import (
    CHANGE_SETTINGS,
    LIST_NOTICES,
    LIST_PATIENTS,
    READ_SETTINGS,
    READ_TRACE,
)
from clients.cli.record.session import Session, command
from clients.cli.record.text import visible
from clients.cli.show import Language, Said
from dossier.v1 import dossier_pb2 as pb

app = typer.Typer()

CHANNELS: Final = ("email", "sms")

_REASON: Final = 26  # columns, which hold the longest reason code


@command(app)
def patients(
    session: Session,
    *,
    name: Annotated[str, typer.Option("--name", help="Usage or birth name, its beginning.")] = "",
    given_name: Annotated[str, typer.Option("--given-name", help="Its beginning.")] = "",
    birth_year: Annotated[int, typer.Option("--birth-year", metavar="YYYY")] = 0,
    patient: Annotated[str, typer.Option("--ins", help="The whole number, no spaces.")] = "",
    page: Annotated[int, typer.Option("--page", min=1)] = 1,
    page_size: Annotated[int, typer.Option("--page-size", help="10, 20, 30, 40, 50.")] = 10,
) -> None:
    """Show the dashboard: the patients who authorise you.

    Examples:
      dmp dossier patients
      dmp dossier patients --name gar --birth-year 1965
      dmp dossier patients --page 2 --page-size 50 --json

    Exit: 0 shown, 1 denied, 2 wrong usage, 3 no answer.
    """
    request = pb.ListPatientsRequest(
        subject=session.subject,
        context=session.context,
        name=name,
        given_name=given_name,
        birth_year=birth_year,
        patient=patient,
        page=page,
        page_size=page_size,
    )
    answer = session.ask(LIST_PATIENTS, request)
    head = Said("Accès au DMP de vos patients ({}/{})", "Access to your patients' DMP ({}/{})")
    title = session.say(head).format(answer.found, answer.total)
    session.show(answer, Text(title, style="bold"), dashboard(answer, session.language))


def dashboard(answer: pb.ListPatientsResponse, language: Language) -> Table:
    """The columns of the screen of 2011, and the number."""
    columns = (
        Said("Nom d'usage", "Usage name"),
        Said("Nom de naissance", "Birth name"),
        Said("Prénom", "Given names"),
        Said("Né(e) le", "Born"),
        Said("MT", "TD"),
        Said("Votre dernier accès", "Your last access"),
        Said("INS", "INS"),
    )
    table = look.table(*(one.text(language) for one in columns), whole=(3, 6))
    doctor = Said("Médecin traitant", "Treating doctor").text(language)
    for line in answer.patients:
        table.add_row(
            visible(line.usage_name),
            visible(line.family_name),
            visible(line.given_names),
            line.birth_date,
            doctor if line.treating_doctor else "",
            look.minute(line.last_access),
            line.patient,
        )
    return table


@command(app)
def trace(
    session: Session,
    patient: Patient,
    *,
    actor: Annotated[str, typer.Option("--actor", help="idNat_PS, structure or INS.")] = "",
    since: Annotated[str, typer.Option("--from", metavar="YYYY-MM-DD")] = "",
    until: Annotated[str, typer.Option("--until", metavar="YYYY-MM-DD")] = "",
    refused: Annotated[bool, typer.Option("--refused", help="Refused attempts only.")] = False,
    page_size: PageSize = 0,
    cursor: Cursor = "",
) -> None:
    """Show who did what in a dossier, refused attempts included: for the patient and treating doctors.

    Examples:
      dmp dossier trace 1541187387477485562488 --as patient.yaml
      dmp dossier trace 1541187387477485562488 --refused --from 2026-05-01

    Exit: 0 shown, 1 denied, 2 wrong usage, 3 no answer.
    """
    request = pb.ReadTraceRequest(
        **session.about(patient),
        actor=actor,
        until=until,
        refused=refused,
        page_size=page_size,
        cursor=cursor,
    )
    setattr(request, "from", since)
    answer = session.ask(READ_TRACE, request)
    session.show(
        answer,
        traces(answer, session.language),
        *look.onward(answer.cursor, session.language),
        look.footer(answer.ruling),
    )


def traces(answer: pb.ReadTraceResponse, language: Language) -> Table:
    """What was done, the latest first."""
    columns = (Said("quand", "when"), Said("qui", "who"), Said("quoi", "what"), Said("", ""))
    reason = Said("motif", "reason").text(language)
    table = look.table(*(one.text(language) for one in columns), reason, whole=(0, 3))
    table.columns[4].min_width = _REASON
    for one in answer.traces:
        who = visible(one.actor.name or one.actor.id)
        if one.actor.structure_name or one.actor.structure:
            who += f"\n{visible(one.actor.structure_name or one.actor.structure)}"
        what = words.word(words.ACTIONS, one.action).text(language)
        if one.type:
            what += f"\n{one.type}, {words.word(words.SPACES, one.space).text(language)}"
        elif one.count:
            what += f" ({one.count})"
        why = Text(one.reason_code, style="cyan")
        if one.mode not in look.NORMAL:
            why.append(f"\n{words.word(words.MODES, one.mode).text(language)}", style="bold red")
        if one.reason:
            why.append(f"\n{visible(one.reason)}", style="italic")
        table.add_row(look.minute(one.at), who, what, show.badge(one.effect.upper()), why)
    return table


@command(app)
def notices(
    session: Session,
    patient: Annotated[
        str, typer.Argument(metavar="[INS]", help="Left out: of all your patients.")
    ] = "",
    *,
    page_size: PageSize = 0,
    cursor: Cursor = "",
) -> None:
    """Show what the patient was told; or a treating doctor, of all patients.

    Examples:
      dmp dossier notices 1541187387477485562488 --as patient.yaml
      dmp dossier notices --as doctor.yaml

    Exit: 0 shown, 1 denied, 2 wrong usage, 3 no answer.
    """
    request = pb.ListNoticesRequest(**session.about(patient), page_size=page_size, cursor=cursor)
    answer = session.ask(LIST_NOTICES, request)
    session.show(
        answer,
        told(answer, session.language),
        *look.onward(answer.cursor, session.language),
        look.footer(answer.ruling),
    )


def told(answer: pb.ListNoticesResponse, language: Language) -> Table:
    """Notices, the latest first."""
    columns = (Said("quand", "when"), Said("quoi", "what"), Said("qui", "who"))
    sent = Said("envoyé", "sent").text(language)
    table = look.table(*(one.text(language) for one in columns), "INS", sent, whole=(0, 3))
    for one in answer.notices:
        sent = look.minute(one.sent_at)
        channel = words.word(words.CHANNELS, one.channel).text(language) if one.channel else ""
        what = words.word(words.NOTICES, one.kind).text(language)
        table.add_row(
            look.minute(one.at),
            Text(what, style="bold red" if one.kind == "emergency_access" else ""),
            visible(one.actor.name or one.actor.id),
            one.patient,
            f"{channel} {sent}".strip(),
        )
    return table


@command(app)
def settings(
    session: Session,
    patient: Patient,
    *,
    first_access: Annotated[bool | None, typer.Option("--first-access/--no-first-access")] = None,
    new_document: Annotated[bool | None, typer.Option("--new-document/--no-new-document")] = None,
    channels: Annotated[
        list[str] | None, typer.Option("--channel", help="email, sms; may be repeated.")
    ] = None,
) -> None:
    """Show or change which notices the patient wants; emergency accesses are always told.

    Examples:
      dmp dossier settings 1541187387477485562488 --as patient.yaml
      dmp dossier settings 1541187387477485562488 --no-new-document --channel email

    Exit: 0 done, 1 denied, 2 wrong usage, 3 no answer.
    """
    for name in channels or ():
        if name not in CHANNELS:
            raise Error(f"--channel `{name}`: one of {', '.join(CHANNELS)}")
    asked = pb.ReadNotificationSettingsRequest(**session.about(patient))
    answer = session.ask(READ_SETTINGS, asked)
    found = answer.settings
    if first_access is not None or new_document is not None or channels is not None:
        if first_access is not None:
            found.first_access = first_access
        if new_document is not None:
            found.new_document = new_document
        if channels is not None:
            del found.channels[:]
            found.channels.extend(channels)
        change = pb.ChangeNotificationSettingsRequest(**session.about(patient), settings=found)
        answer.ruling.CopyFrom(session.ask(CHANGE_SETTINGS, change).ruling)
    yes, no = session.say(Said("oui", "yes")), session.say(Said("non", "no"))
    ways = [session.say(words.word(words.CHANNELS, one)) for one in found.channels]
    rows = (
        (Said("accès d'urgence", "emergency access"), session.say(Said("toujours", "always"))),
        (words.NOTICES["first_access"], yes if found.first_access else no),
        (words.NOTICES["new_document"], yes if found.new_document else no),
        (Said("par", "by"), ", ".join(ways) or session.say(words.CHANNELS["inbox"])),
    )
    listed = show.listed((session.say(name), value) for name, value in rows)
    session.show(answer, listed, look.footer(answer.ruling))
