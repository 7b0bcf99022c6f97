"""`dmp check`: asks a running service for one decision, and says why."""

import json
import os
from collections.abc import Mapping
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.text import Text

from authz.v1 import authz_pb2 as pb
from clients.cli import show
from clients.cli.arguments import Roots, TlsChain, TlsKey
from clients.cli.link import Error, security
from clients.cli.point import ADDRESS, TIMEOUT_S, Point
from clients.cli.show import Language

DENIED: Final = 1

_AUTHENTICATION: Final[Mapping[str, str]] = {
    "professional": "individual_card",
    "employee": "employee_card",
    "structure": "structure_certificate",
    "patient": "patient_code",
    "representative": "patient_code",
    "auditor": "individual_card",
    "compliance_officer": "individual_card",
}
_IN_CARE: Final = ("professional", "employee", "structure")

_OPTIONS: Final[Mapping[str, str]] = {
    "action": "--action",
    "context.closure": "--closure",
    "context.mode": "--mode",
    "context.reason.code": "--reason-code",
    "context.reason.text": "--reason",
    "language": "--lang",
    "resource.document": "--document-type",
    "resource.document.author_structure": "--author-structure",
    "resource.document.authors": "--author",
    "resource.document.id": "--document",
    "resource.document.status": "--status",
    "resource.document.type": "--document-type",
    "resource.document.visibility": "--visibility",
    "resource.patient": "--patient",
    "resource.target": "--target",
    "resource.target.id": "--target",
    "resource.target.kind": "--target-kind",
    "resource.target.profession": "--target-profession",
    "subject.authentication": "--authentication",
    "subject.capacity": "--capacity",
    "subject.id": "--id",
    "subject.kind": "--as",
    "subject.name": "--name",
    "subject.profession": "--profession",
    "subject.structure": "--structure",
    "subject.structure_kind": "--structure-kind",
}
"""Which option fills which field of the request."""


def _who(name: str, text: str) -> Any:  # noqa: ANN401 - typer says so
    return typer.Option(name, help=text, rich_help_panel="Who asks")


def _what(name: str, text: str) -> Any:  # noqa: ANN401 - typer says so
    return typer.Option(name, help=text, rich_help_panel="For what")


def _how(name: str, text: str) -> Any:  # noqa: ANN401 - typer says so
    return typer.Option(name, help=text, rich_help_panel="In which circumstances")


