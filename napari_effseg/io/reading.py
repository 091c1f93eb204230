"""`load` and `load_labels`: from files to Volume and LabelMap."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageReadError
from ..types import PathLike
from ..volume import Grid, LabelMap, Volume
from . import _stream, dicom, dicom_seg
from ._arrange import Choice
from ._formats import Format, format_for_reading
from ._labels import slabs_of
from .channels import join_channels

__all__ = ["are_slices", "load", "load_grid", "load_labels"]

_DICOM, _OME_ZARR = "DICOM", "OME-Zarr"
_NO_CHOICE = Choice()
_SHEAR_COSINE = 1e-3  # between two axes; float32 headers of right-angled images stay below 1e-5


def load(
    path: PathLike | Sequence[PathLike],
    *,
    frame: int | None = None,
    series: str | None = None,
    channel: int | Literal["all"] | None = None,
    level: int | None = None,
) -> Volume:
    """Read an image: NIfTI, NRRD, MetaImage, DICOM, OME-Zarr, TIFF, PNG, JPEG or NumPy.

    Nothing is permuted, flipped or resampled: axes are in the file's storage order, fastest first, and only
    the affine is turned from LPS to RAS. The dtype is kept; float32 where slope and intercept apply. An
    uncompressed NIfTI file without scaling is mapped, not read, and the voxels of OME-Zarr are read when they
    are needed: ``numpy.asarray(volume.data)`` reads them all.

    Parameters
    ----------
    path : path-like or sequence of them
        A file, a folder with a DICOM series or an OME-Zarr image, or several: the files of one DICOM series,
        else the channels of one case; those on other grids are resampled to the first, and a warning says so.
    frame : int or None
        Time point, from 0; for DICOM which of several images at each place (b-values, phases, echoes). None:
        the first, with a warning where there are more.
    series : str or None
        UID of a DICOM series, needed where there are several; `list_series` lists them.
    channel : int, "all" or None
        One channel, from 0; "all" also keeps the time axis of an image without channels, as channels.
    level : int or None
        Resolution of OME-Zarr, from 0, the finest, which None takes; `io.ome_zarr.levels` lists them.

    Returns
    -------
    Volume
        Pictures are volumes of one slice, i = column, j = row. `warnings` says what was odd.

    Raises
    ------
    ImageReadError
        If the file is missing, empty, cut off, of another kind, or claims more than it holds.
    AffineError, VolumeError
        If its geometry has no right answer.

    Examples
    --------
    >>> load("scan.nii.gz").spacing  # doctest: +SKIP
    (1.0, 1.0, 2.5)
    """
    choice = Choice(frame, channel, series, level)
    if isinstance(path, (str, os.PathLike)):
        return _load_one(Path(path), choice)
    paths = [Path(one) for one in path]
    if not paths:
        raise ImageReadError("no file was given; expected at least one")
    if are_slices(paths):
        return _checked(dicom.read(paths, choice))
    volumes = [_load_one(one, choice) for one in paths]
    return volumes[0] if len(volumes) == 1 else join_channels(volumes, paths)


def load_labels(path: PathLike, *, level: int | None = None) -> LabelMap:
    """Read a segmentation of any format that `load` reads; of DICOM a SEG, or the folder of one.

    Names, colours and codes come from the fields of a `.seg.nrrd` or SEG, the properties of an OME-Zarr label
    image (at `path`, or the only one of the image there), the table ``<stem>.tsv`` beside other files, or the
    palette of a picture. `level` is a resolution of OME-Zarr, as `load` takes it.

    Raises
    ------
    ImageReadError
        As `load`, and if a voxel is negative or no integer.
    """
    path = Path(path)
    choice = Choice(level=level)
    entry = _format_of(path, choice)
    module = dicom_seg if entry.name == _DICOM else entry.load_module()
    levelled = {"level": level} if entry.name == _OME_ZARR else {}
    labels: LabelMap = module.read_labels(path, **levelled)
    return replace(labels, warnings=(*labels.warnings, *_shear_warning(labels.grid)))


def load_grid(
    path: PathLike | Sequence[PathLike],
    *,
    series: str | None = None,
    frame: int | None = None,
    level: int | None = None,
) -> Grid:
    """Grid of an image, for NIfTI, DICOM and OME-Zarr from its header alone. Arguments as `load`."""
    paths = [Path(path)] if isinstance(path, (str, os.PathLike)) else [Path(one) for one in path]
    if are_slices(paths):
        return dicom.read_grid(paths, series, frame)
    if len(paths) == 1:
        entry = _format_of(paths[0], Choice(series=series, level=level))
        module = entry.load_module()
        if module is dicom:
            return dicom.read_grid(paths[0], series, frame)
        if entry.name == _OME_ZARR:
            levelled: Grid = module.read_grid(paths[0], level)
            return levelled
        if hasattr(module, "read_grid"):
            grid: Grid = module.read_grid(paths[0])
            return grid
    return load(path, series=series, frame=frame, level=level).grid


def are_slices(paths: Sequence[Path]) -> bool:
    """Whether several paths are the files of a DICOM series, rather than channels with a file each.

    Raises
    ------
    ImageReadError
        If a file has no ending that is known, or is no DICOM file in spite of its ending.
    """
    if len(paths) < 2:
        return False
    if not all(path.is_file() and _format_of(path).name == _DICOM for path in paths):
        return False
    return not dicom.are_series_each(paths)


def _load_one(path: Path, choice: Choice) -> Volume:
    entry = _format_of(path, choice)
    volume: Volume = entry.load_module().read(path, choice)
    if entry.name != _DICOM:  # its slant is named by its reader
        volume = replace(volume, warnings=(*volume.warnings, *_shear_warning(volume.grid)))
    return _checked(volume)


def _checked(volume: Volume) -> Volume:
    # an image that is read when it is needed is counted by those who read it
    if isinstance(volume.data, np.ndarray) and (odd := _count_not_finite(volume.data)):
        return replace(volume, warnings=(*volume.warnings, f"{odd:,} voxels are NaN or infinite"))
    return volume


def _format_of(path: Path, choice: Choice = _NO_CHOICE) -> Format:
    """Return the format of a file or folder, after a look at it and its name."""
    is_folder = path.is_dir()
    if path.exists() and not is_folder:  # an empty file is said before an odd ending
        _stream.check_file(path)
    entry = format_for_reading(path)
    if not is_folder:
        _stream.check_file(path)
    for option, given, chosen_from in (("series", choice.series, _DICOM), ("level", choice.level, _OME_ZARR)):
        if given is not None and entry.name != chosen_from:
            raise ImageReadError(
                f"{path}: {option}= chooses from {chosen_from}, but this is {entry.name}; leave it out"
            )
    return entry


def _shear_warning(grid: Grid) -> tuple[str, ...]:
    cosines = grid.direction.T @ grid.direction - np.eye(3)
    if np.abs(cosines).max() <= _SHEAR_COSINE:
        return ()
    return ("the affine is sheared: its axes are not at right angles; it is kept as it is",)


def _count_not_finite(data: NDArray[Any]) -> int:
    if data.dtype.kind != "f":
        return 0
    return sum(int(slab.size - np.isfinite(slab).sum()) for slab in slabs_of(data))
