"""The door: every call comes in here, and leaves with an answer or with a status that says why not.

A call is let in when its caller is expected, its deadline is set, its bytes are a message, and there is room.
Nothing is judged here, and nothing unexpected reaches the caller.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

import grpc
import structlog
from google.protobuf.message import DecodeError, Message

from clients.sdk import DeadlineError
from clients.sdk.asking import How
from clients.sdk.gate import along
from dossier.documents import Documents
from dossier.dossiers import Dossiers
from dossier.errors import StrangerError
from dossier.metrics import Metrics
from dossier.status import as_status
from dossier.v1 import dossier_pb2 as pb
from serving.callers import Caller, Context
from serving.errors import RequestError
from serving.hall import Hall

MAX_DEADLINE_S: Final = 10.0
"""A call gets no more time than this, whatever its deadline."""

DECISION_S: Final = 4.0
"""Of it, a question to the decision point gets no more than this."""

MAX_CALLS: Final = 256
"""So many calls are under way at most; a deposit may hold 15 MiB."""

SERVICE: Final = "dossier.v1."

_log = structlog.get_logger("dossier.door")

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


def _traced(how: How) -> How:
    """All questions of one call are of one trace, also when the caller began none (W3C Trace Context)."""
    if how["traceparent"]:
        return how
    return How(
        timeout_s=how["timeout_s"],
        token=how["token"],
        traceparent=f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
    )


class Door:
    """The calls of one listener."""

    def __init__(
        self,
        *,
        procedures: Procedures,
        hall: Hall,
        metrics: Metrics,
        caller: Caller,
        expected: Collection[str],
    ) -> None:
        self._procedures = procedures
        self._hall = hall
        self._metrics = metrics
        self._caller = caller
        self._expected = frozenset(expected)

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """The procedures, by service, for a server. Messages come and go as bytes."""
        services: dict[str, dict[str, Any]] = {}
        for name, (kind, procedure) in self._procedures.items():
            service, _, method = name.partition("/")
            handler = self._handler(name, kind, procedure)
            services.setdefault(SERVICE + service, {})[method] = handler
        return tuple(
            grpc.method_handlers_generic_handler(service, methods)
            for service, methods in services.items()
        )

    def _handler(self, name: str, kind: type[Message], procedure: Procedure) -> Any:  # noqa: ANN401 - as grpc declares it
        async def handle(data: bytes, context: Context) -> bytes:
            began = time.perf_counter()
            try:
                with self._hall.place():
                    answer = await self._answer(name, kind, procedure, data, context)
            except grpc.aio.AbortError:
                raise
            except Exception as exc:
                await self._fail(name, exc, context)
                raise
            self._metrics.answered(name, time.perf_counter() - began)
            return answer

        return grpc.unary_unary_rpc_method_handler(handle, None, None)

    async def _answer(
        self, name: str, kind: type[Message], procedure: Procedure, data: bytes, context: Context
    ) -> bytes:
        caller = self._caller(context)
        if caller not in self._expected:
            raise StrangerError("this service may not call the dossier: ask its operator")
        seconds: float | None = context.time_remaining()
        if seconds is None:
            cure = f"set one, at most {MAX_DEADLINE_S:g} s"
            raise RequestError([("deadline", "missing", cure)])
        try:
            request = kind.FromString(data)
        except DecodeError as exc:
            cure = "encode it as dossier.proto says, with text in UTF-8"
            raise RequestError([("message", f"not a request of `{name}`", cure)]) from exc
        try:
            async with asyncio.timeout(min(seconds, MAX_DEADLINE_S)):
                answer = await procedure(request, _traced(along(DECISION_S, context)))
        except TimeoutError:
            text = "no answer in time; what was asked for may have been done"
            raise DeadlineError(text) from None
        return answer.SerializeToString()

    async def _fail(self, name: str, error: Exception, context: Context) -> None:
        status = as_status(error)
        if status.code is grpc.StatusCode.INTERNAL:
            _log.exception("call_failed", rpc=name)
        self._metrics.failed(name, status.code.name)
        await context.abort_with_status(status)
