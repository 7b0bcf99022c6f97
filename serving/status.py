"""Errors as gRPC statuses: a code, a sentence in two languages, and google.rpc details for machines.

What each room makes of its errors stands in its own table; here is the form, and what all rooms share.
"""

from typing import Final

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from serving.errors import RequestError, UntrustedError

_MAX_TEXT: Final = 500
_MAX_DETAILS: Final = (
    2_500  # bytes: a status travels in a header, and clients stop reading at 8 KiB
)


def status(
    code: int, reason: str, en: str, fr: str, *details: Message, domain: str, **known: str
) -> grpc.Status:
    """A status with its reason, and its sentence in English and French, English being the main one.

    Args:
        code: of `google.rpc.Code`.
        reason: stable, of `google.rpc.ErrorInfo`.
        en: the sentence.
        fr: the same in French.
        details: more of them, for machines.
        domain: whose reason it is.
        known: more about it, by name, such as the id of a decision.
    """
    packed = []
    info = error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=known)
    told = [
        error_details_pb2.LocalizedMessage(locale=locale, message=short(text))
        for locale, text in (("fr", fr), ("en", en))
    ]
    for detail in (info, *details, *told):
        box = any_pb2.Any()
        box.Pack(detail)
        packed.append(box)
    made: grpc.Status = rpc_status.to_status(
        status_pb2.Status(code=code, message=short(en), details=packed)
    )
    return made


def invalid(error: RequestError, *, done: str, domain: str) -> grpc.Status:
    """INVALID_ARGUMENT with the violations, as many of them as a caller can be told at once.

    Args:
        error: what is wrong.
        done: what was not done because of it, in French: "rien n'a été décidé".
        domain: whose reason it is.
    """
    bad = error_details_pb2.BadRequest()
    for field, wrong, cure in error.violations:
        text = "; ".join(filter(None, (wrong, cure)))
        bad.field_violations.add(field=short(field), description=short(text))
        if bad.ByteSize() > _MAX_DETAILS and len(bad.field_violations) > 1:
            bad.field_violations.pop()
            break
    fields = ", ".join(dict.fromkeys(v.field for v in bad.field_violations))
    fr = f"demande mal formée, {done} ; à corriger : {fields}"
    code = code_pb2.INVALID_ARGUMENT
    return status(code, "INVALID_REQUEST", str(error), fr, bad, domain=domain)


def untrusted(error: UntrustedError, *, domain: str) -> grpc.Status:
    """UNAUTHENTICATED, for a caller whose certificate does not count."""
    en = f"the caller's certificate is not trusted: {error}"
    fr = f"le certificat de l'appelant n'est pas accepté ({error.reason})"
    return status(code_pb2.UNAUTHENTICATED, f"CERTIFICATE_{error.reason}", en, fr, domain=domain)


def internal(*, domain: str) -> grpc.Status:
    """INTERNAL, for what was not expected: its cause goes to the service log only."""
    return status(code_pb2.INTERNAL, "INTERNAL", "internal error", "erreur interne", domain=domain)


def short(text: str) -> str:
    """A text cut to what may travel in a header."""
    data = text.encode()
    if len(data) <= _MAX_TEXT:
        return text
    return data[:_MAX_TEXT].decode(errors="ignore") + "\N{HORIZONTAL ELLIPSIS}"
