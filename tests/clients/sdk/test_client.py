"""Asking, on both clients: permits, denials, obligations, and what never is a permit."""

import gc
import time
import warnings

import pytest

from clients.sdk import (
    Context,
    DeadlineError,
    Denied,
    Effect,
    Error,
    FailedError,
    InvalidError,
    OverloadedError,
    Permit,
    Query,
    Reason,
    SettingsError,
    UnauthenticatedError,
    UnavailableError,
    UnfulfilledError,
    oneself,
)
from clients.sdk import changes as sdk_changes
from clients.sdk.testing import Pdp, allow, deny
from tests.clients.sdk.samples import DOCTOR, INS, NOTE, STRANGER, deposit, reading


async def test_allowed(asking):
    """What is allowed gives a permit that knows what was asked and decided."""
    permit = await asking(Pdp(allow())).require(reading())

    assert permit.query == reading()
    assert permit.decision.effect is Effect.ALLOW
    assert permit.pending == ()


async def test_denied(asking):
    """What is denied raises, with reason and decision, and without any identity in the words."""
    with pytest.raises(Denied, match="DOCUMENT_MASKED") as caught:
        await asking(Pdp(deny("DOCUMENT_MASKED"))).require(reading())

    assert caught.value.reason_code == "DOCUMENT_MASKED"
    assert caught.value.decision.told.fr == "Test : DOCUMENT_MASKED."
    assert INS not in str(caught.value)
    assert DOCTOR.id not in str(caught.value)


def test_denial_is_no_error():
    """Who catches errors does not swallow denials, nor the reverse."""
    assert not issubclass(Denied, Error)
    assert not issubclass(Error, Denied)


async def test_check_only_tells(asking):
    """`check` gives the decision, and raises neither for a denial nor for obligations."""
    decision = await asking(Pdp(deny("BLOCKED", "notify_holder"))).check(reading())

    assert decision.effect is Effect.DENY
    assert decision.obligations == ("notify_holder",)


async def test_unsupported_obligation_is_a_denial(asking):
    """An obligation that nobody can carry out makes of a yes a no."""
    client = asking(Pdp(allow("notify_holder", "confirm")), duties={"notify_holder": print})

    with pytest.raises(Denied) as caught:
        await client.require(reading())

    assert caught.value.unsupported == ("confirm",)
    assert caught.value.reason_code == "OBLIGATION_UNSUPPORTED"


async def test_duties_come_before_the_permit(asking):
    """Duties are carried out before anyone gets the permit, and know what it is about."""
    done = []
    client = asking(Pdp(allow("notify_holder")), duties={"notify_holder": done.append})

    permit = await client.require(reading())

    (obligation,) = done
    assert (obligation.name, obligation.query) == ("notify_holder", reading())
    assert obligation.decision == permit.decision
    assert permit.pending == ()


async def test_duties_on_a_denial(asking):
    """What must be done on a denial is done, too."""
    done = []
    client = asking(Pdp(deny("BLOCKED", "review", "confirm")), duties={"review": done.append})

    with pytest.raises(Denied) as caught:
        await client.require(reading())

    assert [o.name for o in done] == ["review"]
    assert caught.value.reason_code == "BLOCKED"


async def test_failed_duty(asking):
    """A duty that fails leaves no permit; the others are carried out all the same."""
    done = []

    def full(_):
        raise OSError("disk full")

    client = asking(
        Pdp(allow("notify_holder", "review")),
        duties={"notify_holder": full, "review": done.append},
    )

    with pytest.raises(UnfulfilledError, match="notify_holder") as caught:
        await client.require(reading())

    assert caught.value.obligations == ("notify_holder",)
    assert isinstance(caught.value.__cause__, OSError)
    assert [o.name for o in done] == ["review"]


async def test_duty_of_a_coroutine():
    """The asynchronous client awaits its duties."""
    done = []

    async def notify(obligation):
        done.append(obligation.name)

    await Pdp(allow("review")).aio_client(duties={"review": notify}).require(reading())

    assert done == ["review"]


