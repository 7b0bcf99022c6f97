"""Errors of the serving room: what is wrong with a caller, with what we believe, or with a request."""

from collections.abc import Iterable, Mapping

Violation = tuple[str, str, str]
"""Of a request: the field, what is wrong with which value, and the remedy."""


class Error(Exception):
    """Base of every error that this room raises on purpose."""


class RequestError(Error):
    """A request that can't be decided because it is malformed; nothing is recorded.

    Attributes:
        violations: in the order of the fields.
    """

    def __init__(self, violations: Iterable[Violation]) -> None:
        self.violations = tuple(violations)
        super().__init__(
            "; ".join(
                ": ".join((field, "; ".join(filter(None, (wrong, cure)))))
                for field, wrong, cure in self.violations
            )
        )

    def below(self, part: str) -> "RequestError":
        """The same, with the fields named as they stand in a larger message."""
        return RequestError((f"{part}.{f}", wrong, cure) for f, wrong, cure in self.violations)

    def renamed(self, names: Mapping[str, str]) -> "RequestError":
        """The same, with the beginnings of fields that `names` has replaced; the first one counts."""
        found = []
        for field, wrong, cure in self.violations:
            old = next((o for o in names if field == o or field.startswith(f"{o}.")), "")
            found.append((names[old] + field[len(old) :] if old else field, wrong, cure))
        return RequestError(found)


class DurationError(Error):
    """A duration is not one that can be counted in the calendar."""


class StrangerError(Error):
    """A service calls that is not expected here."""


class IdentityError(Error):
    """A number or a certificate does not say who someone is.

    The message never holds a number or a name.
    """


class TrustError(Error):
    """The authorities or the lists of what they revoked can't be used, so nothing can be trusted."""


class UntrustedError(Error):
    """A certificate is not trusted.

    The message never holds a number or a name.

    Attributes:
        reason: why, a value of `serving.trust.Reason`.
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        super().__init__(f"{reason}: {detail}")
