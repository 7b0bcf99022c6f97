"""Checks properties against a bundle, for every request there can be.

The space of a property is split into cases (`authz.workbench.cases`), and one request of each is decided.
Where there are too many cases a sample of requests is decided instead.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from authz.bundle import Bundle
from authz.conditions import opposite
from authz.model import ACTION, Box, Effect, FactValue, In, Kind, Verdict, Vocabulary, holds
from authz.workbench.cases import MAX_CASES, Case, TooManyError, cases, witness
from authz.workbench.properties import Property

SAMPLES: Final = 20_000
SEED: Final = "dmp policy test"

_NAMES: Final = ("", "a", "b")
_TRIES: Final = 50

Draw = Callable[[int], int]
"""Gives a whole number from 0 up to, but not including, its argument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What became of a property.

    * `checked` counts cases, or requests when the answer is not `exact`.
    * `counterexample` contradicts the sentence; `verdict` is what it gets.
    * `vacuous` says why the sentence holds of nothing in particular.
    """

    stated: Property
    checked: int
    exact: bool
    counterexample: Case | None = None
    verdict: Verdict | None = None
    vacuous: str = ""

    @property
    def holds(self) -> bool:
        """Whether the sentence holds, and says something."""
        return self.counterexample is None and not self.vacuous


def verify(
    bundle: Bundle,
    stated: Property,
    *,
    most: int = MAX_CASES,
    samples: int = SAMPLES,
    seed: str = SEED,
) -> Finding:
    """Checks one property against a bundle.

    Args:
        bundle: the rules.
        stated: the property.
        most: above so many cases, a sample is taken instead.
        samples: how many requests a sample has.
        seed: what the sample is drawn with; the same seed gives the same sample.
    """
    if stated.forbids and not _near(bundle, stated):
        why = "no rule comes near to allowing this: it would hold whatever `when` says"
        return Finding(stated=stated, checked=0, exact=True, vacuous=why)
    exact = True
    try:
        checked, touched, broken = _decide(bundle, stated, _all_cases(bundle, stated, most))
    except TooManyError:
        exact = False
        chosen = sample(bundle.vocabulary, stated.boxes, samples, draws(seed))
        checked, touched, broken = _decide(bundle, stated, chosen)
    if broken is not None:
        return Finding(
            stated=stated,
            checked=checked,
            exact=exact,
            counterexample=broken,
            verdict=bundle.decide(broken.witness),
        )
    why = ""
    if not checked:
        why = "no request is like this"
    elif not touched:
        why = f"no request like this gets `{stated.among}`: nothing was checked"
    return Finding(stated=stated, checked=checked, exact=exact, vacuous=why)


def sample(
    vocabulary: Vocabulary, boxes: tuple[Box, ...], count: int, draw: Draw
) -> Iterator[Case]:
    """Random requests of a space, at most `count` of each box."""
    for box in boxes:
        ranges = {li.fact: sorted(li.allowed) for li in box if isinstance(li, In)}
        others = [li for li in box if not isinstance(li, In)]
        start = witness(vocabulary, box)
        for _ in range(count if start is not None else 0):
            for _ in range(_TRIES):
                vector = tuple(
                    ranges[p][draw(len(ranges[p]))]
                    if p in ranges
                    else _any(fact.kind, len(fact.values), draw)
                    for p, fact in enumerate(vocabulary.facts)
                )
                if all(holds(literal, vector) for literal in others):
                    yield Case(box, vector)
                    break


def draws(seed: str) -> Draw:
    """A stream of numbers that anyone can draw again: SHA-256 over the seed and a counter."""
    count = 0

    def draw(below: int) -> int:
        nonlocal count
        count += 1
        digest = hashlib.sha256(f"{seed}:{count}".encode()).digest()
        return int.from_bytes(digest[:8]) % below

    return draw


def _any(kind: Kind, values: int, draw: Draw) -> FactValue:
    match kind:
        case Kind.CHOICE:
            return draw(values)
        case Kind.CHOICES:
            return draw(1 << values)
        case Kind.IDENTIFIER:
            return _NAMES[draw(len(_NAMES))]
        case Kind.IDENTIFIERS:
            return tuple(name for name in _NAMES[1:] if draw(2))


def _all_cases(bundle: Bundle, stated: Property, most: int) -> Iterator[Case]:
    place = bundle.vocabulary.index[ACTION]
    for box in stated.boxes:
        asked = next(li.allowed for li in box if isinstance(li, In) and li.fact == place)
        rest = frozenset(li for li in box if not (isinstance(li, In) and li.fact == place))
        for action in sorted(asked):
            space = rest | {In(place, frozenset({action}))}
            yield from cases(
                bundle.vocabulary, bundle.rules, space, detail=stated.detail, most=most
            )


def _decide(
    bundle: Bundle, stated: Property, chosen: Iterator[Case]
) -> tuple[int, int, Case | None]:
    """Decides cases until one breaks the property: how many, how many that it speaks of, and that one."""
    checked = touched = 0
    for case in chosen:
        verdict = bundle.decide(case.witness)
        checked += 1
        touched += stated.among is None or verdict.effect is stated.among
        if stated.breaks(verdict):
            return checked, touched, case
    return checked, touched, None


def _near(bundle: Bundle, stated: Property) -> bool:
    """Whether an allow rule for these actions has at most one condition against the property's space."""
    place = bundle.vocabulary.index[ACTION]
    return any(
        len(against) == 0 or (len(against) == 1 and place not in against)
        for rule in bundle.rules
        if rule.effect is Effect.ALLOW
        for allow in rule.boxes
        for against in (_against(allow, box) for box in stated.boxes)
    )


def _against(left: Box, right: Box) -> set[object]:
    """What keeps two boxes apart: facts with no common value, and literals that are opposites."""
    ranges = {li.fact: li.allowed for li in right if isinstance(li, In)}
    apart: set[object] = set()
    for literal in left:
        if isinstance(literal, In):
            if not literal.allowed & ranges.get(literal.fact, literal.allowed):
                apart.add(literal.fact)
        elif opposite(literal) in right:
            apart.add(literal)
    return apart
