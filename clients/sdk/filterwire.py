"""Filters on the wire: what is asked, and the condition that comes back."""

from dataclasses import dataclass

from authz.v1 import authz_pb2 as pb
from clients.sdk.condition import Clause, Condition, LabelField, Test
from clients.sdk.errors import FailedError
from clients.sdk.reads import asked_by, chosen
from clients.sdk.values import Decision, Effect, Query
from clients.sdk.wire import decision, text


def filter_request(query: Query) -> pb.FilterRequest:
    """Which documents of a patient somebody may be shown.

    Raises:
        InvalidError: something in it can't be sent.
    """
    message = asked_by(pb.FilterRequest(action=text("action", query.action)), query)
    message.patient = text("patient", query.patient)
    return message


@dataclass(frozen=True, slots=True)
class FilterAnswer:
    """A decision and, when it is an allow, its condition."""

    decision: Decision
    condition: Condition


def filter_answer(message: pb.FilterResponse) -> FilterAnswer:
    """Which documents may be shown.

    Raises:
        FailedError: it is not a proper answer.
    """
    decided = decision(message.decision)
    if decided.effect is not Effect.ALLOW:
        return FilterAnswer(decided, Condition())
    if not message.condition.allow:
        raise FailedError("the answer allows a list and has no condition: nothing is permitted")
    found = Condition(
        allow=tuple(map(_clause, message.condition.allow)),
        deny=tuple(map(_clause, message.condition.deny)),
    )
    return FilterAnswer(decided, found)


def _clause(message: pb.Clause) -> Clause:
    return Clause(
        tests=tuple(map(_test, message.tests)),
        rule=message.rule,
        reason_code=message.reason_code,
        obligations=tuple(message.obligations),
    )


def _test(message: pb.Test) -> Test:
    # A field that is not known here can't be looked at, and to leave its test out would widen the list.
    field = chosen(LabelField, message.field, "condition")
    return Test(field=field, negated=message.negated, values=tuple(message.values))
