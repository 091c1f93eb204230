"""`save`: a LabelMap or Volume to one file, whole and compared, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EffsegError, ExportError
from ..types import PathLike
from ..volume import Grid, LabelMap, Volume, same_grid
from ._formats import Format, ending_of, format_for_writing
from ._labels import slabs_of
from ._storage import as_stored
from .atomic import Replacement, place_files, staging_path
from .label_table import is_label_table, table_path, table_text
from .reading import load, load_grid, load_labels

__all__ = ["save"]

_TABLE_BESIDE = ("NIfTI", "MetaImage")  # formats that have no place for names themselves


def save(thing: LabelMap | Volume, path: PathLike, *, reference: PathLike | None = None) -> Path:
    """Write a result; the ending picks the format: .nii.gz .nii .nrrd .seg.nrrd .mha.

    The file is written under a temporary name, read back and compared (grid to 1e-4 mm, every voxel, names,
    colours, codes), and only then takes its place. On any failure nothing new is left, and an older file
    is untouched. Labels are stored in the smallest integer type that holds them. Their names travel in the
    file's own fields (.nrrd, .seg.nrrd) or in ``<stem>.tsv`` beside it, which is replaced with it. Nothing
    of a source file's text is copied.

    Parameters
    ----------
    thing : LabelMap or Volume
    path : path-like
    reference : path-like or None
        The image that the result belongs to: its grid must be the result's, and the kind of world that a
        NIfTI reference names (scanner, aligned, ...) is kept.

    Returns
    -------
    Path
        Where it was written.

    Raises
    ------
    ExportError
        If the ending is unknown, the folder is missing or full, the grids differ, a label is negative, or
        what is read back differs.
    ImageReadError
        If the reference cannot be read.
    """
    path = Path(path)
    entry = format_for_writing(path)
    if ending_of(path) == ".seg.nrrd" and not isinstance(thing, LabelMap):
        raise ExportError(f"{path}: a .seg.nrrd holds labels, but an image was given; use .nrrd for it")
    thing = as_stored(thing)
    options = _from_reference(thing, entry, reference)
    table = _table_step(thing, entry, path)
    with staging_path(path) as staged:
        try:
            entry.load_module().write(thing, staged, **options)
            if table is not None:
                table_path(staged).write_text(table, encoding="utf-8", newline="\n")
        except (OSError, RuntimeError, ValueError) as err:
            raise ExportError(f"{path}: could not be written ({err})") from err
        _compare(thing, staged, path)
        place_files([*_table_replacement(entry, path, staged, table), Replacement(path, staged)])
    return path


def _from_reference(thing: LabelMap | Volume, entry: Format, reference: PathLike | None) -> dict[str, Any]:
    """Keyword arguments for the format's writer, after comparing the grids."""
    if reference is None:
        return {}
    grid = load_grid(reference)
    if not same_grid(grid, thing.grid):
        raise ExportError(
            f"{reference}: is not on the result's grid: {_describe(grid)} against {_describe(thing.grid)}"
        )
    if entry.name == "NIfTI" and ending_of(Path(reference)) in entry.endings:
        return {"form": entry.load_module().form_code(Path(reference))}
    return {}


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
