"""The professionals and structures of the invented town, the same for every seed.

Numbers are of the test ranges: idNat_PS 8 + RPPS 9970..., idNat_Struct 1 + FINESS with a letter.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from authz.v1 import authz_pb2 as authz
from clients.cli.populate.dice import Dice
from clients.cli.populate.lists import FAMILIES, MEN, WOMEN

_RPPS: Final = 9_970_050_000  # ten digits, and a key follows
_FINESS: Final = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeder:
    """Someone who deposits: a professional, or a structure by its certificate.

    Attributes:
        subject: as who they speak.
        family_name: of a professional.
        given_name: of a professional.
        role: profession and specialty, as documents write it.
    """

    subject: authz.Subject
    family_name: str = ""
    given_name: str = ""
    role: str = ""


_ROLES: Final[Mapping[str, tuple[int, str, str, str]]] = {
    "gp": (12, "10", "G15_10/SM26", "Cabinet médical"),
    "cardiologist": (3, "10", "G15_10/SM04", "Cabinet de cardiologie"),
    "radiologist": (3, "10", "G15_10/SM45", "Centre d'imagerie"),
    "psychiatrist": (2, "10", "G15_10/SM42", "Centre médico-psychologique"),
    "paediatrician": (3, "10", "G15_10/SM40", "Cabinet de pédiatrie"),
    "pharmacist": (5, "21", "G15_21", "Pharmacie"),
    "nurse": (6, "60", "G15_60", "Cabinet infirmier"),
    "physiotherapist": (3, "70", "G15_70", "Cabinet de kinésithérapie"),
    "dentist": (3, "40", "G15_40", "Cabinet dentaire"),
    "midwife": (2, "50", "G15_50", "Maison de naissance"),
    "speech_therapist": (2, "91", "G15_91", "Cabinet d'orthophonie"),
}
"""How many of each, their profession (TRE_G15), their role in documents, and where they work."""

_STRUCTURES: Final[Mapping[str, tuple[int, str]]] = {
    "laboratory": (3, "Laboratoire"),
    "hospital": (2, "Centre hospitalier"),
}


def _town() -> Iterator[tuple[str, tuple[Feeder, ...]]]:
    number = 0
    for role, (count, profession, specialty, place) in _ROLES.items():
        found = []
        for one in range(count):
            number += 1
            found.append(
                _professional(Dice("town", role, one), number, profession, specialty, place)
            )
        yield role, tuple(found)
    for role, (count, place) in _STRUCTURES.items():
        found = []
        for _ in range(count):
            number += 1
            found.append(_structure(f"{place} TEST{number:02}", number))
        yield role, tuple(found)


def _professional(dice: Dice, number: int, profession: str, specialty: str, place: str) -> Feeder:
    family, given = dice.pick(FAMILIES), dice.pick((*WOMEN, *MEN)).title()
    title = "Dr " if profession in ("10", "40") else ""
    subject = authz.Subject(
        kind="professional",
        id=f"8{_with_key(_RPPS + number)}",
        name=f"{title}{given} {family}-TEST{number:02}",
        profession=profession,
        structure=f"10B0{_FINESS + number}",
        structure_name=f"{place} TEST{number:02}",
        authentication="individual_card",
        capacity="care",
    )
    return Feeder(
        subject=subject, family_name=f"{family}-TEST{number:02}", given_name=given, role=specialty
    )


def _structure(name: str, number: int) -> Feeder:
    ident = f"10B0{_FINESS + number}"
    subject = authz.Subject(
        kind="structure",
        id=ident,
        name=name,
        structure=ident,
        structure_name=name,
        authentication="structure_certificate",
        capacity="care",
    )
    return Feeder(subject=subject, family_name=f"TEST{number:02}", given_name="Camille")


def _with_key(number: int) -> str:
    """Ten digits of an RPPS with the key of Luhn."""
    total = 0
    for place, digit in enumerate(reversed(str(number))):
        value = int(digit) * (2 - place % 2)
        total += value - 9 if value > 9 else value  # noqa: PLR2004 - the sum of its digits
    return f"{number}{-total % 10}"


TOWN: Final[Mapping[str, tuple[Feeder, ...]]] = dict(_town())
"""Who works there, by role."""
