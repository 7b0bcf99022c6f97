"""What a sibling service uses to ask the decision point; `docs/sdk.md` shows how.

The asynchronous client is `clients.sdk.aio`, the interceptor for gRPC servers `clients.sdk.gate`, what tests
use `clients.sdk.testing`, the changes of the registry `clients.sdk.changes`.
"""

from clients.sdk.client import Client, Duty, connect
from clients.sdk.condition import Admission, Clause, Condition, Filtered, LabelField, Test
from clients.sdk.errors import (
    AheadError,
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
from clients.sdk.filterpermit import FilterPermit
from clients.sdk.guard import guarded
from clients.sdk.permit import Denied, Obligation, Permit
from clients.sdk.policies import Bundle, Mistake
from clients.sdk.registry import (
    Authorisation,
    AuthorisationState,
    AuthorisedPatient,
    DossierStatus,
    Event,
    Page,
    Patient,
    PatientRecord,
)
from clients.sdk.security import PLAIN, Plain, Security, Tls
from clients.sdk.values import (
    NORMAL,
    Context,
    Decision,
    Document,
    Effect,
    Explanation,
    FactChange,
    Finding,
    Query,
    Reason,
    Remedy,
    RuleFinding,
    Subject,
    Target,
    Told,
    oneself,
)
from clients.sdk.watch import Watch

__all__ = [
    "NORMAL",
    "PLAIN",
    "Admission",
    "AheadError",
    "Authorisation",
    "AuthorisationState",
    "AuthorisedPatient",
    "Bundle",
    "Clause",
    "Client",
    "Condition",
    "Context",
    "DeadlineError",
    "Decision",
    "Denied",
    "Document",
    "DossierStatus",
    "Duty",
    "Effect",
    "Error",
    "Event",
    "Explanation",
    "FactChange",
    "FailedError",
    "FilterPermit",
    "Filtered",
    "Finding",
    "InvalidError",
    "LabelField",
    "Mistake",
    "Obligation",
    "OverloadedError",
    "Page",
    "Patient",
    "PatientRecord",
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
    "Test",
    "Tls",
    "Told",
    "UnauthenticatedError",
    "UnavailableError",
    "UnfulfilledError",
    "Violation",
    "Watch",
    "connect",
    "guarded",
    "oneself",
]
