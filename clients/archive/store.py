"""Keeps images in a folder: `PATIENT/ID.json` is the label of one, `PATIENT/ID.bin` its content."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from clients.archive.errors import NotFoundError

_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What is known of an image without looking at it."""

    id: str
    patient: str
    title: str
    author: str
    author_structure: str
    visibility: tuple[str, ...]


class Store:
    """The images below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, label: Label, content: bytes) -> None:
        """Adds an image. Its label comes last, so that there is no image before all of it is there."""
        path = self._path(label.patient, label.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".bin").write_bytes(content)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(label), ensure_ascii=False), encoding="utf-8")
        new.replace(path.with_suffix(".json"))

    def labels(self, patient: str) -> tuple[Label, ...]:
        """The labels of all images of a patient, by id."""
        if not _NAME.fullmatch(patient):
            return ()
        return tuple(map(_label, sorted((self._folder / patient).glob("*.json"))))

    def label(self, patient: str, image: str) -> Label:
        """The label of an image of this patient.

        Raises:
            NotFoundError: this patient has no such image, whoever else may have it.
        """
        path = self._path(patient, image).with_suffix(".json")
        if not path.is_file():
            raise NotFoundError("no such image")
        return _label(path)

    def content(self, patient: str, image: str) -> bytes:
        """The image itself.

        Raises:
            NotFoundError: this patient has no such image.
        """
        self.label(patient, image)
        return self._path(patient, image).with_suffix(".bin").read_bytes()

    def _path(self, patient: str, image: str) -> Path:
        """Where an image is, if both are names and no paths to elsewhere."""
        if not (_NAME.fullmatch(patient) and _NAME.fullmatch(image)):
            raise NotFoundError("no such image")
        return self._folder / patient / image


def _label(path: Path) -> Label:
    data = json.loads(path.read_text(encoding="utf-8"))
    return Label(**{**data, "visibility": tuple(data["visibility"])})
