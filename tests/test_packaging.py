"""The wheel: what is in it, and that the rooms' plain names belong to nobody else."""

import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib import metadata

import pytest

from tests.shared import ROOT

ROOMS = ("authz", "audit", "clients", "dossier", "serving", "storage")
OWNERS = f"""
from importlib.metadata import packages_distributions
owners = packages_distributions()
print(*(f"{{room}}={{','.join(owners[room])}}" for room in {ROOMS}))
"""
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel as `python -m build` would make it, from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(command, cwd=ROOT, check=True)
    (path,) = folder.glob("*.whl")
    return path


def pins(name: str) -> dict[str, str]:
    """Package and version of every pin in `requirements/NAME.txt`."""
    return dict(PIN.findall((ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")))


def sources(folder: str) -> set[str]:
    """The files below a folder of the checkout, as they are named in a wheel."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def test_wheel_holds_the_rooms_and_the_policies(wheel):
    """The wheel holds all files of the rooms and the policies, the licence, and nothing else."""
    names = set(zipfile.ZipFile(wheel).namelist())
    home = wheel.name.removesuffix("-py3-none-any.whl")
    expected = {name for room in ROOMS for name in sources(room)}
    expected |= {f"{home}.data/data/share/dmp-acces/{name}" for name in sources("policies")}

    information = {name for name in names if name.startswith(f"{home}.dist-info/")}

    assert expected == names - information
    assert f"{home}.dist-info/licenses/LICENSE" in information


def test_each_room_has_one_owner(wheel, tmp_path):
    """Installed from the wheel, each room belongs to this project alone, and `dmp` is there."""
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--no-deps",
        "--no-index",
    ]
    subprocess.run([*install, wheel], check=True)

    owners = subprocess.run(
        [python, "-c", OWNERS], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout

    assert [f"{room}=dmp-acces" for room in ROOMS] == owners.split()
    assert python.with_name("dmp").is_file()


def test_no_dependency_takes_a_rooms_name():
    """No package that we install brings a top-level package with the name of one of our rooms."""
    owners = metadata.packages_distributions()

    others = [name for room in ROOMS for name in owners.get(room, ()) if name != "dmp-acces"]

    assert others == []


def test_every_dependency_is_pinned():
    """All that pyproject.toml asks for is pinned for running, and dev.txt has the same pins."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {
        re.split(r"[<>=~!\[; ]", line)[0].replace(".", "-") for line in project["dependencies"]
    }

    run, dev = pins("run"), pins("dev")

    assert asked <= run.keys()
    assert run.items() <= dev.items()


@pytest.mark.parametrize("name", ["run", "dev"])
def test_every_pin_has_hashes(name):
    """Every pinned package is followed by at least one hash, so that pip checks what it gets."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")

    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]

    assert len(pins(name)) == len(blocks)
    assert [block for block in blocks if "--hash=sha256:" not in block] == []
