"""Whether administrative data will do: what is wrong is told field by field, and never quoted. Pure.

Fields are named as in `dossier.v1`: `administrative.contact.email`, `guardians[0].relation`.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from authz import ins
from authz.errors import InsError
from dossier import names
from dossier.model import Administrative, Contact, Guardian
from dossier.wishes import reach
from serving.errors import RequestError, Violation

MAX_NAME: Final = 100
MAX_LINES: Final = 6
"""Lines of a postal address (NF Z 10-011)."""
MAX_LINE: Final = 80
MAX_EMAIL: Final = 254
"""RFC 5321, 4.5.3.1.3: a path of 256 octets, with its brackets."""
MAX_GUARDIANS: Final = 10
OLDEST: Final = date(1850, 1, 1)

SEXES: Final = ("", "F", "M")

_PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_POSTAL_CODE: Final = re.compile(r"[0-9]{5}")
_BIRTH_PLACE: Final = re.compile(r"([0-9]{2}|2[AB])[0-9]{3}")
_RELATION: Final = re.compile(r"[A-Z][A-Z_]{1,31}")
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# RFC 5321, 4.1.2: a dot-string of at most 64 octets, and a domain, which here has two parts at least.
_EMAIL: Final = re.compile(
    rf"(?=[^@]{{1,64}}@){_ATOM}(\.{_ATOM})*@({_LABEL}\.)+(?![0-9]+\Z){_LABEL}"
)


def check(
    administrative: Administrative, guardians: Sequence[Guardian] = (), *, today: date
) -> None:
    """Looks at what is to be stored of a patient and their legal representatives.

    Args:
        administrative: of the patient.
        guardians: of a minor.
        today: the day, in France; nobody is born later.

    Raises:
        RequestError: with everything that is wrong. No value is repeated, being personal.
    """
    wrong = [*_person(administrative, today)]
    if len(guardians) > MAX_GUARDIANS:
        wrong.append(("guardians", f"`{len(guardians)}` of them", f"at most {MAX_GUARDIANS}"))
    for place, guardian in enumerate(guardians[:MAX_GUARDIANS]):
        earlier = {one.id for one in guardians[:place]}
        wrong += _guardian(f"guardians[{place}]", guardian, earlier)
    contacts = (administrative.contact, *(guardian.contact for guardian in guardians))
    if not any(map(_reaches, contacts)):
        cure = "give a postal address, an e-mail address or a mobile phone"
        wrong.append(("administrative.contact", "no way to reach the patient", cure))
    if wrong:
        raise RequestError(wrong)


def has_account(administrative: Administrative) -> bool:
    """Whether the patient gets an account: the code to log in with needs e-mail or a mobile phone."""
    return bool(reach(administrative.contact))


def _reaches(contact: Contact) -> bool:
    return bool(reach(contact) or (contact.address and contact.city))


def _person(person: Administrative, today: date) -> Iterator[Violation]:
    at = "administrative"
    yield from _name(f"{at}.family_name", person.family_name, needed=True)
    yield from _name(f"{at}.usage_name", person.usage_name)
    yield from _name(f"{at}.given_names", person.given_names)
    born = person.birth_date
    if born is not None and not OLDEST <= born <= today:
        cure = f"a day from {OLDEST.isoformat()} until today, or empty if unknown"
        yield f"{at}.birth_date", "in the future" if born > today else "too long ago", cure
    if person.sex not in SEXES:
        yield f"{at}.sex", "unknown code", "M, F or empty"
    if person.birth_place and not _BIRTH_PLACE.fullmatch(person.birth_place):
        cure = "five characters, such as 75056, 2A004 or 99100; empty if unknown"
        yield f"{at}.birth_place", "not an INSEE code", cure
    yield from _contact(f"{at}.contact", person.contact)


def _guardian(at: str, guardian: Guardian, earlier: set[str]) -> Iterator[Violation]:
    try:
        ins.verify(guardian.id)
    except InsError as exc:
        yield f"{at}.id", f"not an INS: {exc}", "read it again from the card"
    if guardian.id in earlier:
        yield f"{at}.id", "named twice", "name each representative once"
    if not _RELATION.fullmatch(guardian.relation):
        yield f"{at}.relation", "not a code", "in capital letters, such as FTH, MTH or RESPRSN"
    yield from _name(f"{at}.family_name", guardian.family_name)
    yield from _name(f"{at}.given_names", guardian.given_names)
    yield from _contact(f"{at}.contact", guardian.contact)


def _contact(at: str, contact: Contact) -> Iterator[Violation]:
    if len(contact.address) > MAX_LINES:
        yield f"{at}.address", f"`{len(contact.address)}` lines", f"at most {MAX_LINES}"
    for place, line in enumerate(contact.address[:MAX_LINES]):
        yield from _text(f"{at}.address[{place}]", line, MAX_LINE, needed=True)
    yield from _text(f"{at}.city", contact.city, MAX_LINE)
    if contact.address and not contact.city:
        yield f"{at}.city", "missing beside an address", "give it"
    if (contact.city or contact.postal_code) and not contact.address:
        yield f"{at}.address", "missing beside a town", "give it, one line at least"
    if contact.postal_code and not _POSTAL_CODE.fullmatch(contact.postal_code):
        cure = "five digits; abroad leave it empty, and write it with the town"
        yield f"{at}.postal_code", "not a French postal code", cure
    if contact.phone and not _PHONE.fullmatch(contact.phone):
        yield f"{at}.phone", "not a number of E.164", "without spaces, such as +33612345678"
    email = contact.email
    if email and (len(email) > MAX_EMAIL or not _EMAIL.fullmatch(email)):
        cure = "write it as name@example.org, in ASCII (`xn--` for a domain with accents)"
        yield f"{at}.email", "not an e-mail address", cure


def _name(at: str, name: str, *, needed: bool = False) -> Iterator[Violation]:
    """A name has a letter, else nobody would find it."""
    before = [*_text(at, name, MAX_NAME, needed=needed)]
    yield from before
    if name and not before and not names.key(name):
        yield at, "no letter in it", "write the name as on the card"


def _text(at: str, text: str, most: int, *, needed: bool = False) -> Iterator[Violation]:
    """A line that can be shown as it is."""
    if not text:
        if needed:
            yield at, "missing", "give it"
        return
    if len(text) > most:
        yield at, f"`{len(text)}` characters", f"at most {most}"
    if not text.isprintable():
        yield at, "characters that can't be shown", "leave out line breaks and control characters"
    elif text != text.strip():
        yield at, "blanks around it", "leave them out"
