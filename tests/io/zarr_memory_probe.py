"""Segment a region of a huge OME-Zarr image in a process of its own, and print what it took as JSON.

Usage: python -m tests.io.zarr_memory_probe FOLDER
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import torch
import zarr
from torch import nn

from napari_effseg import load, zoo
from napari_effseg.engine import resolve_device, segment_with
from napari_effseg.engine.device import peak_memory_bytes
from tests.engine.builders import card_for
from tests.io.zarr_images import ZARR_3, axes_of, dataset, write_group

SHAPE = (1000, 2000, 2000)  # z, y, x
ROI = ((900, 900, 450), (1000, 1000, 550))


def write_huge(path: Path) -> None:
    """8 GB of uint16, of which a few chunks around the region are on the disk."""
    options = {"zarr_format": 2} if ZARR_3 else {}
    array = zarr.open_array(
        str(path / "0"), mode="w", shape=SHAPE, chunks=(64, 128, 128), dtype="uint16", fill_value=7, **options
    )
    array[448:560, 896:1024, 896:1024] = np.random.default_rng(0).integers(0, 4000, (112, 128, 128))
    image = {"axes": axes_of("zyx", "micrometer"), "datasets": [dataset("0", [5.0, 2.0, 2.0])]}
    write_group(path, {"multiscales": [image]})


def main() -> None:
    torch.manual_seed(0)
    path = Path(sys.argv[1]) / "huge.ome.zarr"
    write_huge(path)
    spacious = zoo.FieldOfView((0.0, 0.0, 0.0), (50.0, 50.0, 50.0), "region")
    card = dataclasses.replace(
        card_for(intensity=zoo.IntensityRule("clip_zscore", percentiles=(0.5, 99.5)), field_of_view=spacious),
        window=zoo.WindowSpec((64, 64, 64), overlap=0.25, multiple_of=16),
    )
    device = resolve_device("cpu")
    volume = load(path)
    before = peak_memory_bytes(device)
    result = segment_with(nn.Conv3d(1, 3, 1), volume, card, device="cpu", roi=ROI)
    answer = {
        "shape": result.labels.shape,
        "labelled": int(np.count_nonzero(result.labels.data[900:1000, 900:1000, 450:550])),
        "seconds": result.report.seconds,
        "taken": peak_memory_bytes(device) - before,
        "image": int(np.prod(SHAPE)) * 2,
    }
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
