"""Invented content for demonstrations and tests: documents and cards of persons who do not exist."""

from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent

VITALE_ONE: Final = _HERE / "vitale-one.yaml"
"""A card with the standard test patient."""

VITALE_FAMILY: Final = _HERE / "vitale-family.yaml"
"""A card with four persons; an INS follows for two of them."""