async def test_the_holder_of_the_permit_takes_over(asking):
    """What the holder of the permit says to support is the holder's, even where there is a duty."""
    done = []
    client = asking(Pdp(allow("show_mode")), duties={"show_mode": done.append})

    with await client.require(reading(), supports={"show_mode"}) as permit:
        assert permit.pending == ("show_mode",)
        permit.fulfil("show_mode")

    assert done == []


async def test_undone_obligation(asking):
    """Who leaves the block with something undone is stopped."""
    client = asking(Pdp(allow("show_mode", "confirm")))

    permit = await client.require(reading(), supports={"show_mode", "confirm"})
    with pytest.raises(UnfulfilledError) as caught, permit:
        permit.fulfil("confirm")

    assert caught.value.obligations == ("show_mode",)
    assert caught.value.decision_id == permit.decision.id


async def test_mistyped_obligation(asking):
    """An obligation that is fulfilled under another name stays undone."""
    permit = await asking(Pdp(allow("show_mode"))).require(reading(), supports={"show_mode"})

    permit.fulfil("show_mod")

    assert permit.pending == ("show_mode",)
    with pytest.raises(UnfulfilledError):
        permit.settle()


async def test_block_that_fails(asking):
    """A block that fails by itself fails with its own error."""
    client = asking(Pdp(allow("show_mode")))

    with pytest.raises(KeyError), await client.require(reading(), supports={"show_mode"}):
        raise KeyError("image")


async def test_dropped_permit(asking):
    """A permit that is dropped with something undone is told by a warning."""
    permit = await asking(Pdp(allow("show_mode"))).require(reading(), supports={"show_mode"})

    with pytest.warns(ResourceWarning, match="show_mode"):
        del permit


async def test_settled_permit_is_silent(asking):
    """A permit of which all is done goes without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with await asking(Pdp(allow("confirm"))).require(reading(), supports={"confirm"}) as permit:
            permit.fulfil("confirm")
        del permit
        gc.collect()


async def test_each(asking):
    """Of many questions each gets its permit or its denial, in one call and in their order."""
    pdp = Pdp(lambda query: allow() if query.document.id in "ac" else deny("DOCUMENT_MASKED"))
    queries = [reading(document=sized(name)) for name in "abc"]

    answers = await asking(pdp).require_each(queries)

    assert [True, False, True] == [isinstance(answer, Permit) for answer in answers]
    assert [q.document.id for q in queries] == [a.query.document.id for a in answers]
    assert answers[1].reason_code == "DOCUMENT_MASKED"
    assert pdp.calls == 1


async def test_each_with_a_duty_that_fails(asking):
    """When a duty fails, nobody gets a permit, and none is left lying about."""

    def full(_):
        raise OSError("disk full")

    pdp = Pdp(lambda query: allow("review" if query.document.id == "b" else "show_mode"))
    queries = [reading(document=sized(name)) for name in "ab"]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnfulfilledError, match="review"):
            await asking(pdp, duties={"review": full}).require_each(queries, supports={"show_mode"})
        gc.collect()


async def test_each_of_none(asking):
    """No question is no call."""
    pdp = Pdp(allow())

    assert await asking(pdp).require_each([]) == ()
    assert pdp.calls == 0


async def test_each_of_more_than_a_thousand(asking):
    """More than a thousand questions go in calls of a thousand, and are answered by position."""
    pdp = Pdp(lambda query: allow() if int(query.document.id) % 7 else deny("DOCUMENT_MASKED"))
    queries = [reading(document=sized(str(number))) for number in range(2_500)]

    answers = await asking(pdp, timeout_s=20).require_each(queries)

    assert [bool(n % 7) for n in range(2_500)] == [isinstance(one, Permit) for one in answers]
    assert queries == pdp.asked == [answer.query for answer in answers]
    assert pdp.calls == 3


@pytest.mark.parametrize("method", ["check_all", "require_each"])
async def test_each_with_a_call_that_fails(asking, method):
    """When one call of several fails there is no answer, nothing is carried out, and no more is asked."""
    done = []
    pdp = Pdp(lambda query: FailedError("x") if query.document.id == "1500" else allow("review"))
    queries = [reading(document=sized(str(number))) for number in range(2_500)]
    client = asking(pdp, timeout_s=20, duties={"review": done.append})

    with pytest.raises(FailedError):
        await getattr(client, method)(queries)

    assert (pdp.calls, done) == (2, [])


async def test_each_of_which_one_cannot_be_sent(asking):
    """When one of many questions can't be sent, none is."""
    pdp = Pdp(allow())

    with pytest.raises(InvalidError):
        await asking(pdp).check_all([reading()] * 1_500 + [reading(patient=7)])

    assert pdp.calls == 0


