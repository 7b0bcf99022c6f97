"""The patient's number, INS ("identifiant national de santé"): computed, checked, never corrected.

Two generations are in use:

* INS-C (2011): 20 digits of a hash over the traits of the Vitale card (the body) and a key of two;
* INS-NIR (today): the NIR of 13 characters, department `2A` or `2B` in Corsica, and its key of two.

Sources: the rule that all numbers of the official INS-C sample obey; for the number of today, the
code de la santé publique, L.1111-8-1. Which authority gave a number (NIR, waiting number, test
number) is said by the OID that travels with it; the digits do not tell, so it is not judged here.

No message of this module holds a number, a name or a date: it can be logged.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from authz.errors import InsError

MODULUS: Final = 97
BODY_LIMIT: Final = 1 << 64
NAME_LENGTH: Final = 10

_INS_C_LENGTH: Final = 22
_INS_C_BODY: Final = 20
_NIR_LENGTH: Final = 13
_NIR_WITH_KEY: Final = 15
_BIRTH_DATE: Final = re.compile("[0-9]{6}")
_DIGITS: Final = frozenset("0123456789")
# The department stands at 5:7; the key is computed as if Corsica were two numbered departments.
_DEPARTMENT: Final = slice(5, 7)
_CORSICA: Final = {"2A": "19", "2B": "18"}

TEST_NUMBERS: Final = frozenset({"221042545611404"})
"""Numbers of the agency's public test kit (root 1.2.250.1.213.1.4.10) whose key is wrong.

