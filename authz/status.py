"""Errors as gRPC statuses: a code, a sentence, and google.rpc details for machines.

The one table from error to status. What is unexpected becomes a fixed INTERNAL, and its cause goes to the
service log only.
"""

from typing import Final

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from authz.bearer import METADATA
from authz.errors import (
    AheadError,
    ChangeError,
    LateError,
    OverloadedError,
    RequestError,
    TokenError,
    UnavailableError,
    UntrustedError,
)

DOMAIN: Final = "authz.dmp"
RETRY_S: Final = 1
"""After so many seconds a caller that was turned away may ask again."""

_MAX_TEXT: Final = 500
_MAX_DETAILS: Final = (
    2_500  # bytes: a status travels in a header, and clients stop reading at 8 KiB
)


def as_status(error: Exception) -> grpc.Status:  # noqa: PLR0911 - one an error
    """The status that a caller gets for an error of ours."""
    match error:
        case RequestError():
            return _invalid(error)
        case ChangeError():
            return _invalid(error.as_request())
        case UntrustedError():
            en = f"the caller's certificate is not trusted: {error}"
            fr = f"le certificat de l'appelant n'est pas accepté ({error.reason})"
            return _status(code_pb2.UNAUTHENTICATED, f"CERTIFICATE_{error.reason}", en, fr)
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
            return _status(code_pb2.OUT_OF_RANGE, "REVISION_AHEAD", _short(str(error)), fr)
        case OverloadedError():
            en = "no decision: too many requests are waiting; nothing was permitted, try again"
            fr = "pas de décision : trop de demandes attendent ; rien n'a été permis, réessayez"
            retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=RETRY_S))
            return _status(code_pb2.RESOURCE_EXHAUSTED, "OVERLOADED", en, fr, retry)
        case _:
            return _status(code_pb2.INTERNAL, "INTERNAL", "internal error", "erreur interne")


def _invalid(error: RequestError) -> grpc.Status:
    """INVALID_ARGUMENT with the violations, as many of them as a caller can be told at once."""
    bad = error_details_pb2.BadRequest()
    for field, wrong, cure in error.violations:
        text = "; ".join(filter(None, (wrong, cure)))
        bad.field_violations.add(field=_short(field), description=_short(text))
        if bad.ByteSize() > _MAX_DETAILS and len(bad.field_violations) > 1:
            bad.field_violations.pop()
            break
    fields = ", ".join(dict.fromkeys(v.field for v in bad.field_violations))
    fr = _short(f"demande mal formée, rien n'a été décidé ; à corriger : {fields}")
    return _status(code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST", _short(str(error)), fr, bad)


def _short(text: str) -> str:
    data = text.encode()
    if len(data) <= _MAX_TEXT:
        return text
    return data[:_MAX_TEXT].decode(errors="ignore") + "\N{HORIZONTAL ELLIPSIS}"


def _status(code: int, reason: str, en: str, fr: str, *details: Message) -> grpc.Status:
    """A status with its reason, and its sentence in English and French, English being the main one."""
    packed = []
    told = [
        error_details_pb2.LocalizedMessage(locale=locale, message=text)
        for locale, text in (("fr", fr), ("en", en))
    ]
    for detail in (error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN), *details, *told):
        box = any_pb2.Any()
        box.Pack(detail)
        packed.append(box)
    status: grpc.Status = rpc_status.to_status(
        status_pb2.Status(code=code, message=en, details=packed)
    )
    return status
