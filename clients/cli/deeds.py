"""What the people of the story do with the record, each as one call, and what they get to see."""

from typing import Final

from google.protobuf.message import Message
from rich.console import Group, RenderableType
from rich.text import Text

from authz.v1 import authz_pb2 as authz
from clients.cli.cast import INS, NORMAL, Person
from clients.cli.link import Error
from clients.cli.papers import CARD, PAPERS
from clients.cli.record import card, follow, look, procedures
from clients.cli.record.labels import rows
from clients.cli.record.letter import Letter
from clients.cli.record.pathway import drawn
from clients.cli.record.text import content
from clients.cli.show import Language, Said
from clients.cli.stage import Deed, Played, Show, Stage, about
from dossier.v1 import dossier_pb2 as pb
from dossier.vitale import read_card
from serving.clock import utc_now
from serving.days import FRANCE

_LINES: Final = 12
"""So many lines of a trace, or of notices, are shown."""

_CONTACT: Final = pb.Contact(
    address=["3 rue des Essais"],
    postal_code="86000",
    city="Poitiers",
    phone="+33639980001",
)


def reads_card(who: Person) -> Deed:
    """Reads the carte Vitale, and asks for the first person on it whether there is a dossier."""

    def deed(stage: Stage) -> Played:
        people = read_card(CARD.encode(), name="card").persons
        answer = stage.ask(procedures.FIND, pb.FindDossierRequest(**about(who)))
        found = [(one, card.number(one, nir=False)) for one in people]
        states = [answer.dossier, *("" for _ in people[1:])]

        def show(language: Language) -> RenderableType:
            return card.on_card(found, states, language, nir=False)

        return Played(decision=answer.ruling.decision_id, shown=show)

    return deed


def creates(who: Person, answers: pb.Answers, context: authz.Context) -> Deed:
    """Creates the dossier; the letter goes to a file, and its password nowhere else."""

    def deed(stage: Stage) -> Played:
        person = read_card(CARD.encode(), name="card").person(1)
        request = pb.CreateDossierRequest(
            **about(who, context),
            request_id=f"demo-create-{context.agreement}",
            answers=answers,
            administrative=card.administrative(person, _CONTACT),
        )
        answer = stage.ask(procedures.CREATE, request)
        path = stage.folder / "letter.txt"
        today = utc_now().astimezone(FRANCE).date()
        letter = Letter.reserve(path)
        letter.write(request.administrative, INS, answer.account, Language.FR, day=today)
        told = Said(
            "Compte ouvert, identifiant {login} ; le mot de passe est dans le courrier seul.",
            "Account opened, login {login}; the password is in the letter alone.",
        )
        login = answer.account.login
        return Played(
            decision=answer.ruling.decision_id,
            shown=lambda language: Text(told.text(language).format(login=login)),
        )

    return deed


def deposits(
    who: Person,
    *names: str,
    context: authz.Context = NORMAL,
    masked: bool = False,
    hidden: bool = False,
    replaces: str = "",
) -> Deed:
    """Deposits papers, all or none."""

    def deed(stage: Stage) -> Played:
        seen = pb.Visibility(masked=masked, hidden_from_patient=hidden)
        old = stage.ids.get(replaces, "")
        request = pb.SubmitRequest(
            **about(who, context),
            deposits=[
                pb.Deposit(content=PAPERS[name], visibility=seen, replaces=old) for name in names
            ],
        )
        answer = stage.ask(procedures.SUBMIT, request)
        stage.ids.update((n, one.document) for n, one in zip(names, answer.deposited, strict=True))
        return Played(decision=answer.deposited[0].decision_id)

    return deed


def reads(who: Person, name: str, context: authz.Context = NORMAL, *, shown: bool = False) -> Deed:
    """Reads a paper, and compares its bytes with those that were deposited."""

    def deed(stage: Stage) -> Played:
        request = pb.ReadRequest(**about(who, context), document=stage.ids[name])
        answer = stage.ask(procedures.READ, request)
        if answer.content != PAPERS[name]:
            raise Error(f"`{name}` came back with other bytes than were deposited")
        whole = Said("{} octets, tels que déposés", "{} bytes, as they were deposited")

        def show(language: Language) -> RenderableType:
            warned = look.warnings(answer.ruling, answer.label.banners, language)
            size = Text(whole.text(language).format(len(answer.content)), style="dim")
            lines = [Text(f"│ {line}") for _, line in content(answer.content).lines[1:]]
            return Group(*warned, *(lines if shown else ()), size)

        return Played(decision=answer.ruling.decision_id, shown=show)

    return deed


