"""Documents held against the official schema and rules, where an operator has them.

The files of HL7 and of the French agency are not ours to ship: the operator gives a folder. In it

* the schema: `CDA_extended.xsd`, `CDA.xsd` or the only `*.xsd`, at the top or in `infrastructure/cda`;
* rules for all documents: `*.sch` at the top;
* rules for some: `OID/*.sch`, for documents that bear a templateId with this OID as root.

At start everything is compiled: `Validator.uses` and `Validator.unusable` tell which files count and which do
not, and why; a folder of which nothing can be used is an error.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from typing import Final

from lxml import etree

from dossier.cda.markup import MAX_BYTES, NAMESPACE, ROOT, parse
from dossier.cda.notes import MAX_MISTAKES
from dossier.cda.places import place
from dossier.cda.schematron import Schematron
from dossier.errors import CdaError, SchemaError
from dossier.mistake import Mistake

_PLACES: Final = (".", "infrastructure/cda")
_NAMES: Final = ("CDA_extended.xsd", "CDA.xsd")
_OID: Final = re.compile(r"[0-2](\.[0-9]+)+")
_EXPECTED: Final = re.compile(r"Expected is (?:one of )?\( (.*?) \)")
_MISSING: Final = re.compile(r"The attribute '([\w.:-]+)' is required but missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """A file of the folder that says nothing about documents, and why."""

    name: str
    reason: str


class Validator:
    """The schema and the rules of one folder, ready to be held against documents, one at a time."""

    def __init__(self, folder: Path) -> None:
        """Reads and compiles what the folder holds.

        Raises:
            SchemaError: It is no folder, its schema can't be used, or nothing in it can.
        """
        if not folder.is_dir():
            raise SchemaError(f"schemas: no folder `{folder.name}`: give the one that holds them")
        self._lock = Lock()
        self._schema = _schema(folder)
        self._rules: list[tuple[str, Schematron]] = []
        unusable = []
        for template, path in _rule_files(folder):
            try:
                self._rules.append((template, Schematron(path)))
            except SchemaError as exc:
                unusable.append(Unusable(name=path.relative_to(folder).as_posix(), reason=str(exc)))
        self.unusable: Final = tuple(unusable)
        if self._schema is None and not self._rules:
            told = "; ".join(f"`{one.name}`: {one.reason}" for one in unusable)
            raise SchemaError(
                f"schemas: nothing usable in `{folder.name}`: put a `CDA.xsd` or rules (`*.sch`) there"
                + (f"; {told}" if told else "")
            )
        names = [] if self._schema is None else [self._schema[0]]
        self.uses: Final = (*names, *(rules.name for _, rules in self._rules))

    def check(self, data: bytes, *, max_bytes: int = MAX_BYTES) -> None:
        """Holds a document against all that applies to it.

        Raises:
            CdaError: With the first `MAX_MISTAKES` mistakes, schema before rules.
            SchemaError: A rule can't be carried out, so that nothing is known.
        """
        parse(data, max_bytes=max_bytes)
        with self._lock:
            mistakes = _apart(lambda: self._mistakes(data))
        if mistakes:
            raise CdaError(mistakes[:MAX_MISTAKES])

    def _mistakes(self, data: bytes) -> tuple[Mistake, ...]:
        parser = etree.XMLParser(
            no_network=True, resolve_entities=False, load_dtd=False, huge_tree=False
        )
        try:
            document = etree.fromstring(data, parser).getroottree()
        except etree.XMLSyntaxError as exc:
            remedy = "send the whole document as it was made"
            return (
                Mistake(xpath=ROOT, wrong="not well formed", remedy=remedy, line=exc.lineno or 0),
            )
        found = [] if self._schema is None else list(_by_schema(self._schema[1], document))
        followed = set(document.xpath("/*/cda:templateId/@root", namespaces={"cda": NAMESPACE}))
        for template, rules in self._rules:
            if not template or template in followed:
                found += rules.mistakes(document)
        return tuple(dict.fromkeys(found))


def _schema(folder: Path) -> tuple[str, etree.XMLSchema] | None:
    path = _schema_file(folder)
    if path is None:
        return None
    name = path.relative_to(folder).as_posix()
    try:
        tree = etree.parse(path, etree.XMLParser(no_network=True, resolve_entities=False))
        return name, etree.XMLSchema(tree)
    except (OSError, etree.LxmlError) as exc:
        raise SchemaError(f"schemas: `{name}` can't be used: {exc}") from exc


def _schema_file(folder: Path) -> Path | None:
    for place_in in _PLACES:
        for name in _NAMES:
            if (path := folder / place_in / name).is_file():
                return path
    for place_in in _PLACES:
        found = sorted((folder / place_in).glob("*.xsd"))
        if len(found) > 1:
            names = ", ".join(f"`{path.name}`" for path in found)
            raise SchemaError(f"schemas: {names}: name the one that counts `{_NAMES[-1]}`")
        if found:
            return found[0]
    return None


def _rule_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files of rules, each after the templateId that it is for, "" for all."""
    for path in sorted(folder.glob("*.sch")):
        yield "", path
    for below in sorted(path for path in folder.iterdir() if path.is_dir()):
        if _OID.fullmatch(below.name):
            for path in sorted(below.glob("*.sch")):
                yield below.name, path


def _by_schema(schema: etree.XMLSchema, document: etree._ElementTree) -> Iterator[Mistake]:
    """What the schema says, in words that repeat nothing of the document."""
    if schema.validate(document):
        return
    for error in schema.error_log:
        xpath, line = place(document, error.path or ROOT)
        wrong, remedy = _in_words(error.type_name, error.message)
        yield Mistake(xpath=xpath, wrong=wrong, remedy=remedy, line=line or error.line)


def _in_words(rule: str, message: str) -> tuple[str, str]:
    """What libxml2 found, but for the values that its messages quote."""
    expected, missing = _EXPECTED.search(message), _MISSING.search(message)
    if expected is not None:
        names = expected[1].replace(f"{{{NAMESPACE}}}", "cda:")
        return "not the element that the schema has here, or one is missing", f"put here: {names}"
    if missing is not None:
        return f"has no attribute `{missing[1]}`", "add it"
    name = rule.removeprefix("SCHEMAV_").lower().replace("_", "-")
    return f"breaks the schema ({name})", "write it as the schema says"


def _apart(work: Callable[[], tuple[Mistake, ...]]) -> tuple[Mistake, ...]:
    """Does the work in a thread of its own.

    Every name that lxml reads stays in a dictionary of its thread: with this one it goes.
    """
    done: list[tuple[Mistake, ...]] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as exc:  # noqa: BLE001 - it is raised again where it belongs
            failed.append(exc)

    thread = Thread(target=run, name="validation")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]
