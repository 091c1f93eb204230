"""Folders of labelled cases: a ``dataset.json`` as in the Decathlon, or two folders of equal names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import ConfigError, ImageReadError, nearest_names
from ..types import PathLike
from .case_folder import LAYOUTS, CaseFiles, layout_of, pair_cases

__all__ = ["SPLITS", "CaseFiles", "Dataset", "hold_back", "plain_name", "read_dataset"]

_FILE = "dataset.json"
_LARGEST_FILE = 64 * 2**20  # bytes; a list of a hundred thousand cases stays far below
_OBJECTS = "1..n"
SPLITS = ("training", "validation", "test")
"""The lists of a data set."""


@dataclass(frozen=True)
class Dataset:
    """What is known of a folder of cases.

    Attributes
    ----------
    folder : Path
    name, licence, citation, source : str
        As ``dataset.json`` says, else the folder's name, and empty.
    redistributable : bool
        Whether weights trained on these cases may be passed on; False where the file does not say.
    labels : dict of int to str
        Label names, background left out; empty where nothing names them.
    splits : dict of str to tuple of CaseFiles
        "training", "validation" and "test", as far as there are any.
    warnings : tuple of str
        Sentences about what was left out.
    has_objects : bool
        Whether the numbers of its label maps are those of objects, such as nuclei, and not of structures: in
        ``labels`` the key "1..N" then names them, or ``instances`` is true.
    """

    folder: Path
    name: str
    licence: str
    citation: str
    source: str
    redistributable: bool
    labels: Mapping[int, str]
    splits: Mapping[str, tuple[CaseFiles, ...]]
    warnings: tuple[str, ...] = ()
    has_objects: bool = False

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
                f"{self.folder} has no cases in the split {name!r}.{nearest_names(full, known)} "
                f"It has: {', '.join(known) or 'none'}"
            )
        return self.splits[full]


def read_dataset(folder: PathLike, held_back: float | None = None) -> Dataset:
    """Read which cases a folder holds; no image is opened.

    A ``dataset.json`` lists them (the Decathlon's form, or nnU-Net's, whose lists are the folders). Without
    one, ``imagesTr/`` and ``labelsTr/``, or ``images/`` and ``labels/``, hold files of equal names, all of
    them in the split "training".

    Parameters
    ----------
    folder : path
        The folder, or the ``dataset.json`` in it.
    held_back : float, optional
        Make a validation split of this fraction of the training cases; see `hold_back`.

    Raises
    ------
    ImageReadError
        If there are no cases, the file is too large, no JSON, or names a file outside the folder.
    ConfigError
        As `hold_back` says.
    """
    path = Path(folder)
    path = path if path.name == _FILE else path / _FILE
    dataset = _listed(path) if path.is_file() else _unlisted(path.parent)
    return dataset if held_back is None else hold_back(dataset, held_back)


def hold_back(dataset: Dataset, fraction: float) -> Dataset:
    """Make a validation split of a fraction of the labelled training cases.

    The choice follows from the names alone: cases are taken in the order of the SHA-256 of their names, as
    many as the fraction says, rounded, at least one, and never all. It does not change with the machine, the
    order of the files, or the format.

    Parameters
    ----------
    dataset : Dataset
        Without a validation split.
    fraction : float
        In (0, 1).

    Raises
    ------
    ConfigError
        If the fraction is outside its range, there is a validation split, or fewer than two labelled cases.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"the fraction to hold back is {fraction:g}; expected more than 0 and less than 1")
    if dataset.splits.get("validation"):
        raise ConfigError(
            f"{dataset.folder} has a validation list of {len(dataset.splits['validation'])} cases, which is "
            "used; leave out the fraction to hold back"
        )
    cases = [case for case in dataset.splits.get("training", ()) if case.label is not None]
    if len(cases) < 2:
        raise ConfigError(
            f"{dataset.folder} has {len(cases)} labelled case{'s' * (len(cases) != 1)} to train on; expected "
            "at least 2: one to learn from, and one held back to measure on"
        )
    count = min(max(int(fraction * len(cases) + 0.5), 1), len(cases) - 1)
    order = sorted(cases, key=lambda case: (_digest(case.name), case.images[0].as_posix()))
    held = set(order[:count])
    kept = tuple(case for case in cases if case not in held)
    validation = tuple(case for case in cases if case in held)
    lonely = len(dataset.splits["training"]) - len(cases)
    left_out = (f"training cases without a label map were left out: {lonely}",) if lonely else ()
    return replace(
        dataset,
        splits={**dataset.splits, "training": kept, "validation": validation},
        warnings=(*dataset.warnings, *left_out),
    )


