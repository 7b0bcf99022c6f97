"""Errors as gRPC statuses: the one table of the audit; denials and the decision point's are the SDK's."""

from typing import Final

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2
from sqlalchemy.exc import SQLAlchemyError

from audit.errors import (
    EntryError,
    ErasedError,
    EvidenceError,
    LogDamagedError,
    UnreachableError,
)
from audit.office.errors import (
    LateError,
    NotPossibleError,
    NotReadyError,
    TooMuchError,
    UnknownError,
)
from clients.sdk import Denied
from clients.sdk import Error as SdkError
from clients.sdk.refusal import refusal
from serving.errors import RequestError, StrangerError, UntrustedError
from serving.hall import BusyError, StoppingError
from serving.status import internal, invalid, status, untrusted
from storage.errors import Error as StorageError

DOMAIN: Final = "audit.dmp"
RETRY_S: Final = 1

_NOTHING_DONE: Final = "rien n'a été fait"

_TABLE: Final[tuple[tuple[type[Exception], int, str, str], ...]] = (
    (
        StrangerError,
        code_pb2.PERMISSION_DENIED,
        "CALLER_UNKNOWN",
        "ce service ne peut pas appeler l'audit",
    ),
    (UnknownError, code_pb2.NOT_FOUND, "UNKNOWN", "rien de ce nom dans le journal"),
    (ErasedError, code_pb2.NOT_FOUND, "ERASED", "cette entrée a été effacée au terme de sa durée"),
    (
        NotPossibleError,
        code_pb2.FAILED_PRECONDITION,
        "NOT_POSSIBLE",
        "ce n'est pas possible en l'état ; rien n'a été changé",
    ),
    (
        NotReadyError,
        code_pb2.UNAVAILABLE,
        "NOT_READY",
        "l'index n'en est pas encore là ; réessayez",
    ),
    (
        TooMuchError,
        code_pb2.FAILED_PRECONDITION,
        "TOO_MUCH",
        "la question est trop large ; restreignez-la, par exemple à une période",
    ),
    (
        LateError,
        code_pb2.DEADLINE_EXCEEDED,
        "TOO_LATE",
        "pas de réponse à temps ; demandez moins, ou attendez plus longtemps",
    ),
    (
        StoppingError,
        code_pb2.UNAVAILABLE,
        "STOPPING",
        f"le service s'arrête ; {_NOTHING_DONE}, réessayez",
    ),
    (
        LogDamagedError,
        code_pb2.DATA_LOSS,
        "LOG_DAMAGED",
        "le journal est altéré ; prévenez l'exploitant",
    ),
    (
        EvidenceError,
        code_pb2.UNAVAILABLE,
        "EVIDENCE",
        "les preuves du journal ne peuvent être lues ; prévenez l'exploitant",
    ),
)
"""By error: code, reason, and the sentence in French; the error's own text is the English one."""


def as_status(error: Exception) -> grpc.Status:  # noqa: PLR0911 - one an error
    """The status that a caller gets for an error of ours."""
    match error:
        case Denied() | SdkError():
            return refusal(error)
        case RequestError():
            return invalid(error, done=_NOTHING_DONE, domain=DOMAIN)
        case EntryError():
            field, _, wrong = str(error).partition(": ")
            told = RequestError([(field, wrong, "")])
            return invalid(told, done=_NOTHING_DONE, domain=DOMAIN)
        case UntrustedError():
            return untrusted(error, domain=DOMAIN)
        case BusyError():
            fr = f"trop de demandes sont en cours ; {_NOTHING_DONE}, réessayez"
            retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=RETRY_S))
            code = code_pb2.RESOURCE_EXHAUSTED
            return status(code, "OVERLOADED", str(error), fr, retry, domain=DOMAIN)
        case UnreachableError() | StorageError() | SQLAlchemyError() | OSError():
            en = "the log or its index can't be read now; try again later"
            fr = "le journal ou son index ne peut être lu ; réessayez plus tard"
            return status(code_pb2.UNAVAILABLE, "STORE_UNAVAILABLE", en, fr, domain=DOMAIN)
        case _:
            return _listed(error)


def _listed(error: Exception) -> grpc.Status:
    for kind, code, reason, fr in _TABLE:
        if isinstance(error, kind):
            return status(code, reason, str(error), fr, domain=DOMAIN)
    return internal(domain=DOMAIN)
