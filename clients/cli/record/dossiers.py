"""`dmp dossier find`, `show`, `update`, `close` and `reopen`: a dossier as a whole."""

from collections.abc import Iterator
from typing import Annotated, Any
from uuid import uuid4

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from authz.v1 import authz_pb2 as authz
from clients.cli import show as views
from clients.cli.link import Error
from clients.cli.record import look, words
from clients.cli.record.arguments import (
    CITY,
    EMAIL,
    PHONE,
    POSTAL_CODE,
    STREET,
    Patient,
    RequestId,
    Yes,
)
from clients.cli.record.procedures import CLOSE, FIND, READ_DOSSIER, REOPEN, UPDATE
from clients.cli.record.questions import parse, put
from clients.cli.record.session import Session, command
from clients.cli.show import Said
from dossier.v1 import dossier_pb2 as pb

app = typer.Typer()

CLOSURES = {"patient_request": "FERMETURE_DEMANDE_PATIENT", "death": "DECES"}


@command(app)
def find(session: Session, patient: Patient) -> None:
    """Tell whether there is a dossier, in which state, and what you may do in it.

    Examples:
      dmp dossier find 1541187387477485562488
      dmp dossier find 1541187387477485562488 --json | jq -r .dossier

    Exit: 0 told, 1 denied, 2 wrong usage, 3 no answer.
    """
    answer = session.ask(FIND, pb.FindDossierRequest(**session.about(patient)))
    rows = [("DMP", session.say(words.word(words.STATES, answer.dossier)))]
    if answer.HasField("closed_at"):
        ended = " ".join(filter(None, (look.day(answer.closed_at), answer.closure_reason)))
        rows.append((session.say(Said("fermé le", "closed")), ended))
    if answer.authorisation:
        own = session.say(words.word(words.AUTHORISATIONS, answer.authorisation))
        rows.append((session.say(Said("votre autorisation", "your authorisation")), own))
    if answer.treating_doctor:
        doctor = Said("médecin traitant DMP", "treating doctor in the DMP")
        rows.append((session.say(Said("vous êtes", "you are")), session.say(doctor)))
    session.show(answer, views.listed(rows), look.footer(answer.ruling))


@command(app)
def show(session: Session, patient: Patient) -> None:
    """Show the administrative data, the consents, and who is authorised and blocked.

    Examples:
      dmp dossier show 1541187387477485562488
      dmp dossier show 1541187387477485562488 --as patient.yaml

    Exit: 0 shown, 1 denied, 2 wrong usage, 3 no answer.
    """
    answer = session.ask(READ_DOSSIER, pb.ReadDossierRequest(**session.about(patient)))
    warned = look.warnings(answer.ruling, (), session.language)
    session.show(answer, *warned, *_shown(session, answer), look.footer(answer.ruling))


@command(app)
def update(
    session: Session,
    patient: Patient,
    *,
    family_name: Annotated[str | None, typer.Option("--family-name")] = None,
    usage_name: Annotated[str | None, typer.Option("--usage-name")] = None,
    given_names: Annotated[str | None, typer.Option("--given-names")] = None,
    birth_date: Annotated[str | None, typer.Option("--birth-date", metavar="YYYY-MM-DD")] = None,
    sex: Annotated[str | None, typer.Option("--sex", help="F or M.")] = None,
    birth_place: Annotated[str | None, typer.Option("--birth-place", help="INSEE code.")] = None,
    street: Annotated[list[str] | None, STREET] = None,
    postal_code: Annotated[str | None, POSTAL_CODE] = None,
    city: Annotated[str | None, CITY] = None,
    phone: Annotated[str | None, PHONE] = None,
    email: Annotated[str | None, EMAIL] = None,
) -> None:
    """Change administrative data; what is not named stays as it is.

    Examples:
      dmp dossier update 1541187387477485562488 --phone +33612345678
      dmp dossier update 1541187387477485562488 --street "3 rue X" --postal-code 86000 --city Poitiers

    Exit: 0 changed, 1 denied, 2 wrong usage, 3 no answer.
    """
    person: dict[str, Any] = {
        "family_name": family_name,
        "usage_name": usage_name,
        "given_names": given_names,
        "birth_date": birth_date,
        "sex": sex,
        "birth_place": birth_place,
    }
    contact: dict[str, Any] = {
        "address": street,
        "postal_code": postal_code,
        "city": city,
        "phone": phone,
        "email": email,
    }
    given = {name: value for name, value in person.items() if value is not None}
    reached = {name: value for name, value in contact.items() if value is not None}
    if not given and not reached:
        raise Error("nothing to change: name what, as --phone +33612345678")
    before = session.ask(READ_DOSSIER, pb.ReadDossierRequest(**session.about(patient)))
    request = pb.UpdateAdministrativeDataRequest(
        **session.about(patient),
        administrative=before.administrative,
        guardians=before.guardians,
    )
    for name, value in given.items():
        setattr(request.administrative, name, value)
    if street is not None:
        request.administrative.contact.ClearField("address")
    request.administrative.contact.MergeFrom(pb.Contact(**reached))
    for name in (one for one, value in contact.items() if value == ""):
        setattr(request.administrative.contact, name, "")
    answer = session.ask(UPDATE, request)
    done = Said("Données modifiées.", "Data changed.")
    session.show(answer, Text(session.say(done)), look.footer(answer.ruling))


