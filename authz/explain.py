"""Why a verdict is what it is, and what would have made it yes.

Works on a vector and the bundle that judged it, so that a decision of last year can be explained from its
log entry. "What would have made it yes" names changeable facts only, and every such answer has been decided
again: it is true, or it is not given.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from authz.bundle import Bundle
from authz.model import (
    ACTION,
    Box,
    Effect,
    Fact,
    Has,
    In,
    Literal,
    Member,
    Rule,
    Same,
    Vector,
    Verdict,
    Vocabulary,
    facts_of,
    holds,
)

MAX_CHANGES: Final = 5
MAX_REMEDIES: Final = 3
_MAX_TRIES: Final = 4_000
_FIXED: Final = 100
"""How much farther off a rule is for each condition that nobody could make true."""

Changes = Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One condition of a rule: in words, and whether it holds."""

    text: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFinding:
    """What a rule had to say: of its alternatives the one that holds, or came nearest."""

    rule: Rule
    conditions: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """Facts that, had they been so, would have made it yes: (fact, value it has, value it should have)."""

    changes: tuple[tuple[str, str, str], ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why, in one language."""

    verdict: Verdict
    deciding: tuple[RuleFinding, ...]
    nearest: RuleFinding | None
    remedies: tuple[Remedy, ...]


def explain(bundle: Bundle, vector: Vector, *, language: str) -> Explanation:
    """Explains the verdict of `bundle` on `vector` in French (`fr`) or English (`en`).

    Where deciding failed, the verdict names the error, and there is no more to say.
    """
    verdict = bundle.decide(vector)
    if verdict.error:
        return Explanation(verdict=verdict, deciding=(), nearest=None, remedies=())
    words = _Words(bundle.vocabulary, language)
    rules = [rule for uid in verdict.rules if (rule := bundle.rule(uid)) is not None]
    deciding = tuple(_finding(rule, _standing_box(rule, vector), vector, words) for rule in rules)
    if verdict.effect is Effect.ALLOW:
        return Explanation(verdict=verdict, deciding=deciding, nearest=None, remedies=())
    cures = remedies(bundle, vector)
    nearest = _first_to_allow(bundle, vector, cures[0]) if cures else _nearest(bundle, vector)
    return Explanation(
        verdict=verdict,
        deciding=deciding,
        nearest=_finding(*nearest, vector, words) if nearest else None,
        remedies=tuple(words.remedy(vector, changes) for changes in cures),
    )


def remedies(bundle: Bundle, vector: Vector) -> list[Changes]:
    """The smallest sets of changes that make the verdict an allow; each is checked by deciding."""
    search = _Search(bundle, vector)
    found: dict[frozenset[tuple[int, int]], Changes] = {}
    for rule in bundle.rules:
        if rule.effect is not Effect.ALLOW:
            continue
        for box in rule.boxes:
            for changes in search.satisfy(box):
                least = search.least(changes)
                found[frozenset(least.items())] = least
    kept: list[Changes] = []
    for changes in sorted(found.values(), key=lambda c: (len(c), sorted(c.items()))):
        if not any(other.items() <= changes.items() for other in kept):
            kept.append(changes)
    return kept[:MAX_REMEDIES]


class _Search:
    """Looks for changes that satisfy an allow box and break every deny box that then applies."""

    def __init__(self, bundle: Bundle, vector: Vector) -> None:
        self._bundle = bundle
        self._facts = bundle.vocabulary.facts
        self._vector = vector
        self._tries = 0

    def satisfy(self, box: Box) -> Iterator[Changes]:
        """Changes under which `box` holds and nothing denies; none when a fixed fact stands against it."""
        changes: dict[int, int] = {}
        for literal in box:
            if holds(literal, self._vector):
                continue
            value = self._choose(literal, wanted=True)
            if value is None or not isinstance(literal, In):
                return
            changes[literal.fact] = value
        yield from self._break_denies(box, changes)

    def least(self, changes: Changes) -> Changes:
        """The fewest of the changes that are enough."""
        for size in range(1, len(changes)):
            for some in combinations(sorted(changes.items()), size):
                if self._verdict(dict(some)).effect is Effect.ALLOW:
                    return dict(some)
        return changes

    def _break_denies(self, allow: Box, changes: dict[int, int]) -> Iterator[Changes]:
        self._tries += 1
        if len(changes) > MAX_CHANGES or self._tries > _MAX_TRIES:
            return
        verdict = self._verdict(changes)
        if verdict.effect is Effect.ALLOW:
            yield changes
            return
        vector = self._changed(changes)
        denying = [self._bundle.rule(uid) for uid in verdict.rules]
        boxes = [
            box
            for rule in denying
            if rule is not None
            for box in rule.boxes
            if all(holds(li, vector) for li in box)
        ]
        if not boxes:
            return
        for literal in sorted(boxes[0], key=repr):
            if not isinstance(literal, In) or literal.fact in changes:
                continue
            value = self._choose(literal, wanted=False, within=allow)
            if value is not None:
                yield from self._break_denies(allow, {**changes, literal.fact: value})

    def _choose(self, literal: Literal, *, wanted: bool, within: Box = frozenset()) -> int | None:
        """A value that someone could bring about and that makes a literal (un)true."""
        if not isinstance(literal, In):
            return None
        fact = self._facts[literal.fact]
        values = [v for v in fact.changeable if (v in literal.allowed) is wanted]
        for other in within:
            if isinstance(other, In) and other.fact == literal.fact:
                values = [v for v in values if v in other.allowed]
        return values[0] if values else None

    def _changed(self, changes: Changes) -> Vector:
        return tuple(changes.get(place, value) for place, value in enumerate(self._vector))

    def _verdict(self, changes: Changes) -> Verdict:
        return self._bundle.decide(self._changed(changes))


def _first_to_allow(bundle: Bundle, vector: Vector, cure: Changes) -> tuple[Rule, Box] | None:
    """The rule that would allow after the smallest remedy: no other is nearer to yes."""
    cured = tuple(cure.get(place, value) for place, value in enumerate(vector))
    rule = bundle.rule(bundle.decide(cured).rules[0])
    return (rule, _standing_box(rule, cured)) if rule else None


def _nearest(bundle: Bundle, vector: Vector) -> tuple[Rule, Box] | None:
    """The allow rule, of those for the action, with the fewest conditions missing."""
    action = bundle.vocabulary.index[ACTION]
    near = [
        (rule, box)
        for rule in bundle.rules
        if rule.effect is Effect.ALLOW
        for box in rule.boxes
        if all(holds(literal, vector) for literal in box if action in facts_of(literal))
    ]

    def rank(one: tuple[Rule, Box]) -> tuple[int, int, str, list[str]]:
        rule, box = one
        far = _distance(box, vector, bundle.vocabulary)
        return far, -rule.priority, rule.uid, sorted(map(repr, box))

    return min(near, key=rank, default=None)


def _standing_box(rule: Rule, vector: Vector) -> Box:
    """The box by which a rule applies."""
    return next(box for box in rule.boxes if all(holds(literal, vector) for literal in box))


def _distance(box: Box, vector: Vector, vocabulary: Vocabulary) -> int:
    """How far a box is from holding: its false conditions, those that nobody can change counting more."""
    false = [li for li in box if not holds(li, vector)]
    fixed = [
        li
        for li in false
        if not (isinstance(li, In) and li.allowed & set(vocabulary.facts[li.fact].changeable))
    ]
    return len(false) + _FIXED * len(fixed)


def _finding(rule: Rule, box: Box, vector: Vector, words: "_Words") -> RuleFinding:
    literals = sorted(box, key=lambda li: (holds(li, vector), facts_of(li)))
    conditions = tuple(
        Finding(text=words.literal(li, vector), holds=holds(li, vector)) for li in literals
    )
    return RuleFinding(rule=rule, conditions=conditions)


class _Words:
    """Puts literals into words."""

    def __init__(self, vocabulary: Vocabulary, language: str) -> None:
        self._facts = vocabulary.facts
        self._french = language == "fr"
        self._language = language

    def literal(self, literal: Literal, vector: Vector) -> str:
        """What a condition asks, and how it stands."""
        match literal:
            case In(place, allowed):
                return self._choice(self._facts[place], allowed, vector[place])
            case Has(place, bit, wanted):
                fact = self._facts[place]
                holds_or_not = (
                    self._say("contient", "holds") if wanted else self._say("sans", "without")
                )
                return f"{self._name(place)} {holds_or_not} {self._value(fact, bit)}"
            case Same(left, right, wanted):
                verb = self._say("est", "is") if wanted else self._say("n'est pas", "is not")
                return f"{self._name(left)} {verb} {self._name(right)}"
            case Member(item, group, wanted):
                verb = (
                    self._say("est parmi", "is among")
                    if wanted
                    else self._say("n'est pas parmi", "is not among")
                )
                return f"{self._name(item)} {verb} {self._name(group)}"

    def remedy(self, vector: Vector, changes: Changes) -> Remedy:
        """A set of changes as a sentence."""
        listed, texts = [], []
        for place, value in sorted(changes.items()):
            fact = self._facts[place]
            now = fact.decode(vector[place])
            listed.append(
                (fact.name, now if isinstance(now, str) else ",".join(now), fact.values[value])
            )
            texts.append(self._value(fact, value))
        joined = self._say(" ; et ", "; and ").join(texts)
        return Remedy(
            changes=tuple(listed),
            text=self._say("Ce serait oui si : ", "It would be yes if: ") + joined,
        )

    def _choice(self, fact: Fact, allowed: Sequence[int] | frozenset[int], value: object) -> str:
        name = fact.wording.text(self._language)
        known = isinstance(value, int)
        stands = self._value(fact, value) if isinstance(value, int) else "?"
        if known and value in allowed:
            return f"{name} : {stands}" if self._french else f"{name}: {stands}"
        few = 3
        others = [v for v in range(len(fact.values)) if v not in allowed]
        if len(allowed) <= few or len(allowed) <= len(others):
            wanted = self._say(" ou ", " or ").join(self._value(fact, v) for v in sorted(allowed))
        else:
            beside = self._say(" ou ", " or ").join(self._value(fact, v) for v in others)
            wanted = self._say("autre que ", "other than ") + beside
        colon = " : " if self._french else ": "
        return f"{name}{colon}{stands}{self._say(' ; il faudrait', '; wanted')}{colon}{wanted}"

    def _value(self, fact: Fact, value: int) -> str:
        word = fact.values[value]
        wording = fact.value_wordings.get(word)
        return wording.text(self._language) if wording else word

    def _name(self, place: int) -> str:
        return self._facts[place].wording.text(self._language)

    def _say(self, french: str, english: str) -> str:
        return french if self._french else english
