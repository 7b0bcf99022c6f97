"""The desks of the office: which procedure is done by whom."""

from audit.office.accesses import Accesses
from audit.office.door import Procedures, Stream, Unary
from audit.office.files import Files
from audit.office.findings import Findings
from audit.office.office import Office
from audit.office.queries import Queries
from audit.office.reviews import Reviews
from audit.office.state import State
from audit.v1 import audit_pb2 as pb


def procedures(office: Office, state: State) -> Procedures:
    """The procedures by name, each with the message that it takes."""
    accesses, files = Accesses(office), Files(office)
    queries, reviews = Queries(office), Reviews(office)
    findings = Findings(office)
    return {
        "Query": Stream(pb.QueryRequest, queries.query),
        "Count": Unary(pb.CountRequest, queries.count),
        "Follow": Stream(pb.FollowRequest, queries.follow, endless=True),
        "Show": Unary(pb.ShowRequest, queries.show),
        "Export": Stream(pb.ExportRequest, files.export, whole=True),
        "Replay": Stream(pb.ReplayRequest, files.replay, whole=True),
        "ListCases": Unary(pb.ListCasesRequest, reviews.list_cases),
        "ReadCase": Unary(pb.ReadCaseRequest, reviews.read_case),
        "CloseCase": Unary(pb.CloseCaseRequest, reviews.close_case),
        "CountCases": Unary(pb.CountCasesRequest, reviews.count_cases),
        "ListUnusual": Unary(pb.ListUnusualRequest, findings.list_unusual),
        "ListAccesses": Stream(pb.ListAccessesRequest, accesses.list_accesses),
        "ReadStatus": Unary(pb.ReadStatusRequest, state.read_status),
    }
