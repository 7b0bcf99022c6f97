"""`dmp dossier sample`: an invented document to try the record with, by whoever speaks."""

from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.text import Text

from authz.policies import default_folder
from clients.cli.link import Error
from clients.cli.record.card import chosen, number, read_card, why_no_number
from clients.cli.record.session import Session, command
from clients.cli.show import Said
from dossier.cda.about import INS_C, INS_NIR
from dossier.cda.header import Identifier, Traits
from dossier.errors import TypesError
from dossier.samples.documents import File, author, document, pdf
from dossier.types import DocumentTypes
from dossier.vitale import Person
from serving.clock import utc_now

app = typer.Typer()

_SPECIALTY = {"10": "/SM26"}


@command(app)
def sample(
    session: Session,
    output: Annotated[Path, typer.Argument(metavar="FILE", help="Where it goes; a new file.")],
    *,
    card: Annotated[Path, typer.Option("--card", metavar="FILE", help="A carte Vitale.")],
    person: Annotated[int, typer.Option("--person", min=1, help="Their number on the card.")],
    kind: Annotated[str, typer.Option("--type", help="typeCode.")] = "11488-4",
    text: Annotated[str, typer.Option("--text", help="What it says.")] = "Contenu inventé.",
    as_pdf: Annotated[bool, typer.Option("--pdf", help="As a PDF in the document.")] = False,
    replaces: Annotated[
        str, typer.Option("--replaces", metavar="UNIQUE_ID", help="The one before, by its own id.")
    ] = "",
    ins_nir: Annotated[bool, typer.Option("--ins-nir", help="Use today's number.")] = False,
) -> None:
    """Write an invented document about someone on a card, to try the record with. Needs no service.

    Examples:
      dmp dossier sample note.xml --card family.yaml --person 1
      dmp dossier sample result.xml --card family.yaml --person 1 --type 60568-3 --pdf

    Exit: 0 written, 2 wrong usage.
    """
    who = chosen(read_card(card), person)
    ins = number(who, nir=ins_nir)
    if not ins:
        raise Error(f"--person {person}: no number: {why_no_number(who, nir=ins_nir)}")
    types = _types()
    found = types.today(kind)
    if found is None:
        hint = types.hint(kind) or "take one from policies/matrix/types.csv"
        raise Error(f"--type `{kind}`: no type of document: {hint}")
    speaks = session.subject
    family = (speaks.name or "ESSAI").rpartition(" ")[2]
    unique_id = f"2.25.{uuid4().int}"  # a UUID as an OID (ITU-T X.667)
    content = document(
        unique_id=unique_id,
        type_code=kind,
        type_system=types.system(kind),
        title=found.label_fr,
        patient=Identifier(root=INS_NIR if ins_nir else INS_C, extension=ins),
        traits=_traits(who),
        authors=(
            author(
                speaks.id,
                family_name=family,
                given_name=speaks.name.removesuffix(family).removeprefix("Dr ").strip(),
                role=f"G15_{speaks.profession}{_SPECIALTY.get(speaks.profession, '')}",
                structure=speaks.structure,
                organisation=speaks.structure_name or "Cabinet",
            ),
        ),
        made_at=utc_now().replace(microsecond=0),
        set_id=f"{replaces or unique_id}.0",
        version=2 if replaces else 1,
        replaces=replaces,
        body=File(media_type="application/pdf", content=pdf(text)) if as_pdf else text,
    )
    try:
        with output.open("xb") as file:
            file.write(content)
    except OSError as exc:
        raise Error(f"`{output}`: {exc.strerror}: name a new file") from exc
    if session.as_json:
        session.tell({"file": str(output), "unique_id": unique_id, "size": len(content)})
    else:
        said = Said("{}  {} octets, uniqueId {}", "{}  {} bytes, uniqueId {}")
        session.print(Text(session.say(said).format(output, len(content), unique_id)))


def _types() -> DocumentTypes:
    path = default_folder() / "matrix" / "types.csv"
    try:
        return DocumentTypes.read(path.read_text(encoding="utf-8"), path=str(path))
    except (OSError, TypesError) as exc:
        raise Error(f"the types of documents can't be read: {exc}") from exc


def _traits(who: Person) -> Traits:
    return Traits(
        family_name=who.family_name,
        usage_name=who.usage_name,
        given_names=who.given_names,
        birth_date=who.birth_date,
        sex=who.sex,
    )