def plain_name(name: str) -> str:
    """Return a structure's name as names are compared: lower case, underscores and hyphens as spaces.

    Examples
    --------
    >>> plain_name("Left_Kidney ")
    'left kidney'
    """
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()


def _unlisted(folder: Path) -> Dataset:
    layout = layout_of(folder)
    if layout is None:
        pairs = " or ".join(f"{images}/ with {labels}/" for images, labels in LAYOUTS)
        raise ImageReadError(f"{folder} has no {_FILE}, and no {pairs}; expected one of these")
    paired = pair_cases(*layout)
    name = folder.resolve().name
    return Dataset(folder, name, "", "", "", False, {}, {"training": paired.cases}, paired.warnings)


def _listed(path: Path) -> Dataset:
    if path.stat().st_size > _LARGEST_FILE:
        raise ImageReadError(f"{path} is {path.stat().st_size} bytes, too large for a list of cases")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as err:
        raise ImageReadError(f"{path} is not valid JSON: {err}") from err
    if not isinstance(document, dict):
        raise ImageReadError(f"{path} holds a {type(document).__name__}; expected a JSON object")
    dataset = _dataset(path, document)
    layout = layout_of(path.parent)
    if any(dataset.splits.values()) or layout is None:
        return dataset
    paired = pair_cases(*layout)  # nnU-Net's file names no cases
    return replace(dataset, splits={"training": paired.cases}, warnings=paired.warnings)


def _dataset(path: Path, document: Mapping[str, Any]) -> Dataset:
    return Dataset(
        folder=path.parent,
        name=str(document.get("name", path.parent.resolve().name)),
        licence=str(document.get("licence", document.get("license", ""))),
        citation=str(document.get("citation", document.get("reference", ""))),
        source=str(document.get("original", document.get("source", ""))),
        redistributable=document.get("redistributable") is True,
        labels=_labels(path, document.get("labels", {})),
        splits={name: _cases(path, document, name) for name in SPLITS},
        has_objects=_has_objects(document),
    )


def _has_objects(document: Mapping[str, Any]) -> bool:
    keys = document.get("labels") or ()
    return document.get("instances") is True or any(str(key).lower() == _OBJECTS for key in keys)


def _labels(path: Path, given: Any) -> dict[int, str]:
    """Read ``{"1": "name"}``, or nnU-Net's ``{"name": 1}``; objects have no names of their own."""
    if not isinstance(given, Mapping):
        raise ImageReadError(f"{path}: labels is {given!r}; expected numbers with their names")
    labels: dict[int, str] = {}
    for key, value in given.items():
        if str(key).lower() == _OBJECTS:
            continue
        number, name = (value, key) if isinstance(value, int) else (key, value)
        if not str(number).strip().isdecimal() or not isinstance(name, str):
            raise ImageReadError(f"{path}: labels holds {key!r}: {value!r}; expected a number and a name")
        labels[int(number)] = name
    return {number: name for number, name in labels.items() if number}


def _cases(path: Path, document: Mapping[str, Any], split: str) -> tuple[CaseFiles, ...]:
    entries = document.get(split, ())
    if not isinstance(entries, list | tuple):
        raise ImageReadError(f"{path}: {split} is {entries!r}; expected a list of cases")
    return tuple(_case(path, entry) for entry in entries)


def _case(path: Path, entry: Any) -> CaseFiles:
    """Build one case; the Decathlon's own test lists name the image alone."""
    given = entry if isinstance(entry, Mapping) else {"image": entry}
    images, label = given.get("image"), given.get("label")
    names = [images] if isinstance(images, str) else images
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ImageReadError(f"{path} has a case without an image: {entry!r}")
    files = tuple(_inside(path.parent, name) for name in names)
    stem = files[0].name.removesuffix(".gz").rpartition(".")[0]
    return CaseFiles(stem, files, None if label is None else _inside(path.parent, str(label)))


def _inside(folder: Path, name: str) -> Path:
    relative = PurePosixPath(name.replace("\\", "/"))
    if relative.is_absolute() or ".." in relative.parts or ":" in name:
        raise ImageReadError(f"{folder / _FILE} names {name!r}, which lies outside its folder")
    return folder.joinpath(*relative.parts)
