"""`save`: a LabelMap or Volume to one file, whole and compared, or not at all."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EffsegError, ExportError, ExportWarning
from ..types import PathLike
from ..volume import Grid, LabelMap, Volume, same_grid
from ._formats import Format, ending_of, format_for_writing
from ._labels import slabs_of
from ._storage import as_stored
from .atomic import Replacement, place_files, staging_path
from .label_table import is_label_table, table_path, table_text
from .reading import load, load_grid, load_labels

__all__ = ["LABELS_ONLY", "check_reference", "save"]

LABELS_ONLY = {".seg.nrrd": ".nrrd", ".dcm": ".nrrd"}
"""Endings that hold labels alone, and what holds an image instead."""

_TABLE_BESIDE = ("NIfTI", "MetaImage")  # formats that have no place for names themselves


def save(
    thing: LabelMap | Volume,
    path: PathLike,
    *,
    reference: PathLike | Sequence[PathLike] | None = None,
    series: str | None = None,
    frame: int | None = None,
    level: int | None = None,
) -> Path:
    """Write a result; the ending picks the format: .nii.gz .nii .nrrd .seg.nrrd .mha .dcm.

    The file is written under a temporary name, read back and compared (grid to 1e-4 mm, every voxel, names,
    colours, codes), and only then takes its place. On any failure nothing new is left, and an older file
    is untouched. Labels are stored in the smallest integer type that holds them. Their names travel in the
    file's own fields (.nrrd, .seg.nrrd, .dcm) or in ``<stem>.tsv`` beside it, which is replaced with it.
    Nothing of a source file's text is copied, but into a DICOM SEG (.dcm), which must say whose it is.

    Parameters
    ----------
    thing : LabelMap or Volume
    path : path-like
    reference : path-like or sequence of them or None
        The image that the result belongs to: its grid must be the result's, and the kind of world that a
        NIfTI reference names (scanner, aligned, ...) is kept. A DICOM SEG needs the series that was
        segmented (folder, file or files); there the axes may be in any order, and the result a crop.
    series : str or None
        UID of a DICOM reference that holds several series.
    frame : int or None
        Which image was segmented where a DICOM reference has several at each place.
    level : int or None
        Which resolution of an OME-Zarr reference was segmented; None: the finest.

    Returns
    -------
    Path
        Where it was written.

    Raises
    ------
    ExportError
        If the ending is unknown, the folder is missing or full, the grids differ, a label is negative, or
        what is read back differs; for a DICOM SEG, if there is no series that it could belong to.
    ImageReadError
        If the reference cannot be read.

    Warns
    -----
    ExportWarning
        If something was completed or shortened, as a header that lacks what DICOM SEG demands.
    """
    path = Path(path)
    entry = format_for_writing(path)
    if (instead := LABELS_ONLY.get(ending_of(path))) and not isinstance(thing, LabelMap):
        raise ExportError(
            f"{path}: a {ending_of(path)} holds labels, but an image was given; use {instead} for it"
        )
    thing, options, said = _fitted(as_stored(thing), entry, path, _Reference(reference, series, frame, level))
    table = _table_step(thing, entry, path)
    with staging_path(path) as staged:
        try:
            entry.load_module().write(thing, staged, **options)
            if table is not None:
                table_path(staged).write_text(table, encoding="utf-8", newline="\n")
        except EffsegError:
            raise
        except (OSError, RuntimeError, ValueError) as err:
            raise ExportError(f"{path}: could not be written ({err})") from err
        _compare(thing, staged, path)
        place_files([*_table_replacement(entry, path, staged, table), Replacement(path, staged)])
    for sentence in said:
        warnings.warn(sentence, ExportWarning, stacklevel=2)
    return path


def check_reference(
    path: Path,
    grid: Grid,
    reference: PathLike | Sequence[PathLike],
    series: str | None = None,
    frame: int | None = None,
) -> None:
    """Refuse, before a result on this grid is computed, a reference with which `save` would refuse it.

    Only formats that take over something of their reference look at it here.

    Raises
    ------
    ExportError, ImageReadError
        As `save`.
    """
    module = format_for_writing(path).load_module()
    if hasattr(module, "lay_out"):
        module.check_series(grid, reference, series, frame)


@dataclass(frozen=True)
class _Reference:
    """The image that a result belongs to, as the caller gave it."""

    path: PathLike | Sequence[PathLike] | None
    series: str | None
    frame: int | None
    level: int | None


def _fitted(
    thing: LabelMap | Volume, entry: Format, path: Path, reference: _Reference
) -> tuple[LabelMap | Volume, dict[str, Any], tuple[str, ...]]:
    """Return what is written, keyword arguments for the format's writer, and what to say about it."""
    module = entry.load_module()
    if hasattr(module, "lay_out"):
        if reference.path is None:
            raise ExportError(
                f"{path}: a DICOM SEG must say which DICOM series it belongs to, and none was given; "
                "give its folder as reference=, or write .nii.gz or .seg.nrrd"
            )
        laid, target, said = module.lay_out(thing, path, reference.path, reference.series, reference.frame)
        return laid, {"target": target}, said
    return thing, _from_reference(thing, entry, reference), ()


