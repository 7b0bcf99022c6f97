"""The decision point as commands meet it: by the SDK's line, with its failures in words for a terminal.

Commands show messages as they come, so they use the line itself rather than the client over it.
"""

from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

from authz.v1 import authz_pb2 as pb
from clients import sdk
from clients.sdk.line import Line
from clients.sdk.procedures import CHANGE, CHECK, CHECK_BATCH, EXPLAIN, GET_BUNDLE, Procedure
from clients.sdk.retry import Request, Response, call

ADDRESS: Final = "127.0.0.1:7443"
TIMEOUT_S: Final = 5.0


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


class Point:
    """A decision point, while connected: `with Point(address) as point: point.check(...)`.

    Raises, by every method:
        Error: the address or a file can't be used, or the request is malformed.
        UnreachableError: there is no answer.
    """

    def __init__(
        self, address: str, *, timeout_s: float = TIMEOUT_S, security: sdk.Security = sdk.PLAIN
    ) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._by_tls = isinstance(security, sdk.Tls)
        try:
            self._line = Line(address, security)
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

    def check(self, request: pb.CheckRequest) -> pb.Decision:
        """One decision."""
        return self._ask(CHECK, request).decision

    def check_all(self, requests: list[pb.CheckRequest]) -> list[pb.Decision]:
        """Decisions in the order of the requests, in one call."""
        return list(self._ask(CHECK_BATCH, pb.CheckBatchRequest(checks=requests)).decisions)

    def explain(self, request: pb.CheckRequest, language: str) -> pb.ExplainResponse:
        """One decision, and why."""
        return self._ask(EXPLAIN, pb.ExplainRequest(check=request, language=language))

    def change(self, request: pb.ChangeRequest) -> pb.Decision:
        """The decision on a change; when it is an allow, the change has been made."""
        return self._ask(CHANGE, request).decision

    def bundle(self, subject: pb.Subject) -> pb.GetBundleResponse:
        """The policies that decide now."""
        return self._ask(GET_BUNDLE, pb.GetBundleRequest(subject=subject))

    def _ask(self, procedure: Procedure[Request, Response], request: Request) -> Response:
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
                return UnreachableError(f"{what}: is it the decision point?")
            case sdk.UnavailableError(reason="") if self._by_tls:
                cure = (
                    "is it there, and does it know our authority? its log and `dmp pki show` help"
                )
                return UnreachableError(f"no connection by TLS to `{self._address}`: {cure}")
            case sdk.UnavailableError(reason=""):
                cure = "start one with `dmp serve authz`, or name another with --address"
                return UnreachableError(f"no service at `{self._address}`: {cure}")
            case sdk.FailedError():
                return UnreachableError(f"{error}: the log of the service says why")
            case _:
                return UnreachableError(str(error))
