"""TIFF files, read with tifffile: pictures, stacks, channels; pixel sizes of OME and ImageJ.

Only OME and ImageJ give sizes in real units; the resolution of a plain TIFF is that of a printer.
"""

from __future__ import annotations

import logging
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageReadError
from ..types import Spacing
from ..volume import LabelMap, Volume
from . import _stream
from ._arrange import Choice, arrange
from ._labels import labels_from
from .label_table import read_table
from .pictures import NO_PIXEL_SIZE

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries

__all__ = ["read", "read_labels"]

# What is odd in a file is said by us; without a handler Python would print tifffile's notes on stderr.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_MM_OF_UNIT = {
    "nm": 1e-6,
    "um": 1e-3,
    "µm": 1e-3,  # micro sign
    "μm": 1e-3,  # Greek mu
    "micron": 1e-3,
    "microns": 1e-3,
    "mm": 1.0,
    "cm": 10.0,
    "m": 1000.0,
}
_ROLE_OF_AXIS = {"X": "i", "Y": "j", "Z": "k", "C": "c", "S": "c", "T": "t"}
_UNNAMED_AXES = "QI"  # tifffile's names for pages without meaning
_ALPHA = (1, 2)  # ExtraSamples: associated and unassociated
_MINISWHITE, _RGB, _PALETTE = 0, 2, 3  # PhotometricInterpretation
_SEPARATED, _CIELAB = 5, 8
# What tifffile and the codecs raise on damaged files; TiffFileError and the codecs' own derive from these.
_LIBRARY_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
_BIGTIFF = 43  # version number; classic TIFF has 42
_LARGEST_OFFSET = 2**63 - 1  # that a file can be asked for
_LARGEST_RATIO = 2000  # unpacked to packed bytes; deflate reaches 1032
_SMALL_BYTES = 256_000_000  # below, any ratio is believed: a blank image packs to almost nothing


def read(path: Path, choice: Choice) -> Volume:
    """Read an image; see `napari_effseg.io.load`."""
    return _read(path, choice, as_labels=False)


def read_labels(path: Path) -> LabelMap:
    """Read a segmentation: the numbers of a palette are the labels."""
    return labels_from(_read(path, Choice(), as_labels=True), read_table(path), path)


def _read(path: Path, choice: Choice, *, as_labels: bool) -> Volume:
    if _stream.first_bytes(path, 2) not in (b"II", b"MM"):
        raise ImageReadError(
            f"{path}: is not a TIFF file, whatever its name says; "
            f"its first bytes are {_stream.first_bytes(path, 8)!r}"
        )
    _refuse_endless_pages(path)
    decoded = _decoded(path, as_labels=as_labels)
    pixels = decoded.pixels.astype(np.uint8) if decoded.pixels.dtype == bool else decoded.pixels
    if pixels.dtype.kind not in "iuf":
        raise ImageReadError(f"{path}: its pixels are of type {pixels.dtype}; expected real numbers")
    data, warnings = arrange(pixels, decoded.roles, choice, path)
    sx, sy, sz = decoded.spacing or (1.0, 1.0, 1.0)
    unknown = () if decoded.spacing else (NO_PIXEL_SIZE,)
    return Volume(data, np.diag([-sx, -sy, sz, 1.0]), warnings=decoded.warnings + unknown + warnings)


@dataclass(frozen=True)
class _Decoded:
    """The first series of a file: pixels, a letter for each axis, mm a pixel where known, what was odd."""

    pixels: NDArray[Any]
    roles: str
    spacing: Spacing | None
    warnings: tuple[str, ...]


def _decoded(path: Path, *, as_labels: bool) -> _Decoded:
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            series = tiff.series[0]
            _refuse_broken(series, path)
            roles, warnings = _roles(series.axes, series.shape, path)
            pixels = series.asarray()
            if pixels.ndim != len(roles):
                raise ImageReadError(f"{path}: its pages do not have the axes {series.axes} that it names")
            if not as_labels:
                pixels, roles, changed = _true_colours(pixels, roles, series.keyframe, path)
                warnings += changed
            return _Decoded(pixels, roles, _spacing(tiff, series), warnings)
    except ImageReadError:
        raise
    except _LIBRARY_ERRORS as err:
        raise ImageReadError(f"{path}: the TIFF file is cut off or damaged ({err})") from err


def _refuse_endless_pages(path: Path) -> None:
    """Follow the chain of pages once: tifffile would walk a damaged one that bites its tail for hours."""
    head = _stream.first_bytes(path, 16).ljust(16, b"\0")
    order = "<" if head[:2] == b"II" else ">"
    is_big = struct.unpack(f"{order}H", head[2:4])[0] == _BIGTIFF
    offset_format, count_format, entry = ("Q", "Q", 20) if is_big else ("I", "H", 12)
    offset = struct.unpack_from(f"{order}{offset_format}", head, 8 if is_big else 4)[0]
    seen: set[int] = set()
    with path.open("rb") as file:
        while offset:
            seen.add(offset)
            count = _number(file, offset, f"{order}{count_format}")
            table = struct.calcsize(count_format) + (count or 0) * entry
            after = _number(file, offset + table, f"{order}{offset_format}")
            if after is None or after in seen:
                raise ImageReadError(f"{path}: the TIFF file is cut off or damaged (page {len(seen)})")
            offset = after