async def test_deadline_of_several_calls(asking):
    """All calls that questions are split into share one deadline."""

    def decide(query):
        time.sleep(0.2 if query.document.id == "slow" else 0)
        return allow()

    pdp = Pdp(decide)
    queries = [reading(document=sized("slow"))] + [reading()] * 1_500

    with pytest.raises(DeadlineError, match="no time left"):
        await asking(pdp, timeout_s=0.2).check_all(queries)

    assert pdp.calls == 1


def sized(name):
    """A document of this id."""
    return type(NOTE)(id=name, type=NOTE.type, status="approved")


async def test_explained(asking):
    """An explanation holds the decision."""
    explained = await asking(Pdp(deny("BLOCKED"))).explain(reading(), language="en")

    assert explained.decision.reason_code == "BLOCKED"


async def test_changed(asking):
    """A change gives a permit once it is made, and its obligations as any other."""
    done = []
    pdp = Pdp({"block.set": allow("notify_holder")})
    change = sdk_changes.SetBlock(grantee=sdk_changes.Grantee(id="x", kind="professional"))

    await asking(pdp, duties={"notify_holder": done.append}).change(DOCTOR, INS, change)

    assert [o.query.action for o in done] == ["block.set"]


async def test_standing_is_told(asking):
    """The service tells it on its own behalf, of no patient, and gets a permit once it is made."""
    pdp = Pdp({"standing.set": allow()})

    await asking(pdp).set_review_standing("audit", STRANGER.id, "misuse", why="found by two")

    assert [(q.subject, q.action, q.patient) for q in pdp.asked] == [
        (oneself("audit"), "standing.set", "")
    ]
    assert [(e.action, e.patient) for e in pdp.events] == [("standing.set", "")]


async def test_what_a_question_is_about_is_sent(asking):
    """The earlier decision goes along, and a stand-in sees it."""
    pdp = Pdp(allow())
    query = Query(
        subject=oneself("dossier"),
        action="obligation.report",
        patient=INS,
        context=Context(reason=Reason(code="notify_holder", text="email")),
        about="019dfd5b-2800-7000-8000-0000000c0d00",
    )

    await asking(pdp).check(query)

    assert pdp.asked == [query]


async def test_change_with_unsupported_obligation(asking):
    """A change that is made, with something to do that nobody can, is no denial."""
    change = sdk_changes.CloseDossier(reason="DECES")

    with pytest.raises(UnfulfilledError, match="notify_holder"):
        await asking(Pdp(allow("notify_holder"))).change(DOCTOR, INS, change)


async def test_change_denied(asking):
    """A change that is denied raises."""
    with pytest.raises(Denied):
        await asking(Pdp(deny())).change(DOCTOR, INS, sdk_changes.CloseDossier(reason="DECES"))


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("x"),
        DeadlineError("x"),
        OverloadedError("x", 9.0),
        InvalidError("x"),
        UnauthenticatedError("x", "TOKEN_EXPIRED"),
        FailedError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("method", ["require", "check", "explain"])
async def test_no_answer_is_no_permit(asking, error, method):
    """Whatever goes wrong is raised, as it is."""
    with pytest.raises(type(error)) as caught:
        await getattr(asking(Pdp(error)), method)(reading())

    assert caught.value is error


async def test_asked_again(asking):
    """A question that nobody answered is asked a few times within its deadline, then given up."""
    pdp = Pdp(allow())
    pdp.down()

    with pytest.raises(UnavailableError):
        await asking(pdp, timeout_s=5).require(reading())

    assert pdp.calls == 4


