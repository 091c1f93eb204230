"""The sample cases of the package, for napari's File > Open Sample."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from ..io import load, load_labels
from ..samples import find_sample, write_sample
from .to_layer import LayerTriple, image_layers, labels_layer

__all__ = ["hippocampus", "hippocampus_2", "mni152"]

_NAMES = {1: "anterior hippocampus", 2: "posterior hippocampus"}  # as the data set names them


def _open(name: str) -> list[LayerTriple]:
    """Layers of a case: the image, and the reference segmentation, hidden, where there is one."""
    case = find_sample(name)
    with tempfile.TemporaryDirectory() as folder:
        image, reference = Path(folder) / "image.nii.gz", Path(folder) / "reference.nii.gz"
        write_sample(case, image, reference if case.reference else None)
        layers = image_layers(load(image), name)
        if case.reference:
            labels = replace(load_labels(reference), names=_NAMES)
            layers.append(labels_layer(labels, name=f"{name} reference"))
            layers[-1][1]["visible"] = False
    return layers


def hippocampus() -> list[LayerTriple]:
    """T1-weighted MR around one hippocampus, with its reference segmentation."""
    return _open("hippocampus")


def hippocampus_2() -> list[LayerTriple]:
    """Another case, of another size."""
    return _open("hippocampus-2")


def mni152() -> list[LayerTriple]:
    """Whole head, without skull; needs the extra [demo]."""
    return _open("mni152")