def _from_reference(thing: LabelMap | Volume, entry: Format, reference: _Reference) -> dict[str, Any]:
    """Keyword arguments for the format's writer, after comparing the grids."""
    given = reference.path
    if given is None:
        return {}
    grid = load_grid(given, series=reference.series, frame=reference.frame, level=reference.level)
    if not same_grid(grid, thing.grid):
        raise ExportError(
            f"{_named(given)}: is not on the result's grid: {_describe(grid)} against {_describe(thing.grid)}"
        )
    file = Path(given) if isinstance(given, (str, os.PathLike)) else None
    if entry.name == "NIfTI" and file is not None and ending_of(file) in entry.endings:
        return {"form": entry.load_module().form_code(file)}
    return {}


def _named(reference: PathLike | Sequence[PathLike]) -> str:
    return str(reference) if isinstance(reference, (str, os.PathLike)) else str(reference[0])


def _describe(grid: Grid) -> str:
    size = " x ".join(str(side) for side in grid.shape)
    first = ", ".join(f"{x:.3f}" for x in grid.origin)
    return f"{size} voxels, {''.join(grid.axcodes)}, the first at ({first}) mm"


def _table_step(thing: LabelMap | Volume, entry: Format, path: Path) -> str | None:
    """Text of the table that goes beside the file, or None; refuses to touch a file that is no table."""
    if not isinstance(thing, LabelMap) or entry.name not in _TABLE_BESIDE:
        return None
    text = table_text(thing)
    beside = table_path(path)
    if text is not None and beside.exists() and not is_label_table(beside):
        raise ExportError(
            f"{path}: the names would go to {beside.name}, which exists and is no table of labels; "
            "choose another name"
        )
    return text


def _table_replacement(entry: Format, path: Path, staged: Path, table: str | None) -> list[Replacement]:
    """Put the new table in place, or take an old one away: it would name the new file's labels wrongly."""
    beside = table_path(path)
    if table is not None:
        return [Replacement(beside, table_path(staged))]
    if entry.name in _TABLE_BESIDE and beside.is_file() and is_label_table(beside):
        return [Replacement(beside, None)]
    return []


# --- comparing ---


def _compare(thing: LabelMap | Volume, staged: Path, path: Path) -> None:
    """Read the written file back, as a user would, and compare."""
    try:
        found = load_labels(staged) if isinstance(thing, LabelMap) else load(staged, channel="all")
    except EffsegError as err:
        raise ExportError(f"{path}: what was written could not be read back ({err})") from err
    if not same_grid(found.grid, thing.grid):
        raise ExportError(
            f"{path}: this format cannot hold the grid: {_describe(thing.grid)} came back as "
            f"{_describe(found.grid)}; nothing was written"
        )
    same = _same_voxels(np.asarray(found.data).reshape(thing.data.shape), np.asarray(thing.data))
    if isinstance(thing, LabelMap) and isinstance(found, LabelMap):
        tables = (found.names, found.colours, found.codes) == (thing.names, thing.colours, thing.codes)
        same = same and tables
    if not same:
        raise ExportError(f"{path}: what was read back differs from what was written; nothing was kept")


def _same_voxels(found: NDArray[Any], wanted: NDArray[Any]) -> bool:
    """Whether two arrays agree voxel by voxel, NaN with NaN, slab by slab."""
    return all(
        np.array_equal(a, b, equal_nan=wanted.dtype.kind == "f")
        for a, b in zip(_slabs_like(found, wanted), slabs_of(wanted), strict=True)
    )


def _slabs_like(array: NDArray[Any], model: NDArray[Any]) -> NDArray[Any]:
    """View `array` along the axis that `slabs_of` takes of `model`."""
    return np.moveaxis(array, int(np.argmax(np.abs(model.strides))), 0)
