"""How often Python looks for cycles of objects that nobody uses: seldom, for our services make few.

Each look walks through all that was made since the last one, and now and then through everything there is:
with thousands of patients in memory that stops a process for many milliseconds, to find next to nothing.
"""

import gc
from typing import Final

_YOUNG: Final = 50_000
"""So many objects more than before are looked through; Python's own number is 700."""
_MIDDLE: Final = 20
_OLD: Final = 50


def settle() -> None:
    """To be called when a process has loaded what it will always need: that is never looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
