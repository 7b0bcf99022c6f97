"""The gate: the only one who asks the decision point, and the only one who makes permits.

* What is denied raises, and is recorded in the dossier's own trace before it does.
* When there is no answer there is no permit: slow, gone or confused, the error goes on to the caller.
* Obligations travel with the permit: whoever records the act carries them out (`dossier.records`).
* Who may not see a document learns nothing of it: not even whether it exists. What is asked to find out what
  may be told is on record in the log, under the same trace, and is no act of the person.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from clients.sdk import (
    NORMAL,
    Context,
    Denied,
    Document,
    Effect,
    Query,
    Reason,
    Security,
    Subject,
    aio,
    oneself,
)
from clients.sdk import Permit as Leave
from clients.sdk.asking import How
from clients.sdk.changes import Change
from clients.sdk.condition import Condition
from clients.sdk.registry import AuthorisedPatient, PatientRecord
from dossier.errors import DocumentUnavailableError
from dossier.judged import as_document
from dossier.mint import Mint
from dossier.model import HIDDEN_FROM_PATIENT, HIDDEN_FROM_REPRESENTATIVES, MASKED, Label
from dossier.permit import Permit

BANNERS: Final = (
    "show_mode",
    "warn_hidden_from_patient",
    "warn_hidden_from_representatives",
    "mark_obsolete",
    "confirm",
    "collect_fresh_consent",
)
"""The obligations that are carried out by showing something beside the answer."""

CARRIED: Final = (
    *BANNERS,
    "notify_holder",
    "notify_treating_doctor",
    "review",
    "withhold_secret_entries",
)
"""The obligations that the dossier carries out; `dossier.records` says how."""

LISTING: Final = "document.list"
SERVICE: Final = "dossier"
"""The name under which the decision point knows this service."""

Client = aio.Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks for something in which circumstances, as it came in.

    Attributes:
        subject: who.
        patient: INS of whose dossier; "" for what concerns none.
        context: the circumstances.
        how: the deadline, the token of the end user, and the trace, to go along.
    """

    subject: Subject
    patient: str = ""
    context: Context = NORMAL
    how: How = field(default_factory=How)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What there is of a dossier: its state, and the subject's own authorisation and status (TD0.2)."""

    dossier: str
    authorisation: str
    treating_doctor: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What was denied: which action on which document, and the decision."""

    denied: Denied
    label: Label | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """That an obligation was carried out.

    Attributes:
        decision: that carried it.
        obligation: such as `notify_holder`.
        patient: INS of whose dossier it was about.
        how: email, sms, inbox.
    """

    decision: str
    obligation: str
    patient: str
    how: str


OnRefused = Callable[[Refused], Awaitable[None]]


def connect(address: str, security: Security) -> aio.Client:
    """A client of the decision point; nothing is connected before the first call.

    Raises:
        SettingsError: something of this can't be used.
    """
    return aio.connect(address, security)


class Gate:
    """Asks before anything is touched.

    All methods raise:
        Denied: no; it is on record here and in the log.
        DocumentUnavailableError: no such document, or nothing that may be told of it.
        clients.sdk.Error: there is no answer.
    """

    def __init__(
        self,
        client: aio.Client,
        secret: bytes,
        *,
        clock: Callable[[], float],
        on_refused: OnRefused,
    ) -> None:
        """A gate.

        Args:
            client: asks the decision point.
            secret: of the turnstile that is to take the permits.
            clock: of the same turnstile, in seconds.
            on_refused: records a denial; what it raises is raised.
        """
        self._client = client
        self._mint = Mint(secret, clock=clock)
        self._on_refused = on_refused

    async def permit(self, asker: Asker, action: str) -> Permit:
        """For what concerns no single document."""
        query = _query(asker, action)
        async with self._recorded():
            leave = await self._client.require(query, supports=CARRIED, **asker.how)
        return self._issue(leave)

    async def permit_on(
        self, asker: Asker, action: str, document: str, label: Label | None
    ) -> Permit:
        """For one document, as its label stands; None where there is no such document."""
        asked = _unknown(document) if label is None else as_document(label)
        query = _query(asker, action, asked)
        try:
            async with self._recorded(label):
                leave = await self._client.require(query, supports=CARRIED, **asker.how)
        except Denied as exc:
            if await self._is_said_of_any(asker, action, exc):
                raise
            # Asked in either case, so that neither the answer nor its time tells the two apart.
            if await self._may_know(asker, asked) and label is not None:
                raise
            raise DocumentUnavailableError(exc.decision.id) from exc
        if label is None:
            leave.drop()
            raise DocumentUnavailableError(leave.decision.id)
        return self._issue(leave, label)

    async def permit_each(
        self, asker: Asker, action: str, labels: Sequence[Label]
    ) -> tuple[Permit, ...]:
        """For several documents: all of them, or none."""
        queries = [_query(asker, action, as_document(label)) for label in labels]
        answers = await self._client.require_each(queries, supports=CARRIED, **asker.how)
        refused = [
            Refused(denied=answer, label=label)
            for answer, label in zip(answers, labels, strict=True)
            if isinstance(answer, Denied)
        ]
        if refused:
            for answer in answers:
                if isinstance(answer, Leave):
                    answer.drop()
            for one in refused:
                await self._on_refused(one)
            raise refused[0].denied
        granted = [answer for answer in answers if isinstance(answer, Leave)]
        return tuple(
            self._issue(leave, label) for leave, label in zip(granted, labels, strict=True)
        )

    async def permit_list(self, asker: Asker) -> Permit:
        """For a list of the patient's documents: its condition says which."""
        async with self._recorded():
            leave = await self._client.require_filter(
                asker.subject,
                LISTING,
                asker.patient,
                context=asker.context,
                supports=CARRIED,
                **asker.how,
            )
        return self._issue(leave, condition=leave.condition)

    async def change(self, asker: Asker, change: Change, *, request_id: str) -> Permit:
        """Makes a change of the registry; the permit is for recording it here as well."""
        async with self._recorded():
            leave = await self._client.change(
                asker.subject,
                asker.patient,
                change,
                context=asker.context,
                request_id=request_id,
                supports=CARRIED,
                **asker.how,
            )
        return self._issue(leave)

    async def rights(self, asker: Asker) -> tuple[Permit, PatientRecord]:
        """For the administrative data, and what the registry says of the patient."""
        async with self._recorded():
            record = await self._client.get_patient(
                asker.subject,
                asker.patient,
                context=asker.context,
                supports=CARRIED,
                **asker.how,
            )
        if isinstance(record.listing, Leave):
            record.listing.drop()
        return self._issue(record.permit), record

    async def standing(self, asker: Asker) -> tuple[Permit, Standing]:
        """For telling whether there is a dossier, and what it tells (TD0.2)."""
        query = _query(asker, "dossier.find")
        async with self._recorded():
            found = await self._client.explain(query, **asker.how)
            if found.decision.effect is not Effect.ALLOW:
                raise Denied(query, found.decision)
        facts = found.facts
        standing = Standing(
            dossier=facts["resource.dossier"],
            authorisation=facts["subject.authorisation"],
            treating_doctor=facts["subject.treating_doctor"] == "yes",
        )
        return self._issue(Leave(query, found.decision)), standing

    async def patients(self, asker: Asker) -> tuple[Permit, tuple[AuthorisedPatient, ...]]:
        """For the dashboard, and who is on it: all on whose dossiers the subject is authorised."""
        found: list[AuthorisedPatient] = []
        permit: Permit | None = None
        after = ""
        while permit is None or after:
            async with self._recorded():
                page = await self._client.list_patients(
                    asker.subject,
                    context=asker.context,
                    after=after,
                    supports=CARRIED,
                    **asker.how,
                )
            issued = self._issue(page.permit)
            permit, after = permit or issued, page.next
            found += page.patients
        return permit, tuple(found)

    async def report(self, reports: Sequence[Report], *, timeout_s: float) -> tuple[bool, ...]:
        """Tells, in the dossier's own name, what obligations were carried out; whether each was accepted.

        It stands in the log then; it is no act of anybody in the record.
        """
        queries = [
            Query(
                subject=oneself(SERVICE),
                action="obligation.report",
                patient=one.patient,
                about=one.decision,
                context=Context(reason=Reason(code=one.obligation, text=one.how)),
            )
            for one in reports
        ]
        decisions = await self._client.check_all(queries, timeout_s=timeout_s)
        return tuple(decision.effect is Effect.ALLOW for decision in decisions)

    @asynccontextmanager
    async def _recorded(self, label: Label | None = None) -> AsyncIterator[None]:
        """What is denied meanwhile is on record before anyone hears of it."""
        try:
            yield
        except Denied as exc:
            await self._on_refused(Refused(denied=exc, label=label))
            raise

    async def _is_said_of_any(self, asker: Asker, action: str, denied: Denied) -> bool:
        """Whether the same is said of documents that don't exist, so that it tells nothing of this one."""
        queries = [_query(asker, action, document) for document in _ANY]
        decisions = await self._client.check_all(queries, **asker.how)
        return all(decision.reason_code == denied.reason_code for decision in decisions)

    async def _may_know(self, asker: Asker, document: Document) -> bool:
        """Whether the subject would find this document in a list, and so may be told why not."""
        if asker.context.mode != NORMAL.mode:
            return False  # to find out would itself be an emergency access
        try:
            found = await self._client.filter(
                asker.subject, LISTING, asker.patient, context=asker.context, **asker.how
            )
        except Denied:
            return False
        return found.condition.admits(document) is not None

    def _issue(
        self, leave: Leave, label: Label | None = None, condition: Condition | None = None
    ) -> Permit:
        """Our own permit for one of the decision point; its obligations go along."""
        query, decision = leave.query, leave.decision
        leave.drop()
        return self._mint.issue(
            subject=query.subject,
            action=query.action,
            patient=query.patient,
            document=query.document.id if query.document else "",
            entry=label.entry if label else "",
            context=query.context,
            decision=decision.id,
            reason_code=decision.reason_code,
            obligations=decision.obligations,
            condition=condition,
        )


_ANY: Final = (
    Document(id="unknown", type="unknown", visibility=("N",), status="deleted"),
    Document(
        id="unknown",
        type="unknown",
        visibility=("N", MASKED, HIDDEN_FROM_PATIENT, HIDDEN_FROM_REPRESENTATIVES),
        status="approved",
    ),
)
"""Two documents that nobody may touch, for as different reasons as can be."""


def _unknown(document: str) -> Document:
    """Asked about all the same, so that it is on record; nobody may do anything with it."""
    return Document(id=document, type="unknown", visibility=("N",), status="deleted")


def _query(asker: Asker, action: str, document: Document | None = None) -> Query:
    return Query(
        subject=asker.subject,
        action=action,
        patient=asker.patient,
        document=document,
        context=asker.context,
    )
