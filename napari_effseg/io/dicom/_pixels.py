"""Pixels, one frame at a time, into one array: (C, K, J, I) in memory, (C, I, J, K) to the outside."""

from __future__ import annotations

import contextlib
import io
import math
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...errors import ImageReadError
from .. import _stream
from ._bits import is_packed, unpacked
from ._codecs import decoder_for, missing_codec
from ._files import DEFLATED, open_file, read_header
from ._frames import Frame
from ._grid import Slices
from ._kinds import INVERSE, Layout
from ._silence import hushed, library_errors
from ._values import tag_of, text

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["read_pixels", "same_pixels", "stored_frames"]

_PALETTE = "PALETTE COLOR"
_RED_TABLES = ("RedPaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData")
_TAGS = (
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
    *(
        f"{colour}PaletteColorLookupTable{what}"
        for colour in ("Red", "Green", "Blue", "Alpha")
        for what in ("Descriptor", "Data")
    ),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
    "PaletteColorLookupTableUID",
)
_ITEM = 0xE000FFFE  # a fragment's tag, as a little-endian number of four bytes


def read_pixels(where: Path, volumes: Sequence[Slices], *, turn_inverse: bool) -> NDArray[Any]:
    """Read all frames of one or more volumes of one grid.

    Parameters
    ----------
    where : Path
        For messages.
    volumes : sequence of Slices
        Each a channel; or a single one, whose frames may have colours.
    turn_inverse : bool
        Whether frames whose low numbers mean bright (MONOCHROME1) are turned round.

    Returns
    -------
    ndarray, shape (C, I, J, K)
        The stored type; float32 where a slope or intercept applies. I is fastest in memory. A missing slice
        is filled with the lowest value of its volume.

    Raises
    ------
    ImageReadError
        If a frame is damaged, or all of them need more memory than is free.
    """
    i, j, k = volumes[0].grid.shape
    channels = len(volumes) * volumes[0].present[0].layout.channels
    dtype = _result_type([frame for volume in volumes for frame in volume.present])
    claim = f"{channels} x {i} x {j} x {k} voxels"
    _stream.require_memory(where, channels * i * j * k * dtype.itemsize, claim)
    array = np.empty((channels, k, j, i), dtype)
    for number, volume in enumerate(volumes):
        into = array if len(volumes) == 1 else array[number : number + 1]
        _fill(into, volume, turn_inverse)
    return array.transpose(0, 3, 2, 1)


def same_pixels(frame: Frame, other: Frame) -> bool:
    """Whether two frames have the same stored numbers and rescaling.

    Raises
    ------
    ImageReadError
        If one cannot be decoded.
    """
    if (frame.slope, frame.intercept) != (other.slope, other.intercept):
        return False
    (first,), (second,) = _decoded(frame.path, [frame]), _decoded(other.path, [other])
    return np.array_equal(first[1], second[1])


def _result_type(frames: Sequence[Frame]) -> np.dtype[Any]:
    if any(frame.is_rescaled for frame in frames):
        return np.dtype(np.float32)
    return np.result_type(*{_stored_type(frame.layout) for frame in frames})


def _stored_type(layout: Layout) -> np.dtype[Any]:
    if layout.pixels.keyword == "FloatPixelData":
        return np.dtype(np.float32)
    if layout.pixels.keyword == "DoubleFloatPixelData":
        return np.dtype(np.float64)
    if layout.photometric == _PALETTE or layout.bits_allocated == 1:
        return np.dtype(np.uint8)
    return np.dtype(f"{'i' if layout.is_signed else 'u'}{layout.bits_allocated // 8}")


def _fill(array: NDArray[Any], volume: Slices, turn_inverse: bool) -> None:
    """Write the frames of a volume into an array of shape (C, K, J, I)."""
    by_file: dict[Path, dict[Frame, int]] = {}
    for k, frame in enumerate(volume.frames):
        if frame is not None:
            by_file.setdefault(frame.path, {})[frame] = k
    has_holes = None in volume.frames
    lowest: Any = math.inf
    for path, places in by_file.items():
        for frame, stored in _decoded(path, list(places)):
            is_inverse = turn_inverse and frame.layout.photometric == INVERSE
            values = frame.layout.ends - stored if is_inverse else stored
            if frame.is_rescaled:
                values = values * np.float64(frame.slope) + frame.intercept
            target = array[:, places[frame]]
            target[...] = values if values.ndim == 2 else np.moveaxis(values, 2, 0)
            if has_holes:
                lowest = min(lowest, np.fmin.reduce(target, axis=None).item())
    for k, frame in enumerate(volume.frames):
        if frame is None:
            array[:, k] = lowest


# --- decoding ---


