"""The remote procedures, without their transport: what each asks, and how it is answered.

`prepare` turns the bytes of a call into queries of the right form, and says what becomes of their
decisions; the bytes of an answer exist only for decisions that are on durable record.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message

from authz import product, wire
from authz.bundle import Bundle
from authz.decision import Decision
from authz.explain import explain
from authz.facts import COMPUTED
from authz.model import Effect
from authz.query import MAX_PAGE, MAX_VIOLATIONS, Page, Query, check, shown
from authz.token import Proof
from authz.v1 import authz_pb2 as pb
from authz.value import dataclass
from serving.errors import RequestError, Violation

MAX_BATCH: Final = 1_000
FILTER_WEIGHT: Final = 5
"""As so many requests counts one that leaves its document open: it takes as long."""
PAGE_WEIGHT: Final = 10
PATIENTS_WEIGH: Final = 5
"""A page of patients counts as the former, or as one for so many patients, whichever is more."""
LANGUAGES: Final = ("fr", "en")
EMERGENCIES: Final = ("bris_de_glace", "centre_15")

Request = TypeVar("Request", bound=Message)


class Asked(NamedTuple):
    """A call as it came: which procedure, its message in bytes, who calls, and what a token proves."""

    rpc: str
    data: bytes
    caller: str
    trace_id: str = ""
    proof: Proof = ()


class Answered(NamedTuple):
    """The answer to a call: a message in bytes, and what it amounts to."""

    data: bytes
    allowed: int
    denied: int
    changed: bool


Answer = Callable[[tuple[Decision, ...]], bytes]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a call asks, and what makes its answer of the decisions, in bytes."""

    queries: tuple[Query, ...]
    render: Answer

    def finish(self, decisions: tuple[Decision, ...]) -> Answered:
        """The answer, once the decisions are on durable record."""
        allowed = sum(decision.verdict.effect is Effect.ALLOW for decision in decisions)
        return Answered(
            self.render(decisions),
            allowed,
            len(decisions) - allowed,
            any(decision.changed for decision in decisions),
        )


@dataclass(frozen=True, slots=True)
class Form:
    """What well-formed queries are measured by: the words of a bundle, and the instant."""

    bundle: Bundle
    at: datetime

    def check(self, query: Query) -> Query:
        """The query, if its form is right.

        Raises:
            RequestError: it is malformed; it must not be decided.
        """
        check(query, self.bundle.vocabulary, COMPUTED, self.at)
        return query


def prepare(asked: Asked, form: Form) -> Prepared:
    """What a call asks.

    Raises:
        RequestError: it is malformed, with all that is wrong.
    """
    kind, asks = _PROCEDURES[asked.rpc]
    return asks(message(kind, asked.rpc, asked.data), asked, form)


