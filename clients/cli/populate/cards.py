"""Who may speak to a populated record, as files for `--as`; and the cards of some families."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson

from clients.cli.link import Error
from clients.cli.populate.families import Patient
from clients.cli.populate.town import TOWN

_FAMILIES: Final = 5
"""So many families get a card; a file for each of their adults, too."""

_FIELDS: Final = (
    "kind",
    "id",
    "name",
    "profession",
    "structure",
    "structure_name",
    "authentication",
    "capacity",
)


def write(folder: Path, patients: Sequence[Patient]) -> None:
    """Writes the files.

    Raises:
        Error: the folder can't be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for role, feeders in TOWN.items():
            for number, feeder in enumerate(feeders, 1):
                fields = {name: getattr(feeder.subject, name) for name in _FIELDS}
                _write(folder / f"{role.replace('_', '-')}-{number:02}.yaml", fields)
        for one in patients:
            if one.family >= _FAMILIES:
                break
            if not one.minor:
                name = f"{one.given_names[0].title()} {one.usage_name or one.family_name}"
                subject = {"kind": "patient", "id": one.ins, "name": name}
                _write(folder / f"patient-{one.number:02}.yaml", subject)
        for family in range(_FAMILIES):
            persons = [_person(one) for one in patients if one.family == family]
            if persons:
                _write(folder / f"card-{family:02}.yaml", {"persons": persons})
    except OSError as exc:
        raise Error(f"--people `{folder}`: {exc.strerror}") from exc


def _write(path: Path, content: Mapping[str, object]) -> None:
    """YAML in its JSON form, without what is empty."""
    given = {name: value for name, value in content.items() if value}
    path.write_bytes(orjson.dumps(given, option=orjson.OPT_INDENT_2) + b"\n")


def _person(one: Patient) -> dict[str, object]:
    person: dict[str, object] = {
        "family_name": one.family_name,
        "given_names": list(one.given_names),
        "birth_date": one.born.isoformat(),
        "sex": one.sex,
        "nir": one.nir,
    }
    return person | ({"usage_name": one.usage_name} if one.usage_name else {})
