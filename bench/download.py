"""The Cerbos server, from the npm package that holds it: a pinned version, checked against its hash."""

import base64
import hashlib
import platform
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Final

PACKAGE: Final = "@cerbos/cerbos-linux-x64"
VERSION: Final = "0.55.0"
SHA512: Final = (
    "eLZUycJfaQWK0XTRgH/Oz2E3XiNCUavDd1LhzFxhUpZ3s5CuQqmqG327ta0On8YOTxuZO/19cG4kvfC22r03/Q=="
)
"""Of the package, as registries of npm state it."""

FOLDER: Final = Path(__file__).parents[1] / "var" / "bench"
_PROGRAM: Final = "package/cerbos-linux-x64"
_TIMEOUT_S: Final = 300.0


class MissingError(Exception):
    """The server can't be had here."""


def cerbos(folder: Path = FOLDER) -> Path:
    """The program; fetched by npm when it is not there yet.

    Raises:
        MissingError: it can't be had: another kind of machine, no npm, no registry, or another hash.
    """
    program = folder / f"cerbos-{VERSION}"
    if program.is_file():
        return program
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise MissingError(f"its package is not for {platform.system()} {platform.machine()}")
    folder.mkdir(parents=True, exist_ok=True)
    package = _fetch(folder)
    try:
        _unpack(package, program)
    finally:
        package.unlink()
    return program


def _fetch(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise MissingError("npm is not installed")
    try:
        done = subprocess.run(
            [npm, "pack", "--silent", "--ignore-scripts", f"{PACKAGE}@{VERSION}"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
    except (subprocess.SubprocessError, OSError) as exc:
        raise MissingError(f"npm can't fetch `{PACKAGE}`: {exc}") from exc
    return folder / done.stdout.split()[-1]


def _unpack(package: Path, program: Path) -> None:
    """Takes the program out of the package.

    Raises:
        MissingError: it is not the package that we know.
    """
    found = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    if found != SHA512:
        raise MissingError(f"`{PACKAGE}` {VERSION} has another hash: `{found}`")
    with tarfile.open(package) as archive:
        held = archive.extractfile(_PROGRAM)
        if held is None:
            raise MissingError(f"`{PACKAGE}` holds no `{_PROGRAM}`")
        new = program.with_suffix(".new")
        with held, new.open("wb") as out:
            shutil.copyfileobj(held, out)
    new.chmod(0o755)
    new.replace(program)
