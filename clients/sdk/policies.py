"""Which policies decide, as values."""

from dataclasses import dataclass
from datetime import datetime

from clients.sdk.values import Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """What is wrong with policies, and where; line and column from 1."""

    path: str
    line: int
    column: int
    where: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The policies that decide.

    Attributes:
        digest: SHA-256 of their canonical content.
        activated_at: UTC.
        rules: how many.
        facts: how many.
        matrix_cells: how many.
        refused: what is wrong with the last candidate; empty when it is the one that decides.
        decision: under which this is told.
    """

    digest: str
    activated_at: datetime
    rules: int
    facts: int
    matrix_cells: int
    refused: tuple[Mistake, ...]
    decision: Decision
