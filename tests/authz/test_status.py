"""What a caller is told when there is no answer."""

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from authz.errors import (
    ChangeError,
    LateError,
    OverloadedError,
    TokenError,
    UnavailableError,
    UnrecordableError,
)
from authz.status import as_status
from serving.errors import RequestError, UntrustedError
from storage.errors import DatabaseError


def unpacked(error: Exception) -> tuple[grpc.StatusCode, str, dict[str, object]]:
    """Code, text and details (by the name of their type) of the status of an error."""
    status = as_status(error)
    packed = dict(status.trailing_metadata)["grpc-status-details-bin"]
    details = {}
    for box in status_pb2.Status.FromString(packed).details:
        kind = getattr(error_details_pb2, box.type_url.rpartition(".")[2])
        message = kind()
        box.Unpack(message)
        details[kind.DESCRIPTOR.name] = message
    return status.code, status.details, details


def size(error: Exception) -> int:
    """The bytes that the status of an error takes in a header, about."""
    status = as_status(error)
    packed = dict(status.trailing_metadata)["grpc-status-details-bin"]
    return len(packed) * 4 // 3 + 3 * len(status.details.encode())


CASES = [
    (RequestError([("action", "missing", "")]), "INVALID_ARGUMENT", "INVALID_REQUEST"),
    (ChangeError(field="f", problem="p", remedy="r"), "INVALID_ARGUMENT", "INVALID_REQUEST"),
    (UntrustedError("REVOKED", "d"), "UNAUTHENTICATED", "CERTIFICATE_REVOKED"),
    (TokenError("EXPIRED", "d"), "UNAUTHENTICATED", "TOKEN_EXPIRED"),
    (UnavailableError("secret path"), "UNAVAILABLE", "NOT_RECORDED"),
    (LateError("secret"), "DEADLINE_EXCEEDED", "TOO_LATE"),
    (OverloadedError("20000"), "RESOURCE_EXHAUSTED", "OVERLOADED"),
    (UnrecordableError("secret"), "INTERNAL", "INTERNAL"),
    (DatabaseError("secret path"), "INTERNAL", "INTERNAL"),
    (ZeroDivisionError("secret"), "INTERNAL", "INTERNAL"),
]


@pytest.mark.parametrize(("error", "code", "reason"), CASES)
def test_each_error_has_one_code_and_one_reason(error, code, reason):
    """Machines find the code, and exactly one ErrorInfo with our domain and a stable reason."""
    found, _, details = unpacked(error)

    assert found.name == code
    info = error_details_pb2.ErrorInfo(reason=reason, domain="authz.dmp")
    assert details["ErrorInfo"] == info


@pytest.mark.parametrize("error", [case[0] for case in CASES])
def test_each_error_is_told_in_french_and_english(error):
    """The sentence stands in both languages; the English one is that of the status."""
    status = as_status(error)
    packed = status_pb2.Status.FromString(dict(status.trailing_metadata)["grpc-status-details-bin"])

    told = {}
    for box in packed.details:
        message = error_details_pb2.LocalizedMessage()
        if box.Unpack(message):
            told[message.locale] = message.message

    assert set(told) == {"fr", "en"}
    assert told["en"] == status.details
    assert told["fr"] != told["en"]


@pytest.mark.parametrize("error", [case[0] for case in CASES[4:]])
def test_causes_stay_at_home(error):
    """What went wrong inside is never told to a caller."""
    _, text, details = unpacked(error)

    assert "secret" not in text
    assert "20000" not in text
    assert "BadRequest" not in details


def test_what_is_unexpected_has_one_sentence():
    """Whatever it is, the caller reads the same."""
    assert as_status(ZeroDivisionError("x")).details == "internal error"


def test_each_violation_has_field_problem_and_remedy():
    """Text and details say the same: field, what is wrong with which value, and the cure if any."""
    error = RequestError([("a.b", "unknown: `x`", "did you mean `y`?"), ("c", "missing", "")])

    _, text, details = unpacked(error)

    assert text == "a.b: unknown: `x`; did you mean `y`?; c: missing"
    found = [(v.field, v.description) for v in details["BadRequest"].field_violations]
    assert found == [("a.b", "unknown: `x`; did you mean `y`?"), ("c", "missing")]


def test_who_is_turned_away_learns_when_to_come_back():
    """Overload carries the delay after which to try again."""
    _, _, details = unpacked(OverloadedError("20000"))

    assert details["RetryInfo"].retry_delay.seconds == 1


@pytest.mark.parametrize("letter", ["x", "é", "\N{HORIZONTAL ELLIPSIS}"])
@pytest.mark.parametrize(("count", "length"), [(1, 100_000), (1_000, 80), (30, 600)])
def test_a_status_fits_its_header(letter, count, length):
    """However much is wrong, the status stays below the 8 KiB that clients read, and names the first."""
    error = RequestError([(f"field[{n}]", letter * length, letter * 100) for n in range(count)])

    _, _, details = unpacked(error)

    assert size(error) < 8_000
    assert details["BadRequest"].field_violations[0].field == "field[0]"
