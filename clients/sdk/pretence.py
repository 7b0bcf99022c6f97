"""What the stand-in of `clients.sdk.testing` answers: its decisions, and what it tells of patients."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from google.protobuf.message import Message

from authz.v1 import authz_pb2 as pb
from clients.sdk import changes, wire
from clients.sdk.asking import WATCHING
from clients.sdk.condition import Clause, Condition
from clients.sdk.errors import AheadError, Error
from clients.sdk.policies import Mistake
from clients.sdk.reads import MAX_PAGE
from clients.sdk.registry import (
    AuthorisationState,
    AuthorisedPatient,
    DossierStatus,
    Event,
    Patient,
)
from clients.sdk.values import Effect, Query
from clients.sdk.wire import fill

AT: Final = datetime(2026, 5, 4, 10, tzinfo=UTC)
"""When everything happens."""

DIGEST: Final = "0" * 64
"""Of the policies."""

_EFFECTS: Final = {Effect.ALLOW: pb.EFFECT_ALLOW, Effect.DENY: pb.EFFECT_DENY}
_ACTIONS: Final = {
    kind.field: kind.action
    for kind in vars(changes).values()
    if isinstance(kind, type) and issubclass(kind, changes.Change) and kind is not changes.Change
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is to be decided; the condition is for filters."""

    effect: Effect
    reason_code: str
    obligations: tuple[str, ...] = ()
    condition: Condition | None = None


_NO_RULE: Final = Answer(effect=Effect.DENY, reason_code="NO_RULE")

Decide = Callable[[Query], Answer | Error] | Mapping[str, Answer | Error] | Answer | Error


class Pretence:
    """A registry that a test fills, and decisions that it makes up."""

    def __init__(self, decide: Decide) -> None:
        self._decide = decide
        self.asked: list[Query] = []
        self.patients: dict[str, Patient] = {}
        self.events: list[Event] = []
        self.refused: list[Mistake] = []
        self._answers: Mapping[type[Message], Callable[[Any], Message]] = {
            pb.CheckRequest: self._checked,
            pb.CheckBatchRequest: self._all_checked,
            pb.ExplainRequest: self._explained,
            pb.FilterRequest: self._filtered,
            pb.ChangeRequest: self._changed,
            pb.GetPatientRequest: self._read,
            pb.ListPatientsRequest: self._listed,
            pb.WatchRequest: self._watched,
            pb.GetBundleRequest: self._policies,
            pb.ActivateBundleRequest: self._activated,
        }

    def told(self, request: Message) -> Message:
        """The answer to a request."""
        return self._answers[type(request)](request)

    def happens(self, action: str, patient: str = "") -> Event:
        """Something happens in the registry, and whoever watches is told."""
        decision = str(UUID(int=len(self.asked)))
        event = Event(
            revision=len(self.events) + 1,
            patient=patient,
            action=action,
            decision_id=decision,
            at=AT,
        )
        self.events.append(event)
        return event

    def happened(self, after: int) -> pb.WatchResponse:
        """What has happened after a revision.

        Raises:
            AheadError: it has not been reached.
        """
        events = self.events.copy()
        if after > len(events):
            raise AheadError(f"revision `{after}` is ahead of the registry: watch again from 0")
        return pb.WatchResponse(events=map(_event, events[after:]), head=len(events))

    def _checked(self, request: pb.CheckRequest) -> pb.CheckResponse:
        return pb.CheckResponse(decision=self._decision(wire.query(request)))

    def _all_checked(self, request: pb.CheckBatchRequest) -> pb.CheckBatchResponse:
        made = [self._decision(wire.query(check)) for check in request.checks]
        return pb.CheckBatchResponse(decisions=made)

    def _explained(self, request: pb.ExplainRequest) -> pb.ExplainResponse:
        return pb.ExplainResponse(decision=self._decision(wire.query(request.check)))

    def _watched(self, _: pb.WatchRequest) -> pb.WatchResponse:
        return pb.WatchResponse(decision=self._decision(WATCHING))

    def _filtered(self, request: pb.FilterRequest) -> pb.FilterResponse:
        query = _query(request, request.action, request.patient)
        answer = self._answer(query)
        message = pb.FilterResponse(decision=self._written(answer))
        if answer.effect is Effect.ALLOW:
            made = _condition(answer.condition, answer.obligations)
            message.condition.CopyFrom(made)
        return message

    def _changed(self, request: pb.ChangeRequest) -> pb.ChangeResponse:
        action = _ACTIONS[request.WhichOneof("change") or ""]
        decision = self._decision(_query(request, action, request.patient))
        if decision.effect != pb.EFFECT_ALLOW:
            return pb.ChangeResponse(decision=decision)
        event = self.happens(action, request.patient)
        return pb.ChangeResponse(decision=decision, revision=event.revision)

    def _read(self, request: pb.GetPatientRequest) -> pb.GetPatientResponse:
        decision = self._decision(_query(request, "dossier.read", request.patient))
        listing = self._decision(_query(request, "authorisation.list", request.patient))
        message = pb.GetPatientResponse(decision=decision, listing=listing)
        if decision.effect == pb.EFFECT_ALLOW:
            known = self.patients.get(request.patient, Patient(id=request.patient))
            listed = listing.effect == pb.EFFECT_ALLOW
            message.patient.CopyFrom(_patient(known, listed=listed))
        return message

    def _listed(self, request: pb.ListPatientsRequest) -> pb.ListPatientsResponse:
        decision = self._decision(_query(request, "patient.list"))
        if decision.effect != pb.EFFECT_ALLOW:
            return pb.ListPatientsResponse(decision=decision)
        patients, following = _page(self.patients.values(), request)
        return pb.ListPatientsResponse(decision=decision, patients=patients, next=following)

    def _policies(self, request: pb.GetBundleRequest) -> pb.GetBundleResponse:
        query = Query(subject=wire.subject(request.subject), action="policy.read")
        decision = self._decision(query)
        if decision.effect != pb.EFFECT_ALLOW:
            return pb.GetBundleResponse(decision=decision)
        return pb.GetBundleResponse(decision=decision, bundle=_bundle(self.refused))

    def _activated(self, request: pb.ActivateBundleRequest) -> pb.ActivateBundleResponse:
        query = Query(subject=wire.subject(request.subject), action="policy.activate")
        decision = self._decision(query)
        if decision.effect != pb.EFFECT_ALLOW:
            return pb.ActivateBundleResponse(decision=decision)
        if not self.refused:
            self.happens("policy.activate")
        return pb.ActivateBundleResponse(decision=decision, bundle=_bundle(self.refused))

    def _decision(self, query: Query) -> pb.Decision:
        return self._written(self._answer(query))

    def _answer(self, query: Query) -> Answer:
        self.asked.append(query)
        answer: Answer | Error
        match self._decide:
            case Mapping():
                answer = self._decide.get(query.action, _NO_RULE)
            case Answer() | Error():
                answer = self._decide
            case _:
                answer = self._decide(query)
        if isinstance(answer, Error):
            raise answer
        return answer

    def _written(self, answer: Answer) -> pb.Decision:
        made = pb.Decision(
            id=str(UUID(int=len(self.asked))),
            effect=_EFFECTS[answer.effect],
            reason_code=answer.reason_code,
            told_fr=f"Test : {answer.reason_code}.",
            told_en=f"Test: {answer.reason_code}.",
            obligations=answer.obligations,
            bundle=DIGEST,
            revision=max(len(self.events), 1),
        )
        made.at.FromDatetime(AT)
        return made


