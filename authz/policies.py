"""Where the policies are when nobody says."""

import os
import sysconfig
from pathlib import Path
from typing import Final

VARIABLE: Final = "DMP_POLICIES"
_PACKAGED: Final = ("share", "dmp-acces", "policies")


def default_folder() -> Path:
    """The policy folder to use: `DMP_POLICIES`, else `policies` here, else the one we came with.

    It is not checked that the folder exists: who reads it says what is missing.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    here = Path("policies")
    return here if here.is_dir() else Path(sysconfig.get_path("data"), *_PACKAGED)