def check(
    *,
    kind: Annotated[
        str,
        _who("--as", "professional, employee, structure, patient, representative, auditor, ..."),
    ] = "professional",
    identity: Annotated[str, _who("--id", "idNat_PS; for a patient --patient, if left out.")] = "",
    name: Annotated[str, _who("--name", "For the record only.")] = "",
    profession: Annotated[str, _who("--profession", "TRE_G15: 10 doctor, 21 pharmacist, ...")] = "",
    structure: Annotated[str, _who("--structure", "idNat_Struct of where they act.")] = "",
    structure_kind: Annotated[
        str, _who("--structure-kind", "Its practice setting: SAMU_SMUR for a centre 15.")
    ] = "",
    authentication: Annotated[
        str, _who("--authentication", "If left out, the one their kind should use.")
    ] = "",
    capacity: Annotated[
        str, _who("--capacity", "If left out, `care` for whoever gives care.")
    ] = "",
    regulator: Annotated[
        bool, _who("--regulator", "Their assertion has the regulation flag.")
    ] = False,
    action: Annotated[str, _what("--action", "As in vocabulary.yaml.")] = "document.read",
    patient: Annotated[str, _what("--patient", "INS of whose dossier it is.")] = "",
    document: Annotated[str, _what("--document", "The document's id.")] = "",
    document_type: Annotated[str, _what("--document-type", "Its typeCode, e.g. 11488-4.")] = "",
    authors: Annotated[
        list[str] | None, _what("--author", "idNat_PS or INS of who wrote it; may be repeated.")
    ] = None,
    author_structure: Annotated[
        str, _what("--author-structure", "idNat_Struct of where it comes from.")
    ] = "",
    visibility: Annotated[
        list[str] | None,
        _what("--visibility", "N (if left out), MASQUE_PS, INVISIBLE_PATIENT, ...; repeatable."),
    ] = None,
    status: Annotated[
        str, _what("--status", "approved, deprecated, archived, deleted.")
    ] = "approved",
    target: Annotated[str, _what("--target", "Id of whom an act of management aims at.")] = "",
    target_kind: Annotated[
        str, _what("--target-kind", "professional, structure, person.")
    ] = "professional",
    target_profession: Annotated[str, _what("--target-profession", "TRE_G15.")] = "",
    mode: Annotated[str, _how("--mode", "normal, bris_de_glace, centre_15.")] = "normal",
    reason_code: Annotated[
        str, _how("--reason-code", "For break-glass: risque_vital, autre, ...")
    ] = "",
    reason: Annotated[str, _how("--reason", "For break-glass: in words.")] = "",
    agreement: Annotated[
        bool, _how("--agreement", "The patient agreed to this, or asked for it.")
    ] = False,
    announced: Annotated[bool, _how("--announced", "The announcement has taken place.")] = False,
    secret: Annotated[bool, _how("--secret", "A minor's care kept from the parents.")] = False,
    closure: Annotated[str, _how("--closure", "patient_request, death.")] = "",
    address: Annotated[
        str, typer.Option("--address", envvar="DMP_AUTHZ", help="HOST:PORT, or unix:/PATH.")
    ] = ADDRESS,
    tls_key: TlsKey = None,
    tls_chain: TlsChain = None,
    roots: Roots = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, max=600, show_default=True)
    ] = TIMEOUT_S,
    language: Annotated[
        Language | None, typer.Option("--lang", help="If left out, as the locale says.")
    ] = None,
    facts: Annotated[bool, typer.Option("--facts", help="All facts, as they were judged.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on standard output.")
    ] = False,
) -> None:
    """Ask a running service for one decision, and why. It is put on record like any other.

    Examples:
      dmp check --id ID --profession 10 --patient INS --document-type 11488-4
      dmp check --as patient --patient 1113109067725142806651 --action trace.read
      dmp check ... --mode bris_de_glace --reason-code risque_vital --reason "Inconscient"
      dmp check ... --json | jq -r .decision.reason_code

    Exit: 0 allowed, 1 denied, 2 wrong usage or a malformed request, 3 no service or no answer.
    """
    labelled = any((document, document_type, authors, author_structure, visibility))
    request = pb.CheckRequest(
        subject=pb.Subject(
            kind=kind,
            id=identity or {"patient": patient, "structure": structure}.get(kind, ""),
            name=name,
            profession=profession,
            structure=structure or (identity if kind == "structure" else ""),
            structure_kind=structure_kind,
            authentication=authentication or _AUTHENTICATION.get(kind, ""),
            capacity=capacity or ("care" if kind in _IN_CARE else ""),
            regulator=regulator,
        ),
        action=action,
        resource=pb.Resource(
            patient=patient,
            document=pb.Document(
                id=document or "unnamed",
                type=document_type,
                authors=authors or (),
                author_structure=author_structure,
                visibility=visibility or ("N",),
                status=status,
            )
            if labelled
            else None,
            target=pb.Target(id=target, kind=target_kind, profession=target_profession)
            if target
            else None,
        ),
        context=pb.Context(
            mode=mode,
            reason=pb.Reason(code=reason_code, text=reason),
            agreement=agreement,
            announced=announced,
            secret_connection=secret,
            closure=closure,
        ),
    )
    spoken = language or show.spoken(os.environ)
    try:
        by = security(tls_key, tls_chain, roots)
        with Point(address, timeout_s=timeout_s, security=by) as point:
            answer = point.explain(request, spoken)
    except Error as exc:
        _fail(exc, as_json=as_json)
    if as_json:
        data = show.as_data(answer)
        data["facts"] = dict(sorted(data["facts"].items()))
        print(json.dumps(data, ensure_ascii=False))
    else:
        show.console().print(show.explanation(answer, spoken, facts=facts))
    if answer.decision.effect != pb.EFFECT_ALLOW:
        raise typer.Exit(DENIED)


def _fail(error: Error, *, as_json: bool) -> NoReturn:
    if as_json:
        listed = [
            {"field": field, "option": _option(field), "problem": problem}
            for field, problem in error.violations
        ]
        print(json.dumps({"error": str(error), "violations": listed}, ensure_ascii=False))
        raise typer.Exit(error.exit_code)
    console = show.console(error=True)
    if not error.violations:
        console.print(Text(f"error: {error}"), soft_wrap=True)
    else:
        console.print(Text("error: the request is malformed, nothing was decided"))
        rows = ((_option(field) or field, problem) for field, problem in error.violations)
        console.print(show.listed(rows))
    raise typer.Exit(error.exit_code)


def _option(field: str) -> str:
    """The option behind a field; `authors[2]` is filled by the one of `authors`."""
    return _OPTIONS.get(field.removeprefix("check.").partition("[")[0], "")
