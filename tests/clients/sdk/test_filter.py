"""Lists by one decision, on both clients: what may be shown, and what must be done because of it."""

import gc
import warnings

import pytest

from clients.sdk import (
    Clause,
    Condition,
    Denied,
    Document,
    Effect,
    FailedError,
    FilterPermit,
    InvalidError,
    LabelField,
    UnavailableError,
    UnfulfilledError,
)
from clients.sdk import condition as conditions
from clients.sdk.testing import Pdp, allow, deny
from tests.clients.sdk.samples import DOCTOR, EMERGENCY, INS, NOTE

LIST = (DOCTOR, "document.list", INS)
OLD = Document(id="old", type=NOTE.type, visibility=("N",), status="deprecated")
MASKED = Document(id="masked", type=NOTE.type, visibility=("MASQUE_PS",), status="approved")


def one(field, *values):
    """A test of one field."""
    return (conditions.Test(field=LabelField(field), values=values),)


UNMASKED = Clause(tests=one("visibility", "MASQUE_PS"), rule="masked", reason_code="MASKED")
OBSOLETE = Clause(tests=one("status", "deprecated"), rule="old", obligations=("mark_obsolete",))
ALL = Clause(rule="authorised", reason_code="AUTHORISED")
CONDITION = Condition(allow=(ALL, OBSOLETE), deny=(UNMASKED,))


def listing(condition=CONDITION, *obligations):
    """A stand-in that allows lists on this condition."""
    return Pdp({"document.list": allow(*obligations, condition=condition)})


async def test_condition_as_it_was_given(asking):
    """`filter` gives the condition as the decision point has it, and carries nothing out."""
    pdp = listing(CONDITION, "notify_holder")

    filtered = await asking(pdp).filter(*LIST, context=EMERGENCY)

    assert filtered.condition == CONDITION
    assert filtered.decision.effect is Effect.ALLOW
    assert filtered.decision.obligations == ("notify_holder",)
    (asked,) = pdp.asked
    assert (asked.subject, asked.action, asked.patient, asked.document) == (*LIST, None)
    assert asked.context == EMERGENCY


@pytest.mark.parametrize("method", ["filter", "require_filter"])
async def test_denied(asking, method):
    """A list that is denied raises."""
    with pytest.raises(Denied, match="BLOCKED"):
        await getattr(asking(Pdp(deny("BLOCKED"))), method)(*LIST)


@pytest.mark.parametrize("method", ["filter", "require_filter"])
async def test_nobody_answers(asking, method):
    """A list that nobody decides is an error; it is asked for again, as any question."""
    pdp = listing()
    pdp.down()

    with pytest.raises(UnavailableError):
        await getattr(asking(pdp, timeout_s=5), method)(*LIST)

    assert pdp.calls == 4


@pytest.mark.parametrize("method", ["filter", "require_filter"])
async def test_what_cannot_be_sent(asking, method):
    """A list of what is no text is refused before it is asked for."""
    with pytest.raises(InvalidError) as caught:
        await getattr(asking(listing()), method)(DOCTOR, "document.list", 7)

    assert [violation.field for violation in caught.value.violations] == ["patient"]


async def test_permit_to_list(asking):
    """A permit to list knows what was asked, and admits what a check would allow."""
    permit = await asking(listing(Condition(allow=(ALL,), deny=(UNMASKED,)))).require_filter(*LIST)

    assert isinstance(permit, FilterPermit)
    assert (permit.query.action, permit.query.patient, permit.pending) == ("document.list", INS, ())
    note, masked = permit.admit([NOTE, MASKED])
    assert note.reason_codes == ("AUTHORISED",)
    assert masked is None


async def test_duties_on_denial(asking):
    """What must be done on a denial is done, as for one document."""
    done = []
    client = asking(Pdp(deny("BLOCKED", "review")), duties={"review": done.append})

    with pytest.raises(Denied, match="BLOCKED"):
        await client.require_filter(*LIST)

    assert [obligation.name for obligation in done] == ["review"]


async def test_duties_come_before_the_permit(asking):
    """Duties of the decision, and of what may come with a document, are carried out before the permit."""
    done = []
    condition = Condition(allow=(ALL, Clause(obligations=("review",))))
    client = asking(
        listing(condition, "notify_holder"),
        duties=dict.fromkeys(("notify_holder", "review"), done.append),
    )

    permit = await client.require_filter(*LIST)

    assert [obligation.name for obligation in done] == ["notify_holder", "review"]
    assert {obligation.query.document for obligation in done} == {None}
    assert permit.pending == ()


