"""`dmp dossier rights`: consents, authorisations, treating doctors, blocks and representatives."""

from typing import Annotated
from uuid import uuid4

import typer
from google.protobuf.message import Message
from rich.text import Text

from authz.v1 import authz_pb2 as authz
from clients.cli.point import Error
from clients.cli.record import look
from clients.cli.record.arguments import Patient, RequestId
from clients.cli.record.procedures import CHANGE_RIGHTS
from clients.cli.record.session import Session, command
from clients.cli.show import Said
from dossier.v1 import dossier_pb2 as pb

app = typer.Typer(
    help="Who may see a dossier: consents, authorisations, treating doctors, blocks.",
    no_args_is_help=True,
)

Who = Annotated[str, typer.Argument(metavar="WHO", help="idNat_PS, or idNat_Struct.")]
Kind = Annotated[str, typer.Option("--kind", help="professional, structure.")]
Profession = Annotated[str, typer.Option("--profession", help="TRE_G15; 10 for a doctor.")]


@app.callback()
def _rights() -> None:
    """Who may see a dossier: consents, authorisations, treating doctors, blocks."""


@command(app)
def own(
    session: Session,
    patient: Patient,
    *,
    authorise: Annotated[bool, typer.Option("--authorise/--no-authorise")] = True,
    treating_doctor: Annotated[bool, typer.Option("--treating-doctor")] = False,
    request_id: RequestId = "",
) -> None:
    """Record your own authorisation, as the patient agreed (TD0.3); or give it up.

    Examples:
      dmp dossier rights own 1541187387477485562488 --agreement
      dmp dossier rights own 1541187387477485562488 --agreement --treating-doctor
      dmp dossier rights own 1541187387477485562488 --no-authorise

    Exit: 0 changed, 1 denied, 2 wrong usage, 3 no answer.
    """
    wanted = authz.OwnAuthorisation(authorise=authorise, treating_doctor=treating_doctor)
    _change(session, patient, request_id, "own_authorisation", wanted)


@command(app)
def grant(
    session: Session,
    patient: Patient,
    who: Who,
    *,
    kind: Kind = "professional",
    profession: Profession = "",
    treating_doctor: Annotated[bool, typer.Option("--treating-doctor")] = False,
    request_id: RequestId = "",
) -> None:
    """Authorise a professional or a structure for a year.

    Examples:
      dmp dossier rights grant 1541187387477485562488 899700300215 --as patient.yaml
      dmp dossier rights grant 1541187387477485562488 899700300447 --treating-doctor --profession 10

    Exit: 0 changed, 1 denied, 2 wrong usage, 3 no answer.
    """
    to = authz.Grantee(id=who, kind=kind, profession=profession)
    wanted = authz.GrantAuthorisation(grantee=to, treating_doctor=treating_doctor)
    _change(session, patient, request_id, "grant_authorisation", wanted)


@command(app)
def renew(
    session: Session,
    patient: Patient,
    who: Who,
    *,
    kind: Kind = "professional",
    request_id: RequestId = "",
) -> None:
    """Renew an authorisation for a year.

    Examples:
      dmp dossier rights renew 1541187387477485562488 899700300215

    Exit: 0 changed, 1 denied, 2 wrong usage, 3 no answer.
    """
    wanted = authz.RenewAuthorisation(grantee=authz.Grantee(id=who, kind=kind))
    _change(session, patient, request_id, "renew_authorisation", wanted)


@command(app)
def revoke(
    session: Session,
    patient: Patient,
    who: Who,
    *,
    kind: Kind = "professional",
    request_id: RequestId = "",
) -> None:
    """Take an authorisation back.

    Examples:
      dmp dossier rights revoke 1541187387477485562488 899700300215 --as patient.yaml

    Exit: 0 changed, 1 denied, 2 wrong usage, 3 no answer.
    """
    wanted = authz.RevokeAuthorisation(grantee=authz.Grantee(id=who, kind=kind))
    _change(session, patient, request_id, "revoke_authorisation", wanted)


@command(app)
def block(
    session: Session,
    patient: Patient,
    who: Who,
    *,
    kind: Kind = "professional",
    withdraw_treating_doctor: Annotated[
        bool, typer.Option("--withdraw-treating-doctor", help="Needed to block one.")
    ] = False,
    request_id: RequestId = "",
) -> None:
    """Shut out a professional or a structure: it holds for break-glass too.

    Examples:
      dmp dossier rights block 1541187387477485562488 899700300702 --as patient.yaml

    Exit: 0 changed, 1 denied, 2 wrong usage, 3 no answer.
    """
    wanted = authz.SetBlock(
        grantee=authz.Grantee(id=who, kind=kind),
        withdraw_treating_doctor=withdraw_treating_doctor,
    )
    _change(session, patient, request_id, "set_block", wanted)


