"""What a sibling service tells its own callers when there is no permit: the one table, as gRPC statuses.

Each carries ErrorInfo with a stable reason; a denial also the decision's id, and the sentence for people in
French and English.
"""

from typing import Final

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from clients.sdk.errors import (
    AheadError,
    Error,
    InvalidError,
    OverloadedError,
    UnauthenticatedError,
    UnavailableError,
    UnfulfilledError,
)
from clients.sdk.permit import Denied
from clients.sdk.values import Told

DOMAIN: Final = "authz.dmp"
UNAVAILABLE: Final = "DECISION_UNAVAILABLE"
FAILED: Final = "DECISION_FAILED"
UNFULFILLED: Final = "OBLIGATION_UNFULFILLED"
AHEAD: Final = "REVISION_AHEAD"
NOT_OPEN: Final = "METHOD_NOT_OPEN"

_TOKEN: Final = "TOKEN_"  # noqa: S105 - how the reasons about tokens begin
_TERMS: Final = Told(
    fr="L'accès est permis à une condition que ce service ne sait pas remplir : {}.",
    en="Access is permitted on terms that this service can't keep: {}.",
)


def refusal(error: Denied | Error) -> grpc.Status:  # noqa: PLR0911 - a table, one line an error
    """The status that says why there is no answer."""
    match error:
        case Denied():
            return _denied(error)
        case InvalidError():
            bad = error_details_pb2.BadRequest()
            for field, problem in error.violations:
                bad.field_violations.add(field=field, description=problem)
            return _status(code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST", str(error), bad)
        case AheadError():
            return _status(code_pb2.OUT_OF_RANGE, AHEAD, str(error))
        case UnauthenticatedError() if error.reason.startswith(_TOKEN):
            return _status(code_pb2.UNAUTHENTICATED, error.reason, str(error))
        case OverloadedError():
            seconds = int(error.retry_after_s) + 1
            retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=seconds))
            text = "no decision: too many are asking; nothing was permitted, try again"
            return _status(code_pb2.RESOURCE_EXHAUSTED, "OVERLOADED", text, retry)
        case UnavailableError():
            text = "no decision can be had now; nothing was permitted, try again later"
            return _status(code_pb2.UNAVAILABLE, UNAVAILABLE, text)
        case UnfulfilledError():
            text = "what had to be done with the permit was not done; nothing was given"
            told = {"decision_id": error.decision_id}
            return _status(code_pb2.INTERNAL, UNFULFILLED, text, **told)
        case _:
            text = "no decision could be had; nothing was permitted"
            return _status(code_pb2.INTERNAL, FAILED, text)


def not_open() -> grpc.Status:
    """The status for a method of which nobody has said what it needs."""
    text = "nobody has said what this method needs, so it is closed"
    return _status(code_pb2.PERMISSION_DENIED, NOT_OPEN, text)


def _denied(error: Denied) -> grpc.Status:
    told = error.decision.told
    if error.unsupported:
        listed = ", ".join(error.unsupported)
        told = Told(fr=_TERMS.fr.format(listed), en=_TERMS.en.format(listed))
    said = (
        error_details_pb2.LocalizedMessage(locale="fr", message=told.fr),
        error_details_pb2.LocalizedMessage(locale="en", message=told.en),
    )
    known = {"decision_id": error.decision.id}
    return _status(code_pb2.PERMISSION_DENIED, error.reason_code, told.en, *said, **known)


def _status(code: int, reason: str, text: str, *details: Message, **known: str) -> grpc.Status:
    info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=known)
    packed = []
    for detail in (info, *details):
        box = any_pb2.Any()
        box.Pack(detail)
        packed.append(box)
    made = status_pb2.Status(code=code, message=text, details=packed)
    status: grpc.Status = rpc_status.to_status(made)
    return status
