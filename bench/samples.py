"""The requests that everyone decides: the scenarios of the policies, and others made from them at random."""

import random
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from authz.bundle import Bundle, build, read_folder
from authz.facts import COMPUTED, FactComputer
from authz.model import Fact, FactValue, Kind, Vector
from authz.policies import default_folder
from authz.product import DMP
from authz.query import Query, check
from authz.registry.state import PatientState
from authz.workbench.scenarios import read_scenarios
from bench.peers import Policies
from serving.errors import RequestError

PEOPLE = ("", "A", "B", "C")
"""Few identifiers, so that two of them are often the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A well-formed request with all that is needed to decide it."""

    query: Query
    state: PatientState
    at: datetime


def shipped() -> Bundle:
    """The bundle of the policies that are shipped."""
    return build(read_folder(default_folder()), DMP)


def policies(bundle: Bundle) -> Policies:
    """The rules of a bundle, for the peers."""
    return Policies(vocabulary=bundle.vocabulary, rules=bundle.rules, documents=bundle.documents)


def asked(bundle: Bundle, folder: Path | None = None) -> list[Asked]:
    """The requests of all scenarios; none when there are no scenarios."""
    folder = folder or default_folder()
    files = {
        f"scenarios/{path.name}": path.read_bytes() for path in folder.glob("scenarios/*.yaml")
    }
    found, _ = read_scenarios(files, bundle.vocabulary)
    requests = [Asked(query=s.query, state=s.state, at=s.at) for s in found]
    return [request for request in requests if _well_formed(bundle, request)]


def _well_formed(bundle: Bundle, request: Asked) -> bool:
    try:
        check(request.query, bundle.vocabulary, COMPUTED, request.at)
    except RequestError:
        return False
    return True


def vectors(bundle: Bundle, count: int, *, seed: int = 2011) -> list[Vector]:
    """`count` vectors of facts, in random order.

    Half of them are scenarios with up to three facts changed, a tenth are random in every fact, the
    rest (as far as they go) the scenarios as they are.
    """
    dice = random.Random(seed)
    computer = FactComputer(bundle)
    plain = [computer.compute(r.query, r.state, r.at).vector for r in asked(bundle)]
    chosen = dice.sample(plain, min(len(plain), count * 4 // 10))
    while len(chosen) < count:
        wild = not plain or dice.random() < 1 / 6
        start, changes = (
            (bundle.vocabulary.defaults(), len(bundle.vocabulary.facts))
            if wild
            else (dice.choice(plain), dice.randrange(1, 4))
        )
        chosen.append(_changed(bundle, start, changes, dice))
    dice.shuffle(chosen)
    return chosen


def _changed(bundle: Bundle, vector: Vector, changes: int, dice: random.Random) -> Vector:
    values = list(vector)
    for place in dice.sample(range(len(values)), changes):
        values[place] = _any(bundle.vocabulary.facts[place], dice)
    return tuple(values)


def _any(fact: Fact, dice: random.Random) -> FactValue:
    match fact.kind:
        case Kind.CHOICE:
            return dice.randrange(len(fact.values))
        case Kind.IDENTIFIER:
            return dice.choice(PEOPLE)
        case Kind.CHOICES:
            return dice.randrange(1 << len(fact.values))
        case Kind.IDENTIFIERS:
            return tuple(dice.sample(PEOPLE[1:], dice.randrange(3)))
