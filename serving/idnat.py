"""The numbers of professionals, employees and structures: idNat_PS and idNat_Struct.

Each is a prefix digit that names the register, and the number in it; an employee's is the number of
the structure, a slash, and a number that the structure gave. Source: NOS TRE_G08.

A test number is told by its range: RPPS from 9970, ADELI and FINESS with the department `0B`, which
does not exist. A B elsewhere proves nothing: `2B` is Haute-Corse. SIREN and SIRET have no test range.
No message of this module holds a number: it can be logged.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from serving.errors import IdentityError


class Register(StrEnum):
    """Who gave the number; `CABINET` is the RPPS of a cabinet's owner with its rank."""

    ADELI = "ADELI"
    RPPS = "RPPS"
    FINESS = "FINESS"
    SIREN = "SIREN"
    SIRET = "SIRET"
    CABINET = "RPPS and rank"


# Departments by number, the two of Corsica, those overseas by letter, and that of the test numbers.
_BY_DEPARTMENT: Final = r"(?:[0-9]{2}|2[AB]|9[A-F]|0B)[0-9]{7}"
_SHAPES: Final = {
    Register.ADELI: _BY_DEPARTMENT,
    Register.RPPS: r"[0-9]{11}",
    Register.FINESS: _BY_DEPARTMENT,
    Register.SIREN: r"[0-9]{9}",
    Register.SIRET: r"[0-9]{14}",
    Register.CABINET: r"[0-9]{14}",
}
_TEST_RANGES: Final = {
    Register.ADELI: "0B",
    Register.RPPS: "9970",
    Register.FINESS: "0B",
    Register.CABINET: "9970",
}
_INTERNAL: Final = r"[0-9A-Za-z][0-9A-Za-z._-]{0,31}"

_PROFESSIONALS: Final = {"0": Register.ADELI, "8": Register.RPPS}
_STRUCTURES: Final = {
    "0": Register.ADELI,
    "1": Register.FINESS,
    "2": Register.SIREN,
    "3": Register.SIRET,
    "4": Register.CABINET,
}
# The prefix of an employee, and of the structure that employs it.
_EMPLOYEES: Final = {"1": "0", "3": "1", "4": "2", "5": "3", "6": "4"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number whose form is right; whether someone has it is not known here.

    Attributes:
        value: the whole number, prefix digit included.
        employer: for an employee, the idNat_Struct of the structure; "" for all others.
        test: whether it lies in a test range; None when its register has none.
    """

    value: str
    employer: str = ""
    test: bool | None


def person(value: str) -> Number:
    """Reads an idNat_PS: a professional's (CPS), or with an `employer` an employee's (CPE).

    Raises:
        IdentityError: it has not the form of one.
    """
    prefix = value[:1]
    if prefix in _PROFESSIONALS:
        return _read(value, _PROFESSIONALS[prefix], "idNat_PS")
    if prefix not in _EMPLOYEES:
        known = ", ".join(sorted((*_PROFESSIONALS, *_EMPLOYEES)))
        raise IdentityError(f"no idNat_PS: it must begin with one of {known}")
    place, _, internal = value.partition("/")
    employer = _EMPLOYEES[prefix] + place[1:]
    read = _read(place, _STRUCTURES[employer[0]], "idNat_PS of an employee before its `/`")
    if not re.fullmatch(_INTERNAL, internal):
        raise IdentityError("no idNat_PS of an employee: after `/`, 1 to 32 letters and digits")
    return Number(value=value, employer=employer, test=read.test)


def structure(value: str) -> Number:
    """Reads an idNat_Struct.

    Raises:
        IdentityError: it has not the form of one.
    """
    if value[:1] not in _STRUCTURES:
        known = ", ".join(sorted(_STRUCTURES))
        raise IdentityError(f"no idNat_Struct: it must begin with one of {known}")
    return _read(value, _STRUCTURES[value[0]], "idNat_Struct")


def as_issued(value: str) -> str:
    """The number that a value would be if its letters were capitals, as registers issue them.

    The value itself when it is a number already, or none either way. What an employer gave, after the
    slash, may have small letters.
    """
    if value == value.upper():
        return value
    place, slash, internal = value.partition("/")
    capitals = place.upper() + slash + internal
    if capitals == value:
        return value
    for reading in (person, structure):
        try:
            return reading(capitals).value
        except IdentityError:
            continue
    return value


def _read(value: str, register: Register, what: str) -> Number:
    number = value[1:]
    if not re.fullmatch(_SHAPES[register], number):
        raise IdentityError(
            f"no {what}: after `{value[0]}`, the form of a number of {register} is wanted"
        )
    tests = _TEST_RANGES.get(register)
    return Number(value=value, test=number.startswith(tests) if tests else None)
