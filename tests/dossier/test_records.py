"""What is done leaves a row, once; what is refused leaves one too."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from clients.sdk.values import Context, Reason
from dossier.errors import PermitError
from dossier.model import Visibility
from dossier.records import record
from tests.dossier.town import BREAK_GLASS, HOLDER, SECRETLY, query
from tests.dossier.world import DOCTOR, JEAN, label


def test_act_says_all_that_the_law_asks_for(town):
    """An act tells who did what to which document, of which category and origin, when, how and why."""
    of = label(type="60568-3", space="5")
    who = replace(DOCTOR, name="Dr ESSAI", structure_name="Centre")
    permit = town.permit("document.read", subject=who, context=BREAK_GLASS, document=of.id)

    with town.writer.begin() as conn:
        record(conn, permit, at=town.clock.now(), label=of)

    assert [
        {
            "decision": permit.decision,
            "at": town.clock.now(),
            "patient": JEAN,
            "action": "document.read",
            "effect": "allow",
            "reason_code": "AUTHORISED",
            "actor_kind": "professional",
            "actor": DOCTOR.id,
            "actor_name": "Dr ESSAI",
            "profession": "10",
            "structure": DOCTOR.structure,
            "structure_name": "Centre",
            "document": of.id,
            "type": "60568-3",
            "space": "5",
            "origin": of.structure,
            "mode": "bris_de_glace",
            "reason": "VITAL: coma",
            "secret": False,
            "shown": 0,
        }
    ] == town.rows("acts")


@pytest.mark.parametrize(
    ("context", "changes"),
    [
        (SECRETLY, {}),
        (Context(), {"secret": True}),
        (Context(), {"visibility": Visibility(hidden_from_representatives=True)}),
    ],
)
def test_act_is_secret(town, context, changes):
    """An act is secret in a secret connection, and on a document kept from the representatives."""
    of = label(**changes)
    permit = town.permit("document.read", context=context, document=of.id)

    with town.writer.begin() as conn:
        record(conn, permit, at=town.clock.now(), label=of)

    assert [True] == [row["secret"] for row in town.rows("acts")]


def test_decision_is_used_once(town):
    """A second act under one decision is refused, and changes nothing."""
    permit = town.permit("document.read", document="d")
    with town.writer.begin() as conn:
        record(conn, permit, at=town.clock.now())
    before = town.rows("acts")

    with pytest.raises(PermitError, match="spent"), town.writer.begin() as conn:
        record(conn, permit, at=town.clock.now())

    assert before == town.rows("acts")


def test_decision_is_used_once_by_however_many(town):
    """Of many processes that spend one permit at the same time, one does."""
    permit = town.permit("trace.read")

    def use(_):
        _, records = town.others()
        try:
            records.trace(permit, JEAN)
        except PermitError:
            return 0
        return 1

    with ThreadPoolExecutor(6) as threads:
        used = sum(threads.map(use, range(6)))

    assert 1 == used
    assert [("trace.read", "allow")] == town.acts()


def test_refusal_is_recorded_once(town):
    """A denial that is reported again is one act."""
    asked = query("document.read", document="d1", context=BREAK_GLASS)

    decision = town.refused(asked, reason="DOCUMENT_MASKED", label=label(id="d1"))
    town.refused(asked, decision=decision, obligations=("notify_holder",))

    (row,) = town.rows("acts")
    assert (decision, "deny", "DOCUMENT_MASKED", "d1") == (
        row["decision"],
        row["effect"],
        row["reason_code"],
        row["document"],
    )
    assert [] == town.notices()


def test_refusal_of_what_is_not_there_is_recorded(town):
    """A denial about an unknown document is an act as any other."""
    town.refused(query("document.read", document="nowhere"))

    assert [("document.read", "deny")] == town.acts()


@pytest.mark.parametrize("text", ["a\0b", "\0", "\u202e'; DROP TABLE acts; --", "é" * 5_000])
def test_any_text_can_be_recorded(town, text):
    """No name and no reason, however odd, keeps an act from being recorded."""
    context = Context(mode="bris_de_glace", reason=Reason(code="A", text=text))
    who = replace(HOLDER, name=text, structure_name=text)
    town.refused(query("document.read", who, context=context))

    (row,) = town.rows("acts")
    assert text.replace("\0", "\ufffd") == row["actor_name"]
