"""What follows from the entries beside their lines in the index."""

from collections.abc import Sequence

from audit.office.casebook import Casebook
from audit.office.gained import Derivation
from audit.office.handles import Handles
from audit.office.signs import Signs


def derivations(handles: Handles) -> Sequence[Derivation]:
    """All of it, in the order in which it is written."""
    return (Casebook(handles), Signs(handles))
