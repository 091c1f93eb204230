"""Segment a made-up CT volume in a process of its own, and print what it took as JSON.

Usage: python -m tests.engine.memory_probe I J K [spacing in mm of the network]
"""

from __future__ import annotations

import dataclasses
import json
import sys

import numpy as np
from torch import nn

from napari_effseg import zoo
from napari_effseg.engine import PlanOptions, resolve, resolve_device, segment_with
from napari_effseg.engine.device import peak_memory_bytes
from napari_effseg.volume import Volume
from tests.engine.builders import card_for, labelled


def main(arguments: list[str]) -> None:
    shape = tuple(int(side) for side in arguments[:3])
    spacing = tuple(3 * [float(arguments[3])]) if len(arguments) > 3 else None
    card = dataclasses.replace(
        card_for(spacing=spacing, labels=labelled("a", "b")),
        window=zoo.WindowSpec((128, 128, 128), overlap=0.25, multiple_of=16),
    )
    row = np.arange(shape[2], dtype=np.int16) % 1500 - 1000
    data = np.empty(shape, np.int16)
    for index, rows in enumerate(data):
        rows[...] = row + np.int16(index)
    volume = Volume(data, np.diag([-0.8, -0.8, 1.0, 1.0]))  # LPS, as DICOM is stored
    device = resolve_device("cpu")
    before = peak_memory_bytes(device)
    plan = resolve(PlanOptions(), card, volume.grid, device)
    result = segment_with(nn.Conv3d(1, 3, 1), volume, card, device="cpu")
    report = result.report
    answer = {
        "before": before,
        "planned": plan.peak_memory_bytes,
        "peak": report.peak_memory_bytes,
        "windows": report.windows,
        "seconds": round(report.seconds, 1),
        "labels": np.unique(result.labels.data[::16, ::16, ::16]).tolist(),
    }
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
