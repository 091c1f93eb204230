"""Find the image that a path means: the group itself, the only one inside it, or its labels."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ImageReadError
from ._array_metadata import ArrayMetadata
from ._multiscales import Multiscales, parse_multiscales
from ._paths import join, stays_inside
from ._store import Store, StoredArray, open_store

__all__ = ["Group", "find_image", "find_labels"]


@dataclass(frozen=True)
class Group:
    """A Zarr group that holds an image.

    Attributes
    ----------
    store : Store
    key : str
        Path of the group in the store, "" for its root.
    attributes : dict
        OME metadata.
    image : Multiscales
    where : str
        For messages.
    warnings : tuple of str
    """

    store: Store
    key: str
    attributes: dict[str, Any]
    image: Multiscales
    where: str
    warnings: tuple[str, ...] = ()

    def metadata(self, level: int) -> ArrayMetadata:
        """Shape and type of a level; raises ImageReadError if its axes are not those of the image."""
        found = self.store.metadata(self._key(level))
        axes, named = len(found.shape), len(self.image.axes)
        if axes != named:
            raise ImageReadError(f"{self.where}: level {level} has {axes} axes; its metadata name {named}")
        return found

    def array(self, level: int) -> StoredArray:
        """Open the array of a level."""
        return self.store.array(self._key(level))

    def _key(self, level: int) -> str:
        return join(self.key, self.image.datasets[level].path)


def find_image(path: Path) -> Group:
    """Image at a path; of a file of several images that holds one, that one.

    Raises
    ------
    ImageReadError
        If there is no image, or several; the message names them.
    """
    store = open_store(path)
    attributes = _ome_attributes(store, "")
    if "multiscales" in attributes:
        return _group(store, "", attributes)
    names = _images_inside(store, attributes)
    if len(names) == 1:
        return _group(store, names[0], _ome_attributes(store, names[0]))
    if names:
        few = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise ImageReadError(
            f"{path}: holds {len(names)} images ({few}); give one of them, such as {path / names[0]}"
        )
    raise ImageReadError(f"{path}: {_why_no_image(store, attributes)}")


def find_labels(path: Path) -> Group:
    """Label image at a path, or the only one of the image at that path.

    Raises
    ------
    ImageReadError
        If there is no image, or it has several label images; the message names them.
    """
    store = open_store(path)
    if "image-label" in _ome_attributes(store, ""):
        return find_image(path)
    names = _strings(_ome_attributes(store, "labels").get("labels"))
    if len(names) == 1:
        key = f"labels/{names[0]}"
        return _group(store, key, _ome_attributes(store, key))
    if names:
        raise ImageReadError(
            f"{path}: has {len(names)} label images: {', '.join(names)}; give one of them, such as "
            f"{path / 'labels' / names[0]}"
        )
    return find_image(path)


def _group(store: Store, key: str, attributes: dict[str, Any]) -> Group:
    where = str(store.path / key) if key else str(store.path)
    images = attributes.get("multiscales")
    if not isinstance(images, list) or not images or not isinstance(images[0], dict):
        raise ImageReadError(f"{where}: its multiscales metadata are {images!r}; expected a list of images")
    version = attributes.get("version", images[0].get("version"))
    said = (f"it holds {len(images)} multiscale images; the first was taken",) if len(images) > 1 else ()
    return Group(store, key, attributes, parse_multiscales(images[0], version, where), where, said)


def _ome_attributes(store: Store, key: str) -> dict[str, Any]:
    """OME metadata of a group: since 0.5 below "ome", before that beside all others."""
    attributes = store.attributes(key) or {}
    inner = attributes.get("ome")
    return inner if isinstance(inner, dict) else attributes


def _images_inside(store: Store, attributes: dict[str, Any]) -> list[str]:
    """Images of a conversion by bioformats2raw (0, 1, ...), fields of a well, or label images of a group."""
    if "bioformats2raw.layout" in attributes:
        named = _strings(_ome_attributes(store, "OME").get("series"))
        numbers = map(str, itertools.count())
        return named or list(
            itertools.takewhile(lambda name: "multiscales" in _ome_attributes(store, name), numbers)
        )
    if isinstance(well := attributes.get("well"), dict) and isinstance(well.get("images"), list):
        return _strings([image.get("path") for image in well["images"] if isinstance(image, dict)])
    return _strings(attributes.get("labels"))


def _why_no_image(store: Store, attributes: dict[str, Any]) -> str:
    if isinstance(plate := attributes.get("plate"), dict) and isinstance(plate.get("wells"), list):
        wells = _strings([well.get("path") for well in plate["wells"] if isinstance(well, dict)])
        few = ", ".join(wells[:3]) + (", ..." if len(wells) > 3 else "")
        first = wells[0] if wells else "A/1"
        return f"is a plate of {len(wells)} wells ({few}); give a field of one, such as {first}/0"
    if store.attributes() is None:
        return "is no Zarr group: it has neither zarr.json nor .zgroup"
    return "is Zarr, but no OME-Zarr image: its metadata have no multiscales"


def _strings(given: Any) -> list[str]:
    """Names among what is given that stay inside the group."""
    names = given if isinstance(given, list) else []
    return [name for name in names if isinstance(name, str) and stays_inside(name)]
