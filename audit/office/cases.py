"""Emergency accesses: which of them make a case, and when it is closed. Pure.

What follows from the log, and from nothing else:

* An allowed access in an emergency (break-glass or centre 15: consulting or feeding) *opens* a case, unless
  it belongs to the case that the same professional has for the same patient in the same log: one that was
  opened less than a window before, and was not closed in between. Whatever comes after a review was not
  seen by it, so it opens the next case: no emergency access goes without review.
* A review *closes* the case that it is about, if it was allowed, gives a verdict, names the professional and
  the patient of the case, and is by somebody else. Of several the first one counts, by its instant; the
  others are steps that were refused. A misuse that was found stays found.
* A report *carries out* an obligation of the decision that it is about; the first one counts.

The order in which several logs are read makes no difference: a review may be read before what it is about.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from audit.office.steps import Access, Review, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Accesses that are reviewed together.

    Attributes:
        opening: the first of them; its id is that of the case.
        last_at: the instant of the last one.
        accesses: how many.
        review: that closed it.
    """

    opening: Access
    last_at: int
    accesses: int = 1
    review: Review | None = None

    @property
    def state(self) -> State:
        """Whether it waits for review, or what came of that."""
        return self.review.verdict if self.review else State.OPEN

    def admits(self, access: Access) -> bool:
        """Whether an access behind all of its own, of the same group, belongs to it."""
        return access.at < self.opening.until and not self.precedes(access)

    def precedes(self, access: Access) -> bool:
        """Whether it was closed before the access."""
        by = self.review
        if by is None:
            return False
        # Within one log its order counts: a clock may jump back.
        return access.place > by.place if access.log == by.log else access.at > by.at

    def with_access(self, access: Access) -> "Case":
        """With one more."""
        return replace(self, accesses=self.accesses + 1, last_at=max(self.last_at, access.at))


def opened(opening: Access, reviews: Iterable[Review]) -> Case:
    """The case that an access opens; `reviews` are those about it."""
    return Case(opening=opening, last_at=opening.at, review=closing(opening, reviews))


def closing(opening: Access, reviews: Iterable[Review]) -> Review | None:
    """The review that closes a case: of those that stand, the first by its instant."""
    standing = (review for review in reviews if stands(review, opening))
    return min(standing, key=lambda review: (review.at, review.id), default=None)


def stands(review: Review, opening: Access) -> bool:
    """Whether a review can close the case of this opening."""
    return (
        review.about == opening.id
        and review.verdict is not State.OPEN
        and review.professional == opening.professional
        and review.patient == opening.patient
        and review.who not in (0, opening.professional)
    )


def weave(
    accesses: Sequence[Access], reviews: Mapping[bytes, Sequence[Review]]
) -> list[tuple[Case, list[Access]]]:
    """The cases of one group, each with its accesses.

    Args:
        accesses: all of the group, in the order of their log.
        reviews: by what they are about.
    """
    found: list[tuple[Case, list[Access]]] = []
    for access in accesses:
        if found and found[-1][0].admits(access):
            case, own = found[-1]
            found[-1] = case.with_access(access), [*own, access]
        else:
            found.append((opened(access, reviews.get(access.id, ())), [access]))
    return found


def case_id(id_: bytes) -> str:
    """As it is written."""
    return str(UUID(bytes=id_))
