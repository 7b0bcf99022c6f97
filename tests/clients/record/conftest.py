"""Both services, and `dmp dossier` in front of them over a real socket."""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clients.cli import cast, child
from clients.cli.app import app
from dossier.cda.about import INS_C
from dossier.cda.header import Identifier, Traits
from dossier.samples import documents as samples
from tests.shared import ROOT

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def services(tmp_path_factory) -> Iterator[child.Service]:
    """A record with a decision point of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMP_POLICIES", str(ROOT / "policies"))
        with (
            child.serving(tmp_path_factory.mktemp("record")) as point,
            child.keeping(point) as record,
        ):
            yield record


class Terminal:
    """`dmp dossier`, as one person at a time types it."""

    def __init__(self, address: str, folder: Path) -> None:
        self._runner = CliRunner(
            env={
                "NO_COLOR": "1",
                "COLUMNS": "200",
                "DMP_DOSSIER": address,
                "DMP_POLICIES": str(ROOT / "policies"),
                "LC_ALL": "C",
            }
        )
        self.folder = folder

    def run(self, *arguments: object, **how: object):
        """One command."""
        return self._runner.invoke(app, ["dossier", *map(str, arguments)], **how)

    def data(self, *arguments: object) -> dict:
        """One command that must succeed, and its answer as data."""
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def speaker(self, patient: str, kind: str = "patient") -> Path:
        """A file that lets a patient, or a representative, speak."""
        path = self.folder / f"{kind}-{patient}.yaml"
        path.write_text(f'kind: {kind}\nid: "{patient}"\nname: Camille ESSAI\n', encoding="utf-8")
        return path

    def deposit(self, patient: str, *options: object, **changes: object) -> str:
        """A document by Dr MEDECIN3857; its id."""
        path = self.folder / "document.xml"
        path.write_bytes(paper(patient, **changes))
        return self.data("deposit", patient, path, *options)["deposited"][0]["document"]


@pytest.fixture
def terminal(services, tmp_path) -> Terminal:
    """A terminal."""
    return Terminal(services.address, tmp_path)


def card(path: Path, *, born: str = "1979-03-28", child_born: str = "") -> Path:
    """A card of somebody who was never seen before, and perhaps of a child."""
    number = next(_numbers)
    lines = ["persons:", *_person("ESSAI", "DOMINIQUE", born, 1, number)]
    if child_born:
        lines += _person("ESSAI", "NOA", child_born, 2, number)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def patient(terminal) -> str:
    """Somebody whose dossier Dr MEDECIN3857 has just created; the INS."""
    path = card(terminal.folder / "card.yaml")
    shown = json.loads(terminal.run("card", path, "--json").stdout)
    created = terminal.run(
        *("create", "--card", path, "--person", 1, "--answers", "oui oui non oui oui"),
        *("--street", "3 rue des Essais", "--city", "Poitiers"),
    )
    assert created.exit_code == 0, created.output
    return shown[0]["patient"]


def paper(patient: str, **changes: object) -> bytes:
    """A document about this patient by Dr MEDECIN3857, with an id of its own unless one is given."""
    who = cast.DOCTOR.subject
    fields: dict[str, object] = {
        "unique_id": f"1.2.250.1.213.9.{id(changes)}.{next(_numbers)}",
        "patient": Identifier(root=INS_C, extension=patient),
        "traits": Traits(family_name="ESSAI", given_names=("DOMINIQUE",)),
        "authors": (samples.author(who.id, structure=who.structure),),
        "made_at": datetime(2026, 5, 1, 9, tzinfo=UTC),
        "body": "Motif : toux.\nConduite : repos.",
    }
    return samples.document(**{**fields, **changes})


def _person(family: str, given: str, born: str, place: int, number: int) -> list[str]:
    return [
        f"  - family_name: {family}",
        f"    given_names: [{given}]",
        f'    birth_date: "{born}"',
        "    sex: F",
        f'    nir: "{_nir(born, place, number)}"',
    ]


def _nir(born: str, place: int, number: int) -> str:
    return f"2{born[2:4]}{born[5:7]}8699{place}{number:03}"
