"""Layers -> files, for napari's Save menu: on the grid of the source, with names, colours and codes."""

from __future__ import annotations

from typing import Any

from ..io import save
from .from_layer import frames_of, labels_of_layer, layer_to_volume
from .source import source_of

__all__ = ["write_image", "write_labels"]


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a layer of labels; the ending picks the format.

    Parameters
    ----------
    path : str
        Ends in .nii.gz, .nii, .nrrd, .seg.nrrd, .mha, or in .dcm for labels of a DICOM series.
    data : array
        Of the layer.
    attributes : dict
        As napari gives them: transform, features, colormap, metadata.

    Returns
    -------
    list of str
        The file that was written.

    Raises
    ------
    ExportError
        If it could not be written, or came back different.
    VolumeError
        If the layer has no place or holds negative labels.
    """
    from napari.layers import Labels

    layer = Labels(data, **attributes)
    source = source_of(layer)
    known = source.origin.keywords if source and source.origin else {}
    return [str(save(labels_of_layer(layer), path, **known))]


def write_image(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write an image layer, time points and colours as channels; the ending picks the format.

    Raises
    ------
    ExportError, VolumeError
        As `write_labels`.
    """
    from napari.layers import Image

    layer = Image(data, **attributes)
    volume = layer_to_volume(layer, channels=frames_of(layer) > 1)
    return [str(save(volume, path))]
