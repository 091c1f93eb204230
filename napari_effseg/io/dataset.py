"""Folders of labelled cases in the style of the Medical Segmentation Decathlon: one ``dataset.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import ImageReadError, nearest_names
from ..types import PathLike

__all__ = ["CaseFiles", "Dataset", "read_dataset"]

_FILE = "dataset.json"
_LARGEST_FILE = 64 * 2**20  # bytes; a list of a hundred thousand cases stays far below


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case.

    Attributes
    ----------
    name : str
        File name of the first image without its endings.
    images : tuple of Path
        One file a channel, in the card's order.
    label : Path or None
        The reference label map, where there is one.
    """

    name: str
    images: tuple[Path, ...]
    label: Path | None


@dataclass(frozen=True)
class Dataset:
    """What ``dataset.json`` says of a folder.

    Attributes
    ----------
    folder : Path
    name, licence, citation, source : str
    redistributable : bool
        Whether weights trained on these cases may be passed on; False where the file does not say.
    labels : dict of int to str
        Label names, background left out.
    splits : dict of str to tuple of CaseFiles
        "training", "validation" and "test", as far as the file has them.
    """

    folder: Path
    name: str
    licence: str
    citation: str
    source: str
    redistributable: bool
    labels: Mapping[int, str]
    splits: Mapping[str, tuple[CaseFiles, ...]]

    def split(self, name: str) -> tuple[CaseFiles, ...]:
        """Cases of one split; "train" and "val" are understood too.

        Raises
        ------
        ImageReadError
            If the data set has no such split, or no case in it.
        """
        full = {"train": "training", "val": "validation"}.get(name, name)
        if not self.splits.get(full):
            known = [split for split, cases in self.splits.items() if cases]
            raise ImageReadError(
                f"{self.folder / _FILE} has no cases in the split {name!r}.{nearest_names(full, known)} "
                f"It has: {', '.join(known) or 'none'}"
            )
        return self.splits[full]


def read_dataset(folder: PathLike) -> Dataset:
    """Read ``dataset.json`` of a folder; no image is opened.

    Parameters
    ----------
    folder : path
        The folder, or the ``dataset.json`` in it.

    Raises
    ------
    ImageReadError
        If the file is missing, too large, no JSON, or names a file outside the folder.
    """
    path = Path(folder)
    path = path if path.name == _FILE else path / _FILE
    if not path.is_file():
        raise ImageReadError(f"no {_FILE} in {path.parent}; expected a folder in the Decathlon's style")
    if path.stat().st_size > _LARGEST_FILE:
        raise ImageReadError(f"{path} is {path.stat().st_size} bytes, too large for a list of cases")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as err:
        raise ImageReadError(f"{path} is not valid JSON: {err}") from err
    if not isinstance(document, dict):
        raise ImageReadError(f"{path} holds a {type(document).__name__}; expected a JSON object")
    return _dataset(path, document)


def _dataset(path: Path, document: Mapping[str, Any]) -> Dataset:
    splits = {
        name: tuple(_case(path, entry) for entry in document.get(name, ()))
        for name in ("training", "validation", "test")
    }
    return Dataset(
        folder=path.parent,
        name=str(document.get("name", path.parent.name)),
        licence=str(document.get("licence", "")),
        citation=str(document.get("citation", "")),
        source=str(document.get("original", document.get("source", ""))),
        redistributable=document.get("redistributable") is True,
        labels={int(key): str(name) for key, name in document.get("labels", {}).items() if int(key)},
        splits=splits,
    )


def _case(path: Path, entry: Any) -> CaseFiles:
    """Build one case; the Decathlon's own test lists name the image alone."""
    images, label = (entry, None) if isinstance(entry, str) else (entry.get("image"), entry.get("label"))
    names = [images] if isinstance(images, str) else images
    if not names or not all(isinstance(name, str) for name in names):
        raise ImageReadError(f"{path} has a case without an image: {entry!r}")
    files = tuple(_inside(path.parent, name) for name in names)
    stem = files[0].name.removesuffix(".gz").rpartition(".")[0]
    return CaseFiles(stem, files, None if label is None else _inside(path.parent, label))


def _inside(folder: Path, name: str) -> Path:
    relative = PurePosixPath(name.replace("\\", "/"))
    if relative.is_absolute() or ".." in relative.parts or ":" in name:
        raise ImageReadError(f"{folder / _FILE} names {name!r}, which lies outside its folder")
    return folder.joinpath(*relative.parts)
