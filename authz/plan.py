"""Which documents may it be? The rules, read with the document left open.

What is known of a request settles most of what rules ask. What is left speaks of the document's label
alone, and is a *condition* over labels: a label meets it exactly when the request with this document would
be allowed. So a list asks one question, however many documents there are.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from authz.criteria import EVERYTHING, Criteria, both, implies, meets, possible
from authz.decide import combine, failed
from authz.labels import Labels
from authz.model import (
    ACTION,
    Box,
    Effect,
    In,
    Literal,
    Rule,
    Vector,
    Verdict,
    Vocabulary,
    facts_of,
    holds,
)
from authz.query import Document

DOCUMENT: Final = "document"
"""What an action needs whose document can be left open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A rule, and what a label must meet for it to apply."""

    rule: Rule
    criteria: Criteria


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Which labels may be shown: those that meet a clause of `allow`, and none of `deny`.

    The clauses are in the order of priority: of those of `deny` that a label meets, the first gives the
    reason.
    """

    allow: tuple[Clause, ...]
    deny: tuple[Clause, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is said of a request whose document is left open; a denial has no condition.

    The obligations of the verdict are due whatever document is shown, those of the clauses that a
    document meets are due for it.
    """

    verdict: Verdict
    condition: Condition | None = None


def admits(condition: Condition, document: Document) -> tuple[bool, tuple[str, ...]]:
    """Whether a condition lets a document be shown, and which obligations are then due."""
    if any(meets(clause.criteria, document) for clause in condition.deny):
        return False, ()
    met = [clause.rule for clause in condition.allow if meets(clause.criteria, document)]
    return bool(met), tuple(dict.fromkeys(o for rule in met for o in rule.obligations))


@dataclass(frozen=True, slots=True)
class _Part:
    """A box of a rule, less what it says of the action: what the request settles, and what a label does."""

    rule: Rule
    closed: tuple[Literal, ...]
    open: tuple[Literal, ...]


class Planner:
    """Judges requests whose document is left open, under one bundle."""

    def __init__(self, vocabulary: Vocabulary, rules: Iterable[Rule], labels: Labels) -> None:
        self._facts = vocabulary.facts
        self._place = vocabulary.index[ACTION]
        self._labels = labels
        ranked = sorted(rules, key=_rank)
        parts = [(box, self._part(rule, box)) for rule in ranked for box in rule.boxes]
        self._parts: Mapping[int, Sequence[_Part]] = {
            action: [part for box, part in parts if _stands(box, self._place, action)]
            for action, name in enumerate(self._facts[self._place].values)
            if name in vocabulary.actions and DOCUMENT in vocabulary.actions[name].needs
        }

    def judge(self, vector: Vector) -> Judgement:
        """The answer to a request; what the vector says of its document is overlooked.

        Never raises: what goes wrong is a denial that says so.
        """
        try:
            return self._judge(vector)
        except Exception as exc:  # noqa: BLE001 - whatever went wrong, the answer is a named deny
            return Judgement(verdict=failed(exc))

    def _part(self, rule: Rule, box: Box) -> _Part:
        is_open = self._labels.is_open
        closed = (li for li in box if not is_open(li) and self._place not in facts_of(li))
        # In one order, so that conditions come out the same each time.
        ordered = sorted(filter(is_open, box), key=repr)
        return _Part(rule, tuple(closed), tuple(ordered))

    def _judge(self, vector: Vector) -> Judgement:
        for fact, value in zip(self._facts, vector, strict=True):
            if not fact.holds(value):
                raise ValueError(f"{fact.name}: not a value of its list or type")
        clauses = list(self._clauses(vector))
        denies = tuple(c for c in clauses if c.rule.effect is Effect.DENY)
        refused = [c.rule for c in denies if c.criteria == EVERYTHING]
        if refused:
            return Judgement(verdict=combine(refused))
        denies = _least(denies, _tells_first)
        apart = [c.criteria for c in denies]
        allows = [
            c for c in clauses if c.rule.effect is Effect.ALLOW and possible(c.criteria, apart)
        ]
        if not allows:
            # Each document is denied, for reasons of its own: told is that of an ordinary one.
            ordinary = self._labels.ordinary(vector)
            applying = [c.rule for c in denies if meets(c.criteria, ordinary)]
            return Judgement(verdict=combine(applying))
        condition = Condition(allow=_least(allows, _owes_more), deny=denies)
        return Judgement(verdict=_allowed(allows), condition=condition)

    def _clauses(self, vector: Vector) -> Iterator[Clause]:
        """What is left of each box that the request does not rule out, those of high priority first."""
        forms = self._labels.forms
        for part in self._parts[vector[self._place]]:  # type: ignore[index]  # an action is an int
            if not all(holds(literal, vector) for literal in part.closed):
                continue
            for chosen in product(*(forms(literal, vector) for literal in part.open)):
                criteria: Criteria | None = EVERYTHING
                for one in chosen:
                    criteria = both(criteria, one) if criteria is not None else None
                if criteria is not None:
                    yield Clause(rule=part.rule, criteria=criteria)


def _stands(box: Box, place: int, action: int) -> bool:
    """Whether a box may hold for an action."""
    return all(action in li.allowed for li in box if isinstance(li, In) and li.fact == place)


def _allowed(allows: Sequence[Clause]) -> Verdict:
    """The verdict when some label may be shown: by the rules that do not ask for more, else by all."""
    carrying = [c.rule for c in allows if c.criteria == EVERYTHING] or [c.rule for c in allows]
    owed = dict.fromkeys(o for clause in allows for o in clause.rule.obligations)
    return Verdict(
        effect=Effect.ALLOW,
        reason=carrying[0].reason,
        rules=tuple(dict.fromkeys(rule.uid for rule in carrying)),
        obligations=tuple(o for o in owed if _always_due(o, allows)),
    )


def _always_due(obligation: str, allows: Sequence[Clause]) -> bool:
    """Whether each label that meets one of the clauses meets one that carries the obligation."""
    carrying = [c.criteria for c in allows if obligation in c.rule.obligations]
    return all(any(implies(c.criteria, wider) for wider in carrying) for c in allows)


def _least(
    clauses: Sequence[Clause], replaces: Callable[[Clause, Clause], bool]
) -> tuple[Clause, ...]:
    """The clauses that no other one makes needless, in their order; of two that are alike, the first."""
    return tuple(
        one
        for place, one in enumerate(clauses)
        if not any(
            replaces(other, one) and (earlier < place or not replaces(one, other))
            for earlier, other in enumerate(clauses)
            if earlier != place
        )
    )


def _owes_more(other: Clause, clause: Clause) -> bool:
    """Whether `other` lets be shown whatever `clause` does, under the same obligations at least."""
    enough = set(clause.rule.obligations) <= set(other.rule.obligations)
    return enough and implies(clause.criteria, other.criteria)


def _tells_first(other: Clause, clause: Clause) -> bool:
    """Whether `other` denies whatever `clause` does, and gives the reason."""
    first = _rank(other.rule) <= _rank(clause.rule)
    return first and implies(clause.criteria, other.criteria)


def _rank(rule: Rule) -> tuple[int, str]:
    """The order in which rules give the reason, as in `authz.decide`."""
    return -rule.priority, rule.uid