async def test_failed_duty(asking):
    """A duty that fails leaves no permit to list."""

    def full(_):
        raise OSError("disk full")

    client = asking(listing(CONDITION, "review"), duties={"review": full})

    with pytest.raises(UnfulfilledError, match="review"):
        await client.require_filter(*LIST, supports={"mark_obsolete"})


async def test_obligation_of_the_list_that_nobody_carries_out(asking):
    """What is due for the list itself, and nobody can do, makes of the yes a no."""
    with pytest.raises(Denied) as caught:
        await asking(listing(CONDITION, "notify_holder")).require_filter(*LIST)

    assert caught.value.unsupported == ("notify_holder",)


async def test_obligation_of_a_document_that_nobody_carries_out(asking):
    """A document that brings what nobody can do is not admitted; the others are."""
    permit = await asking(listing()).require_filter(*LIST)

    note, old, masked = permit.admit([NOTE, OLD, MASKED])

    assert note.obligations == ()
    assert old is None
    assert masked is None
    assert permit.condition.deny[-1].reason_code == "OBLIGATION_UNSUPPORTED"


async def test_obligations_of_all_documents_that_nobody_carries_out(asking):
    """When every document would bring what nobody can do, the list is denied."""
    condition = Condition(allow=(ALL, Clause(obligations=("show_mode", "notify_holder"))))

    with pytest.raises(Denied, match="OBLIGATION_UNSUPPORTED: show_mode") as caught:
        await asking(listing(condition), duties={"notify_holder": lambda _: None}).require_filter(
            *LIST
        )

    assert caught.value.unsupported == ("show_mode",)


async def test_until_it_is_told_what_is_shown(asking):
    """Whoever never says what is shown must do all that any document may bring."""
    permit = await asking(listing()).require_filter(*LIST, supports={"mark_obsolete"})

    assert permit.pending == ("mark_obsolete",)
    with pytest.raises(UnfulfilledError, match="mark_obsolete"):
        permit.settle()


async def test_what_the_shown_documents_bring(asking):
    """Once it is told, pending is what the documents that are shown bring."""
    client = asking(listing())

    with await client.require_filter(*LIST, supports={"mark_obsolete"}) as permit:
        permit.admit([NOTE, MASKED])
        assert permit.pending == ()
    with await client.require_filter(*LIST, supports={"mark_obsolete"}) as permit:
        (admission,) = permit.admit([OLD])
        assert permit.pending == admission.obligations == ("mark_obsolete",)
        permit.fulfil("mark_obsolete")


async def test_empty_list(asking):
    """A list on which nothing is shown leaves only what is due for the list."""
    pdp = listing(CONDITION, "show_mode")
    permit = await asking(pdp).require_filter(*LIST, supports={"show_mode", "mark_obsolete"})

    assert permit.admit([]) == ()

    assert permit.pending == ("show_mode",)
    permit.fulfil("show_mode")
    permit.settle()


async def test_next_page(asking):
    """What the documents of another page bring is pending again."""
    permit = await asking(listing()).require_filter(*LIST, supports={"mark_obsolete"})
    permit.admit([OLD])
    permit.fulfil("mark_obsolete")

    permit.admit([NOTE])
    assert permit.pending == ()
    permit.admit([OLD])

    with pytest.raises(UnfulfilledError, match="mark_obsolete"):
        permit.settle()


async def test_dropped_permit(asking):
    """A permit to list that is dropped with something undone is told by a warning; one given back is not."""
    client = asking(listing())
    permit = await client.require_filter(*LIST, supports={"mark_obsolete"})

    with pytest.warns(ResourceWarning, match="mark_obsolete"):
        del permit

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        permit = await client.require_filter(*LIST, supports={"mark_obsolete"})
        permit.drop()
        del permit
        gc.collect()


async def test_everything_by_default(asking):
    """The stand-in admits all documents where a test states no condition, on the terms that it states."""
    permit = await asking(Pdp(allow("show_mode"))).require_filter(*LIST, supports={"show_mode"})

    (admission,) = permit.admit([MASKED])

    assert admission.obligations == permit.pending == ("show_mode",)
    permit.fulfil("show_mode")


async def test_error_in_place_of_an_answer(asking):
    """Whatever goes wrong is raised, as it is."""
    error = FailedError("x")

    with pytest.raises(FailedError) as caught:
        await asking(Pdp(error)).require_filter(*LIST)

    assert caught.value is error
