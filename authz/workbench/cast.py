"""The cast of the scenarios: `policies/scenarios/people.yaml` names people, structures, documents, patients.

Wherever a scenario names one of them, it may also write `{like: name, key: value}`: the same, with some
keys other than they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from authz.mistake import suggest
from authz.model import UNKNOWN_ACTION, Vocabulary
from authz.query import CONFIDENTIALITY, Document, Subject, Target
from authz.registry.state import Grantee, GranteeKind
from authz.source import Mistakes, Node

SECTIONS: Final = ("people", "structures", "documents", "patients")
ANSWERS: Final = {"yes": True, "no": False, "permitted": True, "opposed": False}
"""How a scenario answers; the first two to questions, the others for what a patient wants."""

_TEXTS: Final = ("profession", "structure_kind", "name", "structure_name")
_SUBJECT: Final = (*_TEXTS, "structure", "authentication", "capacity", "regulator")
_DOCUMENT: Final = ("authors", "author_structure", "visibility", "status", "system")
PATIENT: Final = ("born", "dossier", "consents")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Who and what the scenarios speak of, by name; `at` is their common instant."""

    at: datetime
    people: Mapping[str, Node]
    structures: Mapping[str, Node]
    documents: Mapping[str, Node]
    patients: Mapping[str, Node]


class CastReader:
    """Turns what scenarios name into subjects, documents and targets; mistakes are collected."""

    def __init__(self, cast: Cast, vocabulary: Vocabulary, mistakes: Mistakes) -> None:
        self.cast = cast
        self._vocabulary = vocabulary
        self._mistakes = mistakes

    def check(self) -> None:
        """Reads the whole cast once, for its mistakes."""
        for name, node in self.cast.structures.items():
            self._structure(node, f"structure {name}")
        for name, node in self.cast.people.items():
            self.subject(node, f"person {name}")
            if name in self.cast.structures:
                self._mistakes.at(node, f"person {name}", "a structure has the same name")
        for name, node in self.cast.documents.items():
            self.document(node, f"document {name}")

    def named(self, node: Node, where: str, section: str, *, what: str = "") -> Node | None:
        """The entry that a node names, or describes with `like`; None after noting a mistake."""
        known: Mapping[str, Node] = getattr(self.cast, section)
        what = what or {"people": "person"}.get(section, section.removesuffix("s"))
        if isinstance(node.value, str):
            name = self._mistakes.one_of(node, where, what, known)
            return known.get(name)
        like = node.items.get("like")
        if like is None:
            if isinstance(node.value, dict):
                return node
            self._mistakes.at(node, where, f"name a {what}, or write `{{like: name, key: value}}`")
            return None
        base = known.get(self._mistakes.one_of(like, where, what, known))
        if base is None:
            return None
        changes = {key: value for key, value in node.items.items() if key != "like"}
        return Node({**base.items, **changes}, node.path, node.line, node.column, node.keys)

    def subject(self, node: Node, where: str) -> Subject | None:
        """The person that an entry describes."""
        if not self._mistakes.keys(node, where, required=("kind", "id"), optional=_SUBJECT):
            return None
        items = node.items
        home = self._home(items.get("structure"), where)
        named = {key: self._text(items.get(key), where, key) for key in ("id", *_TEXTS)}
        chosen = {
            key: self._choice(items.get(key), where, f"subject.{key}")
            for key in ("kind", "authentication", "capacity")
        }
        return Subject(
            kind=chosen["kind"],
            id=named["id"],
            profession=named["profession"],
            structure=home.get("id", ""),
            structure_kind=named["structure_kind"] or home.get("kind", ""),
            authentication=chosen["authentication"],
            capacity=chosen["capacity"],
            regulator=self.answer(items.get("regulator"), where, "regulator") is True,
            name=named["name"],
            structure_name=named["structure_name"] or home.get("name", ""),
        )

    def document(self, node: Node, where: str) -> Document | None:
        """The document that an entry describes; it is approved unless it says otherwise."""
        if not self._mistakes.keys(node, where, required=("id", "type"), optional=_DOCUMENT):
            return None
        items = node.items
        authors = items["authors"].sequence if "authors" in items else []
        codes = items["visibility"].sequence if "visibility" in items else []
        status = self._choice(items.get("status"), where, "resource.status") or "approved"
        visibility = (self._mistakes.one_of(c, where, "visibility", CONFIDENTIALITY) for c in codes)
        return Document(
            id=self._text(items["id"], where, "id"),
            type=self._text(items["type"], where, "type"),
            authors=tuple(self._identifier(author, where, "people") for author in authors),
            author_structure=self._home(items.get("author_structure"), where).get("id", ""),
            visibility=tuple(visibility),
            status=status,
            system=self._text(items.get("system"), where, "system"),
        )

    def target(self, node: Node, where: str) -> Target | None:
        """Whom an act aims at: a person or a structure of the cast."""
        if isinstance(node.value, dict) and "like" not in node.value:
            if not self._mistakes.keys(
                node, where, required=("id", "kind"), optional=("profession",)
            ):
                return None
            texts = {key: self._text(item, where, key) for key, item in node.items.items()}
            return Target(
                id=texts["id"], kind=texts["kind"], profession=texts.get("profession", "")
            )
        found = self._person_or_structure(node, where)
        if isinstance(found, Subject):
            kind = found.kind if found.kind in ("professional", "structure") else "person"
            return Target(id=found.id, kind=kind, profession=found.profession)
        return Target(id=found["id"], kind="structure") if found else None

    def grantees(self, node: Node | None, where: str) -> list[Grantee]:
        """The people and structures that a list names, as those who are authorised or blocked."""
        found = (self._person_or_structure(n, where) for n in (node.sequence if node else []))
        return [
            Grantee(identifier=one.id, kind=GranteeKind.STRUCTURE)
            if isinstance(one, Subject) and one.kind == "structure"
            else Grantee(identifier=one.id, kind=GranteeKind.PROFESSIONAL)
            if isinstance(one, Subject)
            else Grantee(identifier=one["id"], kind=GranteeKind.STRUCTURE)
            for one in found
            if one
        ]

    def answer(self, node: Node | None, where: str, name: str) -> bool | None:
        """Yes or no, permitted or opposed; None when not stated."""
        if node is None:
            return None
        return ANSWERS.get(self._mistakes.one_of(node, where, f"answer to `{name}`", ANSWERS))

    def day(self, node: Node | None, where: str, name: str) -> date | None:
        """A day such as "2015-04-02"; None when it is not stated, or `unknown`."""
        text = self._text(node, where, name)
        if node is None or text in ("", "unknown"):
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            self._mistakes.at(node, where, f"`{name}` is not a day: `{text}`", 'write "2015-04-02"')
            return None

    def _person_or_structure(self, node: Node, where: str) -> Subject | dict[str, str] | None:
        name = node.items.get("like", node).value
        if name in self.cast.structures:
            entry = self.named(node, where, "structures")
            return self._structure(entry, where) if entry else None
        if isinstance(name, str) and name not in self.cast.people:
            hint = suggest(name, [*self.cast.people, *self.cast.structures])
            self._mistakes.at(node, where, f"unknown person or structure: `{name}`", hint)
            return None
        entry = self.named(node, where, "people")
        return self.subject(entry, where) if entry else None

    def _structure(self, node: Node, where: str) -> dict[str, str]:
        if not self._mistakes.keys(node, where, required=("id",), optional=("kind", "name")):
            return {}
        return {key: self._text(item, where, key) for key, item in node.items.items()}

    def _home(self, node: Node | None, where: str) -> dict[str, str]:
        """The structure that an entry belongs to, named or by its identifier."""
        if node is None:
            return {}
        if isinstance(node.value, str) and node.value[:1].isdigit():
            return {"id": node.value}
        entry = self.named(node, where, "structures")
        return self._structure(entry, where) if entry else {}

    def _identifier(self, node: Node, where: str, section: str) -> str:
        if isinstance(node.value, str) and node.value[:1].isdigit():
            return node.value
        entry = self.named(node, where, section)
        return self._text(entry.items.get("id"), where, "id") if entry else ""

    def _text(self, node: Node | None, where: str, name: str) -> str:
        return self._mistakes.text(node, where, name)

    def _choice(self, node: Node | None, where: str, fact: str) -> str:
        if node is None:
            return ""
        return self._mistakes.one_of(node, where, fact, stated(self._vocabulary, fact))


