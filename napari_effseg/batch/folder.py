"""Cases of a folder: images of any format, folders that are DICOM series, nnU-Net's channels."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import EffsegError, ImageReadError
from ..io import list_series, stem_of
from ..io.recognise import DICOM, format_name, holds_labels
from ..zoo import Card
from .cases import Case, Found, Wanted, roles_of, some

__all__ = ["folder_cases", "matches"]

_CHANNEL = re.compile(r"(?P<case>.+)_(?P<number>\d{4})")  # nnU-Net: case_0000, case_0001, ...
_LABEL_FOLDERS = re.compile(r"(labels?|labelsT[rs]|masks?|segmentations?|derivatives)", re.IGNORECASE)
_LABEL_STEM = re.compile(r".*[-_.](seg|dseg|labels?|mask|segmentation)", re.IGNORECASE)
_PICTURES = "PNG or JPEG"
_OME_ZARR = "OME-Zarr"
_LOOKED_AT = 8  # DICOM files of a folder


@dataclass
class _Seen:
    """What a walk through a folder has met."""

    images: list[Path] = field(default_factory=list)
    labels: list[Path] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)

    def notes(self) -> Iterator[str]:
        """Sentences on what was left out."""
        if self.labels:
            yield f"left out as label maps: {some(path.name for path in self.labels)}"
        if self.pictures:
            yield f"left out, as the model takes volumes: {some(path.name for path in self.pictures)}"


def folder_cases(folder: Path, wanted: Wanted, card: Card, output: Path) -> Found:
    """Find the cases of a folder and the folders in it.

    A folder that holds DICOM files is one case, and each file is one where the files are of different series.
    ``name_0000``, ``name_0001``, ... are the channels of ``name`` where they are as many as the model takes.
    Label maps, hidden files and folders of label maps are left out. Links to folders are not followed.
    """
    seen = _Seen()
    keeps_pictures = card.dimensions == 2
    for path in _images(folder, output.resolve(), seen):
        if not matches(path, folder, wanted.pattern):
            continue
        if _is_label_map(path):
            seen.labels.append(path)
        elif not keeps_pictures and path.is_file() and format_name(path) == _PICTURES:
            seen.pictures.append(path)
        else:
            seen.images.append(path)
    cases = sorted(_cases(folder, seen.images, card), key=lambda case: case.name)
    return Found(tuple(cases), tuple(seen.notes()))


def matches(path: Path, folder: Path, pattern: str | None) -> bool:
    """Whether a path is wanted: by its name, or its path below the folder where the pattern has a "/"."""
    if pattern is None:
        return True
    shown = path.relative_to(folder) if "/" in pattern and path != folder else Path(path.name)
    return shown.match(pattern)


def _images(folder: Path, output: Path, seen: _Seen) -> Iterator[Path]:
    """Yield image files, and folders that are an image."""
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        inside = sorted(name for name in folders if not name.startswith("."))
        seen.labels.extend(here / name for name in inside if _LABEL_FOLDERS.fullmatch(name))
        inside = [
            name
            for name in inside
            if not _LABEL_FOLDERS.fullmatch(name) and (here / name).resolve() != output
        ]
        whole = [name for name in inside if _is_zarr(here / name)]
        folders[:] = [name for name in inside if name not in whole]
        yield from (here / name for name in whole)
        yield from _files(here, [name for name in sorted(names) if not name.startswith(".")])


def _files(here: Path, names: Sequence[str]) -> Iterator[Path]:
    paths = [path for name in names if (path := here / name).is_file() or _is_link_to_nothing(path)]
    formats = {path: format_name(path) for path in paths}
    slices = [path for path, kind in formats.items() if kind == DICOM]
    yield from (path for path, kind in formats.items() if kind not in (None, DICOM))
    if slices:
        yield from slices if _are_images_each(slices) else [here]


def _is_link_to_nothing(path: Path) -> bool:
    """Whether a link leads nowhere, as where git-annex has not fetched a file; a bad case, not none."""
    return path.is_symlink() and not path.exists()


def _is_zarr(folder: Path) -> bool:
    """Whether a folder is an OME-Zarr image."""
    return format_name(folder) == _OME_ZARR


def _are_images_each(files: Sequence[Path]) -> bool:
    """Whether each DICOM file is an image of its own, such as radiographs; the first few are looked at."""
    if len(files) < 2:
        return False
    looked_at = files[:_LOOKED_AT]
    try:
        return len(list_series(looked_at)) == len(looked_at)
    except EffsegError:
        return False  # a broken file is for the reading of the case to report


def _is_label_map(path: Path) -> bool:
    if _LABEL_STEM.fullmatch(stem_of(path)) or path.name.lower().endswith(".seg.nrrd"):
        return True
    try:
        return holds_labels(path)
    except ImageReadError:
        return False  # it is a bad case then, and reported as one


def _cases(folder: Path, images: Sequence[Path], card: Card) -> Iterator[Case]:
    groups: dict[Path, dict[int, Path]] = {}
    alone: list[Path] = []
    for path in images:
        match = _CHANNEL.fullmatch(stem_of(path)) if path.is_file() else None
        if match is None:
            alone.append(path)
        else:
            groups.setdefault(path.with_name(match["case"]), {})[int(match["number"])] = path
    for base, files in groups.items():
        if set(files) == set(range(len(card.input.channels))):
            yield _channels(folder, base, files, card)
        elif len(card.input.channels) > 1 and set(files) < set(range(len(card.input.channels))):
            yield _incomplete(folder, base, files, card)
        else:
            alone.extend(files.values())  # numbered cases, not channels
    for path in alone:
        yield Case(_name(folder, path), (path.absolute(),), card)


def _channels(folder: Path, base: Path, files: dict[int, Path], card: Card) -> Case:
    ordered = tuple(files[number].absolute() for number in sorted(files))
    roles = tuple(roles_of(card)) if len(ordered) > 1 else ()
    return Case(base.relative_to(folder).as_posix(), ordered, card, roles)


def _incomplete(folder: Path, base: Path, files: dict[int, Path], card: Card) -> Case:
    missing = [f"{base.name}_{n:04d} ({role})" for n, role in enumerate(roles_of(card)) if n not in files]
    given = tuple(path.absolute() for path in files.values())
    problem = f"{card.name} takes {len(card.input.channels)} channels; missing: {some(missing)}"
    return Case(base.relative_to(folder).as_posix(), given, card, problem=problem)


def _name(folder: Path, path: Path) -> str:
    if path == folder:
        return path.resolve().name
    return path.relative_to(folder).with_name(stem_of(path)).as_posix()
