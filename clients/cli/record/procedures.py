"""The procedures of `dossier.v1`, and which of them may be called twice.

A reading that is asked for twice is traced twice, which harms nobody. What carries a request id is done once.
"""

from typing import Final

from clients.sdk.procedures import Procedure
from dossier.v1 import dossier_pb2 as pb

_DOSSIERS: Final = "/dossier.v1.DossierService"
_DOCUMENTS: Final = "/dossier.v1.DocumentService"

FIND: Final = Procedure(
    f"{_DOSSIERS}/FindDossier", pb.FindDossierRequest, pb.FindDossierResponse, repeatable=True
)
CREATE: Final = Procedure(
    f"{_DOSSIERS}/CreateDossier", pb.CreateDossierRequest, pb.CreateDossierResponse
)
REOPEN: Final = Procedure(
    f"{_DOSSIERS}/ReopenDossier", pb.ReopenDossierRequest, pb.ReopenDossierResponse
)
CLOSE: Final = Procedure(
    f"{_DOSSIERS}/CloseDossier", pb.CloseDossierRequest, pb.CloseDossierResponse
)
READ_DOSSIER: Final = Procedure(
    f"{_DOSSIERS}/ReadDossier", pb.ReadDossierRequest, pb.ReadDossierResponse, repeatable=True
)
UPDATE: Final = Procedure(
    f"{_DOSSIERS}/UpdateAdministrativeData",
    pb.UpdateAdministrativeDataRequest,
    pb.UpdateAdministrativeDataResponse,
)
CHANGE_RIGHTS: Final = Procedure(
    f"{_DOSSIERS}/ChangeRights", pb.ChangeRightsRequest, pb.ChangeRightsResponse
)
LIST_PATIENTS: Final = Procedure(
    f"{_DOSSIERS}/ListPatients", pb.ListPatientsRequest, pb.ListPatientsResponse, repeatable=True
)
READ_TRACE: Final = Procedure(
    f"{_DOSSIERS}/ReadTrace", pb.ReadTraceRequest, pb.ReadTraceResponse, repeatable=True
)
READ_SETTINGS: Final = Procedure(
    f"{_DOSSIERS}/ReadNotificationSettings",
    pb.ReadNotificationSettingsRequest,
    pb.ReadNotificationSettingsResponse,
    repeatable=True,
)
CHANGE_SETTINGS: Final = Procedure(
    f"{_DOSSIERS}/ChangeNotificationSettings",
    pb.ChangeNotificationSettingsRequest,
    pb.ChangeNotificationSettingsResponse,
)
LIST_NOTICES: Final = Procedure(
    f"{_DOSSIERS}/ListNotices", pb.ListNoticesRequest, pb.ListNoticesResponse, repeatable=True
)
SUBMIT: Final = Procedure(f"{_DOCUMENTS}/Submit", pb.SubmitRequest, pb.SubmitResponse)
LIST: Final = Procedure(f"{_DOCUMENTS}/List", pb.ListRequest, pb.ListResponse, repeatable=True)
READ_PATHWAY: Final = Procedure(
    f"{_DOCUMENTS}/ReadPathway", pb.ReadPathwayRequest, pb.ReadPathwayResponse, repeatable=True
)
READ: Final = Procedure(f"{_DOCUMENTS}/Read", pb.ReadRequest, pb.ReadResponse, repeatable=True)
CHANGE: Final = Procedure(f"{_DOCUMENTS}/Change", pb.ChangeRequest, pb.ChangeResponse)
LOCATE: Final = Procedure(
    f"{_DOCUMENTS}/Locate", pb.LocateRequest, pb.LocateResponse, repeatable=True
)
