"""The patients: families who share a name, an address and a card; drawn from a seed, the same each time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from authz import ins
from clients.cli.populate.dice import Dice
from clients.cli.populate.lists import FAMILIES, MEN, STREETS, TOWNS, WOMEN

TODAY: Final = date(2025, 6, 30)
"""The day on which the population stands; nothing in it is later, whenever it is loaded."""

_NOWHERE: Final = 990
"""No commune of a department has such a number, so no NIR of this population is anybody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Someone of the population.

    Attributes:
        number: from 0.
        family: the number of the family.
        ins: INS-C, computed from the traits.
        nir: 13 characters.
        parents: of a minor, as (INS, relation, family name, given names).
    """

    number: int
    family: int
    ins: str
    nir: str
    family_name: str
    usage_name: str
    given_names: tuple[str, ...]
    sex: str
    born: date
    street: str
    postal_code: str
    city: str
    phone: str
    email: str
    parents: tuple[tuple[str, str, str, str], ...] = ()

    @property
    def minor(self) -> bool:
        """Whether still a child: by a margin, so that it stays true for years."""
        return bool(self.parents)

    @property
    def age(self) -> int:
        """In years, about."""
        return (TODAY - self.born).days // 365


def patients(seed: int, count: int) -> Iterator[Patient]:
    """So many patients, family after family."""
    number = family = 0
    while number < count:
        for patient in _family(seed, family, number):
            if number < count:
                yield patient
            number += 1
        family += 1


def _family(seed: int, family: int, number: int) -> list[Patient]:
    dice = Dice(seed, "family", family)
    postal_code, city = dice.pick(TOWNS)
    street = f"{dice.between(1, 98)} {dice.pick(STREETS)}"
    name = dice.pick(FAMILIES)
    couple, young = dice.chance(600), dice.chance(550)
    children = dice.weighted(((3, 0), (4, 1), (5, 2), (2, 3))) if young else 0
    age = dice.between(30, 48) if young else dice.between(30, 96)
    first = dice.pick("FM")
    found: list[Patient] = []

    def add(sex: str, born: date, birth_name: str, usage_name: str, *, child: bool) -> None:
        one = dice.pick(WOMEN if sex == "F" else MEN)
        other = dice.pick(WOMEN if sex == "F" else MEN)
        given = (one,) if other == one or dice.chance(500) else (one, other)
        nir = _nir(dice, sex, born)
        reached = "" if child else f"+3363998{dice.below(10_000):04}"
        found.append(
            Patient(
                number=number + len(found),
                family=family,
                ins=ins.compute(given[0], f"{born:%y%m%d}", nir),
                nir=nir,
                family_name=birth_name,
                usage_name=usage_name,
                given_names=given,
                sex=sex,
                born=born,
                street=street,
                postal_code=postal_code,
                city=city,
                phone=reached if dice.chance(700) else "",
                email="",
                parents=parents if child else (),
            )
        )

    parents: tuple[tuple[str, str, str, str], ...] = ()
    add(first, _day(dice, age), name if first == "M" else dice.pick(FAMILIES), "", child=False)
    if couple:
        second = "M" if first == "F" else "F"
        born = _day(dice, max(age - dice.between(-4, 6), 29))
        takes = second == "F" and dice.chance(600)
        add(
            second,
            born,
            dice.pick(FAMILIES) if second == "F" else name,
            name if takes else "",
            child=False,
        )
    parents = tuple(
        (one.ins, "MTH" if one.sex == "F" else "FTH", one.family_name, " ".join(one.given_names))
        for one in found
    )
    years = 0
    for _ in range(children):
        years += dice.between(2, 3)
        add(dice.pick("FM"), _day(dice, years), name, "", child=True)
    return found


def _day(dice: Dice, age: int) -> date:
    """A birthday of someone of this age."""
    return TODAY - timedelta(days=age * 365 + age // 4 + dice.between(0, 364))


def _nir(dice: Dice, sex: str, born: date) -> str:
    """A NIR of nobody: the place of birth does not exist."""
    department = dice.pick(("16", "17", "79", "86", "2A", "2B"))
    place = _NOWHERE + dice.below(10)
    return f"{1 if sex == 'M' else 2}{born:%y%m}{department}{place}{dice.between(1, 998):03}"
