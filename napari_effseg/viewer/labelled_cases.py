"""Images with their labels, taken from layers: what a model is finetuned on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Cancelled, VolumeError, nearest_names
from ..io import save
from ..io.dataset import plain_name
from ..types import CancelCheck
from ..volume import LabelMap, same_grid
from ..zoo.card import Card
from .from_layer import array_of_labels, frames_of, layer_to_volume
from .label_looks import names_in
from .placement import grid_of_layer, placement_of

if TYPE_CHECKING:
    from napari.layers import Image, Labels

__all__ = [
    "LabelledCase",
    "Structure",
    "file_names",
    "pair_layers",
    "structures_in",
    "why_no_case",
    "write_cases",
]

_GRID_TOLERANCE_MM = 1e-3
_UNSAFE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, eq=False)
class LabelledCase:
    """An image layer, the layer of its labels, and whether it only measures."""

    image: Image
    labels: Labels
    hold_back: bool = False


@dataclass(frozen=True)
class Structure:
    """A label that occurs in the cases.

    Attributes
    ----------
    number : int
    name : str
        "" where nothing names it.
    about : str
        What it is to the model.
    """

    number: int
    name: str
    about: str = ""


def why_no_case(image: Image, labels: Labels) -> str:
    """Say why a layer of labels cannot be that of an image, "" if it can."""
    if image.ndim == 2 or labels.ndim == 2:
        return f"“{image.name}” is a picture; only models of whole volumes can be finetuned."
    if frames_of(image) > 1:
        return f"“{image.name}” has several volumes; save one as a file and open that."
    try:
        same = same_grid(grid_of_layer(image), grid_of_layer(labels), _GRID_TOLERANCE_MM)
    except VolumeError as err:
        return f"“{image.name}”: {err}"
    if not same or labels.ndim != image.ndim:
        return (
            f"“{labels.name}” does not lie on the voxels of “{image.name}”; “New labels” makes a layer that "
            "does."
        )
    return ""


def pair_layers(images: Sequence[Image], labels: Sequence[Labels]) -> list[tuple[Image, Labels]]:
    """Find the labels of each image: those on its voxels that bear its name, else the only ones left.

    Images that share one grid, and whose labels bear other names, stay without.
    """
    fitting = {id(image): [one for one in labels if not why_no_case(image, one)] for image in images}
    found: dict[int, Labels] = {}
    for image in sorted(images, key=lambda image: len(image.name), reverse=True):  # "a 10" before "a 1"
        named = [one for one in fitting[id(image)] if image.name.casefold() in one.name.casefold()]
        free = [one for one in named if all(one is not other for other in found.values())]
        if free:
            found[id(image)] = free[-1]  # the topmost
    for image in images:
        free = [one for one in fitting[id(image)] if all(one is not other for other in found.values())]
        is_wanted_twice = any(
            other is not image and id(other) not in found and any(one in fitting[id(other)] for one in free)
            for other in images
        )
        if id(image) not in found and len(free) == 1 and not is_wanted_twice:
            found[id(image)] = free[0]
    return [(image, found[id(image)]) for image in images if id(image) in found]


def structures_in(
    cases: Sequence[LabelledCase], given: Mapping[int, str], card: Card | None, cancel: CancelCheck
) -> tuple[Structure, ...]:
    """Look which labels occur, and name them: as given, as a layer says, else by the model's own numbers.

    Raises
    ------
    VolumeError
        If two layers call one number differently.
    Cancelled
        If `cancel` says so.
    """
    numbers: set[int] = set()
    told: dict[int, str] = {}
    for case in cases:
        if cancel():
            raise Cancelled("stopped while looking at the labels")
        numbers |= _numbers_in(case.labels)
        for number, name in names_in(case.labels).items():
            other = told.setdefault(number, name)
            if plain_name(other) != plain_name(name) and number not in given:
                raise VolumeError(
                    f"label {number} is called {other!r} in one layer and {name!r} in “{case.labels.name}”; "
                    "use one number for one structure"
                )
    known = card.label_names if card is not None else {}
    names = {number: given.get(number) or told.get(number) or known.get(number, "") for number in numbers}
    return tuple(Structure(number, names[number], _about(names[number], card)) for number in sorted(numbers))


def write_cases(
    cases: Sequence[LabelledCase], names: Mapping[int, str], folder: Path, cancel: CancelCheck
) -> Path:
    """Write images and labels as a data set that `read_dataset` reads; returns its folder.

    Those held back by hand are its validation list; without any, a rule chooses.

    Raises
    ------
    VolumeError, ExportError
        If a layer has no place, or nothing can be written.
    Cancelled
        If `cancel` says so.
    """
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    lists: dict[str, list[dict[str, str]]] = {"training": [], "validation": []}
    for case, name in zip(cases, file_names(cases), strict=True):
        if cancel():
            raise Cancelled("stopped while the cases were being written")
        volume = layer_to_volume(case.image)
        labels = placement_of(case.image).invert(array_of_labels(case.labels))
        entry = {"image": f"images/{name}.nii.gz", "label": f"labels/{name}.nii.gz"}
        save(volume, folder / entry["image"])
        save(LabelMap(labels, volume.affine), folder / entry["label"])
        lists["validation" if case.hold_back else "training"].append(entry)
    named = {str(number): name for number, name in names.items()}
    document: dict[str, Any] = {"name": "cases from napari", "labels": named}
    document |= {split: entries for split, entries in lists.items() if entries}
    (folder / "dataset.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    return folder


def file_names(cases: Iterable[LabelledCase]) -> list[str]:
    """Names of the files of cases: those of the image layers, without what files must not have, each once."""
    found: list[str] = []
    for case in cases:
        plain = _UNSAFE.sub("_", case.image.name).strip("._") or "case"
        name, count = plain, 1
        while name.casefold() in (other.casefold() for other in found):
            count += 1
            name = f"{plain}_{count}"
        found.append(name)
    return found


def _numbers_in(labels: Labels) -> set[int]:
    array = np.asarray(array_of_labels(labels))
    present: set[int] = set()
    for slab in array:
        if slab.any():
            present |= set(np.unique(slab).tolist())
    return present - {0}


def _about(name: str, card: Card | None) -> str:
    if not name:
        return "What is it?"
    if card is None:
        return ""
    if plain_name(name) in {plain_name(label.name) for label in card.labels}:
        return "known"
    near = nearest_names(name, card.label_names.values())
    return f"new.{near}" if near else "new"
