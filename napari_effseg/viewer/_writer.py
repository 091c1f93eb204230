"""Layers -> files, for napari's Save menu: on the grid of the source, with names, colours and codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..io import save
from .from_layer import frames_of, layer_to_volume
from .label_files import save_labels_layer

__all__ = ["write_image", "write_labels"]


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a layer of labels, each time point to a file of its own; the ending picks the format.

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
        The files that were written.

    Raises
    ------
    ExportError
        If it could not be written, or came back different.
    VolumeError
        If the layer has no place or holds negative labels.
    """
    from napari.layers import Labels

    return [str(written) for written in save_labels_layer(Labels(data, **attributes), Path(path))]


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
