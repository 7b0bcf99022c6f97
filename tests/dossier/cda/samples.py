"""What the tests of documents share: a good document, spoilt ones, and what becomes of them."""

from datetime import UTC, datetime

from lxml import etree

from dossier import cda
from dossier.cda.markup import NAMESPACE
from dossier.errors import CdaError
from dossier.mistake import Mistake
from dossier.samples.documents import document
from dossier.types import DocumentTypes
from tests.shared import ROOT

NOW = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)
TYPES = DocumentTypes.read((ROOT / "policies/matrix/types.csv").read_text(encoding="utf-8"))
GOOD = document(unique_id="1.2.250.1.999.1^7")


def read(data: bytes) -> cda.Header:
    """The header of a document, as it is read at `NOW`."""
    return cda.read(data, now=NOW, types=TYPES)


def mistakes(data: bytes) -> tuple[Mistake, ...]:
    """Everything that is wrong with a document; nothing when it is read."""
    try:
        read(data)
    except CdaError as exc:
        return exc.mistakes
    return ()


def spoil(old: str, new: str, data: bytes = GOOD) -> bytes:
    """The document with the first place of a text replaced; it must be there."""
    assert old.encode() in data, old
    return data.replace(old.encode(), new.encode(), 1)


def find(data: bytes, xpath: str) -> list[object]:
    """What an XPath finds in a document, by another engine than ours."""
    tree = etree.fromstring(data).getroottree()
    return list(tree.xpath(xpath, namespaces={"cda": NAMESPACE}))
