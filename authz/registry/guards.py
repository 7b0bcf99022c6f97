"""What must hold before a change can happen; each says what to do when it does not."""

import re
from datetime import date, datetime, timedelta
from typing import Final

from authz.errors import ChangeError
from authz.registry.changes import OpenDossier, ReopenDossier
from authz.registry.state import DossierStatus, Grantee, PatientState

_IDENTIFIER: Final = re.compile(r"[!-~]{1,128}")
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_TEXT: Final = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]{0,1000}")


def require_openable(state: PatientState, change: OpenDossier | ReopenDossier) -> None:
    """A dossier is created once, and only a closed one is re-activated."""
    again = isinstance(change, ReopenDossier)
    if state.status is not (DossierStatus.CLOSED if again else DossierStatus.NONE):
        remedies = {
            DossierStatus.NONE: "create it",
            DossierStatus.OPEN: "change its settings instead",
            DossierStatus.CLOSED: "re-activate it instead",
            DossierStatus.DESTROYED: "nothing brings it back",
        }
        problem = f"can't be {'re-activated' if again else 'created'}"
        raise ChangeError(
            field="dossier", value=state.status, problem=problem, remedy=remedies[state.status]
        )


def require_born(birth_date: date | None, at: datetime) -> None:
    """A birth date does not lie in the future."""
    # One day of grace: the day begins earlier overseas than where `at` is counted.
    if birth_date is not None and birth_date > (at + timedelta(days=1)).date():
        raise ChangeError(
            field="birth_date",
            value=birth_date.isoformat(),
            problem="lies in the future",
            remedy="give the day of birth, or leave it out when unknown",
        )


def require_not_blocked(state: PatientState, whom: Grantee) -> None:
    """Who is blocked gets nothing until the block is lifted."""
    if any(whom.matches(block) for block in state.blocks):
        raise ChangeError(
            field="grantee",
            value=whom.identifier,
            problem="is blocked",
            remedy="lift the block, then ask the patient again",
        )


def require_valid(state: PatientState, whom: Grantee, at: datetime) -> None:
    """The grantee's own authorisation runs at the instant."""
    ends = [entry.expires_at for entry in state.authorisations if whom.matches(entry)]
    if not ends or at >= ends[0]:
        raise ChangeError(
            field="grantee",
            value=whom.identifier,
            problem="has no authorisation that is valid",
            remedy="ask the patient, then grant one",
        )


def require_identifier(field: str, value: str) -> None:
    """An identifier is short, plain and not empty, for an empty one could match an absent one."""
    if not _IDENTIFIER.fullmatch(value):
        raise ChangeError(
            field=field,
            value=value[:128],
            problem="is not an identifier",
            remedy="give 1 to 128 ASCII characters without spaces",
        )


def require_code(field: str, value: str, *, example: str) -> None:
    """A code is written in capitals, as in the published lists."""
    if not _CODE.fullmatch(value):
        raise ChangeError(
            field=field,
            value=value[:64],
            problem="is not a code",
            remedy=f"give one in capital letters, like {example}",
        )


def require_text(field: str, value: str) -> None:
    """Free text is of bounded length and can be shown; it is not repeated, being personal."""
    if not _TEXT.fullmatch(value):
        raise ChangeError(
            field=field,
            problem="is too long or holds control characters",
            remedy="give plain text of at most 1000 characters",
        )


def require_representative(state: PatientState, value: str) -> None:
    """A representative is another person; the value is not repeated, it may be a patient's."""
    if not _IDENTIFIER.fullmatch(value) or value == state.patient:
        raise ChangeError(
            field="representative",
            problem="is not another person's identifier",
            remedy="give 1 to 128 ASCII characters without spaces, not the patient's own",
        )
