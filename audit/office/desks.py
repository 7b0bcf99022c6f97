"""The desks of the office: which procedure is done by whom, and what else follows from the entries."""

from collections.abc import Sequence

from audit.office.accesses import Accesses
from audit.office.casebook import Casebook
from audit.office.door import Procedures, Stream, Unary
from audit.office.gained import Derivation
from audit.office.handles import Handles
from audit.office.office import Office
from audit.office.state import State
from audit.v1 import audit_pb2 as pb


def procedures(office: Office, state: State) -> Procedures:
    """The procedures by name, each with the message that it takes."""
    accesses = Accesses(office)
    return {
        "ListAccesses": Stream(pb.ListAccessesRequest, accesses.list_accesses),
        "ReadStatus": Unary(pb.ReadStatusRequest, state.read_status),
    }


def derivations(handles: Handles) -> Sequence[Derivation]:
    """What follows from the entries beside their lines, in the order in which it is written."""
    return (Casebook(handles),)
