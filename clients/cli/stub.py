"""Reaches the decision point of this machine, and puts its failures into words.

Only loopback and unix sockets are spoken to, as there is no mutual TLS yet; no proxy is asked, and every
call has a deadline. What comes back as an error becomes one of ours: nobody sees a gRPC status.
"""

import ipaddress
from types import TracebackType
from typing import ClassVar, Final, NoReturn, Self, TypeVar

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from authz.v1 import authz_pb2 as pb
from authz.v1 import authz_pb2_grpc as rpc

ADDRESS: Final = "127.0.0.1:7443"
TIMEOUT_S: Final = 5.0

_MAX_PORT: Final = 65_535
_MAX_MESSAGE: Final = 4 << 20
_OPTIONS: Final = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", _MAX_MESSAGE),
)

Request = TypeVar("Request")
Response = TypeVar("Response")


class Error(Exception):
    """Base of what a command tells in one line; `exit_code` is what it then exits with."""

    exit_code: ClassVar[int] = 2


class AddressError(Error):
    """An address is no address, or not one of this machine."""


class RefusedError(Error):
    """The service found the request malformed, and decided nothing.

    Attributes:
        violations: field, and what is wrong with it and what to do.
    """

    def __init__(self, message: str, violations: tuple[tuple[str, str], ...]) -> None:
        super().__init__(message)
        self.violations = violations


class UnreachableError(Error):
    """No service answers there, or it cannot answer now."""

    exit_code = 3


class Client:
    """A decision point, while connected: `with Client(address) as client: client.check(...)`.

    Every method raises `RefusedError` when the request is malformed and `UnreachableError` when there
    is no answer: a failed call is never a permit.

    Raises:
        AddressError: the address is not of this machine.
    """

    def __init__(self, address: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._address = local(address)
        self._timeout_s = timeout_s

    def __enter__(self) -> Self:
        """Makes the channel; nothing is connected before the first call."""
        self._channel = grpc.insecure_channel(self._address, options=_OPTIONS)
        self._authz = rpc.AuthzServiceStub(self._channel)
        self._registry = rpc.RegistryServiceStub(self._channel)
        self._policy = rpc.PolicyServiceStub(self._channel)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the channel."""
        self._channel.close()

    def check(self, request: pb.CheckRequest) -> pb.Decision:
        """One decision."""
        return self._call(self._authz.Check, request).decision

    def check_all(self, requests: list[pb.CheckRequest]) -> list[pb.Decision]:
        """Decisions in the order of the requests, in one call."""
        answer = self._call(self._authz.CheckBatch, pb.CheckBatchRequest(checks=requests))
        return list(answer.decisions)

    def explain(self, request: pb.CheckRequest, language: str) -> pb.ExplainResponse:
        """One decision, and why."""
        return self._call(self._authz.Explain, pb.ExplainRequest(check=request, language=language))

    def change(self, request: pb.ChangeRequest) -> pb.Decision:
        """The decision on a change; when it is an allow, the change has been made."""
        return self._call(self._registry.Change, request).decision

    def bundle(self, subject: pb.Subject) -> pb.GetBundleResponse:
        """The policies that decide now."""
        return self._call(self._policy.GetBundle, pb.GetBundleRequest(subject=subject))

    def _call(
        self, method: "grpc.UnaryUnaryMultiCallable[Request, Response]", request: Request
    ) -> Response:
        try:
            return method(request, timeout=self._timeout_s)
        except grpc.RpcError as exc:
            self._translate(exc)

    def _translate(self, error: grpc.RpcError) -> NoReturn:
        code, details = error.code(), error.details() or ""
        if code is grpc.StatusCode.INVALID_ARGUMENT:
            raise RefusedError(details, _violations(error)) from error
        if code is grpc.StatusCode.INTERNAL:
            what = f"the service at `{self._address}` failed on this request"
            raise UnreachableError(f"{what}: its log says why") from error
        if _is_of_service(error):
            raise UnreachableError(details) from error
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            what = f"no answer from `{self._address}` within {self._timeout_s:g} s"
            raise UnreachableError(f"{what}: is it the decision point?") from error
        if code is grpc.StatusCode.UNAVAILABLE:
            cure = "start one with `dmp serve authz`, or name another with --address"
            raise UnreachableError(f"no service at `{self._address}`: {cure}") from error
        raise UnreachableError(f"`{self._address}` did not decide: {code.name}") from error


def local(address: str) -> str:
    """The address, if it is of this machine.

    Raises:
        AddressError: it is not a loopback address with a port, nor a unix socket.
    """
    scheme, colon, path = address.partition(":")
    if scheme == "unix" and colon and path:
        return address
    host, colon, port = address.rpartition(":")
    numbered = port.isascii() and port.isdigit() and 0 < int(port) <= _MAX_PORT
    if not colon or not numbered or not _loopback(host):
        raise AddressError(
            f"`{address}` is no address to use: without TLS only loopback ({ADDRESS}) "
            "and unix sockets (unix:/PATH) are spoken to"
        )
    return address


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _violations(error: grpc.RpcError) -> tuple[tuple[str, str], ...]:
    status, bad = rpc_status.from_call(error), error_details_pb2.BadRequest()
    for detail in status.details if status else ():
        if detail.Unpack(bad):
            return tuple((v.field, v.description) for v in bad.field_violations)
    return ()


def _is_of_service(error: grpc.RpcError) -> bool:
    """Whether the service itself said so: gRPC's own failures carry no ErrorInfo."""
    status = rpc_status.from_call(error)
    return any(
        d.Is(error_details_pb2.ErrorInfo.DESCRIPTOR) for d in (status.details if status else ())
    )
