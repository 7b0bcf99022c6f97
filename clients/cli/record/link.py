"""The record as commands meet it: by the SDK's line, with its refusals and failures in words."""

from types import TracebackType
from typing import ClassVar, Final, Self, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from clients import sdk
from clients.cli.point import Error, UnreachableError
from clients.cli.show import Language, Said
from clients.sdk.line import Line
from clients.sdk.procedures import Procedure
from clients.sdk.retry import Request, Response, call

ADDRESS: Final = "127.0.0.1:7444"
TIMEOUT_S: Final = 10.0
NAME: Final = "dossier"
"""What the service is called in its certificate."""

MAX_ANSWER: Final = 17 << 20

_OPTIONS: Final = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", MAX_ANSWER),
    ("grpc.max_send_message_length", MAX_ANSWER),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.keepalive_time_ms", 330_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)
_REFUSALS: Final = (
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
)
_CALLER: Final = "CALLER_UNKNOWN"


class RefusedError(Error):
    """What was asked for is denied, or can't be done as things stand: exit code 1.

    Attributes:
        reason_code: stable.
        told: why, in both languages.
        decision_id: of the denial in the log; "" when it was no decision.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, reason_code: str, told: Said, decision_id: str = "") -> None:
        super().__init__(told.en)
        self.reason_code = reason_code
        self.told = told
        self.decision_id = decision_id


class Record:
    """The dossier service, while connected: `with Record(address) as record: record.ask(FIND, ...)`."""

    def __init__(
        self, address: str, *, timeout_s: float = TIMEOUT_S, security: sdk.Security = sdk.PLAIN
    ) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._by_tls = isinstance(security, sdk.Tls)

        def dial(credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
            if credentials is None:
                return grpc.insecure_channel(address, options=_OPTIONS)
            named = (*_OPTIONS, ("grpc.ssl_target_name_override", NAME))
            return grpc.secure_channel(address, credentials, options=named)

        try:
            self._line = Line(address, security, make=dial)
        except sdk.SettingsError as exc:
            raise Error(str(exc)) from exc

    def __enter__(self) -> Self:
        """Itself; nothing is connected before the first call."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the line."""
        self._line.close()

    def ask(self, procedure: Procedure[Request, Response], request: Request) -> Response:
        """One call.

        Raises:
            RefusedError: it is denied, or can't be done as things stand.
            Error: the request is malformed.
            UnreachableError: there is no answer.
        """
        try:
            return call(self._line, procedure, request, timeout_s=self._timeout_s)
        except sdk.Error as exc:
            raise self._told(exc) from exc

    def _told(self, error: sdk.Error) -> Error:  # noqa: PLR0911 - a table, one line an error
        cause = error.__cause__
        if isinstance(cause, grpc.RpcError) and (refused := _refusal(cause)):
            return refused
        match error:
            case sdk.InvalidError():
                return Error(str(error), error.violations)
            case sdk.DeadlineError(reason=""):
                what = f"no answer from `{self._address}` within {self._timeout_s:g} s"
                return UnreachableError(f"{what}: is it the dossier? what was asked may be done")
            case sdk.UnavailableError(reason="") if self._by_tls:
                cure = "is it there, and does it know our authority? its log says more"
                return UnreachableError(f"no connection by TLS to `{self._address}`: {cure}")
            case sdk.UnavailableError(reason=""):
                cure = "start one with `dmp serve dossier`, or name another with --address"
                return UnreachableError(f"no service at `{self._address}`: {cure}")
            case sdk.FailedError() if _code(cause) is grpc.StatusCode.UNIMPLEMENTED:
                cure = "name the one of `dmp serve dossier` with --address"
                return UnreachableError(f"`{self._address}` is another service: {cure}")
            case sdk.FailedError() if _code(cause) is grpc.StatusCode.PERMISSION_DENIED:
                return UnreachableError(f"`{self._address}`: {_details(cause)}")
            case sdk.FailedError() if isinstance(cause, grpc.RpcError):
                said = cause.details() or _code(cause)
                return UnreachableError(f"`{self._address}` failed: {said}: its log says why")
            case _:
                return UnreachableError(str(error))


def _code(error: BaseException | None) -> grpc.StatusCode | None:
    return error.code() if isinstance(error, grpc.RpcError) else None


def _details(error: BaseException | None) -> str:
    return (error.details() or "") if isinstance(error, grpc.RpcError) else ""


def _refusal(error: grpc.RpcError) -> RefusedError | None:
    """The refusal that a status is; None when it is something else."""
    code = error.code()
    if code is not grpc.StatusCode.PERMISSION_DENIED and code not in _REFUSALS:
        return None
    status = _status(error)
    info = _detail(status, error_details_pb2.ErrorInfo())
    if not info.reason or info.reason == _CALLER:
        return None
    told = {Language.EN: error.details() or "", Language.FR: ""}
    for box in status.details:
        text = error_details_pb2.LocalizedMessage()
        if box.Is(text.DESCRIPTOR) and box.Unpack(text) and text.locale in tuple(Language):
            told[Language(text.locale)] = text.message
    said = Said(told[Language.FR] or told[Language.EN], told[Language.EN])
    return RefusedError(info.reason, said, info.metadata.get("decision_id", ""))


def _status(error: grpc.RpcError) -> status_pb2.Status:
    try:
        return rpc_status.from_call(error) or status_pb2.Status()
    except (ValueError, DecodeError):
        return status_pb2.Status()


Detail = TypeVar("Detail", bound=Message)


def _detail(status: status_pb2.Status, kind: Detail) -> Detail:
    for box in status.details:
        if box.Is(kind.DESCRIPTOR):
            box.Unpack(kind)
    return kind