def measure(rpc: str, data: bytes) -> tuple[int, bool]:
    """How many requests a call is, and whether one of them is an emergency.

    Raises:
        RequestError: the bytes are no request of this procedure.
    """
    kind, _ = _PROCEDURES[rpc]
    request = message(kind, rpc, data)
    match request:
        case pb.CheckRequest():
            return 1, request.context.mode in EMERGENCIES
        case pb.CheckBatchRequest():
            urgent = any(check.context.mode in EMERGENCIES for check in request.checks)
            return max(1, len(request.checks)), urgent
        case pb.ExplainRequest():
            return 1, request.check.context.mode in EMERGENCIES
        case pb.FilterRequest():
            return FILTER_WEIGHT, request.context.mode in EMERGENCIES
        case pb.ListPatientsRequest():
            return max(PAGE_WEIGHT, (request.page_size or MAX_PAGE) // PATIENTS_WEIGH), False
        case _:
            return 1, False


def message(kind: type[Request], rpc: str, data: bytes) -> Request:
    """The message that the bytes are.

    Raises:
        RequestError: they are none.
    """
    try:
        return kind.FromString(data)
    except DecodeError as exc:
        cure = "encode it as authz.proto says, with text in UTF-8"
        raise RequestError([("message", f"not a request of `{rpc}`", cure)]) from exc


def _check(request: pb.CheckRequest, asked: Asked, form: Form) -> Prepared:
    return Prepared((form.check(_query(request, asked)),), wire.decisions)


def _check_batch(request: pb.CheckBatchRequest, asked: Asked, form: Form) -> Prepared:
    checks = request.checks
    if not 1 <= len(checks) <= MAX_BATCH:
        cure = f"send 1 to {MAX_BATCH} checks a call"
        raise RequestError([("checks", f"`{len(checks)}` checks", cure)])
    queries: list[Query] = []
    violations: list[Violation] = []
    for place, one in enumerate(checks):
        try:
            queries.append(form.check(_query(one, asked)))
        except RequestError as exc:
            violations += exc.below(f"checks[{place}]").violations
        if len(violations) >= MAX_VIOLATIONS:
            break
    if violations:
        raise RequestError(violations)
    return Prepared(tuple(queries), wire.decisions)


def _explain(request: pb.ExplainRequest, asked: Asked, form: Form) -> Prepared:
    language = request.language or "fr"
    if language not in LANGUAGES:
        raise RequestError([("language", f"unknown language: `{language[:20]}`", "fr or en")])
    try:
        query = form.check(_query(request.check, asked))
    except RequestError as exc:
        raise exc.below("check") from None

    def answer(decisions: tuple[Decision, ...]) -> bytes:
        (decided,) = decisions
        explained = explain(decided.bundle, decided.vector, language=language)
        return wire.explanation(decided, explained, language=language).SerializeToString()

    return Prepared((query,), answer)


def _filter(request: pb.FilterRequest, asked: Asked, form: Form) -> Prepared:
    if request.action not in product.FILTERED:
        wrong = f"`{shown(request.action)}` is not asked with the document left open"
        raise RequestError([("action", wrong, f"one of {', '.join(sorted(product.FILTERED))}")])
    opened = pb.CheckRequest(
        subject=request.subject,
        action=request.action,
        resource=pb.Resource(patient=request.patient),
        context=request.context,
    )
    query = replace(_query(opened, asked), any_document=True)
    return Prepared((_of_patient(query, form),), _filtered)


def _filtered(decisions: tuple[Decision, ...]) -> bytes:
    (decision,) = decisions
    answer = pb.FilterResponse(decision=wire.decision(decision))
    if decision.condition is not None:
        answer.condition.CopyFrom(wire.condition(decision.condition))
    return answer.SerializeToString()


def _change(request: pb.ChangeRequest, asked: Asked, form: Form) -> Prepared:
    query = wire.change_query(request, asked.caller, asked.rpc, asked.trace_id, proof=asked.proof)
    return Prepared((_of_patient(query, form),), _changed)


def repeated(data: bytes) -> Answered:
    """The answer to a change that was asked for before, as it was given then."""
    allowed = int(pb.ChangeResponse.FromString(data).decision.effect == pb.EFFECT_ALLOW)
    return Answered(data, allowed, 1 - allowed, changed=True)  # it stands, however long ago it was


def _changed(decisions: tuple[Decision, ...]) -> bytes:
    (decision,) = decisions
    answer = pb.ChangeResponse(decision=wire.decision(decision), revision=decision.changed)
    return answer.SerializeToString()


def _get_patient(request: pb.GetPatientRequest, asked: Asked, form: Form) -> Prepared:
    reading = pb.CheckRequest(
        subject=request.subject,
        action="dossier.read",
        resource=pb.Resource(patient=request.patient),
        context=request.context,
    )
    query = _of_patient(_query(reading, asked), form)
    return Prepared((query, replace(query, action="authorisation.list")), _patient)


def _patient(decisions: tuple[Decision, ...]) -> bytes:
    decided, listed = decisions
    answer = pb.GetPatientResponse(decision=wire.decision(decided), listing=wire.decision(listed))
    if decided.verdict.effect is Effect.ALLOW:
        with_lists = listed.verdict.effect is Effect.ALLOW
        answer.patient.CopyFrom(wire.patient(decided.state, decided.at, with_lists=with_lists))
    return answer.SerializeToString()


def _list_patients(request: pb.ListPatientsRequest, asked: Asked, form: Form) -> Prepared:
    listing = pb.CheckRequest(
        subject=request.subject, action=product.LISTING, context=request.context
    )
    page = Page(after=request.after, size=request.page_size or MAX_PAGE)
    return Prepared((form.check(replace(_query(listing, asked), page=page)),), _listed)


def _listed(decisions: tuple[Decision, ...]) -> bytes:
    (decision,) = decisions
    answer = pb.ListPatientsResponse(decision=wire.decision(decision))
    if decision.listed is not None:
        answer.patients.extend(map(wire.entrusted, decision.listed.patients))
        answer.next = decision.listed.next
    return answer.SerializeToString()


def _watch(request: pb.WatchRequest, asked: Asked, form: Form) -> Prepared:
    _revision(request)
    query = wire.own(product.WATCHING, asked.caller, asked.rpc, asked.trace_id)
    return Prepared((form.check(query),), wire.decisions)


def watched_from(data: bytes) -> int:
    """The revision after which a call wants to watch.

    Raises:
        RequestError: it is malformed.
    """
    return _revision(message(pb.WatchRequest, product.WATCH, data))


def _revision(request: pb.WatchRequest) -> int:
    after: int = request.after_revision
    if after < 0:
        raise RequestError([("after_revision", f"`{after}`", "0 or a revision")])
    return after


def _of_patient(query: Query, form: Form) -> Query:
    """The query, checked; what is wrong with it is told in the fields of these two messages."""
    try:
        return form.check(query)
    except RequestError as exc:
        raise exc.renamed({"resource.patient": "patient", "resource": "change"}) from None


def _get_bundle(request: pb.GetBundleRequest, asked: Asked, form: Form) -> Prepared:
    query = _simple(request.subject, "policy.read", asked)
    return Prepared((form.check(query),), wire.decisions)


def _activate_bundle(request: pb.ActivateBundleRequest, asked: Asked, form: Form) -> Prepared:
    query = _simple(request.subject, "policy.activate", asked)
    return Prepared((form.check(query),), wire.decisions)


def _query(request: pb.CheckRequest, asked: Asked) -> Query:
    return wire.query(request, asked.caller, asked.rpc, asked.trace_id, proof=asked.proof)


def _simple(who: pb.Subject, action: str, asked: Asked) -> Query:
    return wire.simple(who, action, asked.caller, asked.rpc, asked.trace_id, proof=asked.proof)


_PROCEDURES: Final[Mapping[str, tuple[type[Message], Callable[[Any, Asked, Form], Prepared]]]] = {
    product.CHECK: (pb.CheckRequest, _check),
    product.CHECK_BATCH: (pb.CheckBatchRequest, _check_batch),
    product.EXPLAIN: (pb.ExplainRequest, _explain),
    product.FILTER: (pb.FilterRequest, _filter),
    product.CHANGE: (pb.ChangeRequest, _change),
    product.GET_PATIENT: (pb.GetPatientRequest, _get_patient),
    product.WATCH: (pb.WatchRequest, _watch),
    product.LIST_PATIENTS: (pb.ListPatientsRequest, _list_patients),
    product.GET_BUNDLE: (pb.GetBundleRequest, _get_bundle),
    product.ACTIVATE_BUNDLE: (pb.ActivateBundleRequest, _activate_bundle),
}
