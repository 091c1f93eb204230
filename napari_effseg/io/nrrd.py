"""NRRD files (.nrrd, .nhdr) and Slicer's segmentations in them (.seg.nrrd).

Voxels are read with memory bounded by what the file really holds.

References
----------
Slicer, Docs/developer_guide/modules/segmentations.md, "Segmentation labelmap file format".
"""

from __future__ import annotations

import bz2
import gzip
import math
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageReadError
from ..volume import LabelMap, Volume, ras_to_lps
from . import _stream
from ._arrange import Choice, arrange
from ._labels import labels_from
from ._nrrd_header import NrrdHeader, read_header, type_name
from .label_table import LabelTable
from .slicer_segments import flatten_layers, is_segmentation, segment_fields

__all__ = ["names_another_file", "read", "read_labels", "write"]

_GZIP, _BZIP2 = ("gzip", "gz"), ("bzip2", "bz2")
_COMPRESSION = 6


def names_another_file(path: Path) -> bool:
    """Whether the voxels of an NRRD file are in another one.

    Raises
    ------
    ImageReadError
        If it is no NRRD file.
    """
    return read_header(path).data_path != path


def read(path: Path, choice: Choice) -> Volume:
    """Read an image; see `napari_effseg.io.load`."""
    header = read_header(path)
    data, warnings = arrange(_voxels(path, header), header.roles, choice, path)
    return Volume(data, header.affine, warnings=header.warnings + warnings)


def read_labels(path: Path) -> LabelMap:
    """Read a segmentation; names, colours and codes come from Slicer's fields where the file has them.

    Layers of segments that overlap are laid over each other, later segments above, with a warning.
    """
    header = read_header(path)
    data, warnings = arrange(_voxels(path, header), header.roles, Choice(), path)
    table = LabelTable()
    if is_segmentation(header.fields):
        data, table = flatten_layers(data, header.fields, path)
    volume = Volume(data, header.affine, warnings=header.warnings + warnings)
    return labels_from(volume, table, path)


# --- voxels ---


def _voxels(path: Path, header: NrrdHeader) -> NDArray[Any]:
    """Voxels as stored, shape `header.shape`, read only as far as the file really goes."""
    encoding = str(header.fields["encoding"]).lower()
    _stream.require_memory(path, header.bytes_needed, header.claim)
    with header.data_path.open("rb") as file:
        file.seek(header.data_start)
        for _ in range(int(header.fields.get("line skip", header.fields.get("lineskip", 0)))):
            file.readline()
        byte_skip = int(header.fields.get("byte skip", header.fields.get("byteskip", 0)))
        if encoding == "raw":
            buffer = _read_raw(file, header, byte_skip)
        elif encoding in _GZIP + _BZIP2:
            buffer = _read_packed(file, path, header, byte_skip, encoding)
        elif encoding in ("ascii", "text", "txt"):
            return _read_text(file, path, header)
        else:
            raise ImageReadError(f"{path}: is encoded as {encoding!r}; expected raw, gzip, bzip2 or ascii")
    if len(buffer) < header.bytes_needed:
        raise _stream.too_short(path, header.claim, header.bytes_needed, len(buffer))
    return np.frombuffer(buffer, header.dtype).reshape(header.shape, order="F")


def _read_raw(file: BinaryIO, header: NrrdHeader, byte_skip: int) -> bytearray:
    if byte_skip == -1:  # NRRD's way to say: the last bytes of the file
        file.seek(max(0, header.data_path.stat().st_size - header.bytes_needed))
    else:
        file.seek(byte_skip, 1)
    return _stream.read_up_to(file, header.bytes_needed)


def _read_packed(file: BinaryIO, path: Path, header: NrrdHeader, byte_skip: int, encoding: str) -> bytearray:
    packed_as: Any = gzip if encoding in _GZIP else bz2
    try:
        with packed_as.open(file, "rb") as unpacked:
            _stream.skip(unpacked, max(0, byte_skip))
            buffer = _stream.read_up_to(unpacked, header.bytes_needed)
            if len(buffer) == header.bytes_needed:
                _stream.drain(unpacked)
            return buffer
    except EOFError as err:
        raise ImageReadError(f"{path}: the compressed data are cut off before their end") from err
    except (OSError, zlib.error) as err:
        raise ImageReadError(f"{path}: the compressed data are damaged ({err})") from err


def _read_text(file: BinaryIO, path: Path, header: NrrdHeader) -> NDArray[Any]:
    words = file.read().split()
    count = math.prod(header.shape)
    if len(words) < count:
        raise ImageReadError(f"{path}: the header promises {count} numbers, the file holds {len(words)}")
    try:
        return np.array(words[:count]).astype(header.dtype).reshape(header.shape, order="F")
    except ValueError as err:
        raise ImageReadError(f"{path}: holds text where numbers are expected ({err})") from err


# --- writing ---


def write(thing: LabelMap | Volume, path: Path) -> None:
    """Write an NRRD file in LPS, compressed; a LabelMap with Slicer's fields for its segments.

    The header is ours, not pynrrd's, which cannot write names beyond ASCII and puts the time into it: the
    same result is the same file.

    Parameters
    ----------
    thing : LabelMap or Volume
        Channels become a first axis of kind "vector".
    path : Path
    """
    data = np.asarray(thing.data)
    data = data.astype(data.dtype.newbyteorder("<"), copy=False)
    text = _header_text(thing, data)
    with path.open("wb") as file:
        file.write(text.encode("utf-8"))
        with gzip.GzipFile("", "wb", _COMPRESSION, file, mtime=0) as packed:
            for index in range(data.shape[-1]):
                packed.write(data[..., index].tobytes(order="F"))


def _header_text(thing: LabelMap | Volume, data: NDArray[Any]) -> str:
    lps = ras_to_lps(thing.affine)
    directions, kinds = [_vector(column) for column in lps[:3, :3].T], ["domain"] * 3
    if data.ndim == 4:
        directions, kinds = ["none", *directions], ["vector", *kinds]
    fields = {
        "type": type_name(data.dtype),
        "dimension": data.ndim,
        "space": "left-posterior-superior",
        "sizes": " ".join(str(side) for side in data.shape),
        "space directions": " ".join(directions),
        "kinds": " ".join(kinds),
        "endian": "little",
        "encoding": "gzip",
        "space origin": _vector(lps[:3, 3]),
    }
    lines = ["NRRD0005", *(f"{key}: {value}" for key, value in fields.items())]
    if isinstance(thing, LabelMap):
        segments = segment_fields(thing, data)
        lines += [f"{key}:={value}".replace("\\", "\\\\") for key, value in segments.items()]
    return "\n".join(lines) + "\n\n"


def _vector(numbers: NDArray[np.float64]) -> str:
    return "(" + ",".join(repr(float(number)) for number in numbers) + ")"
