"""Decides again what the log says was decided: from an entry's facts and its policies, nothing else. Pure.

A decision depends on the facts that stand in its entry and on the bundle that it names, so anyone who holds
both can see that it was the right one. What facts can't show is told apart: a change that policy allowed and
the state of the registry made impossible, and a decision that failed while its facts were computed.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final

import orjson

from audit.entry import Entry
from authz.bundle import SERVICES, VOCABULARY, Bundle, Product, restore
from authz.decide import DECISION_ERROR
from authz.decision import CHANGE_IMPOSSIBLE
from authz.errors import BundleError
from authz.mistake import Mistake
from authz.model import ACTION, Effect, Fact, FactValue, Kind, Vector, Verdict
from authz.plan import Judgement
from authz.value import dataclass

__all__ = [
    "DECIDED",
    "Bundle",
    "BundleError",
    "Difference",
    "Outcome",
    "Replayed",
    "Why",
    "replay",
    "restored",
]

DECIDED: Final = frozenset({"decision", "change", "filter"})
"""The kinds of entries that a decision stands in."""

_KNOWN: Final = 16_384
"""How many sorts of lists are kept with their verdicts."""

_WHERE: Final = "stored bundle"


class Outcome(StrEnum):
    """What became of deciding an entry again."""

    SAME = "same"
    DIFFERENT = "different"
    OVERRIDDEN = "overridden"
    """Policy says what it said then, as far as can be seen, but something else had the last word."""
    NOT_REPLAYED = "not_replayed"


class Why(StrEnum):
    """Why an entry was not decided again, or what had the last word."""

    NO_DECISION = "no decision"
    ERASED = "erased"
    UNKNOWN_BUNDLE = "unknown bundle"
    NO_FACTS = "no facts"
    FACTS_UNFIT = "facts that do not fit the policies"
    CHANGE_IMPOSSIBLE = (
        "the change was impossible in the state of the registry, which is not among the facts"
    )
    DECISION_FAILED = "deciding failed, and its facts are not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A field of the entry that comes out otherwise; lists are joined by commas."""

    field: str
    recorded: str
    replayed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of it: `why` for all but the first two outcomes, `differences` for the second alone."""

    outcome: Outcome
    why: Why | None = None
    differences: tuple[Difference, ...] = ()


_SAME: Final = Replayed(outcome=Outcome.SAME)


def replay(entry: Entry | None, bundle: Bundle | None) -> Replayed:
    """Decides an entry again; in about 5 us, if it is no list of a sort not seen before (half a millisecond).

    Args:
        entry: as it stands in the log; None when it was erased.
        bundle: the one that the entry names, from `restored`; None when it is not known.
    """
    if entry is None:
        return _not(Why.ERASED)
    kind = entry.get("kind")
    if kind not in DECIDED:
        return _not(Why.NO_DECISION)
    if bundle is None or bundle.digest != entry.get("bundle"):
        return _not(Why.UNKNOWN_BUNDLE)
    vector = _vector(entry.get("facts", ()))
    is_list = kind == "filter"
    if not vector or (is_list and not _fit(bundle, vector)):
        return _not(Why.FACTS_UNFIT if vector else Why.NO_FACTS)
    verdict = _judged(bundle.judge, _renamed(vector)) if is_list else bundle.decide(vector)
    if (
        verdict.effect.value == entry.get("effect")
        and verdict.reason == entry.get("reason_code")
        and [*verdict.rules] == [*entry.get("rules", ())]
        and [*verdict.obligations] == [*entry.get("obligations", ())]
        and _action(bundle, vector) == entry.get("action")
    ):
        return _SAME
    return _explained(entry, bundle, vector, verdict)


def restored(content: bytes, digest: str) -> Bundle:
    """The bundle with this digest, from its stored content; also one of an earlier version of the product.

    Raises:
        BundleError: the content is damaged, or that of another bundle.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise _error(f"is not `{digest[:12]}`, but `{found[:12]}`")
    return restore(content, _product_of(content))