def lists(who: Person, context: authz.Context = NORMAL, *, shown: bool = True) -> Deed:
    """Lists the documents that may be seen."""

    def deed(stage: Stage) -> Played:
        answer = stage.ask(procedures.LIST, pb.ListRequest(**about(who, context)))
        nothing = Said("aucun document", "no document")

        def show(language: Language) -> RenderableType:
            if not answer.documents:
                return Text(nothing.text(language), style="dim")
            listed = rows(answer.documents, language, ids=False)
            return Group(*look.framed([listed], context, language))

        return Played(decision=answer.ruling.decision_id, shown=show if shown else None)

    return deed


def acts(who: Person, act: pb.Act.ValueType, name: str, context: authz.Context = NORMAL) -> Deed:
    """Masks, shows or archives a paper."""

    def deed(stage: Stage) -> Played:
        request = pb.ChangeRequest(**about(who, context), document=stage.ids[name], act=act)
        answer = stage.ask(procedures.CHANGE, request)
        return Played(decision=answer.ruling.decision_id)

    return deed


def changes(who: Person, name: str, wanted: Message, context: authz.Context = NORMAL) -> Deed:
    """Changes consents, authorisations, treating doctors or blocks."""

    def deed(stage: Stage) -> Played:
        request = pb.ChangeRightsRequest(
            **about(who, context), request_id=f"demo-{name}-{len(wanted.SerializeToString())}"
        )
        request.request_id += f"-{wanted.SerializeToString(deterministic=True).hex()[:64]}"
        getattr(request, name).CopyFrom(wanted)
        answer = stage.ask(procedures.CHANGE_RIGHTS, request)
        return Played(decision=answer.ruling.decision_id)

    return deed


def closes(who: Person, context: authz.Context) -> Deed:
    """Closes the dossier, as the patient asked."""

    def deed(stage: Stage) -> Played:
        request = pb.CloseDossierRequest(
            **about(who, context),
            request_id="demo-close",
            reason="FERMETURE_DEMANDE_PATIENT",
            text="Demande orale de la patiente",
        )
        return Played(decision=stage.ask(procedures.CLOSE, request).ruling.decision_id)

    return deed


def reopens(who: Person, answers: pb.Answers, context: authz.Context) -> Deed:
    """Opens the dossier again."""

    def deed(stage: Stage) -> Played:
        request = pb.ReopenDossierRequest(
            **about(who, context), request_id="demo-reopen", answers=answers
        )
        return Played(decision=stage.ask(procedures.REOPEN, request).ruling.decision_id)

    return deed


def traces(who: Person, *, refused: bool = False, shown: bool = True, lines: int = _LINES) -> Deed:
    """Reads who did what."""

    def deed(stage: Stage) -> Played:
        request = pb.ReadTraceRequest(**about(who), refused=refused, page_size=lines)
        answer = stage.ask(procedures.READ_TRACE, request)
        show: Show = lambda language: follow.traces(answer, language)  # noqa: E731 - as the others
        return Played(decision=answer.ruling.decision_id, shown=show if shown else None)

    return deed


def notices(who: Person, *, of_all: bool = False) -> Deed:
    """Reads what one was told; a treating doctor of all patients."""

    def deed(stage: Stage) -> Played:
        asked = about(who) | ({"patient": ""} if of_all else {})
        request = pb.ListNoticesRequest(**asked, page_size=_LINES)
        answer = stage.ask(procedures.LIST_NOTICES, request)
        return Played(
            decision=answer.ruling.decision_id,
            shown=lambda language: follow.told(answer, language),
        )

    return deed


def patients(who: Person) -> Deed:
    """Looks at the dashboard."""

    def deed(stage: Stage) -> Played:
        request = pb.ListPatientsRequest(subject=who.subject, context=NORMAL)
        answer = stage.ask(procedures.LIST_PATIENTS, request)
        return Played(
            decision=answer.ruling.decision_id,
            shown=lambda language: follow.dashboard(answer, language),
        )

    return deed


def pathway(who: Person) -> Deed:
    """Looks at the care pathway."""

    def deed(stage: Stage) -> Played:
        request = pb.ReadPathwayRequest(**about(who))
        answer = stage.ask(procedures.READ_PATHWAY, request)
        return Played(
            decision=answer.ruling.decision_id,
            shown=lambda language: Group(*drawn(answer.months, language)),
        )

    return deed
