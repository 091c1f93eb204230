"""The series that a SEG belongs to: which of those that were given, its slices, and what to refer to."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import ExportError, ImageReadError
from ...volume import Grid, ras_to_lps, transform_points
from ...volume.lattice import place_on_lattice
from .._arrange import Choice
from ..dicom._files import looks_like_dicom, read_header
from ..dicom._frames import Frame
from ..dicom._grid import Slices
from ..dicom._listing import series_in
from ..dicom._pixels import same_pixels
from ..dicom._places import NO_PIXEL_SIZE
from ..dicom._plan import plan
from ..dicom._scan import Scan, scan
from ..dicom._series import choose
from ..dicom._silence import hushed
from ..dicom._values import text, whole
from ._header import Context, context_of

__all__ = ["SAME_PLACE_MM", "Reference", "SourceImage", "evenness_mm", "find_reference"]

SAME_PLACE_MM = 1e-3
"""A label map is on the voxels of a series when no corner is further off; highdicom matches planes so."""

_EVEN_MM, _EVEN = 0.01, 0.01  # rounding of headers, absolute and as a share of the distance between slices
_MOST_LISTED = 6


@dataclass(frozen=True)
class SourceImage:
    """What a reference in DICOM names.

    Parameters
    ----------
    class_uid, instance_uid : str
    frame : int or None
        From 1, in an object of several frames.
    """

    class_uid: str
    instance_uid: str
    frame: int | None


@dataclass(frozen=True)
class Reference:
    """A series as a place for segments.

    Parameters
    ----------
    where : Path
        For messages.
    grid : Grid
        As `load` gives it.
    positions_lps : ndarray, shape (K, 3)
        Centre of the first pixel of each slice, mm, as the headers have it; the grid's where one is missing.
    images : tuple of SourceImage or None
        Along k; None for a missing slice.
    has_place : bool
        Whether the headers say where in the patient it lies; False for plain pictures of one slice.
    has_pixel_size : bool
    files : frozenset of Path
        Where the images are stored.
    context : Context
        Patient, study and what the SEG takes over besides.
    """

    where: Path
    grid: Grid
    positions_lps: NDArray[np.float64]
    images: tuple[SourceImage | None, ...]
    has_place: bool
    has_pixel_size: bool
    files: frozenset[Path]
    context: Context

    def holds(self, grid: Grid) -> bool:
        """Whether all voxels of a grid are voxels of this series."""
        return _holds(self.grid, grid)


def find_reference(
    where: Path | Sequence[Path], grid: Grid, series: str | None, frame: int | None
) -> Reference:
    """Find the series that a label map on this grid belongs to.

    Parameters
    ----------
    where : Path or sequence of Path
        A folder, a file of the series, or its files.
    grid : Grid
        Of the label map: where there are several series, the one that has these voxels is meant.
    series : str or None
        UID, where that is not enough.
    frame : int or None
        Which of several images at each place was segmented.

    Raises
    ------
    ExportError
        If no series, or more than one, has the voxels of the label map, or the series is not evenly spaced.
    ImageReadError
        If there is no series, or it cannot be read.
    """
    if isinstance(where, Path) and where.is_file() and not looks_like_dicom(where):
        raise ExportError(
            f"{where}: is no DICOM file; a DICOM SEG must say which DICOM series it belongs to; "
            "write .nii.gz or .seg.nrrd"
        )
    found = list(_series(where, series, frame))
    fitting = _fitting(found, grid)
    if not fitting and isinstance(where, Path) and where.is_file():
        found = list(_series_of_file(where, frame))
        fitting = _fitting(found, grid)
    if len(fitting) == 1 or len(found) == 1:
        return _reference((fitting or found)[0])
    place = where if isinstance(where, Path) else where[0].parent
    names = "; ".join(one.uid for one in (fitting or found)[:_MOST_LISTED])
    which = "several have" if fitting else "none has"
    raise ExportError(
        f"{place}: holds {len(found)} series and {which} exactly the voxels of the result; "
        f"choose one with series= (--series): {names}"
    )


@dataclass(frozen=True)
class _Candidate:
    where: Path
    uid: str
    slices: Slices
    has_place: bool


def _series(where: Path | Sequence[Path], series: str | None, frame: int | None) -> Iterator[_Candidate]:
    """Every series that could be meant."""
    found = scan(where)
    infos = [info for info in series_in(found) if not info.why_not]
    if series is not None or len(infos) <= 1:
        yield _candidate(found, series, frame)  # says in words why there is none
        return
    for info in infos:
        with contextlib.suppress(ImageReadError):  # this one cannot have been segmented
            yield _candidate(found, info.uid, frame)


def _series_of_file(file: Path, frame: int | None) -> Iterator[_Candidate]:
    """Series of the file's folder that one file of it stands for."""
    found = scan(file.parent)
    for info in series_in(found):
        if file in info.files and not info.why_not:
            yield _candidate(found, info.uid, frame)


