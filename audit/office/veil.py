"""Entries before somebody who may not know which patients they are about. Pure.

A patient's number is replaced by a pseudonym wherever it stands: in its own field, as subject, target or
author, among the facts, and in free text. Whatever has the form of one goes, too: rather a word too few than
a patient too many.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from audit.entry import Entry
from audit.office.handles import Handles
from serving import idnat
from serving.errors import IdentityError

PERSONS: Final = ("patient", "representative")
"""Kinds of subjects who are no professionals: who they are says whose dossier it is."""

FORM: Final = r"[0-9]{22}|[0-9]{5}(?:[0-9]{2}|2[AB])[0-9]{8}"
"""The form of a patient's number: an INS-C of 22 digits, or an INS-NIR of 15 characters."""
INS: Final = re.compile(FORM)

_NUMBER: Final = re.compile(rf"(?<![0-9A-Za-z])(?:{FORM})(?![0-9A-Za-z])", re.IGNORECASE)
_BLANK: Final = "[ \t\u00a0\u2000-\u200b\u202f]?"
_BETWEEN: Final = r"[\W_]{0,3}"
"""What may stand between the digits of a number that is known."""
_KEY: Final = 2
"""Digits at the end of an INS-NIR that people leave out."""
_LENGTH_OF_NIR: Final = 15
_FEWEST: Final = 12
"""Digits of any number of a patient: an INS-NIR of Corsica without its key."""
_WIDE: Final = 0xFEE0
"""From an ASCII character to its full-width form."""

_IN_TEXT: Final = re.compile(
    rf"(?<![0-9])(?:(?:[0-9]{_BLANK}){{21}}[0-9]"
    rf"|(?:[0-9]{_BLANK}){{5}}(?:[0-9]{_BLANK}[0-9]|2{_BLANK}[AB]){_BLANK}(?:[0-9]{_BLANK}){{7}}[0-9])"
    r"(?![0-9])",
    re.IGNORECASE,
)
_DROPPED: Final = ("salt", "patient_prev")
"""With the salt, who guesses an entry could tell by its commitment, which is published."""

_STRUCTURES: Final = ("structure", "author_structure")


def veiled(entry: Entry, handles: Handles) -> Entry:
    """The entry without what says who a patient is; the same one if there is nothing to take away."""
    made = _Veil(entry, handles).entry()
    if made == entry:
        return entry
    return cast("Entry", {name: value for name, value in made.items() if name not in _DROPPED})


def text(value: str, handles: Handles) -> str:
    """A free text in which each number of a patient is replaced by its pseudonym."""
    return _IN_TEXT.sub(lambda found: _named(found, handles), value)


def _named(found: re.Match[str], handles: Handles) -> str:
    return handles.pseudonym(re.sub(r"[^0-9AB]", "", found[0].upper()))


class _Veil:
    """One entry, with the persons that it names."""

    def __init__(self, entry: Entry, handles: Handles) -> None:
        subject, target = entry.get("subject", {}), entry.get("target", {})
        change: Mapping[str, Any] = entry.get("change", {})
        persons = [entry.get("patient", "")]
        if subject.get("kind") in PERSONS:
            persons.append(subject.get("id", ""))
        if target.get("kind") == "person":
            persons.append(target.get("id", ""))
        # The representatives that a change names, each with what relation they have.
        nested = [one for value in change.values() if isinstance(value, list) for one in value]
        persons += [str(one[0]) for one in nested if isinstance(one, list) and one]
        if isinstance(change.get("representative"), str):
            persons.append(change["representative"])
        self._entry = entry
        self._handles = handles
        self._known = {one: handles.pseudonym(one) for one in persons if one}
        numbers = [one for one in self._known if re.fullmatch(FORM, one, re.IGNORECASE)]
        self._inside = re.compile("|".join(map(re.escape, numbers))) if numbers else None
        self._numbers = numbers

    def entry(self) -> dict[str, Any]:
        """All of it but what is dropped, if anything has to be taken away."""
        made: dict[str, Any] = self._walk(dict(self._entry), self._exact)
        subject = made.get("subject", {})
        # Whoever has such a number, or stands for somebody who has one, is not named, whatever the kind.
        if subject.get("id", "") != self._entry.get("subject", {}).get("id", ""):
            made["subject"] = {k: v for k, v in subject.items() if k != "name"}
        for name in ("reason", "remarks", "change"):
            if name in made:
                made[name] = self._walk(made[name], self._free)
        return made

    def _walk(self, value: Any, text: Callable[[str, str], str], name: str = "") -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, str):
            return text(name, value)
        if isinstance(value, Mapping):
            return {key: self._walk(inner, text, key) for key, inner in value.items()}
        if isinstance(value, Sequence):
            made = [self._walk(inner, text, name) for inner in value]
            return tuple(made) if isinstance(value, tuple) else made
        return value

    def _exact(self, name: str, value: str) -> str:
        if value in self._known:
            return self._known[value]
        if self._inside is not None:
            value = self._inside.sub(lambda found: self._known[found[0]], value)
        if "/" in value and _is(
            idnat.person, value
        ):  # an employee's begins with that of a structure
            return value
        if name in _STRUCTURES and _is(idnat.structure, value):
            return value
        # Among the facts are numbers of structures, and one of a SIRET has the length of an INS.
        if name == "facts" and value in self._structures():
            return value
        return _NUMBER.sub(self._replaced, value)

    def _free(self, name: str, value: str) -> str:
        value = self._exact(name, value)
        if sum(map(str.isdigit, value)) >= _FEWEST:
            for number in self._numbers:
                spelled = re.compile(_spelled(number), re.IGNORECASE)
                value = spelled.sub(self._known[number], value)
        return _IN_TEXT.sub(self._replaced, value)

    def _replaced(self, found: re.Match[str]) -> str:
        return _named(found, self._handles)

    def _structures(self) -> set[str]:
        entry = self._entry
        subject, origin = entry.get("subject", {}), entry.get("origin", {})
        named = (subject.get("structure", ""), origin.get("author_structure", ""))
        return {one for one in named if _is(idnat.structure, one)}


def _spelled(number: str) -> str:
    """A pattern of the ways in which people write a number, an INS-NIR also without its key."""
    signs = [f"[{one}{chr(ord(one) + _WIDE)}]" for one in number]
    stem, key = (signs[:-_KEY], signs[-_KEY:]) if len(number) == _LENGTH_OF_NIR else (signs, [])
    last = f"(?:{_BETWEEN}{_BETWEEN.join(key)})?" if key else ""
    return rf"(?<!\d){_BETWEEN.join(stem)}{last}(?!\d)"


def _is(reading: Callable[[str], idnat.Number], value: str) -> bool:
    """Whether a value has the form of a number of professionals or structures."""
    try:
        reading(value)
    except IdentityError:
        return False
    return True