def stated(vocabulary: Vocabulary, fact: str) -> list[str]:
    """The values of a choice that can be stated, which ignorance can't."""
    return [v for v in vocabulary.fact(fact).values if v not in (UNKNOWN_ACTION, "missing")]


def read_cast(root: Node, mistakes: Mistakes) -> Cast | None:
    """Reads `people.yaml`; None when nothing can be made of it."""
    if not mistakes.keys(root, "people", required=("at", *SECTIONS)):
        return None
    at = instant(root.items["at"], "people", mistakes)
    sections = {name: _section(root.items[name], name, mistakes) for name in SECTIONS}
    return None if at is None else Cast(at=at, **sections)


def _section(node: Node, name: str, mistakes: Mistakes) -> dict[str, Node]:
    if not isinstance(node.value, dict):
        mistakes.at(node, name, "a mapping of `name: {key: value}` is expected here")
    return node.items


def instant(node: Node, where: str, mistakes: Mistakes) -> datetime | None:
    """An instant with its time zone, such as "2026-05-04T10:00:00Z"."""
    text = mistakes.text(node, where, "at")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if text and (found is None or found.tzinfo is None):
        hint = 'write "2026-05-04T10:00:00Z"'
        mistakes.at(node, where, f"not an instant with a time zone: `{text}`", hint)
        return None
    return found