def _candidate(found: Scan, uid: str | None, frame: int | None) -> _Candidate:
    chosen = choose(found, uid)
    slices = plan(chosen, Choice(frame), same_pixels).volumes[0]
    return _Candidate(chosen.where, uid or "", slices, chosen.stack.has_place)


def _fitting(found: Sequence[_Candidate], grid: Grid) -> list[_Candidate]:
    """Series that have these voxels; those that have no others, where there are such."""
    fitting = [one for one in found if _holds(one.slices.grid, grid)]
    voxels = math.prod(grid.shape)
    return [one for one in fitting if math.prod(one.slices.grid.shape) == voxels] or fitting


def _holds(series: Grid, grid: Grid) -> bool:
    placed = place_on_lattice(grid, series, SAME_PLACE_MM)
    if placed is None:
        return False
    low, high = placed.box
    return all(a >= 0 and b <= side for a, b, side in zip(low, high, series.shape, strict=True))


# --- its slices ---


def evenness_mm(grid: Grid) -> float:
    """How far a slice may lie from its place on the grid for want of digits in the headers."""
    return max(_EVEN_MM, _EVEN * grid.spacing[2])


def _reference(found: _Candidate) -> Reference:
    slices, grid = found.slices, found.slices.grid
    if not found.has_place and grid.shape[2] > 1:
        raise ExportError(
            f"{found.where}: does not say where its slices lie in the patient, so that a DICOM SEG could not "
            "either; write .nii.gz or .seg.nrrd"
        )
    first = slices.present[0]
    return Reference(
        where=found.where,
        grid=grid,
        positions_lps=_positions(slices, grid, found.where),
        images=_images(slices.frames),
        has_place=found.has_place,
        has_pixel_size=NO_PIXEL_SIZE not in first.place.notes,
        files=frozenset(frame.path for frame in slices.present),
        context=context_of(first.path, has_place=found.has_place),
    )


def _positions(slices: Slices, grid: Grid, where: Path) -> NDArray[np.float64]:
    """Positions of the slices as they are in the headers.

    Raises
    ------
    ExportError
        If they are not those of the grid: no label map could say where such a SEG has its segments.
    """
    indices = [(0, 0, k) for k in range(len(slices.frames))]
    positions = transform_points(ras_to_lps(grid.affine), indices)
    off = 0.0
    for k, frame in enumerate(slices.frames):
        if frame is not None and frame.place.position_lps is not None:
            off = max(off, float(np.linalg.norm(positions[k] - frame.place.position_lps)))
            positions[k] = frame.place.position_lps
    if off > evenness_mm(grid):
        raise ExportError(
            f"{where}: the slices are not evenly spaced, and the volume shows them up to {off:.1f} mm from "
            "where they lie, so that a DICOM SEG would put the labels elsewhere; write .seg.nrrd or .nii.gz"
        )
    return positions


def _images(frames: Sequence[Frame | None]) -> tuple[SourceImage | None, ...]:
    known: dict[Path, tuple[str, str, bool]] = {}
    images: list[SourceImage | None] = []
    for frame in frames:
        if frame is None:
            images.append(None)
            continue
        if frame.path not in known:
            known[frame.path] = _object(frame.path)
        class_uid, instance_uid, has_frames = known[frame.path]
        images.append(SourceImage(class_uid, instance_uid, frame.index + 1 if has_frames else None))
    return tuple(images)


def _object(path: Path) -> tuple[str, str, bool]:
    """Class and instance UID of a file, and whether it has several frames."""
    with hushed():
        dataset = read_header(path, ("SOPClassUID", "SOPInstanceUID", "NumberOfFrames")).dataset
        meta = dataset.file_meta
        class_uid = text(dataset, "SOPClassUID") or text(meta, "MediaStorageSOPClassUID")
        instance_uid = text(dataset, "SOPInstanceUID") or text(meta, "MediaStorageSOPInstanceUID")
        frames = whole(dataset, "NumberOfFrames") or 1
    if not class_uid or not instance_uid:
        raise ExportError(
            f"{path}: has no SOP Instance UID, so that a DICOM SEG could not refer to it; "
            "give the original series as reference, or write .seg.nrrd"
        )
    return class_uid, instance_uid, frames > 1