def _query(request: Any, action: str, patient: str = "") -> Query:  # noqa: ANN401 - of one of four kinds
    return Query(
        subject=wire.subject(request.subject),
        action=action,
        patient=patient,
        context=wire.context(request.context),
    )


def _condition(given: Condition | None, obligations: Iterable[str]) -> pb.Condition:
    """The condition of an answer; where it has none, all documents meet it, on its own terms."""
    message = pb.Condition()
    everything = Clause(rule="test", reason_code="ALLOWED", obligations=tuple(obligations))
    fill(message, given or Condition(allow=(everything,)), "condition")
    return message


def _patient(known: Patient, *, listed: bool) -> pb.Patient:
    """A patient as told to somebody who may know who is authorised and blocked, or may not."""
    message = pb.Patient()
    fill(message, known, "patient")
    if not listed:
        message.ClearField("authorisations")
        message.ClearField("blocks")
    return message


def _page(
    patients: Iterable[Patient], request: pb.ListPatientsRequest
) -> tuple[list[pb.AuthorisedPatient], str]:
    """Those on whose open dossiers the subject has a valid authorisation, and where the next page begins."""
    mine = {request.subject.id, request.subject.structure} - {""}
    size = request.page_size or MAX_PAGE
    found = [
        one
        for known in sorted(patients, key=lambda known: known.id)
        if known.id > request.after and (one := _authorised(known, mine, request.subject.id))
    ]
    return found[:size], found[size - 1].patient if len(found) > size else ""


def _bundle(refused: Iterable[Mistake]) -> pb.Bundle:
    """The policies, with what is wrong with the last candidate."""
    message = pb.Bundle(digest=DIGEST, rules=1, facts=1, matrix_cells=1)
    message.activated_at.FromDatetime(AT)
    for mistake in refused:
        fill(message.refused.add(), mistake, "refused")
    return message


def _event(happened: Event) -> pb.Event:
    """An event."""
    message = pb.Event()
    fill(message, happened, "event")
    return message


def _authorised(known: Patient, mine: Collection[str], person: str) -> pb.AuthorisedPatient | None:
    until = [
        one.expires_at
        for one in known.authorisations or ()
        if one.grantee.id in mine and one.state is AuthorisationState.VALID
    ]
    if known.dossier is not DossierStatus.OPEN or not until:
        return None
    message = pb.AuthorisedPatient()
    told = AuthorisedPatient(
        patient=known.id,
        birth_date=known.birth_date,
        treating_doctor=person in known.treating_doctors,
        expires_at=max(until),
    )
    fill(message, told, "patient")
    return message
