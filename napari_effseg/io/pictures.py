"""PNG and JPEG pictures, read with Pillow as Volumes of one slice: i = column, j = row.

Their stored resolution is that of a screen or printer and says nothing about the patient, so the pixel
size is 1 mm, with a warning. A camera's EXIF turn is *not* carried out: `load` never turns an image, and
labels must match the stored pixels; programs that show the turned picture must turn the labels too, so a
warning says it.
"""

from __future__ import annotations

import struct
import warnings as python_warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageReadError
from ..types import Colour
from ..volume import LabelMap, Volume
from . import _stream
from ._arrange import Choice, arrange
from ._labels import labels_from
from .label_table import LabelTable, read_table

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["NO_PIXEL_SIZE", "picture_affine", "read", "read_labels"]

NO_PIXEL_SIZE = "the pixel size is not known: 1 mm is taken"
_EXIF_ORIENTATION = 0x0112
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PNG_RGB, _PNG_RGBA = 2, 6  # colour types in the PNG header
_BYTES_A_PIXEL = 8  # Pillow's picture and ours together, four channels of 8 bits each
_LARGEST_RATIO = 1032  # unpacked to packed bytes: deflate's limit, and about that of JPEG's shortest codes
_LIBRARY_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError)


def picture_affine(sx: float, sy: float) -> NDArray[np.float64]:
    """Affine of a picture: i to the patient's left, j to the back, as ITK reads a picture in LPS."""
    return np.diag([-sx, -sy, 1.0, 1.0])


def read(path: Path, choice: Choice) -> Volume:
    """Read a picture; see `napari_effseg.io.load`."""
    with _opened(path) as picture:
        warnings = _exif_warning(picture)
        if _is_deep_colour(path):
            pixels = _deep_colour(path)
        else:
            pixels, converted = _expanded(picture)
            warnings += converted
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        pixels = pixels[:, :, :-1]
        warnings += ("the alpha channel was dropped",)
    data, chosen = arrange(pixels, "jic"[: pixels.ndim], choice, path)
    return Volume(data, picture_affine(1, 1), warnings=(*warnings, *chosen, NO_PIXEL_SIZE))


def read_labels(path: Path) -> LabelMap:
    """Read a segmentation: the numbers of a palette are the labels, and its entries their colours."""
    table = read_table(path)
    with _opened(path) as picture:
        if picture.mode != "P":
            return labels_from(read(path, Choice()), table, path)
        pixels = _pixels(picture)
        colours = _palette(picture, set(np.unique(pixels).tolist()))
        warnings = (*_exif_warning(picture), NO_PIXEL_SIZE)
    data, _ = arrange(pixels, "ji", Choice(), path)
    volume = Volume(data, picture_affine(1, 1), warnings=warnings)
    table = LabelTable(table.names, colours | table.colours, table.codes, table.warnings)
    return labels_from(volume, table, path)


@contextmanager
def _opened(path: Path) -> Iterator[Image]:
    """Open a picture; its pixels are decoded inside the block, and what goes wrong there is put in words."""
    try:
        with _header(path) as picture:
            _refuse_lies(picture, path)
            yield picture
    except ImageReadError:
        raise
    except _LIBRARY_ERRORS as err:
        raise ImageReadError(f"{path}: the picture is cut off or damaged ({err})") from err


def _refuse_lies(picture: Image, path: Path) -> None:
    """Compare the size that the header claims with the memory and with what the file can unpack to."""
    width, height = picture.size
    claim = f"{width} x {height} pixels"
    _stream.require_memory(path, _BYTES_A_PIXEL * width * height, claim)
    bits = 1 if picture.mode in ("1", "P") else 8 * len(picture.getbands())  # a palette may have 1-bit pixels
    if width * height * bits / 8 > _LARGEST_RATIO * path.stat().st_size:
        raise ImageReadError(
            f"{path}: the header promises {claim}, more than {path.stat().st_size:,} bytes can hold; "
            "the file is cut off or its header is wrong"
        )


def _header(path: Path) -> Image:
    """Pillow's picture, not decoded yet."""
    from PIL import Image, UnidentifiedImageError

    try:
        with python_warnings.catch_warnings():
            # between Pillow's warning and its error we decide by memory
            python_warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path, formats=("PNG", "JPEG"))
    except UnidentifiedImageError as err:
        raise ImageReadError(
            f"{path}: is neither PNG nor JPEG, whatever its name says; "
            f"its first bytes are {_stream.first_bytes(path, 8)!r}"
        ) from err
    except Image.DecompressionBombError as err:
        raise ImageReadError(f"{path}: has too many pixels for PNG or JPEG; save it as TIFF ({err})") from err


def _exif_warning(picture: Image) -> tuple[str, ...]:
    orientation = picture.getexif().get(_EXIF_ORIENTATION, 1)
    if orientation in (0, 1):
        return ()
    return (
        f"the camera marked the picture as turned (EXIF orientation {orientation}): it is kept as stored, "
        "so that labels match it pixel by pixel",
    )


def _expanded(picture: Image) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Pixels, palettes and print colours turned into RGB."""
    if picture.mode in ("P", "PA"):
        seen_through = picture.mode == "PA" or "transparency" in picture.info
        return _pixels(picture.convert("RGBA" if seen_through else "RGB")), ()
    if picture.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        return _pixels(picture.convert("RGB")), (f"the {picture.mode} colours were turned into RGB",)
    return _pixels(picture), ()


def _pixels(picture: Image) -> NDArray[Any]:
    """(J, I) or (J, I, C) pixels, decoded here."""
    pixels = np.array(picture)
    return pixels.astype(np.uint8) if pixels.dtype == bool else pixels


def _is_deep_colour(path: Path) -> bool:
    """Whether it is a PNG of 16-bit colours, which Pillow would cut down to 8 bits."""
    head = _stream.first_bytes(path, 26)
    return head.startswith(_PNG_MAGIC) and head[24] == 16 and head[25] in (_PNG_RGB, _PNG_RGBA)


def _deep_colour(path: Path) -> NDArray[Any]:
    import imagecodecs

    try:
        return np.asarray(imagecodecs.png_decode(path.read_bytes()))
    except (imagecodecs.PngError, ValueError) as err:
        raise ImageReadError(f"{path}: the picture is cut off or damaged ({err})") from err


def _palette(picture: Image, labels: set[int]) -> dict[int, Colour]:
    """Palette entries of the labels that occur."""
    entries = np.array(picture.getpalette("RGB") or [], dtype=int).reshape(-1, 3).tolist()
    return {label: (r, g, b) for label, (r, g, b) in enumerate(entries) if label in labels and label > 0}
