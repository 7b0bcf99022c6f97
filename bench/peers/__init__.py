"""The peers: policy engines that take the same rules, the same requests, and must give the same answers.

An adapter translates rules and requests as well as it can *for the engine*: whatever can be parsed,
indexed or built before the clock starts, is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from authz.model import Fact, Kind, Rule, Vector, Vocabulary

Words = dict[str, str | tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The rules in force: as documents, and as they were read from them."""

    vocabulary: Vocabulary
    rules: tuple[Rule, ...]
    documents: Mapping[str, Mapping[str, object]]


class Peer(Protocol):
    """An engine, loaded with policies."""

    name: str

    def prepare(self, vectors: Sequence[Vector]) -> Sequence[Any]:
        """The requests in the form that the engine takes; not on the clock."""

    def decide(self, requests: Sequence[Any]) -> list[bool]:
        """Which of the requests are allowed; on the clock."""


def words(vocabulary: Vocabulary, vector: Vector) -> Words:
    """A vector in words; an absent identifier gets a name of its own, so that it equals no other."""
    found = vocabulary.decode(vector)
    for fact in vocabulary.facts:
        if fact.kind is Kind.IDENTIFIER and not found[fact.name]:
            found[fact.name] = f"absent {fact.name}"
    return found


def flat(fact: Fact) -> str:
    """The name of a fact as one word: `subject_kind`."""
    return fact.name.replace(".", "_")
