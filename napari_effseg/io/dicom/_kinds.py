"""What kind of object a file is, how its pixels are laid out, and whether they can be there at all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ImageReadError
from ._files import Header, PixelPlace
from ._values import number, tag_of, text, texts, whole

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = [
    "INVERSE",
    "SEGMENTATION",
    "UNKNOWN_KIND",
    "Layout",
    "layout_of",
    "why_no_image",
    "why_not_readable",
]

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
_DIRECTORY = "1.2.840.10008.1.3.10"
_MICROSCOPY = "1.2.840.10008.5.1.4.1.1.77.1.6"
_MOSAIC = "MOSAIC"
_VIDEO = (".100", ".101", ".102", ".103", ".104", ".105", ".106", ".107", ".108")
_COMPRESSIONS = "1.2.840.10008.1.2.4"
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")
_CODED = (
    *(f"{_COMPRESSIONS}.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)),
    "1.2.840.10008.1.2.5",
)
INVERSE = "MONOCHROME1"
"""Photometric interpretation of pixels whose low numbers mean bright."""
_GREY = (INVERSE, "MONOCHROME2", "PALETTE COLOR")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_FLOAT_BITS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
_BITS = (1, 8, 16, 32, 64)
UNKNOWN_KIND = "is DICOM, but holds no image, or is cut off before it"
_NO_PIXELS = "has no pixel data, or is cut off before it"
_LARGEST_SIDE = 65535
_MOST_FRAMES = 100_000  # ten times as many as the longest films and dynamic series
_FRAGMENT_HEADER = 8  # bytes before each compressed frame
_LARGEST_RATIO = 2000  # unpacked to packed bytes; of pictures that show anything
_SMALL_BYTES = 256_000_000  # below, any ratio is believed: a blank image packs to almost nothing


@dataclass(frozen=True, slots=True)
class Layout:
    """How the pixels of one frame are stored.

    Parameters
    ----------
    rows, columns : int
    samples : 1 or 3
        Numbers a pixel.
    bits_allocated, bits_stored : int
        Of one sample.
    is_signed : bool
    photometric : str
        DICOM's word for what the samples mean.
    syntax : str
        UID of the transfer syntax.
    pixels : PixelPlace
        Where they are.
    planar : 0 or 1
        Whether the samples of a pixel lie side by side (0) or in planes.
    frames : int
        Frames in the file.
    """

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    is_signed: bool
    photometric: str
    syntax: str
    pixels: PixelPlace
    planar: int
    frames: int

    @property
    def ends(self) -> np.integer[Any]:
        """Lowest and highest stored number together: what a number and its inverse add up to."""
        dtype = np.dtype(f"{'i' if self.is_signed else 'u'}{max(1, self.bits_allocated // 8)}")
        value: np.integer[Any] = dtype.type(-1 if self.is_signed else (1 << self.bits_stored) - 1)
        return value

    @property
    def channels(self) -> int:
        """Numbers a pixel once palettes are expanded."""
        return 3 if self.photometric == "PALETTE COLOR" else self.samples

    @property
    def stored_bytes(self) -> int:
        """Bytes of all frames where they are not compressed; single bits are packed."""
        bits = self.frames * self.rows * self.columns * self.samples * self.bits_allocated
        return math.ceil(bits / 12 if self.photometric == "YBR_FULL_422" else bits / 8)


def why_no_image(header: Header) -> str:
    """Say what a file is that holds no image, as the rest of a sentence; "" for images."""
    from pydicom.uid import UID

    kind = text(header.dataset, "SOPClassUID")
    if not kind and text(header.dataset.file_meta, "MediaStorageSOPClassUID") == _DIRECTORY:
        return "is an index of DICOM files; give its folder"
    if kind == SEGMENTATION or text(header.dataset, "Modality") == "SEG":
        return "is a DICOM segmentation, not an image; load_labels reads it"
    if header.pixels is not None:
        return ""
    if tag_of("Rows") in header.dataset and tag_of("BitsAllocated") in header.dataset:
        return ""
    name = UID(kind).name if kind else ""
    if not name or name == kind:
        return UNKNOWN_KIND
    return "" if "Image Storage" in name else f"holds no image, but {name.removesuffix(' Storage')}"


def why_not_readable(header: Header) -> str:
    """Say why the image of a file is not read, as the rest of a sentence; "" where it can be tried."""
    pixels = header.pixels
    if pixels is None:
        return _NO_PIXELS
    if text(header.dataset, "SOPClassUID") == _MICROSCOPY:
        return "is a whole-slide image in tiles, which is not read; export the level you need as TIFF"
    if _MOSAIC in texts(header.dataset, "ImageType"):
        return "is a mosaic of slices, which is not read; convert it with dcm2niix, or export single slices"
    if header.syntax not in (*_NATIVE, *_CODED):
        if header.syntax.startswith(_COMPRESSIONS) and header.syntax.endswith(_VIDEO):
            return "holds a video (MPEG or HEVC), which is not read; export its frames as pictures"
        return f"has the transfer syntax {_syntax_name(header.syntax)}, which is not read"
    if header.syntax in _CODED and not pixels.is_encapsulated:
        return "says that its pixels are compressed, but they do not come in fragments; its header is wrong"
    if header.syntax in _NATIVE and pixels.is_encapsulated:
        return "says that its pixels are not compressed, but they come in fragments; its header is wrong"
    return ""


def _syntax_name(syntax: str) -> str:
    from pydicom.uid import UID

    name = UID(syntax).name
    return name if name != syntax and name.isprintable() else "of an unknown kind"


def layout_of(header: Header) -> Layout:
    """Layout of the pixels, each number checked, and compared with the bytes that are there.

    Raises
    ------
    ImageReadError
        If a number is missing or impossible, or the bytes are too few; the message is the rest of a sentence.
    """
    dataset, pixels = header.dataset, header.pixels
    if pixels is None:
        raise ImageReadError(_NO_PIXELS)
    rows, columns = _side(dataset, "Rows"), _side(dataset, "Columns")
    samples = _default(dataset, "SamplesPerPixel", 1)
    photometric = text(dataset, "PhotometricInterpretation").upper() or ("RGB" if samples == 3 else _GREY[1])
    if samples not in (1, 3) or photometric not in (_COLOUR if samples == 3 else _GREY):
        raise ImageReadError(
            f"has {samples} numbers a pixel that mean {photometric}; expected one of {', '.join(_GREY)}, "
            f"or three of {', '.join(_COLOUR)}"
        )
    bits = _default(dataset, "BitsAllocated", _FLOAT_BITS.get(pixels.keyword, 0))
    stored = _default(dataset, "BitsStored", bits)
    if bits not in _BITS or not 1 <= stored <= bits:
        raise ImageReadError(f"has pixels of {stored} bits in {bits}, which cannot be")
    layout = Layout(
        rows,
        columns,
        samples,
        bits,
        stored,
        number(dataset, "PixelRepresentation") == 1,
        photometric,
        header.syntax,
        pixels,
        int(number(dataset, "PlanarConfiguration") == 1),
        max(1, _default(dataset, "NumberOfFrames", 1)),
    )
    _refuse_cut_off(layout)
    return layout


def _side(dataset: Dataset, keyword: str) -> int:
    found = whole(dataset, keyword)
    if found is None or not 1 <= found <= _LARGEST_SIDE:
        raise ImageReadError(f"has no valid number of {keyword.lower()}; its header is damaged")
    return found


def _default(dataset: Dataset, keyword: str, default: int) -> int:
    if not text(dataset, keyword):
        return default
    found = whole(dataset, keyword)
    if found is None:
        raise ImageReadError(f"has a {keyword} that is no number; its header is damaged")
    return found


def _refuse_cut_off(layout: Layout) -> None:
    if layout.frames > _MOST_FRAMES:
        raise ImageReadError(f"promises {layout.frames:,} frames; more than {_MOST_FRAMES:,} are not read")
    needed, found, frames = layout.stored_bytes, layout.pixels.length, layout.frames
    if layout.pixels.is_encapsulated:
        is_short = found < frames * _FRAGMENT_HEADER or needed > max(_SMALL_BYTES, _LARGEST_RATIO * found)
    else:
        is_short = found < needed
    if is_short:
        claim = f"{frames} x " if frames > 1 else ""
        raise ImageReadError(
            f"promises {claim}{layout.columns} x {layout.rows} pixels ({needed:,} bytes), but holds "
            f"{found:,} bytes of them; it is cut off or its header is wrong"
        )
