"""Rules of an operator in ISO Schematron, run over documents.

Rules in XPath 1.0 run here; those in XSLT 2 need an engine that this product has not, which is told at
start. What a rule would quote of the document (`value-of`) is left out of its message.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lxml import etree, isoschematron

from dossier.cda.places import place
from dossier.errors import SchemaError
from dossier.mistake import Mistake

_ISO: Final = "{http://purl.oclc.org/dsdl/schematron}"
_SVRL: Final = "{http://purl.oclc.org/dsdl/svrl}"
_BINDINGS: Final = ("", "xslt", "xslt1", "xpath", "xpath1")
_HARMLESS: Final = frozenset(f"{_ISO}{name}" for name in ("name", "emph", "dir", "span"))
_EXPRESSIONS: Final = {
    "rule": ("context",),
    "assert": ("test",),
    "report": ("test",),
    "let": ("value",),
}
_LITERAL: Final = re.compile(r"'[^']*'|\"[^\"]*\"")
_CALL: Final = re.compile(r"([\w.:-]+)\s*\(")
_FUNCTIONS: Final = frozenset(
    re.findall(
        r"\S+",
        """
        and or div mod text node comment processing-instruction
        last position count id local-name namespace-uri name
        string concat starts-with contains substring-before substring-after substring
        string-length normalize-space translate boolean not true false lang
        number sum floor ceiling round current key format-number generate-id
        """,
    )
)
"""What may stand before a bracket: operators, kinds of nodes, functions of XPath 1.0 and XSLT 1.0.

Not `document`: a rule could be led by a document to read another file.
"""

_SOFT: Final = ("warn", "info")
_LONG: Final = 300


class Schematron:
    """The rules of one file; assertions that fail are mistakes, but for warnings and information."""

    def __init__(self, path: Path) -> None:
        """Compiles the rules.

        Raises:
            SchemaError: The file can't be used, and why.
        """
        self.name = path.name
        try:
            tree = etree.parse(path, etree.XMLParser(no_network=True, resolve_entities=False))
            whole = isoschematron.iso_abstract_expand(isoschematron.iso_dsdl_include(tree))
            _check_language(whole.getroot())
            _silence(whole.getroot())
            self._rules = isoschematron.Schematron(
                whole, include=False, expand=False, store_report=True
            )
        except (OSError, etree.LxmlError, TypeError) as exc:
            raise SchemaError(f"not usable: {exc}") from exc

    def mistakes(self, document: etree._ElementTree) -> Iterator[Mistake]:
        """The assertions that the document does not keep.

        Raises:
            SchemaError: A rule breaks off, so that nothing is known.
        """
        try:
            if self._rules.validate(document):
                return
        except etree.LxmlError as exc:
            raise SchemaError(f"schemas: `{self.name}` breaks off: correct or remove it") from exc
        for failed in self._rules.validation_report.iter(f"{_SVRL}failed-assert"):
            if failed.get("role", "").lower().startswith(_SOFT):
                continue
            words = " ".join("".join(failed.itertext(f"{_SVRL}text")).split())[:_LONG]
            xpath, line = place(document, failed.get("location", "/*"))
            rule = f" `{failed.get('id')}`" if failed.get("id") else ""
            yield Mistake(
                xpath=xpath,
                wrong=words or "breaks a rule",
                remedy=f"follow the rule{rule} of `{self.name}`",
                line=line,
            )


def _check_language(schema: etree._Element | None) -> None:
    """Refuses what is not XPath 1.0: an unknown function would be noticed only when a rule is run."""
    if schema is None or schema.tag != f"{_ISO}schema":
        raise SchemaError("not usable: its first element is no `schema` of ISO Schematron")
    binding = schema.get("queryBinding", "").lower()
    if binding not in _BINDINGS:
        raise SchemaError(f"written for `{binding}`: only rules in XPath 1.0 run here")
    for element in schema.iter(*(f"{_ISO}{name}" for name in _EXPRESSIONS)):
        for name in _EXPRESSIONS[element.tag.removeprefix(_ISO)]:
            expression = element.get(name, "")
            for called in _CALL.findall(_LITERAL.sub("''", expression)):
                if called not in _FUNCTIONS:
                    wrong = f"calls `{called}`, line {element.sourceline}"
                    raise SchemaError(f"{wrong}: only functions of XPath 1.0 run here")
            try:
                etree.XPath(expression or ".")
            except etree.XPathSyntaxError as exc:
                raise SchemaError(f"no XPath 1.0, line {element.sourceline}: {exc}") from exc


def _silence(schema: etree._Element) -> None:
    """Takes out of all messages what would repeat the document."""
    for kind in ("assert", "report", "diagnostic"):
        for message in schema.iter(f"{_ISO}{kind}"):
            for child in list(message):
                if child.tag not in _HARMLESS:
                    _replace(child, "…")


def _replace(child: etree._Element, words: str) -> None:
    parent, before = child.getparent(), child.getprevious()
    rest = words + (child.tail or "")
    if before is None:
        parent.text = (parent.text or "") + rest
    else:
        before.tail = (before.tail or "") + rest
    parent.remove(child)
