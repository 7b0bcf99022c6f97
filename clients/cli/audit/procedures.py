"""The procedures of `audit.v1` that commands call."""

from typing import Final

from audit.v1 import audit_pb2 as pb
from clients.sdk.procedures import Procedure

_AUDIT: Final = "/audit.v1.AuditService"

QUERY: Final = Procedure(f"{_AUDIT}/Query", pb.QueryRequest, pb.QueryResponse)
COUNT: Final = Procedure(f"{_AUDIT}/Count", pb.CountRequest, pb.CountResponse, repeatable=True)
FOLLOW: Final = Procedure(f"{_AUDIT}/Follow", pb.FollowRequest, pb.QueryResponse)
SHOW: Final = Procedure(f"{_AUDIT}/Show", pb.ShowRequest, pb.ShowResponse, repeatable=True)
EXPORT: Final = Procedure(f"{_AUDIT}/Export", pb.ExportRequest, pb.ExportResponse)
REPLAY: Final = Procedure(f"{_AUDIT}/Replay", pb.ReplayRequest, pb.ReplayResponse)
LIST_CASES: Final = Procedure(
    f"{_AUDIT}/ListCases", pb.ListCasesRequest, pb.ListCasesResponse, repeatable=True
)
READ_CASE: Final = Procedure(
    f"{_AUDIT}/ReadCase", pb.ReadCaseRequest, pb.ReadCaseResponse, repeatable=True
)
CLOSE_CASE: Final = Procedure(f"{_AUDIT}/CloseCase", pb.CloseCaseRequest, pb.CloseCaseResponse)
COUNT_CASES: Final = Procedure(
    f"{_AUDIT}/CountCases", pb.CountCasesRequest, pb.CountCasesResponse, repeatable=True
)
LIST_UNUSUAL: Final = Procedure(
    f"{_AUDIT}/ListUnusual", pb.ListUnusualRequest, pb.ListUnusualResponse, repeatable=True
)
LIST_ACCESSES: Final = Procedure(
    f"{_AUDIT}/ListAccesses", pb.ListAccessesRequest, pb.ListAccessesResponse
)
READ_STATUS: Final = Procedure(
    f"{_AUDIT}/ReadStatus", pb.ReadStatusRequest, pb.ReadStatusResponse, repeatable=True
)
