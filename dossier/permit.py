"""Permits: what the gate hands out, and what every touch of the record costs.

A permit names who may do what to which document of whom, under which decision. It is sealed, lasts for
seconds, and pays for one touch: `Turnstile.spend` compares it with what is about to be done, and takes it.
"""

import hashlib
import hmac
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final

from clients.sdk.condition import Condition
from clients.sdk.values import Context, Subject
from dossier.errors import PermitError

LIFETIME_S: Final = 30.0
"""A permit that is older was held up, and what it permits may have been revoked since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Yes, once.

    Attributes:
        subject: who.
        action: does what, such as `document.read`.
        patient: INS of whose dossier; "" for what concerns none.
        document: to which document; "" for what concerns none, or many.
        entry: the state of the document's metadata that was judged; "" for none.
        context: the circumstances.
        decision: the decision's id in the log.
        reason_code: why it is permitted.
        obligations: what must be done because of it.
        condition: of which documents of the patient, for those who list them; None for all else.
        until: on the clock of the service, in seconds; later it is void.
        seal: made by the mint over all of the above.
    """

    subject: Subject
    action: str
    patient: str
    document: str
    entry: str
    context: Context
    decision: str
    reason_code: str
    obligations: tuple[str, ...]
    condition: Condition | None
    until: float
    seal: bytes


def seal(secret: bytes, *content: object) -> bytes:
    """The mark of the mint: HMAC-SHA256 over what a permit says."""
    return hmac.digest(secret, repr(content).encode(), hashlib.sha256)


def content_of(permit: Permit) -> tuple[object, ...]:
    """All that a seal covers, in the order of the fields."""
    return (
        permit.subject,
        permit.action,
        permit.patient,
        permit.document,
        permit.entry,
        permit.context,
        permit.decision,
        permit.reason_code,
        permit.obligations,
        permit.condition,
        permit.until,
    )


class Turnstile:
    """Lets through who has a permit for just this, once. Safe under threads."""

    def __init__(self, secret: bytes, *, clock: Callable[[], float]) -> None:
        self._secret = secret
        self._clock = clock
        self._lock = Lock()
        self._spent: set[str] = set()
        self._order: deque[tuple[float, str]] = deque()

    def spend(
        self,
        permit: Permit,
        *,
        action: str,
        patient: str,
        document: str = "",
        repeatable: bool = False,
    ) -> None:
        """Takes a permit for what is about to be done.

        Args:
            permit: made by the gate.
            action: what is about to be done.
            patient: INS of whose dossier.
            document: to which document.
            repeatable: a change of the registry that is asked for again is told the decision of the first
                time; whoever takes its permit again sees to it that nothing is done twice.

        Raises:
            PermitError: it was not made by the gate, is for something else, too old, or spent.
        """
        if not isinstance(permit, Permit):
            raise PermitError("no permit: ask the gate for one")
        if not hmac.compare_digest(permit.seal, seal(self._secret, *content_of(permit))):
            raise PermitError("forged: the gate has not made this permit")
        wanted = (action, patient, document)
        if (permit.action, permit.patient, permit.document) != wanted:
            raise PermitError(f"for `{permit.action}` of something else, not for this `{action}`")
        now = self._clock()
        if now >= permit.until:
            raise PermitError(f"too old: it was made more than {LIFETIME_S:g} s ago")
        with self._lock:
            while self._order and self._order[0][0] <= now:  # nobody could spend these again
                self._spent.discard(self._order.popleft()[1])
            if permit.decision in self._spent:
                if repeatable:
                    return
                raise PermitError("spent: a permit pays for one touch")
            self._spent.add(permit.decision)
            self._order.append((permit.until, permit.decision))
