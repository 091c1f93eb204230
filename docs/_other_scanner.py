"""Make a few cases of a data set look as if another scanner had taken them, to try ``effseg finetune`` on.

    python docs/_other_scanner.py DATASET OUTPUT [CASES]

Takes the first cases of the training list. Contrast is inverted, as a T2-weighted image might look beside a
T1-weighted one; the image is blurred by 0.8 mm and gets noise of 8 % of its range. Label maps are copied.
OUTPUT gets ``images/`` and ``labels/`` of equal names.
"""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_effseg import Volume, load, load_labels, save
from napari_effseg.io.dataset import read_dataset

BLUR_MM = 0.8
NOISE = 0.08
LOW, HIGH = 0.5, 99.5  # percentiles that become 1 and 0


def other_scanner(volume: Volume, seed: int) -> Volume:
    """Invert, blur and disturb an image; its range becomes about 0 to 1000."""
    low, high = np.percentile(volume.data, (LOW, HIGH))
    inverted = 1 - np.clip((volume.data - low) / (high - low), 0, 1)
    blurred = gaussian_filter(inverted, [BLUR_MM / mm for mm in volume.spacing])
    noise = np.random.default_rng(seed).normal(0, NOISE, volume.shape)
    return Volume((1000 * (blurred + noise)).astype(np.float32), volume.affine)


def main(dataset: Path, output: Path, cases: int) -> None:
    """Write the cases."""
    for kind in ("images", "labels"):
        (output / kind).mkdir(parents=True)
    for case in read_dataset(dataset).split("training")[:cases]:
        name = f"{case.name}.nii.gz"
        changed = other_scanner(load(case.images[0]), zlib.crc32(case.name.encode()))
        save(changed, output / "images" / name)
        save(load_labels(case.label), output / "labels" / name)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) == 4 else 10)
