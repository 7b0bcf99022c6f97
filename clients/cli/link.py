"""A service of ours as commands meet it: by the SDK's line, with its refusals and failures in words.

Commands show messages as they come, so they use the line itself rather than the client over it.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from clients import sdk
from clients.cli.show import Language, Said
from clients.sdk.line import Line, Options
from clients.sdk.procedures import Procedure
from clients.sdk.retry import Request, Response, call

_REFUSALS: Final = (
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
)
_CALLER: Final = "CALLER_UNKNOWN"


class Error(Exception):
    """What a command tells in one line; `exit_code` is what it then exits with.

    Attributes:
        violations: of a malformed request, field by field what is wrong and what to do.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, violations: tuple[sdk.Violation, ...] = ()) -> None:
        super().__init__(message)
        self.violations = violations


class UnreachableError(Error):
    """No service answers there, or it cannot answer now."""

    exit_code = 3


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service, and what is said when it can't be talked to.

    Attributes:
        name: in its certificate, and behind `dmp serve`.
        late: what to think of when there was no answer in time.
        timeout_s: for a call, if nothing else is said.
        options: of gRPC, where those of the SDK will not do.
    """

    name: str
    late: str
    timeout_s: float
    options: Options = ()


def security(key: Path | None, chain: Path | None, roots: Path | None) -> sdk.Security:
    """By mutual TLS if all the files are given, plainly if none is.

    Raises:
        Error: some are missing.
    """
    if key is None and chain is None and roots is None:
        return sdk.PLAIN
    if key is None or chain is None or roots is None:
        raise Error("TLS needs --tls-key, --tls-chain and --roots: give the three, or none")
    return sdk.Tls(key=key, chain=chain, roots=roots)


class Link:
    """A service, while connected: `with Record(address) as record: record.ask(FIND, ...)`."""

    service: ClassVar[Service]

    def __init__(
        self, address: str, *, timeout_s: float | None = None, security: sdk.Security = sdk.PLAIN
    ) -> None:
        """A link; nothing is connected before the first call.

        Raises:
            Error: the address or a file can't be used.
        """
        self._address = address
        self._timeout_s = self.service.timeout_s if timeout_s is None else timeout_s
        self._by_tls = isinstance(security, sdk.Tls)
        if isinstance(security, sdk.Tls):
            security = replace(security, name=self.service.name)
        try:
            self._line = Line(address, security, options=self.service.options)
        except sdk.SettingsError as exc:
            raise Error(str(exc)) from exc

    def __enter__(self) -> Self:
        """Itself."""
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

    def _told(self, error: sdk.Error) -> Error:
        match error:
            case sdk.InvalidError():
                return Error(str(error), error.violations)
            case sdk.DeadlineError(reason=""):
                what = f"no answer from `{self._address}` within {self._timeout_s:g} s"
                return UnreachableError(f"{what}: {self.service.late}")
            case sdk.UnavailableError(reason="") if self._by_tls:
                cure = (
                    "is it there, and does it know our authority? its log and `dmp pki show` help"
                )
                return UnreachableError(f"no connection by TLS to `{self._address}`: {cure}")
            case sdk.UnavailableError(reason=""):
                start = f"start one with `dmp serve {self.service.name}`"
                cure = f"{start}, or name another with --address"
                return UnreachableError(f"no service at `{self._address}`: {cure}")
            case sdk.FailedError():
                return self._failed(error)
            case _:
                return UnreachableError(str(error))

    def _failed(self, error: sdk.FailedError) -> Error:
        """What it means that the service answered, but not what it was asked for."""
        cause = error.__cause__
        if not isinstance(cause, grpc.RpcError):
            return UnreachableError(str(error))
        if refused := _refusal(cause):
            return refused
        match cause.code():
            case grpc.StatusCode.UNIMPLEMENTED:
                cure = f"name the one of `dmp serve {self.service.name}` with --address"
                return UnreachableError(f"`{self._address}` is another service: {cure}")
            case grpc.StatusCode.PERMISSION_DENIED:
                return UnreachableError(f"`{self._address}`: {cause.details() or ''}")
            case code:
                said = cause.details() or code
                return UnreachableError(f"`{self._address}` failed: {said}: its log says why")


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
