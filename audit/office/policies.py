"""The policies that entries were decided under, as an auditor needs them: facts and rules in words.

They are read from what the log database keeps of each bundle; its digest is that of its bytes, so that
nobody can pass off others for them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

import orjson
from sqlalchemy import Connection, inspect, text

from audit.entry import Entry

SECRET: Final = ("context.secret_connection", "yes")
_QUERY: Final = text("SELECT content FROM bundles WHERE digest = :digest")


class Said(NamedTuple):
    """A sentence in French and in English."""

    fr: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleText:
    """A rule as its officer wrote it: `effect` is allow or deny, `source` the law or custom."""

    uid: str
    effect: str
    reason: str
    told: Said
    source: str


@dataclass(frozen=True, slots=True)
class Policies:
    """A bundle in words; what it does not hold is not there, for it may be of another release.

    Attributes:
        content: the bundle's documents by name.
        facts: in the order of the vector of an entry: name, type, values.
        places: in it, by name.
    """

    content: Mapping[str, Any]
    facts: Sequence[Mapping[str, Any]]
    places: Mapping[str, int]

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Reads the content of a bundle.

        Raises:
            ValueError: it is none.
        """
        try:
            tree = orjson.loads(content)
            facts = tree["vocabulary"]["facts"]
            places = {fact["name"]: place for place, fact in enumerate(facts)}
            return cls(tree["documents"], facts, places)
        except (KeyError, TypeError) as exc:
            raise ValueError("no content of a bundle") from exc

    def fact(self, entry: Entry, name: str) -> str | Sequence[str] | None:
        """The value of a fact at that time: a word or an id, or several; None if it is not known."""
        place, vector = self.places.get(name), entry.get("facts", ())
        if place is None or place >= len(vector):
            return None
        value, values = vector[place], self.facts[place]["values"]
        if not isinstance(value, int):
            return value
        if self.facts[place]["type"] == "choice":
            return str(values[value]) if 0 <= value < len(values) else None
        return [one for bit, one in enumerate(values) if value >> bit & 1]

    def rule(self, uid: str) -> RuleText | None:
        """A rule by its uid."""
        rule = self._written(uid)
        if rule is None:
            return None
        return RuleText(
            uid=uid,
            effect=rule["effect"],
            reason=rule["reason"],
            told=Said(rule["told"]["fr"], rule["told"]["en"]),
            source=str(rule.get("source", "")),
        )

    def conditions(self, uid: str) -> Mapping[str, Mapping[str, Any]]:
        """What a rule asks for, by element; nothing of a rule that is not there."""
        found: Mapping[str, Mapping[str, Any]] = (self._written(uid) or {}).get("rules", {})
        return found

    def _written(self, uid: str) -> Mapping[str, Any] | None:
        documents = (rules for name, rules in self.content.items() if name.startswith("rules/"))
        found = (rule for document in documents for rule in document["rules"])
        return next((rule for rule in found if rule["uid"] == uid), None)

    def parameter(self, name: str) -> Any:  # noqa: ANN401 - of whatever type it is
        """The value of a parameter; None if there is none."""
        for one in self.content.get("parameters.yaml", {}).get("parameters", ()):
            if one["name"] == name:
                return one["value"]
        return None


class Shelf:
    """The policies by digest, each read once: a bundle never changes."""

    def __init__(self) -> None:
        self._read: dict[str, Policies | None] = {}

    def get(self, log: Connection, digest: str) -> Policies | None:
        """The policies of an entry; None where they are not kept, or are not those that they claim to be.

        Args:
            log: on the database of the log.
            digest: as in field `bundle`.
        """
        if digest not in self._read:
            found = self._find(log, digest)
            if found is None:
                return None  # they may come yet
            self._read[digest] = found
        return self._read[digest]

    @staticmethod
    def _find(log: Connection, digest: str) -> Policies | None:
        content = kept(log, digest)
        if content is None or hashlib.sha256(content).hexdigest() != digest:
            return None
        try:
            return Policies.read(content)
        except ValueError:
            return None


def kept(log: Connection, digest: str) -> bytes | None:
    """The content of a bundle as the database of the log has it; None where it is not kept."""
    if not digest or not inspect(log).has_table("bundles"):
        return None
    content = log.execute(_QUERY, {"digest": digest}).scalar()
    return None if content is None else bytes(content)