They are taken as they are: the kit's documents bear them, and for their key no person's number is so.
"""


class Kind(StrEnum):
    """The generations of the number."""

    INS_C = "INS-C"
    INS_NIR = "INS-NIR"


class Rule(StrEnum):
    """What a number, or what it is computed from, can break."""

    LENGTH = "length"
    CHARACTERS = "characters"
    RANGE = "range"
    START = "start"
    KEY = "key"
    FIRST_NAME = "first name"
    BIRTH_DATE = "birth date"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ins:
    """A number whose form and key are right; whether someone has it is not known here."""

    kind: Kind
    body: str
    key: str

    @property
    def number(self) -> str:
        """Body and key as they are written, 22 digits or 15 characters."""
        return self.body + self.key


def compute(first_name: str, birth_date: str, nir: str) -> str:
    """The INS-C of the person whose card carries these traits.

    Args:
        first_name: As on the card. Accents, case and whatever is no letter do not count, nor does
            what follows the tenth letter; it may be empty.
        birth_date: `yymmdd` as on the card, impossible days included; `000000` if unknown.
        nir: The 13 characters of a definitive NIR, or 15 with its key, which is then checked.

    Returns:
        22 digits.

    Raises:
        InsError: The first trait that cannot be used, with the rule it breaks.
    """
    name = _name(first_name)
    if not _BIRTH_DATE.fullmatch(birth_date):
        detail = "want six digits, yymmdd as on the card, `000000` if unknown"
        raise InsError((Rule.BIRTH_DATE, detail))
    traits = f"{name:{NAME_LENGTH}}{birth_date}{_definitive(nir)}"
    body = int.from_bytes(hashlib.sha256(traits.encode("ascii")).digest()[:8], "big")
    return f"{body:0{_INS_C_BODY}}{_key(body)}"


def verify(number: str) -> Ins:
    """Read a number as INS-C or INS-NIR, by its length.

    Raises:
        InsError: With every rule that is broken, range before key. The expected key is told as a
            fact: which character is wrong cannot be known, so nothing is ever corrected.
    """
    if len(number) == _INS_C_LENGTH:
        return _verify_ins_c(number)
    if len(number) == _NIR_WITH_KEY:
        return _verify_ins_nir(number)
    detail = (
        f"{len(number)} characters: an INS-C has 22 digits, an INS-NIR 15 characters, no spaces"
    )
    raise InsError((Rule.LENGTH, detail))


def nir_key(nir13: str) -> str:
    """The two digits, `01` to `97`, that follow a NIR of 13 characters.

    Raises:
        InsError: It is not 13 characters long, or has others than digits, `2A` and `2B`.
    """
    if len(nir13) != _NIR_LENGTH:
        raise InsError((Rule.LENGTH, f"{len(nir13)} characters: a NIR has 13 without its key"))
    _require_digits(nir13, corsica=True)
    department = nir13[_DEPARTMENT]
    return _key(int(nir13[:5] + _CORSICA.get(department, department) + nir13[7:]))


def _verify_ins_c(number: str) -> Ins:
    _require_digits(number, corsica=False)
    body, key = number[:_INS_C_BODY], number[_INS_C_BODY:]
    failures: list[tuple[str, str]] = []
    if int(body) >= BODY_LIMIT:
        detail = f"the first 20 digits are not below 2^64 ({BODY_LIMIT}), so no INS-C has them"
        failures.append((Rule.RANGE, detail))
    failures += _wrong_key(found=key, expected=_key(int(body)))
    if failures:
        raise InsError(*failures)
    return Ins(kind=Kind.INS_C, body=body, key=key)


def _verify_ins_nir(number: str) -> Ins:
    _require_digits(number, corsica=True)
    body, key = number[:_NIR_LENGTH], number[_NIR_LENGTH:]
    failures = _wrong_start(body) + _wrong_key(found=key, expected=nir_key(body))
    if failures and number not in TEST_NUMBERS:
        raise InsError(*failures)
    return Ins(kind=Kind.INS_NIR, body=body, key=key)


def _name(first_name: str) -> str:
    """The letters A to Z that enter the hash, at most ten."""
    letters = [char for char in unicodedata.normalize("NFD", first_name) if char.isalpha()]
    # The rule knows accents only; a letter dropped in silence would give another person's number.
    foreign = next((char for char in letters if not char.isascii()), None)
    if foreign is not None:
        detail = (
            f"`{foreign}` is no letter from A to Z with an accent: write the name as on the card"
        )
        raise InsError((Rule.FIRST_NAME, detail))
    return "".join(letters)[:NAME_LENGTH].upper()


def _definitive(nir: str) -> str:
    """The 13 characters of a NIR that may enter an INS-C, its key checked where it has one."""
    if len(nir) == _NIR_WITH_KEY:
        return _verify_ins_nir(nir).body
    if len(nir) != _NIR_LENGTH:
        detail = f"{len(nir)} characters: a NIR has 13, or 15 with its key, no spaces"
        raise InsError((Rule.LENGTH, detail))
    _require_digits(nir, corsica=True)
    if failures := _wrong_start(nir):
        raise InsError(*failures)
    return nir


def _require_digits(number: str, *, corsica: bool) -> None:
    """Refuse what is no ASCII digit, but for the letter of a Corsican department if allowed."""
    if number.isascii() and number.isdigit():
        return
    letter = 6 if corsica and number[_DEPARTMENT] in _CORSICA else None
    for index, char in enumerate(number):
        if char not in _DIGITS and index != letter:
            allowed = "digits, and `2A` or `2B` in places 6 and 7" if corsica else "digits"
            detail = f"`{ascii(char)[1:-1]}` in place {index + 1}: want {allowed}"
            raise InsError((Rule.CHARACTERS, detail))


def _wrong_start(nir: str) -> list[tuple[str, str]]:
    start = nir[0]
    if start in "12":
        return []
    if start in "3478":
        detail = f"`{start}` begins a temporary NIR: wait for the definitive one"
        return [(Rule.START, detail)]
    return [(Rule.START, f"`{start}`: a NIR begins with 1 or 2")]


def _wrong_key(*, found: str, expected: str) -> list[tuple[str, str]]:
    if found == expected:
        return []
    detail = f"`{found}`, where the digits before it give `{expected}`: read it again at its source"
    return [(Rule.KEY, detail)]


def _key(number: int) -> str:
    """97 minus the remainder by 97: never `00`, and `97` for a multiple of 97."""
    return f"{MODULUS - number % MODULUS:02}"