def _vector(facts: Sequence[object]) -> Vector:
    """The facts as they are judged: JSON has lists in the place of tuples."""
    return tuple([tuple(f) if type(f) is list else f for f in facts])  # type: ignore[misc]  # judged by `holds`


def _fit(bundle: Bundle, vector: Vector) -> bool:
    """Whether these are facts of the bundle's vocabulary."""
    facts = bundle.vocabulary.facts
    return len(vector) == len(facts) and all(map(Fact.holds, facts, vector))


def _renamed(vector: Vector) -> Vector:
    """The same facts with other identifiers; rules only ask which of them are equal."""
    names: dict[str, str] = {"": ""}

    def name(identifier: str) -> str:
        return names.setdefault(identifier, f"#{len(names)}")

    renamed: list[FactValue] = []
    for fact in vector:
        if isinstance(fact, int):
            renamed.append(fact)
        else:
            renamed.append(name(fact) if isinstance(fact, str) else tuple(map(name, fact)))
    return tuple(renamed)


@lru_cache(_KNOWN)
def _judged(judge: Callable[[Vector], Judgement], vector: Vector) -> Verdict:
    """The verdict on a list; few sorts of lists are ever asked for."""
    return judge(vector).verdict


def _action(bundle: Bundle, vector: Vector) -> str | None:
    """The action that the facts speak of."""
    place = bundle.vocabulary.index[ACTION]
    try:
        return bundle.vocabulary.facts[place].values[vector[place]]  # type: ignore[index]  # an action is an int
    except (IndexError, TypeError):
        return None


def _explained(entry: Entry, bundle: Bundle, vector: Vector, verdict: Verdict) -> Replayed:
    """What is to be said of an entry that does not come out the same."""
    if not _fit(bundle, vector):
        return _not(Why.FACTS_UNFIT)
    bare = (
        entry.get("effect") == Effect.DENY
        and not entry.get("rules")
        and not entry.get("obligations")
    )
    reason = entry.get("reason_code")
    if bare and reason == DECISION_ERROR and vector == bundle.vocabulary.defaults():
        return _not(Why.DECISION_FAILED)
    differences = tuple(_differences(entry, verdict, _action(bundle, vector) or ""))
    if (
        bare
        and reason == CHANGE_IMPOSSIBLE
        and entry.get("kind") == "change"
        and verdict.effect is Effect.ALLOW
        and all(difference.field != "action" for difference in differences)
    ):
        return Replayed(outcome=Outcome.OVERRIDDEN, why=Why.CHANGE_IMPOSSIBLE)
    return Replayed(outcome=Outcome.DIFFERENT, differences=differences)


def _differences(entry: Entry, verdict: Verdict, action: str) -> Iterator[Difference]:
    again: dict[str, object] = {
        "action": action,
        "effect": verdict.effect.value,
        "reason_code": verdict.reason,
        "rules": verdict.rules,
        "obligations": verdict.obligations,
    }
    recorded: dict[str, object] = {**entry}
    for field, value in again.items():
        before, now = _text(recorded.get(field, "")), _text(value)
        if before != now:
            yield Difference(field=field, recorded=before, replayed=now)


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _not(why: Why) -> Replayed:
    return Replayed(outcome=Outcome.NOT_REPLAYED, why=why)


def _product_of(content: bytes) -> Product:
    """A product that fits: what was built once is decided by again, whatever is computed today.

    Raises:
        BundleError: the content is damaged.
    """
    try:
        stored = orjson.loads(content)
        facts = stored["documents"][VOCABULARY]["facts"]
        computed = {fact["name"]: (Kind(fact["type"]), frozenset[str]()) for fact in facts}
        cells = [cell.strip() for line in stored["tables"][SERVICES[1]] for cell in line.split(",")]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise _error(f"damaged: {exc}") from exc
    rpcs = frozenset(cell for cell in cells if "/" in cell)
    return Product(computed=computed, parameters={}, rpcs=rpcs, filtered=frozenset())


def _error(message: str) -> BundleError:
    hint = "restore the database from a backup"
    mistake = Mistake(path=_WHERE, line=1, column=1, where="file", message=message, hint=hint)
    return BundleError([mistake])
