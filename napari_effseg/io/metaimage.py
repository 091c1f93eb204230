"""MetaImage files (.mha, and .mhd beside its data file).

SimpleITK reads and writes them. It trusts the header, so the header is compared with the file first.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import AffineError, ImageReadError
from ..types import Affine
from ..volume import LabelMap, Volume, as_affine, lps_to_ras, ras_to_lps
from . import _stream
from ._arrange import Choice, arrange
from ._labels import labels_from
from .label_table import read_table

__all__ = ["read", "read_labels", "write"]

_HEADER_LIMIT = 1 << 20  # bytes in which the header must end
_BYTES_OF = {
    "CHAR": 1,
    "UCHAR": 1,
    "SHORT": 2,
    "USHORT": 2,
    "INT": 4,
    "UINT": 4,
    "LONG": 4,
    "ULONG": 4,
    "LONG_LONG": 8,
    "ULONG_LONG": 8,
    "FLOAT": 4,
    "DOUBLE": 8,
}
_COPIES = 2  # SimpleITK's image and the array taken from it live for a moment together
_ANY_ZLIB = 32 + zlib.MAX_WBITS  # zlib or gzip


def read(path: Path, choice: Choice) -> Volume:
    """Read an image; see `napari_effseg.io.load`."""
    import SimpleITK as sitk

    _refuse_broken(path)
    try:
        image = sitk.ReadImage(str(path), imageIO="MetaImageIO")
    except RuntimeError as err:
        raise ImageReadError(f"{path}: cannot be read as MetaImage ({_last_line(err)})") from err
    array = sitk.GetArrayFromImage(image).T  # (K, J, I) -> (I, J, K): the same memory
    if array.dtype.kind not in "biuf":
        raise ImageReadError(f"{path}: its voxels are of type {array.dtype}; expected real numbers")
    roles = "ijkt"[: image.GetDimension()]
    if image.GetNumberOfComponentsPerPixel() > 1:
        roles = "c" + roles  # the last axis of SimpleITK's array is now the first
    data, warnings = arrange(array, roles, choice, path)
    return Volume(data, _affine(image, path), warnings=warnings)


def read_labels(path: Path) -> LabelMap:
    """Read a segmentation; names come from the table beside it."""
    return labels_from(read(path, Choice()), read_table(path), path)


def write(thing: LabelMap | Volume, path: Path) -> None:
    """Write a compressed .mha file in LPS; channels become the components of a voxel."""
    import SimpleITK as sitk

    is_vector = isinstance(thing, Volume) and thing.channels > 1
    image = sitk.GetImageFromArray(np.ascontiguousarray(np.asarray(thing.data).T), isVector=is_vector)
    lps = ras_to_lps(thing.affine)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    sitk.WriteImage(image, str(path), useCompression=True, imageIO="MetaImageIO")


def _affine(image: Any, path: Path) -> Affine:
    """Affine to RAS of the first three axes; a picture's third axis is the normal, 1 mm."""
    dimension = min(3, image.GetDimension())
    direction = np.array(image.GetDirection()).reshape(image.GetDimension(), -1)
    lps = np.eye(4)
    lps[:dimension, :dimension] = direction[:dimension, :dimension] * image.GetSpacing()[:dimension]
    lps[:dimension, 3] = image.GetOrigin()[:dimension]
    try:
        return as_affine(lps_to_ras(lps))
    except AffineError as err:
        raise AffineError(f"{path}: {err}") from err


# --- the header against the file ---


def _refuse_broken(path: Path) -> None:
    """Compare the bytes that the header promises with those in the file, and with the memory."""
    fields, end = _header(path)
    try:
        shape = [int(side) for side in fields["DimSize"].split()]
        components = int(fields.get("ElementNumberOfChannels", 1))
        size = _BYTES_OF[fields["ElementType"].removeprefix("MET_").removesuffix("_ARRAY")]
    except (KeyError, ValueError) as err:
        raise ImageReadError(f"{path}: its MetaImage header lacks or garbles {err}") from err
    if not shape or min(shape) < 1 or components < 1:
        raise ImageReadError(
            f"{path}: its MetaImage header gives the size {shape}; expected at least 1 a side"
        )
    claim = " x ".join(str(side) for side in shape) + f" voxels of {size * components} bytes"
    needed = math.prod(shape) * components * size
    _stream.require_memory(path, _COPIES * needed, claim)
    data_path, start = _data_file(path, fields, end)
    if fields.get("BinaryData", "True").lower() == "false":
        needed, found = math.prod(shape) * components, data_path.stat().st_size - start  # a digit a number
    elif fields.get("CompressedData", "False").lower() == "true":
        found = _unpacked_size(data_path, start, needed, path)
    else:
        found = data_path.stat().st_size - start
    if found < needed:
        raise _stream.too_short(path, claim, needed, max(found, 0))


def _header(path: Path) -> tuple[Mapping[str, str], int]:
    """``key = value`` lines up to ElementDataFile, and where they end."""
    block = _stream.first_bytes(path, _HEADER_LIMIT)
    fields: dict[str, str] = {}
    end = 0
    for line in block.splitlines(keepends=True):
        end += len(line)
        key, equals, value = line.decode("latin-1").partition("=")
        if not equals:
            break
        fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            return fields, end
    raise ImageReadError(
        f"{path}: is not a MetaImage file, whatever its name says; its first bytes are {block[:8]!r}"
    )


def _data_file(path: Path, fields: Mapping[str, str], end: int) -> tuple[Path, int]:
    named = fields["ElementDataFile"]
    if named.upper() == "LOCAL":
        return path, end
    if named.upper().startswith("LIST") or "%" in named:
        raise ImageReadError(f"{path}: its voxels are spread over several files; save them as one .mha")
    data_path = path.parent / named
    if not data_path.is_file():
        raise ImageReadError(f"{path}: its voxels should be in {named}, which is not beside it")
    return data_path, max(0, int(fields.get("HeaderSize", 0)))


def _unpacked_size(data_path: Path, start: int, needed: int, path: Path) -> int:
    """Bytes that the compressed data unpack to, counted up to `needed` without keeping them."""
    unpacker = zlib.decompressobj(_ANY_ZLIB)
    found = 0
    with data_path.open("rb") as file:
        file.seek(start)
        try:
            while found < needed and (packed := file.read(1 << 20)):
                while packed and found < needed:
                    found += len(unpacker.decompress(packed, 1 << 22))
                    packed = unpacker.unconsumed_tail
        except zlib.error as err:
            raise ImageReadError(f"{path}: the compressed data are damaged ({err})") from err
    return found


def _last_line(err: Exception) -> str:
    return str(err).strip().splitlines()[-1].strip()
