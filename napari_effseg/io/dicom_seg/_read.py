"""Read a DICOM SEG of any program as a label map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ImageReadError
from ...types import IntArray
from ...volume import Algorithm, LabelMap
from .. import _stream
from .._labels import smallest_integers
from ..dicom._files import Header, files_in, looks_like_dicom, read_header
from ..dicom._kinds import Layout, layout_of
from ..dicom._pixels import stored_frames
from ..dicom._silence import hushed
from ..dicom._values import number, text
from ._frames import SegFrame, frames_of
from ._segments import Segment, segments_of, table_of
from ._stack import SegStack, stack_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["read_labels"]

_SEGMENTATION, _LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
_SURFACES = "1.2.840.10008.5.1.4.1.1.66.5"
_BINARY, _FRACTIONAL, _LABELS = "BINARY", "FRACTIONAL", "LABELMAP"
_MOST_LISTED = 6


@dataclass(frozen=True)
class _Contents:
    """What the header of a SEG says, checked."""

    path: Path
    kind: str
    layout: Layout
    full: float  # value of a fractional pixel that lies wholly in the segment
    meaning: str  # of fractions: probability or occupancy
    frames: tuple[SegFrame, ...]
    segments: tuple[Segment, ...]
    stack: SegStack


def _find_segmentation(path: Path) -> Path:
    """Return the file, or the only SEG of a folder and its sub-folders.

    Raises
    ------
    ImageReadError
        If a folder holds none, or several.
    """
    if not path.is_dir():
        return path
    found = [file for file in files_in(path) if looks_like_dicom(file) and _is_segmentation(file)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ImageReadError(f"{path}: is a folder without a DICOM SEG; expected a segmentation file")
    names = ", ".join(str(file.relative_to(path)) for file in found[:_MOST_LISTED])
    raise ImageReadError(f"{path}: holds {len(found)} DICOM SEG files; give one of them: {names}")


def read_labels(path: Path) -> LabelMap:
    """Read a SEG; where segments overlap, the later hides the earlier, and a warning says how much.

    Parameters
    ----------
    path : Path
        A file, or a folder that holds one SEG. BINARY, FRACTIONAL (a voxel belongs to a segment from half of
        the full value on) or LABELMAP.

    Raises
    ------
    ImageReadError
        If it is no SEG, is damaged, or its frames cannot be one label map.
    """
    header = read_header(_find_segmentation(path), None)
    with hushed():
        contents = _contents(header)
    numbers, hidden = _paint(contents)
    return _label_map(contents, numbers, hidden)


def _is_segmentation(path: Path) -> bool:
    try:
        header = read_header(path, ("SOPClassUID",))
    except ImageReadError:
        return False
    with hushed():
        return text(header.dataset, "SOPClassUID") in (_SEGMENTATION, _LABEL_MAP)


def _contents(header: Header) -> _Contents:
    dataset, path = header.dataset, header.path
    kind = _kind(dataset, path)
    try:
        layout = layout_of(header)
        if layout.pixels.keyword != "PixelData" or layout.is_signed or layout.samples != 1:
            raise ImageReadError("has pixels that are no segmentation's; expected unsigned integers")
        frames = frames_of(dataset, layout.frames)
    except ImageReadError as err:
        raise ImageReadError(f"{path}: {err}") from err
    segments = segments_of(dataset)
    if kind != _LABELS:
        _refuse_unknown_segments(frames, segments, path)
    stack = stack_of(dataset, frames, (layout.columns, layout.rows), path)
    return _Contents(
        path=path,
        kind=kind,
        layout=layout,
        full=number(dataset, "MaximumFractionalValue") or 255.0,
        meaning=text(dataset, "SegmentationFractionalType").lower() or "fraction",
        frames=frames,
        segments=segments,
        stack=stack,
    )


def _kind(dataset: Dataset, path: Path) -> str:
    """Segmentation type; refuses what is no SEG."""
    from pydicom.uid import UID

    class_uid = text(dataset, "SOPClassUID")
    kind = text(dataset, "SegmentationType")
    if class_uid == _SURFACES:
        raise ImageReadError(f"{path}: holds surfaces, not voxels; export a segmentation with voxels")
    if class_uid not in (_SEGMENTATION, _LABEL_MAP):
        name = UID(class_uid).name.removesuffix(" Storage") if class_uid else "an unknown object"
        raise ImageReadError(f"{path}: is DICOM, but not a segmentation: {name}; load reads images")
    if kind not in (_BINARY, _FRACTIONAL, _LABELS):
        raise ImageReadError(
            f"{path}: has the segmentation type {kind!r}; expected {_BINARY}, {_FRACTIONAL} or {_LABELS}"
        )
    return kind


def _refuse_unknown_segments(frames: tuple[SegFrame, ...], segments: tuple[Segment, ...], path: Path) -> None:
    known = {segment.number for segment in segments}
    for frame in frames:
        if frame.segment is None or frame.segment not in known:
            raise ImageReadError(
                f"{path}: frame {frame.index + 1} belongs to segment {frame.segment}, which the file does "
                "not describe; it is damaged"
            )


# --- voxels ---


def _paint(contents: _Contents) -> tuple[IntArray, int]:
    """Segment number of each voxel, and how many voxels more than one segment claims."""
    grid = contents.stack.grid
    highest = max((segment.number for segment in contents.segments), default=0)
    if contents.kind == _LABELS:
        highest = max(highest, 2**contents.layout.bits_allocated - 1)
    kind = np.dtype(smallest_integers(highest))
    sides = " x ".join(str(side) for side in grid.shape)
    _stream.require_memory(contents.path, int(np.prod(grid.shape)) * kind.itemsize, f"{sides} voxels")
    numbers = np.zeros(grid.shape, dtype=kind, order="F")
    hidden = 0
    pixels = stored_frames(contents.path, contents.layout)
    for frame, k, values in zip(contents.frames, contents.stack.slices, pixels, strict=True):
        shown = _segment_numbers(values, frame, contents, kind)
        there = numbers[:, :, k].T
        hidden += int(np.count_nonzero((there != shown) & (there > 0) & (shown > 0)))
        np.maximum(there, shown, out=there)
    return numbers, hidden


def _segment_numbers(
    values: NDArray[Any], frame: SegFrame, contents: _Contents, kind: np.dtype[Any]
) -> NDArray[Any]:
    """Segment number of each pixel of a frame."""
    if contents.kind == _LABELS:
        return values.astype(kind)
    inside = 2.0 * values >= contents.full if contents.kind == _FRACTIONAL else values > 0
    shown: NDArray[Any] = inside.astype(kind) * kind.type(frame.segment or 0)
    return shown


def _label_map(contents: _Contents, numbers: IntArray, hidden: int) -> LabelMap:
    labels, table = table_of(contents.segments)
    data = _renumbered(numbers, labels)
    grid = contents.stack.grid
    makers = {segment.made_by for segment in contents.segments}
    made_by: Algorithm | None = makers.pop() if len(makers) == 1 else None
    return LabelMap(
        data,
        grid.affine,
        table.names,
        table.colours,
        table.codes,
        made_by=made_by,
        warnings=(*contents.stack.warnings, *_said(contents, hidden, grid.voxel_mm3), *table.warnings),
    )


def _renumbered(numbers: IntArray, labels: dict[int, int]) -> IntArray:
    """Replace segment numbers by labels; numbers that no segment has stay."""
    highest = int(numbers.max())
    if all(number == label for number, label in labels.items()):
        return numbers.astype(smallest_integers(highest), copy=False)
    table = np.arange(max(labels) + 1, dtype=smallest_integers(max(highest, *labels.values())))
    table[list(labels)] = list(labels.values())
    if highest < len(table):
        return table[numbers]
    return np.where(numbers < len(table), table[np.minimum(numbers, len(table) - 1)], numbers)


def _said(contents: _Contents, hidden: int, voxel_mm3: float) -> tuple[str, ...]:
    said = []
    if contents.kind == _FRACTIONAL:
        said.append(
            f"the segments are given as {contents.meaning} from 0 to {contents.full:g}: a voxel was taken to "
            f"belong to a segment from half of that on ({contents.full / 2:g})"
        )
    if hidden:
        said.append(
            f"segments overlap: at {hidden:,} places ({hidden * voxel_mm3 / 1000:.3g} mL) a later segment "
            "hides an earlier one"
        )
    return tuple(said)
