"""The decision point as commands meet it."""

from typing import Final

from authz.v1 import authz_pb2 as pb
from clients import sdk
from clients.cli.link import Error, Link, Service, UnreachableError
from clients.sdk.procedures import CHANGE, CHECK, CHECK_BATCH, EXPLAIN, GET_BUNDLE

ADDRESS: Final = "127.0.0.1:7443"
TIMEOUT_S: Final = 5.0


class Point(Link):
    """A decision point, while connected: `with Point(address) as point: point.check(...)`.

    Raises, by every method:
        Error: the address or a file can't be used, or the request is malformed.
        UnreachableError: there is no answer.
    """

    service = Service(name="authz", late="is it the decision point?", timeout_s=TIMEOUT_S)

    def check(self, request: pb.CheckRequest) -> pb.Decision:
        """One decision."""
        return self.ask(CHECK, request).decision

    def check_all(self, requests: list[pb.CheckRequest]) -> list[pb.Decision]:
        """Decisions in the order of the requests, in one call."""
        return list(self.ask(CHECK_BATCH, pb.CheckBatchRequest(checks=requests)).decisions)

    def explain(self, request: pb.CheckRequest, language: str) -> pb.ExplainResponse:
        """One decision, and why."""
        return self.ask(EXPLAIN, pb.ExplainRequest(check=request, language=language))

    def change(self, request: pb.ChangeRequest) -> pb.Decision:
        """The decision on a change; when it is an allow, the change has been made."""
        return self.ask(CHANGE, request).decision

    def bundle(self, subject: pb.Subject) -> pb.GetBundleResponse:
        """The policies that decide now."""
        return self.ask(GET_BUNDLE, pb.GetBundleRequest(subject=subject))

    def _failed(self, error: sdk.FailedError) -> Error:
        return UnreachableError(f"{error}: the log of the service says why")
