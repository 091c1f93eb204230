"""The folder or zip file that holds an OME-Zarr image: its JSON, and its arrays, opened by zarr."""

from __future__ import annotations

import json
import lzma
import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._extras import require
from ...errors import ImageReadError
from ._array_metadata import ArrayMetadata, array_metadata
from ._paths import join

__all__ = ["Store", "StoredArray", "open_store"]

_JSON_LIMIT = 2**26  # bytes; tables of a million labels fit
_MEMBER_LIMIT = 2**31  # bytes of one compressed member of a zip file
_ZIP_MAGIC = b"PK"
_ROOT_FILES = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
_LIBRARY_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What zarr and its codecs raise for damaged chunks; running out of memory is none of it."""


@dataclass(frozen=True)
class Store:
    """A folder, or a zip file and the folder in it, that holds a Zarr group.

    Attributes
    ----------
    path : Path
        Folder or zip file.
    inside : str
        Folder inside a zip file, "" for its root.
    """

    path: Path
    inside: str = ""

    @cached_property
    def _archive(self) -> zipfile.ZipFile | None:
        return zipfile.ZipFile(self.path) if self.path.is_file() else None

    def attributes(self, key: str = "") -> dict[str, Any] | None:
        """Attributes of a group or array, of Zarr 3 or 2; None if there is no such node."""
        node = self._json(key, "zarr.json")
        if node is not None:
            attributes = node.get("attributes", {})
            return attributes if isinstance(attributes, dict) else {}
        attributes = self._json(key, ".zattrs")
        if attributes is not None:
            return attributes
        exists = any(self._text(key, name) is not None for name in (".zgroup", ".zarray"))
        return {} if exists else None

    def metadata(self, key: str) -> ArrayMetadata:
        """Shape, type and chunks of an array.

        Raises
        ------
        ImageReadError
            If there is no such array, or its metadata are wrong or of a kind that is not read here.
        """
        where = self._where(key)
        for version, name in ((3, "zarr.json"), (2, ".zarray")):
            node = self._json(key, name)
            if node is not None:
                return array_metadata(node, version, where)
        raise ImageReadError(f"{where} is named by the metadata, but is not there; the copy may be partial")

    def array(self, key: str) -> StoredArray:
        """Open an array; none of its voxels are read.

        Raises
        ------
        ImageReadError
            As `metadata`, or if the zarr package refuses it.
        MissingExtra
            If the zarr package is not installed.
        """
        metadata = self.metadata(key)
        return StoredArray(self._open(key, metadata.version), metadata, self._where(key))

    def _open(self, key: str, version: int) -> Any:
        where = self._where(key)
        zarr = require("zarr", "zarr", "OME-Zarr")
        newest = int(zarr.__version__.partition(".")[0])
        if version > newest:
            raise ImageReadError(
                f"{where} is stored as Zarr 3, which the installed zarr {zarr.__version__} does not read; it "
                "needs zarr 3, which needs Python 3.11 or newer"
            )
        options = {"mode": "r", "zarr_format": version} if newest >= 3 else {"mode": "r"}
        try:
            if self._archive is None:
                return zarr.open_array(str(self._file(key)), **options)
            archive = zarr.storage.ZipStore(str(self.path), mode="r")
            return zarr.open_array(archive, path=join(self.inside, key), **options)
        except _LIBRARY_ERRORS as err:
            raise ImageReadError(f"{where} cannot be opened ({err})") from err

    def _json(self, key: str, name: str) -> dict[str, Any] | None:
        text = self._text(key, name)
        if text is None:
            return None
        where = f"{self.path}: {join(key, name)}"
        try:
            found = json.loads(text.decode("utf-8-sig"))
        except (ValueError, RecursionError) as err:
            raise ImageReadError(f"{where} is not valid JSON ({err})") from err
        if not isinstance(found, dict):
            raise ImageReadError(f"{where} holds no JSON object; its metadata are damaged")
        return found

    def _text(self, key: str, name: str) -> bytes | None:
        """Bytes of a small file, None if it is not there; a large one is refused unread."""
        path = join(self.inside, key, name)
        try:
            if self._archive is None:
                size = self._file(path).stat().st_size
            else:
                size = self._archive.getinfo(path).file_size
            if size > _JSON_LIMIT:
                raise ImageReadError(f"{self.path}: {path} has {size:,} bytes, too many for metadata")
            return self._file(path).read_bytes() if self._archive is None else self._archive.read(path)
        except (KeyError, FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as err:
            raise ImageReadError(f"{self.path}: {path} cannot be read ({err})") from err

    def _where(self, key: str) -> str:
        return f"{self.path}: the array {key}"

    def _file(self, key: str) -> Path:
        return self.path.joinpath(*PurePosixPath(key).parts)


class StoredArray:
    """Voxels of a level, read when they are indexed; what zarr raises becomes `ImageReadError`.

    Parameters
    ----------
    array : zarr.Array
    metadata : ArrayMetadata
    where : str
        For messages.
    """

    def __init__(self, array: Any, metadata: ArrayMetadata, where: str) -> None:
        self._array, self._where = array, where
        self.shape, self.ndim = metadata.shape, len(metadata.shape)
        self.dtype, self.chunks = metadata.dtype, metadata.chunks
        if tuple(array.shape) != self.shape:
            raise ImageReadError(f"{where} has the shape {array.shape}, but its metadata say {self.shape}")

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        try:
            return np.asarray(self._array[key])
        except _LIBRARY_ERRORS as err:
            raise ImageReadError(f"{self._where}: its voxels cannot be read; it is damaged ({err})") from err


def open_store(path: Path) -> Store:
    """Open a folder or zip file.

    Raises
    ------
    ImageReadError
        If it is a file but no zip file, or one that is damaged.
    """
    if path.is_dir():
        return Store(path)
    try:
        with path.open("rb") as file:
            start = file.read(len(_ZIP_MAGIC))
        if start != _ZIP_MAGIC:
            raise ImageReadError(
                f"{path}: is a file that starts with {start!r}; OME-Zarr is a folder or a zip file"
            )
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile) as err:
        raise ImageReadError(f"{path}: cannot be opened as a zip file ({err}); it may be cut off") from err
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED and member.file_size > _MEMBER_LIMIT:
            raise ImageReadError(
                f"{path}: {member.filename} would unpack to {member.file_size / 1e9:.1f} GB, too much for a "
                "chunk"
            )
    return Store(path, _root_of([member.filename for member in members]))


def _root_of(names: list[str]) -> str:
    """Folder of a zip file that holds the group: its root, or its only folder."""
    tops = {name.partition("/")[0] for name in names}
    if tops.isdisjoint(_ROOT_FILES) and len(tops) == 1:
        return tops.pop()
    return ""
