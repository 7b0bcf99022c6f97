"""What callers do with dossiers as a whole: each procedure from its request to its answer.

Whether a dossier is open and who may see it, the registry of the decision point knows; here are the people's
names, how they are reached, what was done, and who was told.
"""

import asyncio
from dataclasses import replace
from datetime import date
from typing import Any, Final, TypeVar

from clients.sdk import changes as to
from clients.sdk.asking import How
from dossier import wire
from dossier.gate import Gate
from dossier.model import Guardian
from dossier.people import People, Wanted
from dossier.records import Records
from dossier.v1 import dossier_pb2 as pb
from serving.errors import RequestError

PAGE_SIZES: Final = (10, 20, 30, 40, 50)
MAX_PAGE: Final = 200
PAGE: Final = 50

Opening = TypeVar("Opening", bound=to.OpenDossier)


class Dossiers:
    """The procedures of `dossier.v1.DossierService`."""

    def __init__(self, gate: Gate, people: People, records: Records) -> None:
        self._gate = gate
        self._people = people
        self._records = records

    async def find_dossier(
        self, request: pb.FindDossierRequest, how: How
    ) -> pb.FindDossierResponse:
        """Whether there is a dossier, and what the subject is to it."""
        asker = wire.asker(request, how)
        permit, standing = await self._gate.standing(asker)
        closure = await asyncio.to_thread(self._people.find, permit, asker.patient)
        closed = closure if standing.dossier == "closed" else None
        return pb.FindDossierResponse(
            ruling=wire.ruling(permit),
            dossier=standing.dossier,
            closed_at=wire.instant(closed.at if closed else None),
            closure_reason=closed.reason if closed else "",
            authorisation=standing.authorisation,
            treating_doctor=standing.treating_doctor,
        )

    async def create_dossier(
        self, request: pb.CreateDossierRequest, how: How
    ) -> pb.CreateDossierResponse:
        """Opens a dossier as the five questions were answered."""
        asker = wire.asker(request, how)
        _check_answers(request.answers)
        person = wire.administrative(request.administrative)
        guardians = wire.guardians(request.guardians)
        self._people.check(person, guardians)
        change = replace(
            _answered(to.OpenDossier, request.answers),
            birth_date=person.birth_date,
            representatives=tuple(map(_representative, guardians)),
        )
        permit = await self._gate.change(asker, change, request_id=_request_id(request))
        account = await asyncio.to_thread(
            self._people.create, permit, asker.patient, person, guardians
        )
        answer = pb.CreateDossierResponse(ruling=wire.ruling(permit))
        if account is not None:
            answer.account.login = account.login
            answer.account.temporary_password = account.temporary_password
        return answer

    async def reopen_dossier(
        self, request: pb.ReopenDossierRequest, how: How
    ) -> pb.ReopenDossierResponse:
        """Opens a closed dossier again."""
        asker = wire.asker(request, how)
        _check_answers(request.answers)
        change = _answered(to.ReopenDossier, request.answers)
        permit = await self._gate.change(asker, change, request_id=_request_id(request))
        await asyncio.to_thread(self._people.reopen, permit, asker.patient)
        return pb.ReopenDossierResponse(ruling=wire.ruling(permit))

    async def close_dossier(
        self, request: pb.CloseDossierRequest, how: How
    ) -> pb.CloseDossierResponse:
        """Closes a dossier."""
        asker = wire.asker(request, how)
        change = to.CloseDossier(reason=request.reason, text=request.text)
        permit = await self._gate.change(asker, change, request_id=_request_id(request))
        await asyncio.to_thread(self._people.close, permit, asker.patient, request.reason)
        return pb.CloseDossierResponse(ruling=wire.ruling(permit))

    async def read_dossier(
        self, request: pb.ReadDossierRequest, how: How
    ) -> pb.ReadDossierResponse:
        """The administrative data, and what the registry knows of the patient."""
        asker = wire.asker(request, how)
        permit, record = await self._gate.rights(asker)
        person, guardians = await asyncio.to_thread(self._people.read, permit, asker.patient)
        return pb.ReadDossierResponse(
            ruling=wire.ruling(permit),
            administrative=wire.person(person) if person else None,
            guardians=map(wire.guardian, guardians),
            rights=wire.rights(record),
        )

    async def update_administrative_data(
        self, request: pb.UpdateAdministrativeDataRequest, how: How
    ) -> pb.UpdateAdministrativeDataResponse:
        """Changes the administrative data."""
        asker = wire.asker(request, how)
        person = wire.administrative(request.administrative)
        guardians = wire.guardians(request.guardians)
        self._people.check(person, guardians)
        permit = await self._gate.permit(asker, "dossier.update")
        await asyncio.to_thread(self._people.update, permit, asker.patient, person, guardians)
        return pb.UpdateAdministrativeDataResponse(ruling=wire.ruling(permit))

    async def change_rights(
        self, request: pb.ChangeRightsRequest, how: How
    ) -> pb.ChangeRightsResponse:
        """Changes consents, authorisations, treating doctors, blocks or representatives."""
        asker = wire.asker(request, how)
        permit = await self._gate.change(
            asker, wire.change(request), request_id=_request_id(request)
        )
        await asyncio.to_thread(self._people.rights_changed, permit, asker.patient)
        return pb.ChangeRightsResponse(ruling=wire.ruling(permit))

    async def list_patients(
        self, request: pb.ListPatientsRequest, how: How
    ) -> pb.ListPatientsResponse:
        """The dashboard of a professional."""
        asker = wire.asker(request, how, of_patient=False)
        size = request.page_size or PAGE_SIZES[0]
        if size not in PAGE_SIZES:
            cure = f"one of {', '.join(map(str, PAGE_SIZES))}"
            raise RequestError([("page_size", f"`{size}`", cure)])
        if request.page < 0:
            raise RequestError([("page", f"`{request.page}`", "from 1, or 0 for the first")])
        wanted = Wanted(
            name=request.name,
            given_name=request.given_name,
            birth_year=_year(request.birth_year),
            patient=request.patient,
        )
        permit, authorised = await self._gate.patients(asker)
        board = await asyncio.to_thread(
            self._people.dashboard, permit, authorised, wanted, page=request.page or 1, size=size
        )
        return pb.ListPatientsResponse(
            ruling=wire.ruling(permit),
            patients=map(wire.line, board.lines),
            found=board.found,
            total=board.total,
        )

    async def read_trace(self, request: pb.ReadTraceRequest, how: How) -> pb.ReadTraceResponse:
        """Who did what."""
        asker = wire.asker(request, how)
        size = wire.page_size(request.page_size, default=PAGE, most=MAX_PAGE)
        since, until = wire.days(request)
        permit = await self._gate.permit(asker, "trace.read")
        page = await asyncio.to_thread(
            self._records.trace,
            permit,
            asker.patient,
            actor=request.actor,
            since=since,
            until=until,
            refused=request.refused,
            size=size,
            after=request.cursor,
        )
        return pb.ReadTraceResponse(
            ruling=wire.ruling(permit), traces=map(wire.trace, page.traces), cursor=page.next
        )

    async def read_notification_settings(
        self, request: pb.ReadNotificationSettingsRequest, how: How
    ) -> pb.ReadNotificationSettingsResponse:
        """Which notices the holder wants."""
        asker = wire.asker(request, how)
        permit = await self._gate.permit(asker, "dossier.read")
        settings = await asyncio.to_thread(self._people.settings, permit, asker.patient)
        return pb.ReadNotificationSettingsResponse(
            ruling=wire.ruling(permit), settings=wire.wishes(settings)
        )

    async def change_notification_settings(
        self, request: pb.ChangeNotificationSettingsRequest, how: How
    ) -> pb.ChangeNotificationSettingsResponse:
        """Which notices the holder wants from now on."""
        asker = wire.asker(request, how)
        settings = wire.settings(request.settings)
        permit = await self._gate.permit(asker, "dossier.update")
        await asyncio.to_thread(self._people.change_settings, permit, asker.patient, settings)
        return pb.ChangeNotificationSettingsResponse(ruling=wire.ruling(permit))

    async def list_notices(
        self, request: pb.ListNoticesRequest, how: How
    ) -> pb.ListNoticesResponse:
        """What the holder was told; or a treating doctor, of all patients."""
        size = wire.page_size(request.page_size, default=PAGE, most=MAX_PAGE)
        asker = wire.asker(request, how, of_patient=bool(request.patient))
        patients: tuple[str, ...] = ()
        if asker.patient:
            permit = await self._gate.permit(asker, "trace.read")
        else:
            permit, authorised = await self._gate.patients(asker)
            patients = tuple(one.patient for one in authorised if one.treating_doctor)
        page = await asyncio.to_thread(
            self._records.notices,
            permit,
            asker.patient,
            patients=patients,
            size=size,
            after=request.cursor,
        )
        return pb.ListNoticesResponse(
            ruling=wire.ruling(permit), notices=map(wire.notice, page.notices), cursor=page.next
        )


def _check_answers(answers: pb.Answers) -> None:
    """Question 1 is the creation itself."""
    if not answers.create:
        cure = "ask the patient; without that consent no dossier is created"
        raise RequestError([("answers.create", "not consented", cure)])


def _answered(kind: type[Opening], answers: pb.Answers) -> Opening:
    """The change that the answers to questions 2 to 5 ask for."""
    return kind(
        authorise=answers.authorise,
        treating_doctor=answers.treating_doctor,
        samu=answers.samu,
        break_glass=answers.break_glass,
    )


def _representative(guardian: Guardian) -> to.Representative:
    return to.Representative(id=guardian.id, relation=guardian.relation)


def _request_id(request: Any) -> str:  # noqa: ANN401 - any request that has one
    """The caller's id of a change; needed, so that a lost answer can be asked for again."""
    given: str = request.request_id
    if not given:
        raise RequestError([("request_id", "missing", "choose one, and repeat it when you retry")])
    return given


def _year(year: int) -> int:
    if year and not 1850 <= year <= date.max.year:  # noqa: PLR2004 - nobody alive was born before
        raise RequestError([("birth_year", f"`{year}`", "four digits, or 0 for any")])
    return year
