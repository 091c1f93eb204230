"""Cases of a BIDS data set: sub-*/[ses-*/]anat/sub-*_T1w.nii.gz, and the names of their results."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import ConfigError, nearest_names
from ..zoo import Card
from .cases import Case, Found, Wanted
from .folder import matches

__all__ = ["bids_cases", "derivative_description", "derivative_name", "looks_like_bids"]

_BIDS_VERSION = "1.10.0"
_IMAGE = re.compile(
    r"(?P<entities>sub-[0-9A-Za-z+]+(?:_[a-z]+-[0-9A-Za-z+]+)*)_(?P<suffix>[0-9A-Za-z]+)\.nii(\.gz)?"
)
_SEGMENTATIONS = ("dseg", "mask", "probseg")
_FOLDERS = ("sub-*/anat/*", "sub-*/ses-*/anat/*")


def looks_like_bids(folder: Path) -> bool:
    """Whether a folder has subjects with anatomical images as BIDS lays them out."""
    return next(_images(folder), None) is not None


def bids_cases(folder: Path, wanted: Wanted, card: Card) -> Found:
    """Find the images of one suffix.

    Raises
    ------
    ConfigError
        If there are several suffixes and none is wanted, or none has the wanted one.
    """
    images = [(path, suffix) for path, suffix in _images(folder) if matches(path, folder, wanted.pattern)]
    counts = Counter(suffix for _, suffix in images)
    suffix = _suffix(folder, counts, wanted.bids_suffix)
    cases = [
        Case(_stem(path.relative_to(folder)), (path.absolute(),), card, is_bids=True)
        for path, own in images
        if own == suffix
    ]
    others = ", ".join(f"{count} x {name}" for name, count in sorted(counts.items()) if name != suffix)
    notes = (f"left out, as {suffix} is wanted: {others}",) if others else ()
    return Found(tuple(sorted(cases, key=lambda case: case.name)), notes)


def derivative_name(name: str, model: str) -> str:
    """Return the stem of a result: the image's entities, the model as ``desc``, and the suffix ``dseg``.

    Examples
    --------
    >>> derivative_name("sub-01/anat/sub-01_T1w", "liver-a")
    'sub-01/anat/sub-01_desc-livera_dseg'
    """
    path = PurePosixPath(name)
    entities = [part for part in path.name.split("_")[:-1] if not part.startswith("desc-")]
    plain = re.sub(r"[^0-9A-Za-z]", "", model)
    return str(path.with_name("_".join((*entities, f"desc-{plain}", "dseg"))))


def derivative_description(version: str) -> dict[str, Any]:
    """Return the ``dataset_description.json`` of a folder of results."""
    return {
        "Name": "Segmentations by napari-effseg",
        "BIDSVersion": _BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "napari-effseg", "Version": version}],
    }


def _images(folder: Path) -> Iterator[tuple[Path, str]]:
    """Anatomical images and their suffixes, label maps left out."""
    for place in _FOLDERS:
        for path in sorted(folder.glob(place)):
            match = _IMAGE.fullmatch(path.name)
            if match and match["suffix"] not in _SEGMENTATIONS:
                yield path, match["suffix"]


def _stem(path: Path) -> str:
    return path.with_name(path.name.removesuffix(".gz").removesuffix(".nii")).as_posix()


def _suffix(folder: Path, counts: Counter[str], wanted: str | None) -> str:
    known = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items())) or "none"
    if wanted is None and len(counts) == 1:
        return next(iter(counts))
    if wanted is None:
        raise ConfigError(f"{folder} has images of several suffixes: {known}; choose one with --bids-suffix")
    if wanted not in counts:
        near = nearest_names(wanted, counts)
        raise ConfigError(f"{folder} has no images with the suffix {wanted}.{near} It has: {known}")
    return wanted
