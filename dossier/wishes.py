"""Which notices a holder wants, and by which channels they can be reached. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from dossier.model import Contact
from serving.errors import RequestError

EMAIL: Final = "email"
SMS: Final = "sms"
INBOX: Final = "inbox"
"""The channels; what is in the inbox alone is sent to nobody: it stands in the portal."""

_FIXED: Final = re.compile(r"\+33[1234589]|\+262262|\+262269|\+590590|\+594594|\+596596")
"""Numbers in France that get no SMS (ARCEP, plan de numérotation): by area, or special."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a holder chose; emergency accesses are always told (CSP R.1111-48).

    Attributes:
        first_access: that a professional accesses for the first time.
        new_document: that there is a document which the holder may see.
        by_email: use the e-mail address, if there is one.
        by_sms: use the mobile phone, if there is one.
    """

    first_access: bool = True
    new_document: bool = True
    by_email: bool = True
    by_sms: bool = True

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that are wanted."""
        return (EMAIL,) * self.by_email + (SMS,) * self.by_sms


def reach(contact: Contact) -> tuple[str, ...]:
    """The channels by which there is a way to a person."""
    return (EMAIL,) * bool(contact.email) + (SMS,) * is_mobile(contact.phone)


def is_mobile(phone: str) -> bool:
    """Whether a number of E.164 may get an SMS; of foreign ones we can't know, and try."""
    return bool(phone) and not _FIXED.match(phone)


def check(wishes: Wishes, contact: Contact) -> None:
    """Refuses wishes that would leave an emergency access untold.

    Raises:
        RequestError: no channel of those chosen leads to the holder, though another would.
    """
    ways = reach(contact)
    if ways and not set(ways) & set(wishes.channels):
        cure = f"emergency accesses are always told (CSP R.1111-48): keep one of {', '.join(ways)}"
        chosen = ", ".join(wishes.channels) or "none"
        raise RequestError([("settings.channels", f"`{chosen}` does not reach the holder", cure)])


def pack(contact: Contact) -> str:
    """A contact as it is stored."""
    return orjson.dumps(contact).decode()


def unpack(stored: str | Mapping[str, Any]) -> Contact:
    """A contact as it was stored."""
    found = orjson.loads(stored) if isinstance(stored, str) else stored
    return Contact(**{**found, "address": tuple(found.get("address", ()))})
