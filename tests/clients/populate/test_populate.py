"""`dmp populate`, against both services over real sockets."""

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from audit.completeness import check
from audit.database import reader, snapshot
from clients.cli import child
from clients.cli.app import app
from serving.clock import utc_now
from tests.shared import ROOT

WANTED = ("--patients", "12", "--documents", "60", "--seed", "5")
ANOTHER = (*WANTED[:-1], "6")
"""Another town, as tests come in any order."""


@pytest.fixture(scope="module")
def services(tmp_path_factory) -> Iterator[tuple[child.Service, child.Service]]:
    """A decision point, and a record that is empty at first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMP_POLICIES", str(ROOT / "policies"))
        with (
            child.serving(tmp_path_factory.mktemp("town")) as point,
            child.keeping(point) as record,
        ):
            yield point, record


@pytest.fixture
def run(services):
    """Runs `dmp` in front of that record."""
    environment = {"NO_COLOR": "1", "COLUMNS": "200", "DMP_DOSSIER": services[1].address}
    runner = CliRunner(env={**environment, "DMP_POLICIES": str(ROOT / "policies"), "LC_ALL": "C"})
    return lambda *arguments: runner.invoke(app, arguments)


def test_populate(run, services):
    """Everything is created and deposited, decided and logged; what is there is not doubled."""
    first = run("populate", *WANTED, "--json")
    again = run("populate", *WANTED)
    more = json.loads(run("populate", *WANTED[:3], "70", *WANTED[4:], "--json").stdout)

    done = json.loads(first.stdout)
    assert first.exit_code == 0, first.output
    assert (done["created"], done["deposited"]) == (12, 60)
    assert again.exit_code == 0
    assert "0 patients created, 12 there already" in again.stdout
    assert "0 documents deposited, 60 there already" in again.stdout
    assert "nothing was doubled" in again.stdout
    assert (more["there"], more["deposited"], more["documents_there"]) == (12, 10, 60)
    point, record = services
    log, acts = reader(point.database), reader(record.record)
    with snapshot(log) as decisions, acts.connect() as kept:
        found = check(decisions, kept, service="dossier", at=utc_now())
    log.dispose()
    acts.dispose()
    assert found.holds


def test_who_was_made_can_be_met(run, tmp_path):
    """After a run, a doctor of the town sees patients, and a patient documents."""
    people = tmp_path / "people"
    assert run("populate", *ANOTHER, "--people", str(people)).exit_code == 0
    boards = [
        json.loads(run("dossier", "patients", "--as", str(path), "--json").stdout)
        for path in sorted(people.glob("gp-*.yaml"))
    ]
    ids = {
        path: json.loads(path.read_text(encoding="utf-8"))["id"]
        for path in people.glob("patient-*.yaml")
    }

    listed = [run("dossier", "list", id_, "--as", str(path)) for path, id_ in ids.items()]

    assert sum(board["total"] for board in boards) >= 11
    assert any(one.exit_code == 0 and "HOLDER" in one.stdout for one in listed)


def test_nobody_there(run):
    """Without a service it ends with 3, and says that the same command goes on."""
    failed = run("populate", *WANTED, "--address", "127.0.0.1:9")

    assert failed.exit_code == 3
    assert "the same command goes on from there" in failed.stderr


def test_a_folder_that_can_not_be_written(run, tmp_path):
    """A folder for people that is a file is wrong usage, and nothing is loaded."""
    path = tmp_path / "people"
    path.write_text("", encoding="utf-8")

    refused = run("populate", *WANTED, "--people", str(path))

    assert (refused.exit_code, "--people" in refused.stderr) == (2, True)
