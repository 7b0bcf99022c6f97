"""Where permits are made. Only the gate may import this: an import contract says so."""

from collections.abc import Callable
from dataclasses import replace

from clients.sdk.condition import Condition
from clients.sdk.values import Context, Subject
from dossier.permit import LIFETIME_S, Permit, content_of, seal


class Mint:
    """Makes permits that the turnstile with the same secret accepts."""

    def __init__(self, secret: bytes, *, clock: Callable[[], float]) -> None:
        self._secret = secret
        self._clock = clock

    def issue(
        self,
        *,
        subject: Subject,
        action: str,
        context: Context,
        decision: str,
        reason_code: str,
        obligations: tuple[str, ...],
        patient: str = "",
        document: str = "",
        entry: str = "",
        condition: Condition | None = None,
    ) -> Permit:
        """A permit under a decision; see `Permit` for what the arguments mean."""
        unsealed = Permit(
            subject=subject,
            action=action,
            patient=patient,
            document=document,
            entry=entry,
            context=context,
            decision=decision,
            reason_code=reason_code,
            obligations=obligations,
            condition=condition,
            until=self._clock() + LIFETIME_S,
            seal=b"",
        )
        return replace(unsealed, seal=seal(self._secret, *content_of(unsealed)))
