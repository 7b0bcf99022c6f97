"""What must not stand in any file of the project."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shared import ROOT

# In pieces, so that this file does not hold what it looks for.
REGISTRIES = ("pyp" + "i.org", "python" + "hosted.org", "npm" + "js.org", "deb" + "ian.org")
MACHINE = re.compile(r"(?<![\w.-])/(?:work|farm|root|home|Users)/")
BANNED_MODULES = {"sqlite3": "pysqlite3", "yaml": "ruamel.yaml"}
PRODUCT = {"authz", "audit", "clients", "dossier", "serving", "storage"}
SWITCH = "enable_enforce"


def tracked() -> list[Path]:
    """The files of the project: what git tracks, and what it would track."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so nothing tells the project's files from others")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def lines() -> Iterator[tuple[str, str]]:
    """Every line of every text file, with its place."""
    for path in tracked():
        text = path.read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), start=1):
            yield f"{path.relative_to(ROOT)}:{number}", line


def syntax(*, of: set[str], naming: set[str]) -> Iterator[tuple[Path, ast.AST]]:
    """Every syntax node of the Python files in these folders that hold one of these words, with the file."""
    for path in tracked():
        within = path.relative_to(ROOT)
        if path.suffix == ".py" and (not of or within.parts[0] in of):
            text = path.read_text(encoding="utf-8")
            if any(word in text for word in naming):
                for node in ast.walk(ast.parse(text)):
                    yield within, node


def imported(node: ast.AST) -> set[str]:
    """The top-level modules that a node imports."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return {node.module.partition(".")[0]}
    return set()


def test_there_are_files():
    """The files that the other tests look at include their own."""
    assert Path(__file__) in tracked()


def test_no_registry_is_named():
    """No file names a package registry: whoever installs brings his own."""
    found = [place for place, line in lines() if any(name in line for name in REGISTRIES)]

    assert found == []


def test_no_path_of_a_machine():
    """No file holds an absolute path of the machine that it was written on."""
    found = [place for place, line in lines() if MACHINE.search(line)]

    assert found == []


def test_no_module_with_a_safer_twin():
    """Nobody imports the system's SQLite or PyYAML, not even a test or a benchmark."""
    found = [
        f"{path}:{node.lineno}: use {BANNED_MODULES[name]}"
        for path, node in syntax(of=set(), naming=set(BANNED_MODULES))
        for name in imported(node) & BANNED_MODULES.keys()
    ]

    assert found == []


def test_no_switch_opens():
    """The product never touches the casbin switch that makes everything allowed."""
    found = [
        f"{path}:{node.lineno}"
        for path, node in syntax(of=PRODUCT, naming={SWITCH})
        if isinstance(node, ast.Attribute) and node.attr == SWITCH
    ]

    assert found == []


def test_every_test_states_its_truth():
    """Every test function says in one sentence what is true."""
    found = [
        f"{path}:{node.lineno}: {node.name}"
        for path, node in syntax(of={"tests"}, naming={"def test_"})
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not (ast.get_docstring(node) or "").endswith(".")
    ]

    assert found == []
