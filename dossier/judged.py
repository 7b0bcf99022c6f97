"""A label as the decision point judges it, and conditions over labels are asked. Pure."""

from clients.sdk.values import Document
from dossier.model import Label


def as_document(label: Label) -> Document:
    """What is asked about."""
    return Document(
        id=label.id,
        type=label.type,
        authors=label.authors,
        author_structure=label.structure,
        visibility=(label.confidentiality, *label.visibility.codes),
        status=label.status.value,
        system=label.system,
    )
