"""Where the public test data stand that are not part of the project."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def shared_data(*parts: str) -> Path:
    """The path of a shared data file or folder; the test is skipped where it is absent.

    The folder is `DMP_SHARED`, or `shared` beside the checkout.
    """
    home = Path(os.environ.get("DMP_SHARED", ROOT.parent / "shared"))
    path = home.joinpath("data", *parts)
    if not path.exists():
        pytest.skip(f"no shared data: `{path}` (set DMP_SHARED)")
    return path
