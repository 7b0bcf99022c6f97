"""The procedures of `authz.v1` that are called, and which of them may be called twice.

A question asked twice is on record twice, which harms nobody. A change with a request id is made once.
"""

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from google.protobuf.message import Message

from authz.v1 import authz_pb2 as pb

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


@dataclass(frozen=True, slots=True)
class Procedure(Generic[Request, Response]):
    """One procedure: its path, its messages, and whether it may be repeated."""

    path: str
    request: type[Request]
    response: type[Response]
    repeatable: bool = False


_AUTHZ: Final = "/authz.v1.AuthzService"
_REGISTRY: Final = "/authz.v1.RegistryService"
_POLICY: Final = "/authz.v1.PolicyService"

CHECK: Final = Procedure(f"{_AUTHZ}/Check", pb.CheckRequest, pb.CheckResponse, repeatable=True)
CHECK_BATCH: Final = Procedure(
    f"{_AUTHZ}/CheckBatch", pb.CheckBatchRequest, pb.CheckBatchResponse, repeatable=True
)
EXPLAIN: Final = Procedure(
    f"{_AUTHZ}/Explain", pb.ExplainRequest, pb.ExplainResponse, repeatable=True
)
FILTER: Final = Procedure(f"{_AUTHZ}/Filter", pb.FilterRequest, pb.FilterResponse, repeatable=True)
CHANGE: Final = Procedure(f"{_REGISTRY}/Change", pb.ChangeRequest, pb.ChangeResponse)
GET_PATIENT: Final = Procedure(
    f"{_REGISTRY}/GetPatient", pb.GetPatientRequest, pb.GetPatientResponse, repeatable=True
)
LIST_PATIENTS: Final = Procedure(
    f"{_REGISTRY}/ListPatients", pb.ListPatientsRequest, pb.ListPatientsResponse, repeatable=True
)
WATCH: Final = Procedure(f"{_REGISTRY}/Watch", pb.WatchRequest, pb.WatchResponse)
GET_BUNDLE: Final = Procedure(
    f"{_POLICY}/GetBundle", pb.GetBundleRequest, pb.GetBundleResponse, repeatable=True
)
ACTIVATE_BUNDLE: Final = Procedure(
    f"{_POLICY}/ActivateBundle", pb.ActivateBundleRequest, pb.ActivateBundleResponse
)
