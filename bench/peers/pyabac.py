"""py-abac: the format of our documents, decided by its own PDP, which has no index."""

from collections import defaultdict
from collections.abc import Sequence

from py_abac import PDP, AccessRequest, Policy
from py_abac.storage.memory import MemoryStorage

from authz.model import ACTION, Vector
from bench.peers import Policies, words


class PyAbac:
    """The documents themselves; the action is its target id."""

    name = "py-abac"

    def __init__(self, policies: Policies) -> None:
        self._vocabulary = policies.vocabulary
        storage = MemoryStorage()
        for document in policies.documents.values():
            storage.add(Policy.from_json(dict(document)))
        self._pdp = PDP(storage)

    def prepare(self, vectors: Sequence[Vector]) -> list[AccessRequest]:
        """Requests with the facts as attributes of their element."""
        return [self._request(vector) for vector in vectors]

    def decide(self, requests: Sequence[AccessRequest]) -> list[bool]:
        """Decides one by one; there is no other way."""
        return [self._pdp.is_allowed(request) for request in requests]

    def _request(self, vector: Vector) -> AccessRequest:
        known = words(self._vocabulary, vector)
        attributes: dict[str, dict[str, object]] = defaultdict(dict)
        for name, value in known.items():
            element, _, attribute = name.partition(".")
            attributes[element][attribute] = value if isinstance(value, str) else list(value)
        return AccessRequest.from_json(
            {
                "subject": {"id": "", "attributes": attributes["subject"]},
                "resource": {"id": "", "attributes": attributes["resource"]},
                "action": {"id": known[ACTION], "attributes": attributes["action"]},
                "context": attributes["context"],
            }
        )
