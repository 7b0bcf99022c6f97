"""Where something stands in a document that lxml has read, told as everywhere in this room."""

from typing import Final

from lxml import etree

from dossier.cda.markup import NAMESPACE, ROOT

_OURS: Final = f"{{{NAMESPACE}}}"


def place(document: etree._ElementTree, xpath: str) -> tuple[str, int]:
    """The XPath with the prefix `cda`, and the line, of the element that another XPath finds first.

    An attribute is told by its element; schematrons tell no more of attributes than that there is one.
    """
    element = xpath.partition("/@")[0]
    try:
        found = document.xpath(element or ROOT, namespaces=_prefixes(document, element))
    except etree.XPathError:
        return ROOT, 0
    node = found[0] if isinstance(found, list) and found else None
    if not isinstance(node, etree._Element):  # noqa: SLF001 - lxml names its class so
        return ROOT, 0
    return path_of(node), int(node.sourceline or 0)


def _prefixes(document: etree._ElementTree, xpath: str) -> dict[str, str] | None:
    """The prefixes of the document itself, which libxml2 uses in its paths."""
    if ":" not in xpath.replace("::", ""):
        return None
    maps = (element.nsmap for element in document.iter("*"))
    return {prefix: space for one in maps for prefix, space in one.items() if prefix}


def path_of(node: etree._Element) -> str:
    """An XPath that finds this element; `cda` stands for the namespace of HL7 v3."""
    steps = []
    parent = node.getparent()
    while parent is not None:
        ours = isinstance(node.tag, str) and node.tag.startswith(_OURS)
        count = 1 + sum(1 for _ in node.itersiblings(node.tag if ours else "*", preceding=True))
        steps.append(f"cda:{node.tag.removeprefix(_OURS)}[{count}]" if ours else f"*[{count}]")
        node, parent = parent, parent.getparent()
    ours = isinstance(node.tag, str) and node.tag.startswith(_OURS)
    top = f"/cda:{node.tag.removeprefix(_OURS)}" if ours else ROOT
    return "/".join([top, *reversed(steps)])
