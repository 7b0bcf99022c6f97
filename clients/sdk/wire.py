"""Values as messages of `authz.v1`, and back. What is no proper answer is an error, never a permit."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from authz.v1 import authz_pb2 as pb
from clients.sdk.changes import Change
from clients.sdk.errors import FailedError, InvalidError
from clients.sdk.values import (
    Context,
    Decision,
    Document,
    Effect,
    Explanation,
    FactChange,
    Finding,
    Query,
    Reason,
    Remedy,
    RuleFinding,
    Subject,
    Target,
    Told,
)

MAX_BATCH: Final = 1_000
"""So many questions the decision point takes in one call."""

_EFFECTS: Final = {pb.EFFECT_ALLOW: Effect.ALLOW, pb.EFFECT_DENY: Effect.DENY}


def check_request(query: Query) -> pb.CheckRequest:
    """A question.

    Raises:
        InvalidError: something in it can't be sent, such as text that is no Unicode.
    """
    message = pb.CheckRequest(action=text("action", query.action))
    fill(message.subject, query.subject, "subject")
    fill(message.context, query.context, "context")
    message.resource.patient = text("resource.patient", query.patient)
    message.resource.about = text("resource.about", query.about)
    if query.document is not None:
        fill(message.resource.document, query.document, "resource.document")
    if query.target is not None:
        fill(message.resource.target, query.target, "resource.target")
    return message


def batch_requests(queries: Sequence[Query]) -> tuple[pb.CheckBatchRequest, ...]:
    """Questions in calls of a thousand, all made before one is sent.

    Raises:
        InvalidError: as above.
    """
    return tuple(
        pb.CheckBatchRequest(checks=map(check_request, queries[start : start + MAX_BATCH]))
        for start in range(0, len(queries), MAX_BATCH)
    )


def change_request(
    subject: Subject, patient: str, change: Change, context: Context
) -> pb.ChangeRequest:
    """A change of the registry.

    Raises:
        InvalidError: something in it can't be sent.
    """
    message = pb.ChangeRequest(patient=text("patient", patient))
    fill(message.subject, subject, "subject")
    fill(message.context, context, "context")
    fill(getattr(message, change.field), change, change.field)
    return message


def subject(message: pb.Subject) -> Subject:
    """Who asks, as a sibling service got it from its own caller."""
    return Subject(**{one.name: getattr(message, one.name) for one in fields(Subject)})


def document(message: pb.Document) -> Document:
    """A label, as above."""
    return Document(
        id=message.id,
        type=message.type,
        authors=tuple(message.authors),
        author_structure=message.author_structure,
        visibility=tuple(message.visibility),
        status=message.status,
        system=message.system,
    )


def context(message: pb.Context) -> Context:
    """The circumstances, as above.

    Raises:
        InvalidError: the instant of the declaration is none.
    """
    declared = reason = None
    if message.HasField("declared_at"):
        try:
            declared = message.declared_at.ToDatetime(UTC)
        except (ValueError, OverflowError) as exc:
            raise InvalidError.of("context.declared_at", "not an instant") from exc
    if message.HasField("reason"):
        reason = Reason(code=message.reason.code, text=message.reason.text)
    return Context(
        mode=message.mode,
        reason=reason,
        declared_at=declared,
        secret_connection=message.secret_connection,
        agreement=message.agreement,
        announced=message.announced,
        closure=message.closure,
        claims=dict(message.claims),
    )


def target(message: pb.Target) -> Target:
    """Whom an act aims at, as above."""
    return Target(id=message.id, kind=message.kind, profession=message.profession)


def query(message: pb.CheckRequest) -> Query:
    """A question, as a stand-in for the decision point gets it."""
    resource = message.resource
    return Query(
        subject=subject(message.subject),
        action=message.action,
        patient=resource.patient,
        document=document(resource.document) if resource.HasField("document") else None,
        target=target(resource.target) if resource.HasField("target") else None,
        about=resource.about,
        context=context(message.context),
    )


def decision(message: pb.Decision) -> Decision:
    """A decision.

    Raises:
        FailedError: it has no effect, or no id, so it is none.
    """
    if not message.id:
        raise FailedError("the answer holds no decision: nothing is permitted")
    return Decision(
        id=message.id,
        effect=_effect(message.effect),
        reason_code=message.reason_code,
        told=Told(fr=message.told_fr, en=message.told_en),
        rules=tuple(message.rules),
        obligations=tuple(dict.fromkeys(message.obligations)),
        remarks=tuple(message.remarks),
        bundle=message.bundle,
        revision=message.revision,
        at=instant(message.at),
    )


def decisions(message: pb.CheckBatchResponse, count: int) -> tuple[Decision, ...]:
    """The decisions on so many questions, by position.

    Raises:
        FailedError: there are not so many.
    """
    if len(message.decisions) != count:
        raise FailedError(f"{len(message.decisions)} answers to {count} questions: none is used")
    return tuple(map(decision, message.decisions))


def explanation(message: pb.ExplainResponse) -> Explanation:
    """A decision, and why.

    Raises:
        FailedError: there is no decision in it.
    """
    return Explanation(
        decision=decision(message.decision),
        deciding=tuple(map(_finding, message.deciding)),
        nearest=_finding(message.nearest) if message.HasField("nearest") else None,
        remedies=tuple(
            Remedy(
                text=remedy.text,
                changes=tuple(
                    FactChange(fact=c.fact, before=getattr(c, "from"), after=c.to)
                    for c in remedy.changes
                ),
            )
            for remedy in message.remedies
        ),
        facts=dict(message.facts),
    )


def instant(message: Timestamp) -> datetime:
    """An instant, in UTC.

    Raises:
        FailedError: it is none.
    """
    try:
        return message.ToDatetime(UTC)
    except (ValueError, OverflowError) as exc:
        raise FailedError("the answer has an instant that is none") from exc


def _finding(message: pb.RuleFinding) -> RuleFinding:
    return RuleFinding(
        uid=message.uid,
        effect=_effect(message.effect),
        told=message.told,
        source=message.source,
        conditions=tuple(Finding(text=c.text, holds=c.holds) for c in message.conditions),
    )


def _effect(number: int) -> Effect:
    try:
        return _EFFECTS[pb.Effect.ValueType(number)]
    except KeyError as exc:
        raise FailedError(f"the answer has no effect that is known: `{number}`") from exc


def fill(message: Message, value: object, path: str) -> None:
    """Writes a value into the message that has fields of the same names."""
    message.SetInParent()
    for one in fields(value):  # type: ignore[arg-type]  # callers pass dataclasses
        _set(message, one.name, getattr(value, one.name), f"{path}.{one.name}")


def _set(message: Message, name: str, value: object, path: str) -> None:
    match value:
        case None:
            return
        case datetime():
            if value.tzinfo is None:
                raise InvalidError.of(path, "an instant without a time zone")
            getattr(message, name).FromDatetime(value)
        case tuple() | list():
            _add(getattr(message, name), value, path)
        case Mapping():
            for key, item in value.items():
                getattr(message, name)[text(path, key)] = text(f"{path}[{key}]", item)
        case _ if is_dataclass(value):
            fill(getattr(message, name), value, path)
        case _:
            _assign(message, name, value, path)


def _add(repeated: Any, values: Sequence[object], path: str) -> None:  # noqa: ANN401 - of messages or of text
    for place, item in enumerate(values):
        if is_dataclass(item):
            fill(repeated.add(), item, f"{path}[{place}]")
        else:
            repeated.append(text(f"{path}[{place}]", item))


def _assign(message: Message, name: str, value: object, path: str) -> None:
    if isinstance(value, date):
        value = value.isoformat()
    try:
        setattr(message, name, text(path, value) if isinstance(value, str) else value)
    except (TypeError, AttributeError) as exc:
        raise InvalidError.of(path, f"of the wrong type: {type(value).__name__}") from exc


def text(path: str, value: object) -> str:
    """Text that can be sent."""
    if not isinstance(value, str):
        raise InvalidError.of(path, f"not a text, but {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise InvalidError.of(path, "not a text that can be written in UTF-8") from exc
    return value
