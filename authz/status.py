"""Errors as gRPC statuses: a code, a sentence, and google.rpc details for machines.

The one table from error to status. What is unexpected becomes a fixed INTERNAL, and its cause goes to the
service log only.
"""

from typing import Final

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2

from authz.bearer import METADATA
from authz.errors import (
    AheadError,
    ChangeError,
    LateError,
    OverloadedError,
    TokenError,
    UnavailableError,
)
from serving.errors import RequestError, UntrustedError
from serving.status import internal, invalid, status, untrusted

DOMAIN: Final = "authz.dmp"
RETRY_S: Final = 1
"""After so many seconds a caller that was turned away may ask again."""


def as_status(error: Exception) -> grpc.Status:  # noqa: PLR0911 - one an error
    """The status that a caller gets for an error of ours."""
    match error:
        case RequestError():
            return _invalid(error)
        case ChangeError():
            return _invalid(error.as_request())
        case UntrustedError():
            return untrusted(error, domain=DOMAIN)
        case TokenError():
            en = f"the token in `{METADATA}` is not accepted: {error}"
            fr = f"le jeton dans `{METADATA}` n'est pas accepté ({error.reason})"
            return _status(code_pb2.UNAUTHENTICATED, f"TOKEN_{error.reason}", en, fr)
        case UnavailableError():
            en = (
                "no decision: it can't be put on record now; nothing was permitted, try again later"
            )
            fr = (
                "pas de décision : elle ne peut pas être consignée ; rien n'a été permis, "
                "réessayez plus tard"
            )
            return _status(code_pb2.UNAVAILABLE, "NOT_RECORDED", en, fr)
        case LateError():
            en = "no decision in time; nothing was permitted, try again with a longer deadline"
            fr = "pas de décision à temps ; rien n'a été permis, réessayez avec un délai plus long"
            return _status(code_pb2.DEADLINE_EXCEEDED, "TOO_LATE", en, fr)
        case AheadError():
            fr = "la révision demandée n'existe pas encore ici ; relisez depuis le début"
            return _status(code_pb2.OUT_OF_RANGE, "REVISION_AHEAD", str(error), fr)
        case OverloadedError():
            en = "no decision: too many requests are waiting; nothing was permitted, try again"
            fr = "pas de décision : trop de demandes attendent ; rien n'a été permis, réessayez"
            retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=RETRY_S))
            return _status(code_pb2.RESOURCE_EXHAUSTED, "OVERLOADED", en, fr, retry)
        case _:
            return internal(domain=DOMAIN)


def _invalid(error: RequestError) -> grpc.Status:
    return invalid(error, done="rien n'a été décidé", domain=DOMAIN)


def _status(code: int, reason: str, en: str, fr: str, *details: Message) -> grpc.Status:
    return status(code, reason, en, fr, *details, domain=DOMAIN)