async def test_asked_again_and_answered(asking):
    """A question is answered when somebody is there again."""
    answers = [UnavailableError("x"), UnavailableError("x"), allow()]
    pdp = Pdp(lambda _: answers.pop(0))

    await asking(pdp, timeout_s=5).require(reading())

    assert answers == []


async def test_overload_is_waited_for(asking):
    """An overloaded decision point is asked again after the time it names, if the deadline allows it."""
    answers = [OverloadedError("x", 0.01), allow()]

    await asking(Pdp(lambda _: answers.pop(0)), timeout_s=5).require(reading())

    assert answers == []


async def test_overload_beyond_the_deadline(asking):
    """It is not asked again when the time it names is beyond the deadline."""
    pdp = Pdp(allow())
    pdp.overloaded(retry_after_s=2)

    with pytest.raises(OverloadedError) as caught:
        await asking(pdp).require(reading())

    assert (caught.value.retry_after_s, pdp.calls) == (2, 1)


@pytest.mark.parametrize(
    "error", [InvalidError("x"), FailedError("x"), DeadlineError("x"), UnauthenticatedError("x")]
)
async def test_not_asked_again(asking, error):
    """What would fail again, or has used up its time, is not asked again."""
    pdp = Pdp(error)

    with pytest.raises(type(error)):
        await asking(pdp, timeout_s=5).require(reading())

    assert pdp.calls == 1


async def test_change_is_tried_again_as_the_same(asking):
    """A change is tried again under the same id, so that it is made once."""
    seen = []

    class Failing(Pdp):
        def answer(self, path, request, metadata):
            seen.append(request.request_id)
            return super().answer(path, request, metadata)

    pdp = Failing(allow())
    pdp.down()
    closing = sdk_changes.CloseDossier(reason="DECES")

    with pytest.raises(UnavailableError):
        await asking(pdp, timeout_s=5).change(DOCTOR, INS, closing)
    pdp.up()
    await asking(pdp).change(DOCTOR, INS, closing)
    await asking(pdp).change(DOCTOR, INS, closing, request_id="mine")

    first, *again, another, own = seen
    assert first
    assert again == [first] * 3
    assert another not in ("", first)
    assert own == "mine"


async def test_slow(asking):
    """Who answers too late did not answer."""
    pdp = Pdp(allow())
    pdp.slow(0.6)

    with pytest.raises(DeadlineError):
        await asking(pdp).require(reading())
    await asking(pdp).require(reading(), timeout_s=2)


@pytest.mark.parametrize("timeout_s", [None, 0, -1, float("inf"), float("nan"), "1"])
async def test_no_call_without_a_deadline(asking, timeout_s):
    """There is no way to ask without a deadline."""
    with pytest.raises(SettingsError, match="no timeout"):
        await asking(Pdp(allow())).require(reading(), timeout_s=timeout_s)
    with pytest.raises(SettingsError, match="no timeout"):
        asking(Pdp(allow()), timeout_s=timeout_s)


async def test_token_goes_along(asking):
    """A token of the end user goes along with the call that it is for, and with no other."""
    pdp = Pdp(allow())
    client = asking(pdp)

    await client.require(reading(), token="a.b.c")
    await client.require(deposit())

    assert pdp.tokens == ["a.b.c", ""]


async def test_token_that_no_header_carries(asking):
    """What no header can carry is refused before anything is sent."""
    pdp = Pdp(allow())

    with pytest.raises(SettingsError, match="dmp-subject"):
        await asking(pdp).require(reading(), token="a\nb")

    assert pdp.calls == 0


def test_duty_that_is_none():
    """A duty that can't be called is refused at the start."""
    with pytest.raises(SettingsError, match="notify_holder"):
        Pdp(allow()).client(duties={"notify_holder": "outbox"})


def test_table_denies_what_is_not_in_it():
    """A stand-in with a table denies what is not in its table."""
    client = Pdp({"document.read": allow()}).client()

    client.require(reading())
    with pytest.raises(Denied, match="NO_RULE"):
        client.require(deposit())