def _decoded(path: Path, frames: Sequence[Frame]) -> Iterator[tuple[Frame, NDArray[Any]]]:
    """Yield the stored numbers of some frames of one file, (rows, columns) or (rows, columns, 3)."""
    wanted = {frame.index: frame for frame in frames}
    layout = frames[0].layout
    dataset = read_header(path, _TAGS).dataset if _needs_header(layout) else None
    arrays = _arrays(path, layout, dataset, sorted(wanted))
    for index in sorted(wanted):
        with _damage_named(path):
            array, photometric = next(arrays)
            if layout.photometric == _PALETTE and dataset is not None:
                array = _expanded(array, dataset)
            elif layout.samples == 3 and photometric != "RGB":
                raise ImageReadError(f"{path}: its colours ({layout.photometric}) cannot be turned into RGB")
        yield wanted[index], array


def stored_frames(path: Path, layout: Layout) -> Iterator[NDArray[Any]]:
    """Yield the stored numbers of every frame of a file, (rows, columns); palettes are not looked up.

    Raises
    ------
    ImageReadError
        If one cannot be decoded.
    """
    dataset = read_header(path, _TAGS).dataset if _needs_header(layout) else None
    arrays = _arrays(path, layout, dataset, range(layout.frames))
    for _frame in range(layout.frames):
        with _damage_named(path):
            array, _meaning = next(arrays)
        yield array


@contextlib.contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn what decoders raise into our words."""
    with hushed():
        try:
            yield
        except StopIteration as err:
            raise ImageReadError(f"{path}: has fewer frames than its header promises") from err
        except ImageReadError:
            raise
        except library_errors() as err:
            raise ImageReadError(
                f"{path}: its pixels are damaged, cut off, or not what the header says they are"
            ) from err


def _needs_header(layout: Layout) -> bool:
    """Whether decoding asks for more than the layout: a palette, or a table of offsets."""
    return layout.photometric == _PALETTE or layout.pixels.is_encapsulated


def _arrays(
    path: Path, layout: Layout, dataset: Dataset | None, indices: Sequence[int]
) -> Iterator[tuple[NDArray[Any], str]]:
    """Yield decoded frames in rising order, with the meaning of their samples."""
    if reason := missing_codec(layout.syntax):
        raise ImageReadError(f"{path}: {reason}")
    options = _options(layout)
    if dataset is not None and layout.pixels.is_encapsulated:
        offsets = dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths")
        options.update({"extended_offsets": offsets} if all(offsets) else {})
    # all frames in one go: pydicom looks for each single one from the start
    chosen = None if len(indices) == layout.frames else indices
    with open_file(path) as file:
        source: Any = file
        if layout.syntax == DEFLATED:
            source = _inflated(path, layout)
        else:
            if layout.pixels.is_encapsulated:
                _refuse_cut_fragments(file, path, layout.pixels.start)
            file.seek(layout.pixels.start)
        if is_packed(layout):
            packed = io.BytesIO(source) if isinstance(source, bytes) else file
            for bits in unpacked(packed, layout, indices):
                yield bits, layout.photometric
            return
        decoder = decoder_for(layout.syntax)
        for array, properties in decoder.iter_array(source, indices=chosen, **options):
            yield array, str(properties["photometric_interpretation"])


def _options(layout: Layout) -> dict[str, Any]:
    """Tell pydicom's decoders what they want to know."""
    return {
        "rows": layout.rows,
        "columns": layout.columns,
        "samples_per_pixel": layout.samples,
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "pixel_representation": int(layout.is_signed),
        "photometric_interpretation": layout.photometric,
        "planar_configuration": layout.planar,
        "number_of_frames": layout.frames,
        "pixel_keyword": layout.pixels.keyword,
        "pixel_vr": layout.pixels.representation,
        "allow_excess_frames": False,
    }


def _inflated(path: Path, layout: Layout) -> bytes:
    """Pixels of a deflated file, whose size `read_header` compared with the memory."""
    import pydicom

    return bytes(pydicom.dcmread(path, force=True)[layout.pixels.keyword].value)


def _refuse_cut_fragments(file: BinaryIO, path: Path, start: int) -> None:
    """Follow the lengths of the fragments: codecs may fill what is missing in silence."""
    size = os.fstat(file.fileno()).st_size
    at = start
    while at < size:
        file.seek(at)
        head = file.read(8)
        tag, length = struct.unpack("<II", head) if len(head) == 8 else (_ITEM, size)
        if tag != _ITEM:
            return
        at += 8 + length
    if at > size:
        raise ImageReadError(f"{path}: its compressed pixels are cut off before their end")


def _expanded(array: NDArray[Any], dataset: Dataset) -> NDArray[np.uint8]:
    """Colours of a palette, 8 bits each; transparency is dropped."""
    from pydicom.pixels.processing import apply_color_lut

    has_table = any(tag_of(keyword) in dataset for keyword in _RED_TABLES)
    known = None if has_table else text(dataset, "PaletteColorLookupTableUID")
    colours = apply_color_lut(array, None if known else dataset, known)[..., :3]
    return colours.astype(np.uint8) if colours.dtype == np.uint8 else (colours >> 8).astype(np.uint8)
