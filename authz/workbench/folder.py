"""Reads a policy folder whole: what decides, and what checks it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from authz.bundle import MAX_FILES, REQUIRED
from authz.mistake import Mistake
from authz.source import MAX_BYTES
from authz.workbench import properties, scenarios

_PATTERNS: Final = ("rules/*.yaml", f"{scenarios.FOLDER}/*.yaml", properties.FILE)
_PROSE: Final = (".md", ".txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Contents by path in the folder; what can't be read; what nobody reads."""

    contents: dict[str, bytes]
    unreadable: tuple[Mistake, ...]
    ignored: tuple[Mistake, ...]


def read(folder: Path) -> Files:
    """Reads the files of a policy folder, each up to one byte more than is accepted."""
    found = sorted(path for pattern in _PATTERNS for path in folder.glob(pattern))
    names = [*REQUIRED, *(path.relative_to(folder).as_posix() for path in found)]
    contents: dict[str, bytes] = {}
    unreadable: list[Mistake] = []
    if len(names) > MAX_FILES:
        message = f"too many files: {len(names)}, at most {MAX_FILES}"
        unreadable.append(_about(names[MAX_FILES], message, "put several rules into one file"))
        names = names[:MAX_FILES]
    for name in names:
        try:
            with (folder / name).open("rb") as file:
                contents[name] = file.read(MAX_BYTES + 1)
        except OSError as exc:
            unreadable.append(_about(name, f"can't be read: {exc.strerror}", "restore the file"))
    return Files(
        contents=contents,
        unreadable=tuple(unreadable),
        ignored=tuple(
            _about(name, "nobody reads this file", "a rule or scenario file ends in `.yaml`")
            for name in _others(folder, set(names))
        ),
    )


def _others(folder: Path, known: set[str]) -> list[str]:
    """Files beside those that are read, less hidden ones and prose."""
    beside = (path for path in folder.rglob("*") if path.is_file())
    names = (path.relative_to(folder) for path in beside if path.suffix not in _PROSE)
    shown = (name.as_posix() for name in names if not any(p.startswith(".") for p in name.parts))
    return sorted(name for name in shown if name not in known)


def _about(name: str, message: str, hint: str = "") -> Mistake:
    return Mistake(path=name, line=1, column=1, where="file", message=message, hint=hint)
