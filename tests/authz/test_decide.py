"""The combining rule: deny wins, then allow, else no; and who gives the reason."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.decide import DECISION_ERROR, NO_RULE_ALLOWS, combine, failed
from authz.model import Effect, Rule, Verdict, Wording

ALLOW, DENY = Effect.ALLOW, Effect.DENY


def rule(uid: str, effect: Effect, *, priority: int = 0, obligations: tuple[str, ...] = ()) -> Rule:
    """A rule as `combine` looks at it; its reason is its uid in capitals."""
    return Rule(
        uid=uid,
        theme="",
        effect=effect,
        priority=priority,
        reason=uid.upper(),
        description="",
        told=Wording(fr="", en=""),
        source="",
        obligations=obligations,
        boxes=(),
        place="",
    )


RULES = st.lists(
    st.builds(
        rule,
        st.sampled_from("abcdefgh"),
        st.sampled_from(Effect),
        priority=st.integers(0, 2),
        obligations=st.lists(st.sampled_from("xyz"), max_size=2).map(tuple),
    ),
    max_size=5,
    unique_by=lambda r: r.uid,
)


@pytest.mark.parametrize(
    ("applying", "effect", "reason", "rules"),
    [
        ([], DENY, NO_RULE_ALLOWS, ()),
        ([rule("a", ALLOW)], ALLOW, "A", ("a",)),
        ([rule("a", DENY)], DENY, "A", ("a",)),
        ([rule("a", ALLOW, priority=9), rule("b", DENY)], DENY, "B", ("b",)),
        ([rule("a", ALLOW), rule("b", ALLOW, priority=1)], ALLOW, "B", ("b", "a")),
        ([rule("b", DENY), rule("a", DENY)], DENY, "A", ("a", "b")),
    ],
)
def test_combine(applying, effect, reason, rules):
    """Deny wins whatever its priority; the highest priority, then the uid, gives the reason."""
    verdict = combine(applying)

    assert verdict == Verdict(effect=effect, reason=reason, rules=rules, obligations=())


def test_obligations():
    """The obligations of all deciding rules are due, each once; those of the others are not."""
    applying = [
        rule("a", ALLOW, obligations=("notify", "review")),
        rule("b", ALLOW, priority=1, obligations=("review", "show")),
    ]

    allowed = combine(applying)
    denied = combine([*applying, rule("c", DENY)])

    assert allowed.obligations == ("review", "show", "notify")
    assert denied.obligations == ()


@given(RULES)
def test_order_does_not_matter(applying):
    """The rules that apply give one verdict, in whatever order they come."""
    verdicts = {combine(order) for order in permutations(applying)}

    assert len(verdicts) == 1


@given(RULES, RULES)
def test_one_more_denial_never_allows(applying, others):
    """Whatever denies more allows no more, and keeps every denial that was there."""
    denying = [replace(other, uid=f"new-{other.uid}", effect=DENY) for other in others]

    before, after = combine(applying), combine([*applying, *denying])

    assert not (after.effect is ALLOW and before.effect is DENY)
    assert after == before if not denying else after.effect is DENY


@given(RULES)
def test_effect_is_that_of_its_rules(applying):
    """A verdict names rules of its own effect only, and all of those that apply."""
    verdict = combine(applying)

    carrying = {r.uid for r in applying if r.effect is verdict.effect}
    assert set(verdict.rules) == carrying
    assert verdict.effect is DENY or verdict.rules
    assert (verdict.error, verdict.reason == NO_RULE_ALLOWS) == ("", not verdict.rules)


def test_failed():
    """What went wrong while deciding is a denial that names it."""
    verdict = failed(KeyError("subject.kind"))

    assert verdict == Verdict(
        effect=DENY,
        reason=DECISION_ERROR,
        rules=(),
        obligations=(),
        error="KeyError: 'subject.kind'",
    )
