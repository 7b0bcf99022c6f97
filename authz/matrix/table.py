"""The lines of a policy expanded to a table that answers each request with one lookup."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from types import MappingProxyType
from typing import Final

from authz.matrix.lines import Line, Member, Rule, reached
from authz.matrix.shape import MATRIX, SERVICES, Shape
from authz.model import Effect

Request = tuple[str, str, str]


class Act(StrEnum):
    """What the matrix speaks of: reading ("consultation") and depositing ("alimentation")."""

    READ = "read"
    DEPOSIT = "deposit"


class Habilitation(StrEnum):
    """What the matrix says of a profession, a type and an act."""

    PERMITTED = "permitted"
    DENIED = "denied"
    UNLISTED = "unlisted"


_UNLISTED: Final = Habilitation.UNLISTED
_SAYS: Final = {Effect.ALLOW: Habilitation.PERMITTED, Effect.DENY: Habilitation.DENIED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The expanded matrix.

    * `cells` maps each request that some line speaks for to what the lines say; `rules`, to the
      line that decides it: the last deny, else the last allow.
    * Whatever they do not hold is unlisted, unknown professions and types included.
    """

    cells: Mapping[Request, Habilitation]
    rules: Mapping[Request, Rule]

    def cell(self, role: str, type_code: str, act: str) -> Habilitation:
        """What the matrix says; never raises."""
        return self.cells.get((role, type_code, act), _UNLISTED)

    def source(self, role: str, type_code: str, act: str) -> str:
        """Where the cell comes from, as `line 12: v0 table`; "" when no line speaks for it."""
        rule = self.rules.get((role, type_code, act))
        return "" if rule is None else f"line {rule.number}: {rule.note}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTable:
    """The expanded model of services: each (service, procedure, kind of subject) that may be.

    `acts` are the procedures with an act (`procedure:act`) that the model may treat apart.
    """

    permitted: frozenset[Request]
    acts: frozenset[str] = frozenset()

    def permits(self, service: str, rpc: str, kind: str, action: str = "") -> bool:
        """Whether the service may ask for such an act by the procedure for such a subject; never raises."""
        act = f"{rpc}:{action}"
        return (service, act if act in self.acts else rpc, kind) in self.permitted


def expand(lines: Iterable[Line], *, roles: Collection[str], types: Collection[str]) -> Table:
    """Expands the lines of the matrix over all professions and types."""
    rules = _spread(lines, MATRIX, {"g": roles, "g2": types})
    cells = {request: _SAYS[rule.effect] for request, rule in rules.items()}
    return Table(cells=MappingProxyType(cells), rules=rules)


def expand_services(
    lines: Iterable[Line],
    *,
    rpcs: Collection[str],
    kinds: Collection[str],
    acts: Collection[str] = (),
) -> ServiceTable:
    """Expands the lines of the model of services over all procedures and kinds of subject.

    Of each `procedure:act` of `acts` holds what holds of the procedure, and what lines say of the act itself.
    """
    implied = [
        Member(number=0, grouping="g", name=act, group=act.partition(":")[0]) for act in acts
    ]
    rules = _spread([*lines, *implied], SERVICES, {"g": {*rpcs, *acts}, "g2": kinds})
    allowed = (request for request, rule in rules.items() if rule.effect is Effect.ALLOW)
    return ServiceTable(permitted=frozenset(allowed), acts=frozenset(acts))


def _spread(
    lines: Iterable[Line], shape: Shape, names: Mapping[str, Collection[str]]
) -> Mapping[Request, Rule]:
    """Maps each request that some line speaks for to the line that decides it."""
    rules: list[Rule] = []
    downward: dict[str, list[tuple[str, str]]] = {grouping: [] for grouping, _ in shape.grouped}
    for line in lines:
        if isinstance(line, Member):
            downward[line.grouping].append((line.group, line.name))
        else:
            rules.append(line)

    def stands_for(field: str, name: str) -> Collection[str]:
        grouping = shape.grouping(field)
        if not grouping:
            return (name,)
        return reached(name, downward[grouping]) & set(names[grouping])

    decided: dict[Request, Rule] = {}
    for rule in rules:
        first, second, third = map(stands_for, shape.fields, rule.names)
        for request in product(first, second, third):
            earlier = decided.get(request)
            # Deny wins; of two lines that agree, the later one is the more particular.
            if earlier is None or rule.effect is Effect.DENY or earlier.effect is Effect.ALLOW:
                decided[request] = rule
    return MappingProxyType(decided)
