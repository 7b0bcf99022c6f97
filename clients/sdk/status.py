"""Statuses of gRPC as errors of ours: the one table. Nobody outside sees an RpcError.

Beside its code, a status may carry google.rpc details: ErrorInfo (which only the service itself sends),
BadRequest, RetryInfo.
"""

from typing import Final, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from clients.sdk.errors import (
    AheadError,
    DeadlineError,
    Error,
    FailedError,
    InvalidError,
    OverloadedError,
    UnauthenticatedError,
    UnavailableError,
    Violation,
)

_TOO_LARGE: Final = "larger than max"
_BEGIN_AGAIN: Final = "drop what was kept of it, and watch again from 0"

Detail = TypeVar("Detail", bound=Message)


def translate(error: grpc.RpcError, address: str) -> Error:  # noqa: PLR0911 - a table, one line a status
    """What became of a call to this address."""
    code, text = error.code(), error.details() or ""
    status = _status(error)
    reason = _detail(status, error_details_pb2.ErrorInfo()).reason
    match code:
        case grpc.StatusCode.INVALID_ARGUMENT:
            return InvalidError(text, _violations(status))
        case grpc.StatusCode.OUT_OF_RANGE:
            return AheadError(
                text if reason else f"revision is ahead of the registry: {_BEGIN_AGAIN}"
            )
        case grpc.StatusCode.UNAUTHENTICATED:
            return UnauthenticatedError(text, reason)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineError(text if reason else f"no answer from `{address}` in time", reason)
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
            return UnavailableError(text if reason else f"`{address}`: {text}", reason)
        case grpc.StatusCode.RESOURCE_EXHAUSTED if not reason and _TOO_LARGE in text:
            return InvalidError.of("message", f"too large: {text}")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            wait = _detail(status, error_details_pb2.RetryInfo()).retry_delay
            return OverloadedError(text, wait.seconds + wait.nanos / 1e9)
        case _:
            return FailedError(f"`{address}` did not decide: {code.name}: {text}")


def _status(error: grpc.RpcError) -> status_pb2.Status:
    try:
        return rpc_status.from_call(error) or status_pb2.Status()
    except (ValueError, DecodeError):  # details that are none change nothing about the failure
        return status_pb2.Status()


def _detail(status: status_pb2.Status, kind: Detail) -> Detail:
    """The detail of this kind; empty when there is none."""
    for box in status.details:
        if box.Is(kind.DESCRIPTOR):
            try:
                box.Unpack(kind)
            except DecodeError:
                kind.Clear()
    return kind


def _violations(status: status_pb2.Status) -> tuple[Violation, ...]:
    bad = _detail(status, error_details_pb2.BadRequest())
    return tuple(Violation(v.field, v.description) for v in bad.field_violations)
