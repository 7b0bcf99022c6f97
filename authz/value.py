"""Frozen values of which each decision makes many: `dataclass` for these.

To type checkers it is `dataclasses.dataclass`, and they are who keeps anybody from changing a value. At run
time nothing watches, because a frozen class sets each field in a roundabout way: 0.1 us a field.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen: bool, **options: Any) -> Any:  # noqa: ANN401 - as the one that it stands for
        """A dataclass that can be hashed as a frozen one."""
        return dataclasses.dataclass(unsafe_hash=frozen, **options)


__all__ = ["dataclass"]
