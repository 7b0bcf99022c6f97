"""`dmp dossier rights`: consents, authorisations, treating doctors, blocks and representatives."""

from collections.abc import Callable
from typing import Annotated
from uuid import uuid4

import typer
from google.protobuf.message import Message
from rich.text import Text

from authz.v1 import authz_pb2 as authz
from clients.cli.link import Error
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


def _change(wanted: Callable[..., Message]) -> Callable[..., Message]:
    """Makes a command that asks for the change that a function makes of its own arguments."""

    def work(
        session: Session, patient: Patient, *, wanted: Message, request_id: RequestId = ""
    ) -> None:
        request = pb.ChangeRightsRequest(
            **session.about(patient), request_id=request_id or str(uuid4())
        )
        fields = request.DESCRIPTOR.oneofs_by_name["change"].fields
        (field,) = (one.name for one in fields if one.message_type is wanted.DESCRIPTOR)
        getattr(request, field).CopyFrom(wanted)
        answer = session.ask(CHANGE_RIGHTS, request)
        warned = look.warnings(answer.ruling, (), session.language)
        done = Said("Fait, et valable dès maintenant.", "Done, and it holds from now on.")
        session.show(answer, Text(session.say(done)), *warned, look.footer(answer.ruling))

    work.__doc__ = wanted.__doc__
    command(app, wanted.__name__.replace("_", "-"), wanted=wanted)(work)
    return wanted


@_change
def own(
    *,
    authorise: Annotated[bool, typer.Option("--authorise/--no-authorise")] = True,
    treating_doctor: Annotated[bool, typer.Option("--treating-doctor")] = False,
) -> Message:
    """Record your own authorisation, as the patient agreed (TD0.3); or give it up.

    Examples:
      dmp dossier rights own 1541187387477485562488 --agreement
      dmp dossier rights own 1541187387477485562488 --agreement --treating-doctor
      dmp dossier rights own 1541187387477485562488 --no-authorise

    Exit: 0 changed, 1 denied, 2 wrong usage, 3 no answer.
    """
    return authz.OwnAuthorisation(authorise=authorise, treating_doctor=treating_doctor)


@_change
def grant(
    who: Who,
    *,
    kind: Kind = "professional",
    profession: Profession = "",
    treating_doctor: Annotated[bool, typer.Option("--treating-doctor")] = False,
) -> Message:
    """Authorise a professional or a structure for a year.

    Examples:
      dmp dossier rights grant 1541187387477485562488 899700300215 --as patient.yaml
      dmp dossier rights grant 1541187387477485562488 899700300447 --treating-doctor --profession 10

    Exit: 0 changed, 1 denied, 2 wrong usage, 3 no answer.
    """
    to = authz.Grantee(id=who, kind=kind, profession=profession)
    return authz.GrantAuthorisation(grantee=to, treating_doctor=treating_doctor)


@_change
def renew(who: Who, *, kind: Kind = "professional") -> Message:
    """Renew an authorisation for a year.

    Examples:
      dmp dossier rights renew 1541187387477485562488 899700300215

    Exit: 0 changed, 1 denied, 2 wrong usage, 3 no answer.
    """
    return authz.RenewAuthorisation(grantee=authz.Grantee(id=who, kind=kind))


@_change
def revoke(who: Who, *, kind: Kind = "professional") -> Message:
    """Take an authorisation back.

    Examples:
      dmp dossier rights revoke 1541187387477485562488 899700300215 --as patient.yaml

    Exit: 0 changed, 1 denied, 2 wrong usage, 3 no answer.
    """
    return authz.RevokeAuthorisation(grantee=authz.Grantee(id=who, kind=kind))


@_change
def block(
    who: Who,
    *,
    kind: Kind = "professional",
    withdraw_treating_doctor: Annotated[
        bool, typer.Option("--withdraw-treating-doctor", help="Needed to block one.")
    ] = False,
) -> Message:
    """Shut out a professional or a structure: it holds for break-glass too.

    Examples:
      dmp dossier rights block 1541187387477485562488 899700300702 --as patient.yaml

    Exit: 0 changed, 1 denied, 2 wrong usage, 3 no answer.
    """
    return authz.SetBlock(
        grantee=authz.Grantee(id=who, kind=kind),
        withdraw_treating_doctor=withdraw_treating_doctor,
    )


@_change
def unblock(who: Who, *, kind: Kind = "professional") -> Message:
    """Lift a block; the old authorisation does not come back.

    Examples:
      dmp dossier rights unblock 1541187387477485562488 899700300702 --as patient.yaml

    Exit: 0 changed, 1 denied, 2 wrong usage, 3 no answer.
    """
    return authz.LiftBlock(grantee=authz.Grantee(id=who, kind=kind))


@_change
def treating_doctor(
    who: Who,
    *,
    profession: Profession = "10",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="End the status.")] = False,
) -> Message:
    """Give an authorised doctor the status of treating doctor in the DMP, or end it.

    Examples:
      dmp dossier rights treating-doctor 1541187387477485562488 899700300447 --as patient.yaml
      dmp dossier rights treating-doctor 1541187387477485562488 899700300447 --withdraw

    Exit: 0 changed, 1 denied, 2 wrong usage, 3 no answer.
    """
    doctor = authz.Grantee(id=who, kind="professional", profession=profession)
    if withdraw:
        return authz.WithdrawTreatingDoctor(professional=doctor)
    return authz.SetTreatingDoctor(professional=doctor)


@_change
def consents(
    *,
    samu: Annotated[bool | None, typer.Option("--samu/--no-samu")] = None,
    break_glass: Annotated[bool | None, typer.Option("--break-glass/--no-break-glass")] = None,
    masked_in_emergency: Annotated[
        bool | None, typer.Option("--masked-in-emergency/--no-masked-in-emergency")
    ] = None,
    feeding: Annotated[bool | None, typer.Option("--feeding/--no-feeding")] = None,
) -> Message:
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
    return authz.SetConsents(**wanted)


@_change
def representative(
    who: Annotated[str, typer.Argument(metavar="WHO", help="INS of the representative.")],
    *,
    relation: Annotated[str, typer.Option("--relation", help="FTH, MTH, RESPRSN, ...")] = "RESPRSN",
    remove: Annotated[bool, typer.Option("--remove")] = False,
) -> Message:
    r"""Register the legal representative of a minor, or remove one.

    Examples:
      dmp dossier rights representative 1541187387477485562488 0941155967950413759315 \
          --relation MTH --agreement

    Exit: 0 changed, 1 denied, 2 wrong usage, 3 no answer.
    """
    if remove:
        return authz.RemoveRepresentative(representative=who)
    one = authz.Representative(id=who, relation=relation)
    return authz.AddRepresentative(representative=one)
