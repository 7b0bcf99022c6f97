"""Who speaks to the record: a person or structure described in a file, or someone of the story for a try."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from authz.mistake import suggest
from authz.source import Mistakes, Node, parse
from authz.v1 import authz_pb2 as pb
from clients.cli import cast
from clients.cli.link import Error

FIELDS: Final = (
    "id",
    "name",
    "profession",
    "structure",
    "structure_name",
    "structure_kind",
    "authentication",
    "capacity",
)
AUTHENTICATION: Final[Mapping[str, str]] = {
    "professional": "individual_card",
    "employee": "employee_card",
    "structure": "structure_certificate",
    "patient": "patient_code",
    "representative": "patient_code",
    "auditor": "individual_card",
}
"""How people of each kind are authenticated, if a file does not say otherwise."""

CAST: Final[Mapping[str, cast.Person]] = {
    "doctor": cast.DOCTOR,
    "treating": cast.TREATING,
    "stranger": cast.STRANGER,
    "regulator": cast.REGULATOR,
    "pharmacist": cast.PHARMACIST,
    "laboratory": cast.LABORATORY,
    "patient": cast.ANASTA,
}
"""Those of `dmp demo`, by a short name."""

MAX_BYTES: Final = 1 << 16
_CAPACITIES: Final = {"patient": "self", "representative": "self", "auditor": ""}


def speaker(named: str, *, proven: bool) -> pb.Subject:
    """The subject that `--as` names.

    Args:
        named: a file, or someone of the story; "" for its doctor.
        proven: whether the service is reached by TLS: then nobody of the story speaks, who does not exist.

    Raises:
        Error: there is no such file, or it can't be read.
    """
    if proven and (not named or named in CAST):
        raise Error(
            "--as: say who speaks, by a file with the fields of a subject (docs/dossier.md)"
        )
    if not named or named in CAST:
        return CAST[named or "doctor"].subject
    path = Path(named)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES)
    except OSError as exc:
        near = suggest(named, CAST)
        hint = f": {near}" if near.startswith("did you mean") else ""
        raise Error(f"--as: `{named}` can't be read: {exc.strerror}{hint}") from exc
    return read(data, name=path.name)


def read(data: bytes, *, name: str) -> pb.Subject:
    """The subject that a file in YAML or JSON describes.

    Raises:
        Error: with every mistake, its line and its remedy.
    """
    root, found = parse(data, path=name)
    if root is None or found:
        raise Error("; ".join(map(str, sorted(found))))
    mistakes = Mistakes()
    subject = _subject(root, mistakes)
    if mistakes.found:
        raise Error("; ".join(map(str, sorted(mistakes.found))))
    return subject


def _subject(root: Node, mistakes: Mistakes) -> pb.Subject:
    if not mistakes.keys(root, "subject", required=("kind", "id"), optional=(*FIELDS, "regulator")):
        return pb.Subject()
    fields = root.items
    kind = mistakes.one_of(fields["kind"], "subject", "kind", AUTHENTICATION)
    subject = pb.Subject(
        kind=kind,
        authentication=AUTHENTICATION.get(kind, ""),
        capacity=_CAPACITIES.get(kind, "care"),
    )
    for name in FIELDS:
        if name in fields:
            setattr(subject, name, mistakes.text(fields[name], "subject", name))
    if "regulator" in fields:
        value = fields["regulator"].value
        if not isinstance(value, bool):
            mistakes.at(fields["regulator"], "subject", "`regulator` is `true` or `false`")
        else:
            subject.regulator = value
    if kind == "structure" and not subject.structure:
        subject.structure = subject.id
    return subject