def _number(file: BinaryIO, offset: int, form: str) -> int | None:
    """Read one number at a place in the file; None beyond its end."""
    file.seek(min(offset, _LARGEST_OFFSET))
    packed = file.read(struct.calcsize(form))
    return struct.unpack(form, packed)[0] if len(packed) == struct.calcsize(form) else None


def _refuse_broken(series: TiffPageSeries, path: Path) -> None:
    """Compare what the tags promise with the bytes in the file, and with the memory."""
    size = path.stat().st_size
    claim = " x ".join(str(side) for side in series.shape) + f" pixels of {series.dtype}"
    needed = math.prod(series.shape) * series.dtype.itemsize
    _stream.require_memory(path, needed, claim)
    stored = 0
    for page in series.pages:
        if page is None:
            continue
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
            stored += count
            if offset + count > size:
                raise _stream.too_short(path, claim, offset + count, size)
    compressed = series.keyframe.compression > 1
    if (not compressed and stored < needed * _bit_share(series)) or needed > max(
        _SMALL_BYTES, _LARGEST_RATIO * stored
    ):
        raise _stream.too_short(path, claim, needed, stored)


def _bit_share(series: TiffPageSeries) -> float:
    """Share of the array type's bits that a stored sample has: 1-bit pixels unpack to bytes."""
    bits = series.keyframe.bitspersample
    return float(bits / (8 * series.dtype.itemsize)) if isinstance(bits, int) else 0.0


def _roles(axes: str, shape: tuple[int, ...], path: Path) -> tuple[str, tuple[str, ...]]:
    """Give a letter to each axis; pages without a name are slices, with a warning."""
    warnings: tuple[str, ...] = ()
    if "Z" not in axes and sum(axis in _UNNAMED_AXES for axis in axes) == 1:
        axes = "".join("Z" if axis in _UNNAMED_AXES else axis for axis in axes)
        warnings = (f"the file has {shape[axes.index('Z')]} pages without a name: taken for slices",)
    roles = "".join(_ROLE_OF_AXIS.get(axis, "?") for axis in axes)
    if "?" in roles or len(set(roles)) < len(roles):
        raise ImageReadError(f"{path}: its axes {axes} are not space, time and one of channels")
    return roles, warnings


def _true_colours(
    pixels: NDArray[Any], roles: str, page: Any, path: Path
) -> tuple[NDArray[Any], str, tuple[str, ...]]:
    """Expand a palette, turn white-is-zero round, drop alpha."""
    if page.photometric == _PALETTE and page.colormap is not None:
        # a colour map counts to 65535
        return (page.colormap.T[pixels] >> 8).astype(np.uint8), roles + "c", ()
    if page.photometric == _MINISWHITE and pixels.dtype.kind in "bu":
        return ~pixels, roles, ("the file stores white as 0: turned round, so that bright is large",)
    if page.photometric in (_SEPARATED, _CIELAB):
        raise ImageReadError(f"{path}: its colours are for print ({page.photometric.name}); save it as RGB")
    extra = page.extrasamples
    if "c" in roles and extra and (extra[0] in _ALPHA or page.photometric == _RGB):
        colours = page.samplesperpixel - len(extra)
        taken = np.take(pixels, range(colours), axis=roles.index("c"))
        return taken, roles, ("the alpha channel was dropped",)
    return pixels, roles, ()


# --- pixel sizes ---


def _spacing(tiff: TiffFile, series: TiffPageSeries) -> Spacing | None:
    """Millimetres a pixel along i, j, k, or None where the file does not say."""
    if tiff.is_ome and tiff.ome_metadata:
        return _ome_spacing(tiff.ome_metadata)
    if tiff.is_imagej:
        return _imagej_spacing(tiff.imagej_metadata or {}, series.keyframe)
    return None


def _ome_spacing(xml: str) -> Spacing | None:
    try:
        pixels = next(e for e in ElementTree.fromstring(xml).iter() if e.tag.endswith("}Pixels"))
    except (ElementTree.ParseError, StopIteration):
        return None
    sizes = []
    for axis in "XYZ":
        unit = pixels.get(f"PhysicalSize{axis}Unit", "µm")  # OME's default
        size = float(pixels.get(f"PhysicalSize{axis}", 0)) * _MM_OF_UNIT.get(unit, 0.0)
        sizes.append(size if size > 0 else None)
    return _complete(sizes)


def _imagej_spacing(metadata: dict[str, Any], page: Any) -> Spacing | None:
    unit = str(metadata.get("unit", "")).replace("\\u00B5", "µ").lower()
    mm = _MM_OF_UNIT.get(unit)
    if mm is None:
        return None
    sizes: list[float | None] = []
    for tag in ("XResolution", "YResolution"):
        pixels, units = page.tags[tag].value if tag in page.tags else (0, 1)  # pixels a unit, as a fraction
        sizes.append(mm * units / pixels if pixels and units else None)
    sizes.append(mm * float(metadata["spacing"]) if metadata.get("spacing") else None)
    return _complete(sizes)


def _complete(sizes: list[float | None]) -> Spacing | None:
    """All three sizes; slices of unknown distance count 1 mm, as the normal of a picture does."""
    i, j, k = sizes
    if i is None or j is None:
        return None
    return i, j, abs(k) if k else 1.0
