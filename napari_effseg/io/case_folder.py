"""Folders of labelled cases without a list: images and label maps in two folders, paired by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import ImageReadError
from ._formats import FORMATS, ending_of, stem_of

__all__ = ["LAYOUTS", "CaseFiles", "PairedCases", "layout_of", "pair_cases"]

LAYOUTS = (("imagesTr", "labelsTr"), ("images", "labels"))
"""Names of the two folders, the Decathlon's and nnU-Net's first."""
_CHANNEL = re.compile(r"(?P<case>.+)_(?P<number>\d{4})")  # nnU-Net: case_0000, case_0001, ...
_EXAMPLES = 3


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
class PairedCases:
    """Cases by rising name, and what was left out."""

    cases: tuple[CaseFiles, ...]
    warnings: tuple[str, ...]


def layout_of(folder: Path) -> tuple[Path, Path] | None:
    """Return the folders of images and of label maps in `folder`, or None if it has no such pair."""
    pairs = ((folder / images, folder / labels) for images, labels in LAYOUTS)
    return next(((images, labels) for images, labels in pairs if images.is_dir() and labels.is_dir()), None)


def pair_cases(images: Path, labels: Path) -> PairedCases:
    """Pair each image with the label map of its name; formats may differ, and hidden files do not count.

    ``case_0000``, ``case_0001``, ... are the channels of ``case`` (nnU-Net's way) where no label map has
    their full names.

    Raises
    ------
    ImageReadError
        If no image has a label map, or two files of one folder have one name.
    """
    pictures, references = _by_stem(images), _by_stem(labels)
    channels: dict[str, dict[str, Path]] = {}
    for stem, path in pictures.items():
        match = None if stem in references else _CHANNEL.fullmatch(stem)
        case, number = (match["case"], match["number"]) if match else (stem, "")
        channels.setdefault(case, {})[number] = path
    cases = tuple(
        CaseFiles(case, tuple(files[number] for number in sorted(files)), references[case])
        for case, files in sorted(channels.items())
        if case in references
    )
    if not cases:
        raise ImageReadError(
            f"no image in {images} has a label map of the same name in {labels}; "
            f"images: {_some(pictures)}; label maps: {_some(references)}"
        )
    return PairedCases(cases, tuple(_left_out(channels, references)))


def _by_stem(folder: Path) -> dict[str, Path]:
    """Files that can be read, and folders (of DICOM), by name without ending."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        stem = _stem(path)
        if stem is None:
            continue
        if stem in found:
            raise ImageReadError(
                f"{folder} holds {found[stem].name} and {path.name}; expected one file a case"
            )
        found[stem] = path
    return found


def _stem(path: Path) -> str | None:
    if path.name.startswith("."):  # macOS and others leave ._case.nii.gz behind
        return None
    if any(ending_of(path) in known.endings for known in FORMATS):
        return stem_of(path)
    return path.name if path.is_dir() else None


def _left_out(images: Iterable[str], labels: Mapping[str, Path]) -> Iterable[str]:
    lonely = sorted(set(images) - set(labels))
    if lonely:
        yield f"left out, as they have no label map: {_some(lonely)}"
    unused = sorted(set(labels) - set(images))
    if unused:
        yield f"label maps without an image were left out: {_some(unused)}"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _EXAMPLES} more" if len(listed) > _EXAMPLES else ""
    return ", ".join(listed[:_EXAMPLES]) + more if listed else "none"
