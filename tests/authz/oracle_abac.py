"""The decision point of py-abac as an oracle: single-threaded, on documents and facts in words."""

from collections.abc import Mapping, Sequence

from py_abac import PDP, AccessRequest, EvaluationAlgorithm, Policy
from py_abac.storage.memory import MemoryStorage


class Oracle:
    """Decides by deny-overrides, each policy read by py-abac itself."""

    def __init__(self, documents: Mapping[str, Mapping[str, object]]) -> None:
        storage = MemoryStorage()
        for document in documents.values():
            storage.add(Policy.from_json(dict(document)))
        self._pdp = PDP(storage, EvaluationAlgorithm.DENY_OVERRIDES)

    def decide(self, facts: Mapping[str, str | Sequence[str]]) -> str:
        """`allow` or `deny`, for facts by name; an absent identifier is "".

        Two absent attributes are equal for py-abac, so each gets a value that nothing else has.
        """
        elements: dict[str, dict[str, object]] = {
            element: {} for element in ("subject", "resource", "action", "context")
        }
        for name, value in facts.items():
            element, _, attribute = name.partition(".")
            given = value if isinstance(value, str) else list(value)
            elements[element][attribute] = given or ("\0" + name if given == "" else given)
        return "allow" if self._pdp.is_allowed(request(elements)) else "deny"


def request(elements: Mapping[str, Mapping[str, object]]) -> AccessRequest:
    """A request of py-abac; `action.name` is the identifier of the action too."""
    action = elements.get("action", {})
    return AccessRequest.from_json(
        {
            "subject": {"id": "", "attributes": elements.get("subject", {})},
            "resource": {"id": "", "attributes": elements.get("resource", {})},
            "action": {"id": action.get("name", ""), "attributes": action},
            "context": elements.get("context", {}),
        }
    )
