"""Names as they are searched: in capitals, without accents, letters only. Pure.

So `Saint-Léger`, `SAINT LEGER` and `saintleger` find each other, and nothing of what is typed means
anything to the database.
"""

import unicodedata
from typing import Final

_JOINED: Final = str.maketrans(
    {"Æ": "AE", "Œ": "OE", "Ø": "O", "Ð": "D", "Đ": "D", "Þ": "TH", "Ł": "L", "Ħ": "H", "Ŧ": "T"}
)
"""Letters that no normal form takes apart."""

_LETTERS: Final = ("Lu", "Ll", "Lt", "Lo")
"""Not those that modify others, such as an apostrophe that counts as one."""


def key(name: str) -> str:
    """What a name is searched and sorted by; "" where it has no letter.

    The key of a beginning is a beginning of the key.
    """
    folded = unicodedata.normalize("NFKD", name).casefold().upper().translate(_JOINED)
    plain = unicodedata.normalize("NFKD", folded)
    return "".join(letter for letter in plain if unicodedata.category(letter) in _LETTERS)