@command(app)
def close(
    session: Session,
    patient: Patient,
    *,
    because: Annotated[
        str, typer.Option("--because", help=f"{', '.join(CLOSURES)}.")
    ] = "patient_request",
    text: Annotated[str, typer.Option("--text", help="In words.")] = "",
    request_id: RequestId = "",
    yes: Yes = False,
) -> None:
    """Close a dossier, as the patient asked (--agreement), or because of a death. It is kept.

    Examples:
      dmp dossier close 1541187387477485562488 --agreement --text "Demande orale"
      dmp dossier close 1541187387477485562488 --because death

    Exit: 0 closed, 1 denied or not confirmed, 2 wrong usage, 3 no answer.
    """
    if because not in CLOSURES:
        raise Error(f"--because `{because}`: one of {', '.join(CLOSURES)}")
    session.confirm(Said("Fermer ce dossier ?", "Close this dossier?"), yes=yes)
    request = pb.CloseDossierRequest(
        **session.about(patient),
        request_id=request_id or str(uuid4()),
        reason=CLOSURES[because],
        text=text,
    )
    request.context.closure = because
    answer = session.ask(CLOSE, request)
    done = Said(
        "Dossier fermé ; il est gardé dix ans.", "Dossier closed; it is kept for ten years."
    )
    session.show(answer, Text(session.say(done)), look.footer(answer.ruling))


@command(app)
def reopen(
    session: Session,
    patient: Patient,
    *,
    answers: Annotated[
        str,
        typer.Option(
            "--answers", metavar="TEXT", help='Five words: "oui oui non oui oui"; else asked.'
        ),
    ] = "",
    request_id: RequestId = "",
) -> None:
    """Open a closed dossier again, with new answers to the five questions.

    Examples:
      dmp dossier reopen 1541187387477485562488
      dmp dossier reopen 1541187387477485562488 --answers "oui oui non oui oui"

    Exit: 0 open again, 1 denied or without consent, 2 wrong usage, 3 no answer.
    """
    said = parse(answers) if answers else put(session.language)
    if not said.create:
        no = Said(
            "sans le consentement de la personne (question 1) ; rien n'a été fait",
            "without the person's consent (question 1); nothing was done",
        )
        views.console(error=True).print(Text(session.say(no)))
        raise typer.Exit(1)
    request = pb.ReopenDossierRequest(
        **session.about(patient), request_id=request_id or str(uuid4()), answers=said
    )
    request.context.agreement = True
    answer = session.ask(REOPEN, request)
    done = Said("Dossier réactivé.", "Dossier open again.")
    session.show(answer, Text(session.say(done)), look.footer(answer.ruling))


def _shown(session: Session, answer: pb.ReadDossierResponse) -> Iterator[RenderableType]:
    person, rights = answer.administrative, answer.rights
    contact = person.contact
    place = " ".join(filter(None, (contact.postal_code, contact.city)))
    rows = (
        (Said("nom de naissance", "birth name"), person.family_name),
        (Said("nom d'usage", "usage name"), person.usage_name),
        (Said("prénoms", "given names"), person.given_names),
        (Said("né(e) le", "born"), person.birth_date),
        (Said("sexe", "sex"), person.sex),
        (Said("adresse", "address"), ", ".join(filter(None, (*contact.address, place)))),
        (Said("téléphone", "phone"), contact.phone),
        (Said("courriel", "e-mail"), contact.email),
    )
    yield Text(look.name(person), style="bold")
    yield views.listed((session.say(name), value) for name, value in rows if value)
    for one in answer.guardians:
        said = f"{one.relation}  {one.given_names} {one.family_name}  {one.id}"
        yield Text(f"{session.say(Said('représentant', 'representative'))}  {said}")
    yield Text()
    consents = (
        (Said("dossier", "dossier"), words.word(words.STATES, rights.dossier)),
        (Said("SAMU, centre 15", "SAMU, centre 15"), _permitted(rights.samu)),
        (Said("bris de glace", "break-glass"), _permitted(rights.break_glass)),
        (
            Said("documents masqués en urgence", "masked documents in an emergency"),
            _permitted(rights.masked_in_emergency),
        ),
        (Said("alimentation", "feeding"), _permitted(rights.feeding)),
    )
    yield views.listed((session.say(name), session.say(value)) for name, value in consents)
    if rights.authorisations or rights.blocks or rights.treating_doctors:
        yield Text()
        yield _who(session, rights)


def _permitted(given: bool) -> Said:
    return Said("permis", "permitted") if given else Said("opposition", "opposed")


def _who(session: Session, rights: authz.Patient) -> Table:
    """Who is authorised, treating doctor, or blocked."""
    columns = (Said("qui", "who"), Said("droit", "right"), Said("jusqu'au", "until"))
    table = look.table(*map(session.say, columns))
    doctors = set(rights.treating_doctors)
    for one in rights.authorisations:
        who = one.grantee.id
        state = session.say(words.word(words.AUTHORISATIONS, one.state))
        if who in doctors:
            state += ", " + session.say(Said("médecin traitant", "treating doctor"))
        style = "green" if one.state == "valid" else "yellow"
        table.add_row(who, Text(state, style=style), look.day(one.expires_at))
        doctors.discard(who)
    for who in sorted(doctors):
        table.add_row(who, session.say(Said("médecin traitant", "treating doctor")), "")
    for grantee in rights.blocks:
        table.add_row(grantee.id, Text(session.say(Said("bloqué", "blocked")), style="red"), "")
    return table
