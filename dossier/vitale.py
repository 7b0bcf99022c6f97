"""The carte Vitale: who is on it, with the numbers that follow from it.

A reader gives a `Card`. The one here reads a file, a virtual card as demonstrations and tests need it; a
reader of real cards has the same one method. No message holds a name, a number or a date of the card.

The INS-C is computed from the traits on the card (`authz.ins`). Where it can't be, as for a temporary NIR,
the person is shown all the same, with the reason.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from authz import ins
from authz.errors import InsError
from authz.source import Mistakes, Node, parse
from dossier.errors import CardError

MAX_BYTES: Final = 1 << 16
MAX_PERSONS: Final = 19
"""So many are on a real card at most: the insured and those insured through her or him."""

UNKNOWN_DATE: Final = "0000-00-00"

_BIRTH_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NIR_LENGTH: Final = 13
_REQUIRED: Final = ("family_name", "given_names", "birth_date")
_OPTIONAL: Final = ("usage_name", "nir", "sex", "rank")
_SEXES: Final = ("F", "M")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Person:
    """One of the persons on a card, as the deck's screen shows them.

    * `number`: its place on the card, from 1.
    * `family_name` is that of birth, `usage_name` the one in use or "".
    * `given_names`: the first one first.
    * `birth_date`: `yyyy-mm-dd` as on the card, impossible days and months included; `0000-00-00` if unknown.
    * `rank`: of birth, among twins; 1 for nearly all.
    * `nir`: as on the card, 13 characters or 15 with its key, "" when there is none.
    * `ins_c`, `ins_nir`: the numbers that follow; None where none does, and then the reason says why.
    """

    number: int
    family_name: str
    usage_name: str
    given_names: tuple[str, ...]
    birth_date: str
    sex: str
    rank: int
    nir: str
    ins_c: str | None
    ins_c_reason: str
    ins_nir: str | None
    ins_nir_reason: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Card:
    """What a card says: at least one person, in the order of the card."""

    persons: tuple[Person, ...]

    def person(self, number: int) -> Person:
        """The person of that number.

        Raises:
            CardError: There is none.
        """
        found = next((one for one in self.persons if one.number == number), None)
        if found is None:
            count = len(self.persons)
            raise CardError(f"person: no number {number} on the card: choose one from 1 to {count}")
        return found


class CardReader(Protocol):
    """Reads the card that is in it."""

    def read(self) -> Card:
        """The card's content.

        Raises:
            CardError: There is no card, or it can't be read.
        """
        ...


class FileReader:
    """Reads a virtual card from a file, in YAML or JSON: a list `persons` of mappings.

    Of each person: `family_name`, `given_names` and `birth_date`; `usage_name`, `nir`, `sex` (F or M) and
    `rank` where there are. Texts of digits go in quotes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Card:
        """The card that the file holds.

        Raises:
            CardError: It can't be read; with every mistake, its line and its remedy.
        """
        name = self._path.name
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as exc:
            raise CardError(f"card: can't read `{name}`: {exc.strerror}") from exc
        if len(data) > MAX_BYTES:
            raise CardError(f"card: `{name}` is larger than {MAX_BYTES} bytes: it is no card")
        return read_card(data, name=name)


def read_card(data: bytes, *, name: str) -> Card:
    """The card that a text in YAML or JSON describes; `name` is what mistakes call it.

    Raises:
        CardError: With every mistake, its line and its remedy.
    """
    root, found = parse(data, path=name)
    if found or root is None:
        raise CardError("; ".join(map(str, sorted(found))))
    mistakes = Mistakes()
    persons = tuple(_persons(root, mistakes))
    if mistakes.found:
        raise CardError("; ".join(map(str, sorted(mistakes.found))))
    return Card(persons=persons)


def _persons(root: Node, mistakes: Mistakes) -> Iterator[Person]:
    if not mistakes.keys(root, "card", required=("persons",)):
        return
    listed = root.items["persons"]
    if not isinstance(listed.value, list) or not 1 <= len(listed.value) <= MAX_PERSONS:
        hint = "write one mapping a person"
        mistakes.at(listed, "persons", f"want a list of 1 to {MAX_PERSONS} persons", hint)
        return
    for number, node in enumerate(listed.value, 1):
        where = f"person {number}"
        if mistakes.keys(node, where, required=_REQUIRED, optional=_OPTIONAL):
            yield _person(node, number, mistakes)


def _person(node: Node, number: int, mistakes: Mistakes) -> Person:
    where, fields = f"person {number}", node.items
    given = [mistakes.text(one, where, "given_names") for one in fields["given_names"].sequence]
    if not given:
        mistakes.at(fields["given_names"], where, "`given_names` is empty", "write at least one")
    birth_date = mistakes.text(fields["birth_date"], where, "birth_date")
    if birth_date and not _BIRTH_DATE.fullmatch(birth_date):
        hint = f"write `yyyy-mm-dd` as on the card, `{UNKNOWN_DATE}` if unknown"
        mistakes.at(fields["birth_date"], where, "`birth_date` is no date", hint)
        birth_date = UNKNOWN_DATE
    sex = mistakes.text(fields.get("sex"), where, "sex")
    if sex and sex not in _SEXES:
        mistakes.at(fields["sex"], where, "`sex` is none that a card has", "write `F` or `M`")
    rank = fields["rank"].value if "rank" in fields else 1
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        mistakes.at(fields["rank"], where, "`rank` is no number from 1 on", "leave it out")
        rank = 1
    nir = mistakes.text(fields.get("nir"), where, "nir")
    ins_c, why_no_ins_c = _ins_c(given[0] if given else "", birth_date, nir)
    ins_nir, why_no_ins_nir = _ins_nir(nir)
    return Person(
        number=number,
        family_name=mistakes.text(fields["family_name"], where, "family_name"),
        usage_name=mistakes.text(fields.get("usage_name"), where, "usage_name"),
        given_names=tuple(given),
        birth_date=birth_date,
        sex=sex,
        rank=rank,
        nir=nir,
        ins_c=ins_c,
        ins_c_reason=why_no_ins_c,
        ins_nir=ins_nir,
        ins_nir_reason=why_no_ins_nir,
    )


def _ins_c(first_name: str, birth_date: str, nir: str) -> tuple[str | None, str]:
    if not nir:
        return None, _NO_NIR
    try:
        return ins.compute(first_name, birth_date[2:].replace("-", ""), nir), ""
    except InsError as exc:
        return None, str(exc)


def _ins_nir(nir: str) -> tuple[str | None, str]:
    if not nir:
        return None, _NO_NIR
    try:
        whole = nir + ins.nir_key(nir) if len(nir) == _NIR_LENGTH else nir
        checked = ins.verify(whole)
    except InsError as exc:
        return None, str(exc)
    if checked.kind is not ins.Kind.INS_NIR:
        return None, "length: a NIR has 13 characters, or 15 with its key"
    return checked.number, ""


_NO_NIR: Final = "nir: none of the person's own on the card: take the number from the INSi service"
