"""This project's compiled rules, from the vector of facts that it computes."""

from collections.abc import Sequence

from authz.compile import compile_rules
from authz.model import Effect, Vector
from bench.peers import Policies


class Ours:
    """Rules compiled to one function."""

    name = "dmp"

    def __init__(self, policies: Policies) -> None:
        self._decide = compile_rules(policies.vocabulary, policies.rules)

    def prepare(self, vectors: Sequence[Vector]) -> Sequence[Vector]:
        """Nothing to do: a vector is what facts are computed into."""
        return vectors

    def decide(self, requests: Sequence[Vector]) -> list[bool]:
        """Decides one by one."""
        decide, allow = self._decide, Effect.ALLOW
        return [decide(vector).effect is allow for vector in requests]
