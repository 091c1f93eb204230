"""Layers of labels become files: one, or one for each time point; no Qt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..io import save, stem_of
from .from_layer import frames_of, labels_of_layer
from .source import source_of

if TYPE_CHECKING:
    from napari.layers import Labels

__all__ = ["save_labels_layer"]


def save_labels_layer(layer: Labels, path: Path) -> list[Path]:
    """Write a layer with its names, colours and codes; the ending of the file picks the format.

    Parameters
    ----------
    layer : Labels layer
    path : Path
        Where there are several time points each has a file of its own: ``film_t03.nii.gz``.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    ExportError
        If one could not be written, or came back different.
    VolumeError
        If the layer has no place or holds negative labels.
    """
    source = source_of(layer)
    known = source.origin.keywords if source and source.origin else {}
    frames = frames_of(layer)
    if frames == 1:
        return [save(labels_of_layer(layer), path, **known)]
    digits, stem = len(str(frames - 1)), stem_of(path)
    ending = path.name.removeprefix(stem)
    return [
        save(labels_of_layer(layer, frame), path.with_name(f"{stem}_t{frame:0{digits}d}{ending}"), **known)
        for frame in range(frames)
    ]
