"""The door of the dossier: its procedures, and how they ask the decision point."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from clients.sdk import DeadlineError
from clients.sdk.asking import How, traced
from clients.sdk.gate import along
from dossier.documents import Documents
from dossier.dossiers import Dossiers
from dossier.status import as_status
from dossier.v1 import dossier_pb2 as pb
from serving import door
from serving.callers import Caller, Context
from serving.hall import Hall
from serving.metrics import Calls

DECISION_S: Final = 4.0
"""Of the time of a call, a question to the decision point gets no more than this."""

MAX_CALLS: Final = 256
"""So many calls are under way at most; a deposit may hold 15 MiB."""

SERVICE: Final = "dossier.v1."

Procedure = Callable[[Any, How], Awaitable[Message]]
Procedures = Mapping[str, tuple[type[Message], Procedure]]


def procedures(doc: Documents, dos: Dossiers) -> Procedures:
    """The procedures by name, with the message each takes."""
    return {
        "DocumentService/Submit": (pb.SubmitRequest, doc.submit),
        "DocumentService/List": (pb.ListRequest, doc.list),
        "DocumentService/ReadPathway": (pb.ReadPathwayRequest, doc.read_pathway),
        "DocumentService/Read": (pb.ReadRequest, doc.read),
        "DocumentService/Change": (pb.ChangeRequest, doc.change),
        "DocumentService/Locate": (pb.LocateRequest, doc.locate),
        "DossierService/FindDossier": (pb.FindDossierRequest, dos.find_dossier),
        "DossierService/CreateDossier": (pb.CreateDossierRequest, dos.create_dossier),
        "DossierService/ReopenDossier": (pb.ReopenDossierRequest, dos.reopen_dossier),
        "DossierService/CloseDossier": (pb.CloseDossierRequest, dos.close_dossier),
        "DossierService/ReadDossier": (pb.ReadDossierRequest, dos.read_dossier),
        "DossierService/UpdateAdministrativeData": (
            pb.UpdateAdministrativeDataRequest,
            dos.update_administrative_data,
        ),
        "DossierService/ChangeRights": (pb.ChangeRightsRequest, dos.change_rights),
        "DossierService/ListPatients": (pb.ListPatientsRequest, dos.list_patients),
        "DossierService/ReadTrace": (pb.ReadTraceRequest, dos.read_trace),
        "DossierService/ReadNotificationSettings": (
            pb.ReadNotificationSettingsRequest,
            dos.read_notification_settings,
        ),
        "DossierService/ChangeNotificationSettings": (
            pb.ChangeNotificationSettingsRequest,
            dos.change_notification_settings,
        ),
        "DossierService/ListNotices": (pb.ListNoticesRequest, dos.list_notices),
    }


class Door(door.Door):
    """The calls of one listener of the dossier."""

    service = "dossier"

    def __init__(
        self,
        *,
        procedures: Procedures,
        hall: Hall,
        metrics: Calls,
        caller: Caller,
        expected: Collection[str],
    ) -> None:
        super().__init__(metrics=metrics, caller=caller, expected=expected)
        self._procedures = procedures
        self._hall = hall

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """The procedures, by service, for a server."""
        services: dict[str, dict[str, Any]] = {}
        for name, (request, procedure) in self._procedures.items():
            service, _, method = name.partition("/")
            handler = self.unary(name, request, _asking(procedure), self._hall)
            services.setdefault(SERVICE + service, {})[method] = handler
        return tuple(
            grpc.method_handlers_generic_handler(service, methods)
            for service, methods in services.items()
        )

    def status(self, error: Exception) -> grpc.Status:
        """As the table of the dossier says."""
        return as_status(error)

    def late(self, text: str) -> Exception:
        """As when the decision point is late."""
        return DeadlineError(text)


def _asking(procedure: Procedure) -> Callable[[Any, Context], Awaitable[Message]]:
    """The procedure as the door runs it: told how to ask the decision point."""

    def run(message: Message, context: Context) -> Awaitable[Message]:
        return procedure(message, traced(along(DECISION_S, context)))

    return run
