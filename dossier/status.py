"""Errors as gRPC statuses: the one table of the dossier; denials and the decision point's are the SDK's."""

from typing import Final

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2
from sqlalchemy.exc import SQLAlchemyError

from clients.sdk import Denied
from clients.sdk import Error as SdkError
from clients.sdk.refusal import refusal
from dossier.errors import (
    DocumentUnavailableError,
    DuplicateError,
    KeysError,
    ReplacedError,
    StaleError,
    TransitionError,
)
from serving.errors import RequestError, StrangerError, UntrustedError
from serving.hall import BusyError, StoppingError
from serving.status import internal, invalid, status, untrusted
from storage.errors import Error as StorageError

DOMAIN: Final = "dossier.dmp"
RETRY_S: Final = 1

_TABLE: Final[dict[type[Exception], tuple[int, str, str]]] = {
    StrangerError: (
        code_pb2.PERMISSION_DENIED,
        "CALLER_UNKNOWN",
        "ce service ne peut pas appeler le dossier",
    ),
    DuplicateError: (
        code_pb2.ALREADY_EXISTS,
        "DUPLICATE",
        "un document de ce numéro (uniqueId) est déjà déposé ; rien n'a été déposé",
    ),
    ReplacedError: (
        code_pb2.FAILED_PRECONDITION,
        "REPLACED",
        "ce document est déjà remplacé ou supprimé ; rien n'a été déposé",
    ),
    TransitionError: (
        code_pb2.FAILED_PRECONDITION,
        "TRANSITION",
        "l'état du document ne le permet pas ; rien n'a été changé",
    ),
    StaleError: (
        code_pb2.ABORTED,
        "CHANGED_MEANWHILE",
        "le document a changé entre-temps ; rien n'a été fait, réessayez",
    ),
    StoppingError: (
        code_pb2.UNAVAILABLE,
        "STOPPING",
        "le service s'arrête ; rien n'a été fait, réessayez",
    ),
}


def as_status(error: Exception) -> grpc.Status:  # noqa: PLR0911 - one an error
    """The status that a caller gets for an error of ours."""
    match error:
        case Denied() | SdkError():
            return refusal(error)
        case RequestError():
            return invalid(error, done="rien n'a été fait", domain=DOMAIN)
        case UntrustedError():
            return untrusted(error, domain=DOMAIN)
        case DocumentUnavailableError():
            fr = "ce document n'existe pas, ou ne vous est pas ouvert ; la liste montre ceux qui le sont"
            return status(
                code_pb2.NOT_FOUND,
                "DOCUMENT_UNAVAILABLE",
                str(error),
                fr,
                domain=DOMAIN,
                decision_id=error.decision_id,
            )
        case BusyError():
            fr = "trop de demandes sont en cours ; rien n'a été fait, réessayez"
            retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=RETRY_S))
            code = code_pb2.RESOURCE_EXHAUSTED
            return status(code, "OVERLOADED", str(error), fr, retry, domain=DOMAIN)
        case KeysError():
            en = "what is stored can't be opened: its key is gone or damaged; tell the operator"
            fr = "le contenu ne peut pas être ouvert : sa clé manque ou est altérée ; prévenez l'exploitant"
            return status(code_pb2.DATA_LOSS, "KEY", en, fr, domain=DOMAIN)
        case StorageError() | SQLAlchemyError():
            en = "the record can't be read or written now; nothing was done, try again later"
            fr = "le dossier ne peut être ni lu ni écrit ; rien n'a été fait, réessayez plus tard"
            return status(code_pb2.UNAVAILABLE, "STORE_UNAVAILABLE", en, fr, domain=DOMAIN)
        case _ if type(error) in _TABLE:
            code, reason, fr = _TABLE[type(error)]
            return status(code, reason, str(error), fr, domain=DOMAIN)
        case _:
            return internal(domain=DOMAIN)
