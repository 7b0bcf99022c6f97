"""What follows from the entries beside their lines in the index."""

from collections.abc import Sequence

from sqlalchemy import Engine

from audit.office.alarms import Alarms
from audit.office.casebook import Casebook
from audit.office.gained import Derivation
from audit.office.handles import Handles
from audit.office.replaying import Replayer
from audit.office.signs import Signs


def derivations(handles: Handles, log: Engine) -> Sequence[Derivation]:
    """All of it, in the order in which it is written; `log` is where the policies are kept, too."""
    return (Casebook(handles), Signs(handles), Alarms(Replayer(log)))
