"""What a Zarr array says of itself, checked before any library acts on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import ImageReadError

__all__ = ["ArrayMetadata", "array_metadata"]

_LARGEST_CHUNK = 2**31  # bytes; blosc stores no more either
# Codecs that turn bytes into bytes or numbers into numbers. Others, such as pickle, could run code.
_CODECS = frozenset(
    {
        *("blosc", "bz2", "gzip", "lz4", "lzma", "pcodec", "zfpy", "zlib", "zstd"),
        *("astype", "bitround", "delta", "fixedscaleoffset", "packbits", "quantize", "shuffle"),
        *("adler32", "crc32", "crc32c", "fletcher32", "jenkins_lookup3"),
    }
)
_CODECS_3 = frozenset({"bytes", "transpose", "sharding_indexed"})


@dataclass(frozen=True)
class ArrayMetadata:
    """Shape, type and chunks of an array.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
        Of real numbers, byte order of the machine.
    chunks : tuple of int
        Voxels that are packed together.
    version : 2 or 3
        Of the Zarr format.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...]
    version: int


def array_metadata(node: dict[str, Any], version: int, where: str) -> ArrayMetadata:
    """Read ``.zarray`` (version 2) or ``zarr.json`` (version 3).

    Raises
    ------
    ImageReadError
        If something is missing or wrong, the voxels are no real numbers, a chunk is too large to unpack, or a
        codec is not among those that are known to be harmless.
    """
    codecs, chunks = _version_2(node) if version == 2 else _version_3(node, where)
    for codec in codecs:
        if codec not in _CODECS | (_CODECS_3 if version == 3 else frozenset()):
            raise ImageReadError(f"{where} is packed with {codec!r}, which is not read here")
    kind = node.get("dtype") if version == 2 else node.get("data_type")
    metadata = ArrayMetadata(
        _sides(node.get("shape"), "shape", where),
        _number_type(kind, where),
        _sides(chunks, "chunks", where),
        version,
    )
    if len(metadata.chunks) != len(metadata.shape):
        raise ImageReadError(f"{where} has {len(metadata.shape)} axes, but chunks of {len(metadata.chunks)}")
    packed = math.prod(metadata.chunks) * metadata.dtype.itemsize
    if packed > _LARGEST_CHUNK:
        raise ImageReadError(
            f"{where} has chunks of {packed / 1e9:.1f} GB, each of which is unpacked as a whole; at most "
            f"{_LARGEST_CHUNK / 1e9:.1f} GB are read"
        )
    return metadata


def _version_2(node: dict[str, Any]) -> tuple[list[str], Any]:
    packing = [node.get("compressor"), *_entries(node.get("filters"))]
    return [_name(codec, "id") for codec in packing if codec is not None], node.get("chunks")


def _version_3(node: dict[str, Any], where: str) -> tuple[list[str], Any]:
    """Names of the codecs, those inside of shards too, and the smallest chunks."""
    if node.get("node_type") != "array":
        raise ImageReadError(f"{where} is a group; expected an array, such as a level of the image")
    chunks = _member(_member(node.get("chunk_grid"), "configuration"), "chunk_shape")
    names, pending = [], _entries(node.get("codecs"))
    while pending:
        codec = pending.pop()
        names.append(_name(codec, "name").removeprefix("numcodecs."))
        if names[-1] == "sharding_indexed":
            inside = _member(codec, "configuration")
            chunks = _member(inside, "chunk_shape")
            pending += _entries(_member(inside, "codecs")) + _entries(_member(inside, "index_codecs"))
    return names, chunks


def _member(thing: Any, key: str) -> Any:
    return thing.get(key) if isinstance(thing, dict) else None


def _entries(thing: Any) -> list[Any]:
    return list(thing) if isinstance(thing, list) else []


def _name(codec: Any, key: str) -> str:
    return str(codec if isinstance(codec, str) else _member(codec, key))


def _number_type(kind: Any, where: str) -> np.dtype[Any]:
    try:
        dtype = np.dtype(kind) if isinstance(kind, str) else None
    except TypeError:
        dtype = None
    if dtype is None or dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise ImageReadError(f"{where} holds voxels of type {kind!r}; expected real numbers, such as uint16")
    return dtype.newbyteorder("=")


def _sides(sides: Any, what: str, where: str) -> tuple[int, ...]:
    if not isinstance(sides, list) or not all(type(side) is int and 0 < side < 2**62 for side in sides):
        raise ImageReadError(f"{where} has the {what} {sides!r}; expected whole numbers from 1")
    return tuple(sides)
