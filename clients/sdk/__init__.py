"""What a sibling service uses to ask the decision point; `docs/sdk.md` shows how.

The asynchronous client is `clients.sdk.aio`, the interceptor for gRPC servers `clients.sdk.gate`, what tests
use `clients.sdk.testing`, the changes of the registry `clients.sdk.changes`.
"""

from clients.sdk.client import Client, Duty, connect
from clients.sdk.errors import (
    DeadlineError,
    Error,
    FailedError,
    InvalidError,
    OverloadedError,
    SettingsError,
    UnauthenticatedError,
    UnavailableError,
    UnfulfilledError,
    Violation,
)
from clients.sdk.guard import guarded
from clients.sdk.permit import Denied, Obligation, Permit
from clients.sdk.security import PLAIN, Plain, Security, Tls
from clients.sdk.values import (
    NORMAL,
    Condition,
    Context,
    Decision,
    Document,
    Effect,
    Explanation,
    FactChange,
    Query,
    Reason,
    Remedy,
    RuleFinding,
    Subject,
    Target,
    Told,
)

__all__ = [
    "NORMAL",
    "PLAIN",
    "Client",
    "Condition",
    "Context",
    "DeadlineError",
    "Decision",
    "Denied",
    "Document",
    "Duty",
    "Effect",
    "Error",
    "Explanation",
    "FactChange",
    "FailedError",
    "InvalidError",
    "Obligation",
    "OverloadedError",
    "Permit",
    "Plain",
    "Query",
    "Reason",
    "Remedy",
    "RuleFinding",
    "Security",
    "SettingsError",
    "Subject",
    "Target",
    "Tls",
    "Told",
    "UnauthenticatedError",
    "UnavailableError",
    "UnfulfilledError",
    "Violation",
    "connect",
    "guarded",
]
