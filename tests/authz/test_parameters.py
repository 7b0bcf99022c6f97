"""Parameters: what a deployment may answer to an open question."""

import pytest

from authz.parameters import read_parameters
from authz.source import Mistakes, parse

QUESTION = (
    'parameters:\n  - {{name: a, type: {type}, value: {value}, fr: "f", en: "e", source: "s"}}\n'
)


def read(kind, value):
    root, found = parse(QUESTION.format(type=kind, value=value).encode(), path="parameters.yaml")
    mistakes = Mistakes()
    return read_parameters(root, mistakes), [*found, *mistakes.found]


def test_a_zone_is_read():
    """A time zone of the database is taken as it is."""
    parameters, mistakes = read("zone", "Indian/Reunion")

    assert [] == mistakes
    assert "Indian/Reunion" == parameters["a"].value


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("zone", "Europe/Pari", "unknown time zone: `Europe/Pari` (did you mean `Europe/Paris`?)"),
        ("zone", '"../etc/passwd"', "unknown time zone: `../etc/passwd`"),
        ("duration", "4 hours", "duration"),
        ("integer", '"18"', "`value` is a whole number, not `18`"),
        ("boolean", '"yes"', "`value` is true or false, not `yes`"),
    ],
)
def test_a_wrong_answer_is_told(kind, value, told):
    """An answer that is not of the parameter's type is a mistake that shows it."""
    parameters, mistakes = read(kind, value)

    assert {} == parameters
    assert told in str(mistakes[0])
