"""Segment a made-up CT volume in a process of its own, and print what it took as JSON.

Usage: python -m tests.engine.memory_probe I J K [--spacing MM] [--classes N] [--network]
"""

from __future__ import annotations

import argparse
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


def ct_volume(shape: tuple[int, int, int]) -> Volume:
    """int16, as stored in DICOM order, without a float copy on the way."""
    data = np.empty(shape, np.int16)
    row = np.arange(shape[2], dtype=np.int16) % 1500 - 1000
    for index, rows in enumerate(data):
        rows[...] = row + np.int16(index)
    return Volume(data, np.diag([-0.8, -0.8, 1.0, 1.0]))


def cheap_card(spacing: float | None, classes: int) -> zoo.Card:
    """A card with windows of 128 voxels a side."""
    names = (f"label {n}" for n in range(1, classes))
    card = card_for(spacing=3 * (spacing,) if spacing else None, labels=labelled(*names))
    return dataclasses.replace(
        card,
        constructor={"init_filters": 1},  # stands for a network with next to no memory of its own
        window=zoo.WindowSpec((128, 128, 128), overlap=0.25, multiple_of=16),
    )


def real_network_card() -> zoo.Card:
    """A LightM-UNet whose own memory outweighs the image's."""
    card = cheap_card(None, 3)
    return dataclasses.replace(
        card,
        constructor={**card_for().constructor, "init_filters": 16},
        window=zoo.WindowSpec((64, 64, 64), overlap=0.25, multiple_of=16),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("shape", type=int, nargs=3)
    parser.add_argument("--spacing", type=float)
    parser.add_argument("--classes", type=int, default=3)
    parser.add_argument("--network", action="store_true")
    given = parser.parse_args()
    card = real_network_card() if given.network else cheap_card(given.spacing, given.classes)
    network = zoo.build_network(card) if given.network else nn.Conv3d(1, given.classes, 1)
    volume, device = ct_volume(tuple(given.shape)), resolve_device("cpu")
    plan = resolve(PlanOptions(), card, volume.grid, device)
    before = peak_memory_bytes(device)
    report = segment_with(network, volume, card, device="cpu").report
    answer = {
        "before": before,
        "planned": plan.peak_memory_bytes,
        "peak": report.peak_memory_bytes,
        "windows": report.windows,
        "seconds": round(report.seconds, 1),
    }
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
