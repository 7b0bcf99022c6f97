"""`dmp dossier card` and `create`: from the carte Vitale to a dossier, as the screens of 2011 lead there."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.table import Table
from rich.text import Text

from clients.cli import show
from clients.cli.link import Error
from clients.cli.record import look, words
from clients.cli.record.arguments import CITY, EMAIL, PHONE, POSTAL_CODE, STREET, RequestId
from clients.cli.record.letter import Letter
from clients.cli.record.procedures import CREATE, FIND
from clients.cli.record.questions import parse, put
from clients.cli.record.session import Session, command
from clients.cli.show import Language, Said
from dossier.errors import CardError
from dossier.v1 import dossier_pb2 as pb
from dossier.vitale import Card, FileReader, Person
from serving.clock import utc_now
from serving.days import FRANCE

app = typer.Typer()

CardFile = Annotated[Path, typer.Argument(metavar="FILE", help="A virtual carte Vitale, in YAML.")]
Nir = Annotated[
    bool, typer.Option("--ins-nir", help="Use today's number (INS-NIR) instead of the INS-C.")
]


@command(app)
def card(session: Session, file: CardFile, *, ins_nir: Nir = False) -> None:
    """Read a carte Vitale: who is on it, with which number, and whether there is a DMP.

    Examples:
      dmp dossier card family.yaml
      dmp dossier card family.yaml --as doctor.yaml --json

    Exit: 0 done, 1 denied, 2 the card can't be read, 3 no answer.
    """
    people = read_card(file).persons
    found = [(one, number(one, nir=ins_nir)) for one in people]
    states = [
        session.ask(FIND, pb.FindDossierRequest(**session.about(ins))) if ins else None
        for _, ins in found
    ]
    if session.as_json:
        session.tell([_as_data(one, state) for one, state in zip(found, states, strict=True)])
        return
    known = [state.dossier if state else "" for state in states]
    title = Said("Personne(s) présente(s) sur la carte Vitale", "On the carte Vitale")
    table = on_card(found, known, session.language, nir=ins_nir)
    session.print(Text(session.say(title), style="bold"), table)


@command(app)
def create(
    session: Session,
    *,
    file: Annotated[Path, typer.Option("--card", metavar="FILE", help="A carte Vitale.")],
    person: Annotated[int, typer.Option("--person", min=1, help="Their number on the card.")],
    answers: Annotated[
        str,
        typer.Option(
            "--answers", metavar="TEXT", help='Five words: "oui oui non oui oui"; else asked.'
        ),
    ] = "",
    street: Annotated[list[str] | None, STREET] = None,
    postal_code: Annotated[str, POSTAL_CODE] = "",
    city: Annotated[str, CITY] = "",
    phone: Annotated[str, PHONE] = "",
    email: Annotated[str, EMAIL] = "",
    guardians: Annotated[
        list[str] | None,
        typer.Option(
            "--guardian",
            metavar="N:RELATION",
            help="Of a minor: number on the same card and relation (1:FTH, 2:MTH); repeatable.",
        ),
    ] = None,
    birth_place: Annotated[str, typer.Option("--birth-place", help="INSEE code.")] = "",
    letter: Annotated[
        Path | None,
        typer.Option("--letter", metavar="FILE", help="Where the letter goes, to be printed."),
    ] = None,
    request_id: RequestId = "",
    ins_nir: Nir = False,
) -> None:
    r"""Create a dossier for someone on a carte Vitale, with the answers to the five questions.

    The access codes go on paper, never both by one electronic channel: with an e-mail or a mobile phone
    an account is made, and --letter says where its letter is written.

    Examples:
      dmp dossier create --card family.yaml --person 1 --city Poitiers --street "3 rue X"
      dmp dossier create --card family.yaml --person 2 --answers "oui oui non oui oui" \
          --email jean@example.org --letter letter.txt
      dmp dossier create --card family.yaml --person 3 --guardian 1:FTH --phone +33612345678 \
          --letter letter.txt

    Exit: 0 created, 1 denied or without consent, 2 wrong usage, 3 no answer.
    """
    on_card = read_card(file)
    who = chosen(on_card, person)
    ins = number(who, nir=ins_nir)
    if not ins:
        raise Error(
            f"--person {person}: no number, so no dossier: {why_no_number(who, nir=ins_nir)}"
        )
    contact = pb.Contact(
        address=street or (), postal_code=postal_code, city=city, phone=phone, email=email
    )
    if not (street or phone or email):
        raise Error("a way to reach the person is needed: --street with --city, --phone or --email")
    if (phone or email) and letter is None:
        cure = "name a file for the letter with --letter, print it and remove it"
        raise Error(f"with --email or --phone an account with access codes is made: {cure}")
    request = pb.CreateDossierRequest(
        **session.about(ins),
        request_id=request_id or str(uuid4()),
        administrative=administrative(who, contact, birth_place),
        guardians=[_guardian(on_card, one, contact, nir=ins_nir) for one in guardians or ()],
    )
    said = parse(answers) if answers else put(session.language)
    request.answers.CopyFrom(said)
    if not said.create:
        refused = Said(
            "sans le consentement de la personne (question 1), pas de dossier ; rien n'a été fait",
            "without the person's consent (question 1) no dossier; nothing was done",
        )
        show.console(error=True).print(Text(session.say(refused)))
        raise typer.Exit(1)
    request.context.agreement = True
    paper = Letter.reserve(letter) if letter else None
    try:
        answer = session.ask(CREATE, request)
    except Error:
        if paper:
            paper.give_up()
        raise
    if paper:
        today = utc_now().astimezone(FRANCE).date()
        person_told = request.administrative
        paper.write(person_told, ins, answer.account, session.language, day=today)
    _created(session, answer, ins, letter)


def _created(
    session: Session, answer: pb.CreateDossierResponse, ins: str, letter: Path | None
) -> None:
    shown = pb.CreateDossierResponse()
    shown.CopyFrom(answer)
    shown.account.ClearField("temporary_password")  # on paper only
    done = Said("DMP créé", "DMP created")
    parts = [Text.assemble((session.say(done), "bold green"), f"  {ins}")]
    if answer.account.login:
        login = Said("identifiant de connexion", "login")
        parts.append(Text(f"{session.say(login)}: {answer.account.login}"))
    if letter:
        told = Said(
            "Courrier des codes d'accès écrit : imprimer, remettre, détruire le fichier.",
            "Letter of the access codes written: print it, hand it over, destroy the file.",
        )
        parts.append(Text(f"{session.say(told)}  {letter}"))
    session.show(shown, *parts, look.footer(answer.ruling))


def on_card(
    found: Sequence[tuple[Person, str]], states: Sequence[str], language: Language, *, nir: bool
) -> Table:
    """Who is on a card, with number and state of the dossier."""
    columns = ("N°", Said("nom", "name"), Said("né(e) le", "born"), "INS", "DMP")
    table = look.table(*(one if isinstance(one, str) else one.text(language) for one in columns))
    for (person, ins), state in zip(found, states, strict=True):
        known = words.word(words.STATES, state).text(language)
        style = {"open": "green", "closed": "yellow"}.get(state, "dim")
        table.add_row(
            str(person.number),
            Text(_called(person), style="bold"),
            person.birth_date,
            Text(ins or why_no_number(person, nir=nir), style="" if ins else "dim"),
            Text(known, style=style),
        )
    return table


def read_card(file: Path) -> Card:
    """What is on a card.

    Raises:
        Error: it can't be read.
    """
    try:
        return FileReader(file).read()
    except CardError as exc:
        raise Error(str(exc)) from exc


def number(person: Person, *, nir: bool) -> str:
    """The number under which the dossier is kept; "" when none follows from the card."""
    return (person.ins_nir if nir else person.ins_c) or ""


def why_no_number(person: Person, *, nir: bool) -> str:
    """Why there is none."""
    return person.ins_nir_reason if nir else person.ins_c_reason


def administrative(person: Person, contact: pb.Contact, birth_place: str = "") -> pb.Administrative:
    """Someone on a card, as the record wants them."""
    try:
        born = date.fromisoformat(person.birth_date).isoformat()
    except ValueError:  # a card may carry an impossible day
        born = ""
    return pb.Administrative(
        family_name=person.family_name,
        usage_name=person.usage_name,
        given_names=" ".join(person.given_names),
        birth_date=born,
        sex=person.sex,
        birth_place=birth_place,
        contact=contact,
    )


def chosen(on_card: Card, wanted: int) -> Person:
    """The person of that number.

    Raises:
        Error: there is none.
    """
    try:
        return on_card.person(wanted)
    except CardError as exc:
        raise Error(f"--{exc}") from exc


def _guardian(on_card: Card, text: str, contact: pb.Contact, *, nir: bool) -> pb.Guardian:
    place, colon, relation = text.partition(":")
    if not colon or not place.isdigit() or not relation:
        raise Error(f"--guardian `{text}`: write number on the card and relation, as 1:FTH")
    person = chosen(on_card, int(place))
    if not (ins := number(person, nir=nir)):
        raise Error(f"--guardian `{text}`: no number: {why_no_number(person, nir=nir)}")
    return pb.Guardian(
        id=ins,
        relation=relation.upper(),
        family_name=person.family_name,
        given_names=" ".join(person.given_names),
        contact=contact,
    )


def _called(person: Person) -> str:
    family = person.family_name
    if person.usage_name and person.usage_name != family:
        family = f"{person.usage_name} ({family})"
    return " ".join((family, *person.given_names))


def _as_data(found: tuple[Person, str], state: pb.FindDossierResponse | None) -> dict[str, object]:
    person, ins = found
    data: dict[str, object] = {
        "number": person.number,
        "family_name": person.family_name,
        "usage_name": person.usage_name,
        "given_names": list(person.given_names),
        "birth_date": person.birth_date,
        "ins_c": person.ins_c,
        "ins_nir": person.ins_nir,
        "patient": ins,
    }
    return data | {"dossier": show.as_data(state) if state else None}
