"""Who may import whom: the contracts of pyproject.toml hold, and they notice a violation."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.shared import ROOT

ROOMS = ("authz", "audit", "clients", "dossier", "serving", "storage")
LINTER = Path(sys.executable).with_name("lint-imports")


def contracts(root: Path) -> subprocess.CompletedProcess[str]:
    """Checks the contracts of the tree below `root`."""
    return subprocess.run(
        [LINTER, "--no-cache", "--no-logo"], cwd=root, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copy(tmp_path):
    """A copy of the rooms and their contracts, free to be spoilt."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_contracts_are_kept():
    """Every import contract of the project is kept."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    expected = len(settings["tool"]["importlinter"]["contracts"])

    report = contracts(ROOT)

    assert report.returncode == 0, report.stdout + report.stderr
    assert f"Contracts: {expected} kept, 0 broken." in report.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("audit/entry.py", "import authz.ins", "rooms, outermost first"),
        ("clients/cli/ins.py", "import authz.decide", "the decision point is met on the wire"),
        ("clients/sdk/values.py", "import authz.ins", "the SDK knows the contract alone"),
        ("dossier/store.py", "import dossier.mint", "the gate alone makes permits"),
        ("dossier/store.py", "import clients.sdk.aio", "the gate alone asks the decision point"),
        ("authz/decide.py", "import grpc", "the core touches neither wire, disk nor clock"),
        ("authz/facts.py", "import py_abac", "the two engines are oracles and validators"),
    ],
)
def test_contracts_notice(copy, module, line, contract):
    """An import that a contract forbids breaks that contract."""
    spoilt = copy / module
    spoilt.write_text(f"{spoilt.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")

    report = contracts(copy)

    assert report.returncode == 1
    assert re.search(f"^{contract}.* BROKEN", report.stdout, re.MULTILINE), report.stdout