@command(app)
def unblock(
    session: Session,
    patient: Patient,
    who: Who,
    *,
    kind: Kind = "professional",
    request_id: RequestId = "",
) -> None:
    """Lift a block; the old authorisation does not come back.

    Examples:
      dmp dossier rights unblock 1541187387477485562488 899700300702 --as patient.yaml

    Exit: 0 changed, 1 denied, 2 wrong usage, 3 no answer.
    """
    wanted = authz.LiftBlock(grantee=authz.Grantee(id=who, kind=kind))
    _change(session, patient, request_id, "lift_block", wanted)


@command(app)
def treating_doctor(
    session: Session,
    patient: Patient,
    who: Who,
    *,
    profession: Profession = "10",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="End the status.")] = False,
    request_id: RequestId = "",
) -> None:
    """Give an authorised doctor the status of treating doctor in the DMP, or end it.

    Examples:
      dmp dossier rights treating-doctor 1541187387477485562488 899700300447 --as patient.yaml
      dmp dossier rights treating-doctor 1541187387477485562488 899700300447 --withdraw

    Exit: 0 changed, 1 denied, 2 wrong usage, 3 no answer.
    """
    doctor = authz.Grantee(id=who, kind="professional", profession=profession)
    if withdraw:
        ended = authz.WithdrawTreatingDoctor(professional=doctor)
        _change(session, patient, request_id, "withdraw_treating_doctor", ended)
        return
    wanted = authz.SetTreatingDoctor(professional=doctor)
    _change(session, patient, request_id, "set_treating_doctor", wanted)


@command(app)
def consents(
    session: Session,
    patient: Patient,
    *,
    samu: Annotated[bool | None, typer.Option("--samu/--no-samu")] = None,
    break_glass: Annotated[bool | None, typer.Option("--break-glass/--no-break-glass")] = None,
    masked_in_emergency: Annotated[
        bool | None, typer.Option("--masked-in-emergency/--no-masked-in-emergency")
    ] = None,
    feeding: Annotated[bool | None, typer.Option("--feeding/--no-feeding")] = None,
    request_id: RequestId = "",
) -> None:
    """Change consents; what is not named stays as it is.

    Examples:
      dmp dossier rights consents 1541187387477485562488 --no-samu --as patient.yaml

    Exit: 0 changed, 1 denied, 2 wrong usage, 3 no answer.
    """
    given = {
        "samu": samu,
        "break_glass": break_glass,
        "masked_in_emergency": masked_in_emergency,
        "feeding": feeding,
    }
    wanted = {name: value for name, value in given.items() if value is not None}
    if not wanted:
        raise Error("nothing to change: name a consent, as --no-samu")
    _change(session, patient, request_id, "set_consents", authz.SetConsents(**wanted))


@command(app)
def representative(
    session: Session,
    patient: Patient,
    who: Annotated[str, typer.Argument(metavar="WHO", help="INS of the representative.")],
    *,
    relation: Annotated[str, typer.Option("--relation", help="FTH, MTH, RESPRSN, ...")] = "RESPRSN",
    remove: Annotated[bool, typer.Option("--remove")] = False,
    request_id: RequestId = "",
) -> None:
    r"""Register the legal representative of a minor, or remove one.

    Examples:
      dmp dossier rights representative 1541187387477485562488 0941155967950413759315 \
          --relation MTH --agreement

    Exit: 0 changed, 1 denied, 2 wrong usage, 3 no answer.
    """
    if remove:
        gone = authz.RemoveRepresentative(representative=who)
        _change(session, patient, request_id, "remove_representative", gone)
        return
    one = authz.Representative(id=who, relation=relation)
    added = authz.AddRepresentative(representative=one)
    _change(session, patient, request_id, "add_representative", added)


def _change(session: Session, patient: str, request_id: str, name: str, wanted: Message) -> None:
    request = pb.ChangeRightsRequest(
        **session.about(patient), request_id=request_id or str(uuid4())
    )
    getattr(request, name).CopyFrom(wanted)
    answer = session.ask(CHANGE_RIGHTS, request)
    warned = look.warnings(answer.ruling, (), session.language)
    done = Said("Fait, et valable dès maintenant.", "Done, and it holds from now on.")
    session.show(answer, Text(session.say(done)), *warned, look.footer(answer.ruling))
