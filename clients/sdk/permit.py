"""What is permitted, what is denied, and what has to be done because of it.

An obligation is carried out in one of two ways: by a *duty*, a function given to the client once and for all,
before anyone gets the permit; or by the code that holds the permit, which said beforehand that it can
(`supports`), and says afterwards that it did (`Permit.fulfil`). What neither can do is a denial.
"""

import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from clients.sdk.errors import UnfulfilledError
from clients.sdk.values import Decision, Effect, Query

UNSUPPORTED: Final = "OBLIGATION_UNSUPPORTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """Something that must be done, and the decision that says so.

    Attributes:
        name: such as `notify_holder`.
        query: what was asked.
        decision: what was decided on it; on a denial, too, there may be something to do.
    """

    name: str
    query: Query
    decision: Decision


class Denied(Exception):  # noqa: N818 - an answer, not an error
    """No: policy denies it, or allows it on terms that the one who asks can't keep.

    Attributes:
        query: what was asked.
        decision: what was decided.
        unsupported: the obligations that nobody here can carry out; the decision itself allows it then.
    """

    def __init__(self, query: Query, decision: Decision, unsupported: Collection[str] = ()) -> None:
        self.query = query
        self.decision = decision
        self.unsupported = tuple(unsupported)
        terms = f": {', '.join(self.unsupported)}" if unsupported else ""
        super().__init__(f"denied: {self.reason_code}{terms} (decision {decision.id})")

    @property
    def reason_code(self) -> str:
        """Why, as a stable code."""
        return UNSUPPORTED if self.unsupported else self.decision.reason_code


class Permit:
    """Yes. What is left to do must be done within its block.

        with client.require(query, supports={"show_mode"}) as permit:
            page = render(document, banner="show_mode" in permit.pending)
            permit.fulfil("show_mode")

    Leaving the block with something undone raises `UnfulfilledError`; so does `settle`, for those who can't
    use a block. A permit that is dropped with something undone gives a `ResourceWarning`.

    Attributes:
        query: what was asked: compare with it what you are about to do.
        decision: under which it is permitted.
    """

    __slots__ = ("_pending", "decision", "query")

    def __init__(self, query: Query, decision: Decision, pending: Collection[str] = ()) -> None:
        self.query = query
        self.decision = decision
        self._pending = tuple(pending)

    @property
    def pending(self) -> tuple[str, ...]:
        """What is still to be done."""
        return self._pending

    def fulfil(self, *obligations: str) -> None:
        """Says that these have been carried out, as far as they were asked for."""
        self._pending = tuple(name for name in self._pending if name not in obligations)

    def settle(self) -> None:
        """Ends its use.

        Raises:
            UnfulfilledError: something is still to be done; it must not be used.
        """
        pending, self._pending = self._pending, ()
        if pending:
            raise unfulfilled(pending, self.decision)

    def drop(self) -> None:
        """Gives it back unused."""
        self._pending = ()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends its use; what was undone when the block failed was not used either."""
        if kind is None:
            self.settle()
        self.drop()

    def __del__(self) -> None:
        """Tells whoever runs the tests that obligations were forgotten."""
        if getattr(self, "_pending", ()):
            left = ", ".join(self._pending)
            warnings.warn(
                f"permit dropped, still to be done: {left}", ResourceWarning, stacklevel=2
            )

    def __repr__(self) -> str:
        """Without any identity."""
        return f"Permit({self.decision.id}, pending={self._pending})"


def unfulfilled(names: Collection[str], decision: Decision) -> UnfulfilledError:
    """The error for obligations that were not carried out."""
    text = f"not done: {', '.join(names)} (decision {decision.id})"
    return UnfulfilledError(text, names, decision.id)


@contextmanager
def made(decision: Decision) -> Iterator[None]:
    """For what has been done already: that nobody here can do what must be done because of it is no denial.

    Raises:
        UnfulfilledError: nobody can.
    """
    try:
        yield
    except Denied as exc:
        if exc.unsupported:
            raise unfulfilled(exc.unsupported, decision) from exc
        raise


def conclude(
    query: Query,
    decision: Decision,
    *,
    mine: Collection[str],
    nobody: Collection[str],
    failed: Collection[str],
    cause: Exception | None,
) -> Permit:
    """The permit, once duties have been carried out, with what is left to its holder.

    Raises:
        Denied: it is none, or nobody here can do what must be done.
        UnfulfilledError: a duty failed.
    """
    if decision.effect is not Effect.ALLOW or nobody:
        unsupported = nobody if decision.effect is Effect.ALLOW else ()
        raise Denied(query, decision, unsupported) from cause
    if failed:
        raise unfulfilled(failed, decision) from cause
    return Permit(query, decision, mine)


def shared_out(
    query: Query,
    decision: Decision,
    duties: Mapping[str, object],
    supports: Collection[str],
    more: Collection[str] = (),
) -> tuple[tuple[Obligation, ...], tuple[str, ...], tuple[str, ...]]:
    """Who carries out the obligations of a decision, and more: duties; the holder of the permit; nobody."""
    names = dict.fromkeys((*decision.obligations, *more))
    mine = tuple(name for name in names if name in supports)
    rest = [name for name in names if name not in supports]
    due = tuple(Obligation(name=n, query=query, decision=decision) for n in rest if n in duties)
    return due, mine, tuple(name for name in rest if name not in duties)
