"""The combining rule, the whole of it.

1. An error while deciding denies, and the verdict names it.
2. A deny rule that applies wins.
3. Else an allow rule that applies wins.
4. Else the request is denied: no rule allows it.

Among the rules that carry the effect, the one of highest priority gives the reason (the uid settles a
tie); the obligations of all of them are due, each once.
"""

from collections.abc import Iterable
from typing import Final

from authz.model import Effect, Rule, Verdict

NO_RULE_ALLOWS: Final = "NO_RULE_ALLOWS"
DECISION_ERROR: Final = "DECISION_ERROR"


def combine(applying: Iterable[Rule]) -> Verdict:
    """Combines the rules that apply to a request into one verdict; their order does not matter."""
    ranked = sorted(applying, key=lambda rule: (-rule.priority, rule.uid))
    for effect in (Effect.DENY, Effect.ALLOW):
        deciding = [rule for rule in ranked if rule.effect is effect]
        if deciding:
            return Verdict(
                effect=effect,
                reason=deciding[0].reason,
                rules=tuple(rule.uid for rule in deciding),
                obligations=tuple(dict.fromkeys(o for rule in deciding for o in rule.obligations)),
            )
    return Verdict(effect=Effect.DENY, reason=NO_RULE_ALLOWS, rules=(), obligations=())


def failed(cause: BaseException) -> Verdict:
    """The verdict when deciding itself went wrong: a deny that says so."""
    return Verdict(
        effect=Effect.DENY,
        reason=DECISION_ERROR,
        rules=(),
        obligations=(),
        error=f"{type(cause).__name__}: {cause}",
    )
