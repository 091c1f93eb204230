"""Make the template that heads are registered to: ``python docs/_make_template.py`` (needs the extra [demo]).

The MNI ICBM 152 template that nilearn ships, at 1 mm and without the skull, becomes a coarse one: affine
registration needs no more, and it travels in the package.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nilearn.datasets import load_mni152_template
from scipy import ndimage

from napari_effseg.volume import Grid, resample_array

TARGET = Path(__file__).parents[1] / "napari_effseg" / "engine" / "locate" / "templates" / "mni152.npz"
SPACING = 4.0  # mm
LOW, HIGH = (-96.0, -132.0, -72.0), (96.0, 96.0, 116.0)  # centres of the corner voxels; x = 0 is one of them
BRAIN = 0.05  # of the brightest voxel: the template is 0 outside the brain


def make() -> None:
    """Resample image and brain mask, and write them."""
    whole = load_mni152_template(resolution=1)
    values = np.asarray(whole.get_fdata(), dtype=np.float32)
    source = Grid(values.shape, whole.affine)
    shape = tuple(round((high - low) / SPACING) + 1 for low, high in zip(LOW, HIGH, strict=True))
    affine = np.diag([SPACING, SPACING, SPACING, 1.0])
    affine[:3, 3] = LOW
    target = Grid(shape, affine)
    brain = ndimage.binary_fill_holes(values > BRAIN * values.max())
    image = resample_array(values, source, target)
    inside = resample_array(brain.astype(np.float32), source, target) > 0.5
    scaled = np.round(255 * image / image.max()).clip(0, 255).astype(np.uint8)
    np.savez_compressed(TARGET, image=scaled, brain=inside, affine=affine)


if __name__ == "__main__":
    make()
