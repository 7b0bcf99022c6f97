"""A decision: a verdict with everything needed to prove it later."""

from datetime import datetime

from authz.bundle import Bundle
from authz.model import Vector, Verdict, Wording
from authz.plan import Condition
from authz.query import Query
from authz.registry.state import Listed, PatientState
from authz.value import dataclass

CHANGE_IMPOSSIBLE = "CHANGE_IMPOSSIBLE"

_WITHOUT_RULE = {
    "NO_RULE_ALLOWS": Wording(
        fr="Aucune règle ne permet cela.",
        en="No rule allows this.",
    ),
    "DECISION_ERROR": Wording(
        fr="La décision n'a pas pu être calculée ; dans le doute, c'est non.",
        en="The decision could not be computed; in doubt, it is no.",
    ),
    CHANGE_IMPOSSIBLE: Wording(
        fr="Ce changement est permis, mais impossible dans l'état du dossier.",
        en="This change is permitted, but impossible in the state of the dossier.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided, when, on which facts, under which bundle and registry revision.

    `changed` is the registry's revision after the change that was asked for, 0 when nothing was changed;
    `state` is the patient's state as it is after the decision. `condition` tells which documents an allow
    is for, where the document was left open; `listed` holds the patients that were asked for.
    """

    id: str
    at: datetime
    query: Query
    vector: Vector
    verdict: Verdict
    remarks: tuple[str, ...]
    bundle: Bundle
    revision: int
    state: PatientState
    changed: int = 0
    condition: Condition | None = None
    listed: Listed | None = None

    @property
    def told(self) -> Wording:
        """The sentence for the person who is told: that of the first deciding rule."""
        return told(self.bundle, self.verdict)


def told(bundle: Bundle, verdict: Verdict) -> Wording:
    """The sentence that goes with a verdict under the bundle that gave it."""
    rule = bundle.rule(verdict.rules[0]) if verdict.rules else None
    return rule.told if rule else _WITHOUT_RULE[verdict.reason]
