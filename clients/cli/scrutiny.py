"""What the auditor and the patient of the story do with the audit, and what they get to see."""

import time
from typing import Final

from rich.console import Group

from audit.v1 import audit_pb2 as pb
from clients.cli.audit import accesses as view
from clients.cli.audit import caseshow
from clients.cli.audit.procedures import CLOSE_CASE, LIST_ACCESSES, LIST_CASES, READ_STATUS
from clients.cli.cast import INS, NORMAL, Person
from clients.cli.link import Error
from clients.cli.stage import Deed, Played, Stage

_CASE: Final = "case"
"""Under which name of the story the case is kept that was seen."""

_STREAM_S: Final = 10.0
_PATIENCE_S: Final = 10.0
_LOOK_S: Final = 0.1


def cases(who: Person) -> Deed:
    """Looks at the emergency accesses that wait for review; the one of break-glass is kept in mind."""

    def deed(stage: Stage) -> Played:
        answer = _listed(stage, who)
        return Played(
            decision=answer.look.decision_id,
            shown=lambda language: Group(*caseshow.queue(answer, language)),
        )

    return deed


def closes_case(who: Person, verdict: str, why: str) -> Deed:
    """Closes the case that was seen."""

    def deed(stage: Stage) -> Played:
        request = pb.CloseCaseRequest(
            subject=who.subject, id=stage.ids[_CASE], verdict=verdict, why=why
        )
        return Played(decision=stage.audit.ask(CLOSE_CASE, request).look.decision_id)

    return deed


def accesses(who: Person) -> Deed:
    """Looks at who was there in an emergency, and what became of it."""

    def deed(stage: Stage) -> Played:
        _caught_up(stage)
        request = pb.ListAccessesRequest(
            subject=who.subject, context=NORMAL, patient=INS, emergency=True, page_size=50
        )
        (page,) = stage.audit.stream(LIST_ACCESSES, request, timeout_s=_STREAM_S)
        allowed = [one for one in page.accesses if one.effect == "allow"]
        return Played(
            decision=page.look.decision_id,
            shown=lambda language: view.table(allowed, language),
        )

    return deed


def _listed(stage: Stage, who: Person) -> pb.ListCasesResponse:
    _caught_up(stage)
    answer = stage.audit.ask(LIST_CASES, pb.ListCasesRequest(subject=who.subject))
    for one in answer.cases:
        if one.mode == "bris_de_glace":
            stage.ids[_CASE] = one.id
    return answer


def _caught_up(stage: Stage) -> None:
    """Waits until the audit has all that was decided so far."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        standing = stage.audit.ask(READ_STATUS, pb.ReadStatusRequest()).standing
        if not standing.behind and standing.sealed:
            return
        time.sleep(_LOOK_S)
    raise Error(f"the audit did not catch up with the log within {_PATIENCE_S:g} s")
